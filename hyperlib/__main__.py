"""The command line: ``python -m hyperlib COMMAND --help``; without a command, ``--help`` lists them all.

``--task module:name`` names a `Task` of one's own, in a module of the working directory or where Python finds it.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro

from .commands import TABLES, RunFolder, Shapes, at_least, check_out, export, layers, obey, show
from .config import TrainConfig
from .hypernetwork import Architecture
from .network import Shape
from .problems import import_task
from .sweeps import BETAS
from .sweeps import sweep as sweep_model

# The commands import what they alone need, so that --help answers at once.
app = tyro.extras.SubcommandApp()


@dataclasses.dataclass(frozen=True)
class Settings(TrainConfig):
    """A configuration as the command line asks for it: by the number of seeds and the first one."""

    seeds: tyro.conf.Suppress[tuple[int, ...]] = (0,)
    sizes: tyro.conf.Suppress[tuple[Shape, ...]] = ()
    architecture: Annotated[Architecture, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Architecture)
    task: str = "l1"  # type: ignore[assignment]
    start_sha256: tyro.conf.Suppress[str] = ""
    given_sha256: tyro.conf.Suppress[str] = ""
    faithful: tyro.conf.Suppress[bool] = False

    def __post_init__(self) -> None:
        name = self.task  # stays a name here: what is read from the command line is text
        object.__setattr__(self, "task", import_task(name))
        super().__post_init__()
        object.__setattr__(self, "task", name)


@app.command
def train(
    out: Path,
    config: Annotated[Settings, tyro.conf.arg(name="")],
    seeds: int = 33,
    first_seed: int = 0,
    sizes: Shapes = (),
    workers: int | None = None,
    ensemble: int = 4,
    scheduler: str | None = None,
    device: str = "cpu",
    compiled: bool = True,
) -> None:
    """Train seeds and leave a finished run folder. The same command again continues an interrupted training.

    Args:
        out: the run folder.
        config: settings of the training.
        seeds: number of seeds.
        first_seed: the first of them; the others follow.
        sizes: further shapes that are trained in turn with the first one, layer sizes joined by hyphens.
        workers: processes of one core each (default: one per core; 0: in this process).
        ensemble: most seeds trained side by side by one worker.
        scheduler: address of a dask scheduler, such as tcp://host:8786.
        device: cpu or cuda.
        compiled: compile the training step.
    """
    from .experiment import train as train_run

    at_least(1, seeds=seeds)
    asked = {"seeds": range(first_seed, first_seed + seeds), "sizes": layers(sizes), "task": import_task(config.task)}
    chosen = TrainConfig(**vars(config) | asked)
    run = train_run(
        chosen, out, workers=workers, ensemble=ensemble, scheduler=scheduler, device=device, compiled=compiled
    )
    for seed, reason in run.failed.items():
        print(f"seed {seed} failed at step {reason['step']}: {reason['reason']}", file=sys.stderr)
    print(f"{out}: {len(run.seeds)} seeds, {chosen.steps} steps, run {run.short_hash}")
    print(run.final.groupby("seed")["phase"].value_counts().unstack(fill_value=0).to_string())


@app.command
def compress(
    net: tyro.conf.Positional[str],
    out: Path,
    task: str,
    activation: str | None = None,
    steps: int = 24_000,
    seeds: int | None = None,
    first_seed: int = 0,
    match: int | None = None,
    faithful: bool = False,
    gain: float = 4.0,
    workers: int | None = None,
    device: str = "cpu",
    compiled: bool = True,
    programs: bool = True,
) -> None:
    """From a given network to ever simpler ones: leave a finished run folder and print what is given up.

    Args:
        net: a safetensors file, with tensors weight0, bias0, ... or the state_dict of linear layers; or RUN:SEED.
        out: the run folder; the same command again continues.
        task: what the network does, a name or module:name.
        activation: of the network in a file (default: swish).
        steps: of training.
        seeds: how many, one per network of a batch as a rule.
        first_seed: the first of them.
        match: first steps, in which the memory learns the weights (default: a quarter).
        faithful: learn the network's outputs in place of the task's targets.
        gain: factor on the pre-activations at the start.
        workers: processes of one core each (default: one per core; 0: in this process).
        device: cpu or cuda.
        compiled: compile the training step.
        programs: decode the networks for the table.
    """
    from .compression import compress as compress_network
    from .compression import path, read_network, transitions

    given = read_network(net, activation)
    count = seeds or (len(given) if given.batch_shape else 1)
    run = compress_network(
        given,
        import_task(task),
        out,
        steps=steps,
        seeds=range(first_seed, first_seed + count),
        match=match,
        faithful=faithful,
        gain=gain,
        workers=workers,
        device=device,
        compiled=compiled,
    )
    table = path(run, betas=run.betas[:: max(1, len(run.betas) // 8)], programs=programs)
    show(table.drop(columns="text", errors="ignore"))
    show(transitions(table))


@app.command
def sweep(run: RunFolder, seed: int, out: Path | None = None, points: int = len(BETAS)) -> None:
    """Measure one seed's networks along beta and print the table, or write it to a file.

    Args:
        run: a finished run.
        seed: one of its seeds.
        out: a file for the table, .csv or .parquet.
        points: number of values of beta, spaced geometrically from 1e-12 to 1.
    """
    from numpy import geomspace

    check_out(out, *TABLES)
    at_least(1, points=points)
    opened = run.open()
    table, _ = sweep_model(opened.model(seed), opened.task, geomspace(BETAS[0], BETAS[-1], points).tolist())
    if out is None:
        show(table, 4)
    else:
        export(out, table)


@app.command
def draw(run: RunFolder, seed: int, out: Path, beta: float = 1e-12, encoder: bool = True, generator: int = 0) -> None:
    """Draw one generated network (force-directed, appendix B.1) into a picture file.

    Args:
        run: a finished run.
        seed: one of its seeds.
        out: the picture; its ending decides the format (svg, png, pdf).
        beta: price of one nat.
        encoder: generate with the encoder.
        generator: generation seed.
    """
    from .figures.networks import draw_network
    from .files import write_atomic

    check_out(out, ".svg", ".png", ".pdf")
    net = run.open().model(seed).generate(beta, generator=generator, encoder=encoder)
    figure = draw_network(net)
    write_atomic(out, lambda file: figure.savefig(file, format=out.suffix[1:].lower(), bbox_inches="tight"))


@app.command
def decode(run: RunFolder, seed: int, beta: float = 1e-12) -> None:
    """Turn one generated network into a program and print its formula.

    Args:
        run: a finished run.
        seed: one of its seeds.
        beta: price of one nat.
    """
    from .decoding.decode import program_of

    opened = run.open()
    program = program_of(opened.model(seed).generate(beta, generator=0), opened.task)
    print(f"{program.text}\n{program.label}: {program.numbers} numbers, {program.bits:.0f} bits, ", end="")
    print(f"{100 * program.kept:.2f} % of the output's variance")


@app.command
def info(run: RunFolder) -> None:
    """Check a run folder and print its configuration and what it holds."""
    opened = run.open()
    for field in dataclasses.fields(opened.config):
        print(f"{field.name:22} {getattr(opened.config, field.name)}")
    print(f"{'run':22} {opened.short_hash}: {len(opened.seeds)} seeds, {len(opened.sweep)} networks measured")


def main() -> None:
    """Entry point."""
    obey(lambda: app.cli(prog="python -m hyperlib", description=__doc__))


if __name__ == "__main__":
    main()
