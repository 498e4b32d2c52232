"""The command line: ``python -m hyperlib COMMAND --help``; without a command, ``--help`` lists them all.

A task of one's own is made known with ``--task module:name``: the module is imported from the working directory or from
where Python finds it, and the name in it is a `Task`. Every command takes it.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from .config import TrainConfig
from .fast.build import BuildError
from .files import GOES_ON, told
from .hypernetwork import Architecture
from .network import Shape, check_shape
from .sweeps import BETAS
from .sweeps import sweep as sweep_model

if TYPE_CHECKING:
    import pandas as pd

# The commands import what they alone need, so that --help answers at once.
app = tyro.extras.SubcommandApp()
RunFolder = tyro.conf.Positional[Path]
Shapes = Annotated[tuple[str, ...], tyro.conf.arg(metavar="{N-H-1}")]
TABLES = (".csv", ".parquet")


@dataclasses.dataclass(frozen=True)
class Settings(TrainConfig):
    """A configuration as the command line asks for it: by the number of seeds and the first one."""

    seeds: tyro.conf.Suppress[tuple[int, ...]] = (0,)
    sizes: tyro.conf.Suppress[tuple[Shape, ...]] = ()
    architecture: Annotated[Architecture, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Architecture)


def layers(shapes: Sequence[str]) -> list[Shape]:
    """Shapes from layer sizes joined by hyphens."""
    return [check_shape([int(n) if n.isdecimal() else 0 for n in shape.split("-")]) for shape in shapes]


@app.command
def train(
    out: Path,
    config: Annotated[Settings, tyro.conf.arg(name="")] = Settings(),
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

    chosen = TrainConfig(**vars(config) | {"seeds": range(first_seed, first_seed + seeds), "sizes": layers(sizes)})
    run = train_run(
        chosen, out, workers=workers, ensemble=ensemble, scheduler=scheduler, device=device, compiled=compiled
    )
    for seed, reason in run.failed.items():
        print(f"seed {seed} failed at step {reason['step']}: {reason['reason']}", file=sys.stderr)
    print(f"{out}: {len(run.seeds)} seeds, {chosen.steps} steps, run {run.short_hash}")
    print(run.final.groupby("seed")["phase"].value_counts().unstack(fill_value=0).to_string())


@app.command
def join(folders: tyro.conf.Positional[tuple[Path, ...]], out: Path) -> None:
    """Make one run folder of several finished ones that differ in nothing but their seeds.

    Args:
        folders: two or more finished run folders.
        out: the new run folder.
    """
    from .joining import join_runs

    run = join_runs(folders, out)
    print(f"{out}: {len(run.seeds)} seeds, run {run.short_hash}")


@app.command
def sweep(run: RunFolder, seed: int, out: Path | None = None, points: int = len(BETAS)) -> None:
    """Measure one seed's networks along beta and print the table, or write it to a file.

    Args:
        run: a finished run folder.
        seed: one of its seeds.
        out: a file for the table, .csv or .parquet.
        points: number of values of beta, spaced geometrically from 1e-12 to 1.
    """
    from numpy import geomspace

    from .runs import load_run

    check_out(out, *TABLES)
    at_least(1, points=points)
    opened = load_run(run)
    table, _ = sweep_model(opened.model(seed), opened.task.name, geomspace(BETAS[0], BETAS[-1], points).tolist())
    if out is None:
        print(table.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
    else:
        export(out, table)


@app.command
def adam(out: Path, steps: int, seeds: int = 8, batch: int = TrainConfig.batch, learning_rate: float = 1e-2) -> None:
    """Train the target network directly with Adam: the baseline of section 2.5, all seeds on one core.

    Args:
        out: folder for the networks and curves.
        steps: optimisation steps; a fair baseline has as many as the hypernetworks.
        seeds: number of networks.
        batch: fresh inputs per step and network.
        learning_rate: at the start; it decays to 0.
    """
    from .baseline import make_baseline
    from .cluster import one_thread

    at_least(1, steps=steps, seeds=seeds, batch=batch)
    with one_thread(True):
        found = make_baseline(out, steps, range(seeds), batch, learning_rate=learning_rate)
    print(found.curves[found.curves["step"] == steps].to_string(index=False))
    print(f"{out}: {seeds} networks in {found.settings['cpu_s']:.0f} s of one core")


@app.command
def claims(run: RunFolder, out: Path) -> None:
    """Judge every claim of the paper, and again without each of the seeds, and store both.

    Args:
        run: a finished run folder; partners and baseline are taken from the folders beside it.
        out: folder for ledger.json, which pages read if it is the folder ``claims`` beside the run, and
            leave_one_out.parquet.
    """
    from .claims.stored import store
    from .runs import load_run

    for claim in store(load_run(run), out):
        print(f"{claim.verdict:>14}  {claim.title}")


@app.command
def draw(run: RunFolder, seed: int, out: Path, beta: float = 1e-12, encoder: bool = True, generator: int = 0) -> None:
    """Draw one generated network (force-directed, appendix B.1) into a picture file.

    Args:
        run: a finished run folder.
        seed: one of its seeds.
        out: the picture; its ending decides the format (svg, png, pdf).
        beta: price of one nat.
        encoder: generate with the encoder.
        generator: generation seed.
    """
    from .figures.networks import draw_network
    from .files import write_atomic
    from .runs import load_run

    check_out(out, ".svg", ".png", ".pdf")
    net = load_run(run).model(seed).generate(beta, generator=generator, encoder=encoder)
    figure = draw_network(net)
    write_atomic(out, lambda file: figure.savefig(file, format=out.suffix[1:].lower(), bbox_inches="tight"))


@app.command
def bench(
    out: Path | None = None,
    ensembles: tuple[int, ...] = (1, 2, 4, 8, 16, 33),
    shapes: Shapes = ("16-48-1", "32-96-1", "64-192-1"),
    seconds: float = 4.0,
    against: Path | None = None,
) -> None:
    """Measure the training step on this machine: milliseconds per step and seed, ratios, memory, compile time.

    Args:
        out: a JSON file for the table.
        ensembles: numbers of seeds in the ensemble.
        shapes: layer sizes of the target, joined by hyphens.
        seconds: time to spend on each measurement.
        against: a checkout of another version, whose step is timed in turns with this one's.
    """
    from .project.bench import report

    check_out(out, ".json")
    at_least(1, **{f"ensembles[{place}]": size for place, size in enumerate(ensembles)})
    if not 0 < seconds < float("inf"):
        raise ValueError(f"seconds is {seconds}; expected a positive number")
    if against is not None and not (against / "hyperlib" / "__init__.py").is_file():
        raise ValueError(f"against is {str(against)!r}; expected a checkout, a folder that holds hyperlib")
    report(ensembles, layers(shapes), seconds, out, against)


@app.command
def replay(run: RunFolder, seeds: tuple[int, ...], steps: int | None = None, out: Path | None = None) -> None:
    """Train released seeds again and compare them with the released table, quantity by quantity.

    Args:
        run: a finished run folder.
        seeds: which of its seeds.
        steps: stop after so many steps (default: the whole training).
        out: a file for the comparison, .csv or .parquet.
    """
    from .project.replay import replay as replay_run
    from .runs import load_run

    check_out(out, *TABLES)
    at_least(1, steps=steps)
    table = replay_run(load_run(run), seeds, steps)
    if out is not None:
        export(out, table)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3g}"))
    if not table["agrees"].all():
        raise SystemExit(1)


@app.command
def drift(run: RunFolder, seeds: tuple[int, ...], steps: int = 600, out: Path | None = None) -> None:
    """Measure how far trainings of the same seeds part when nothing but the rounding differs. Takes minutes.

    Args:
        run: a finished run folder.
        seeds: two of its seeds or more.
        steps: how far to follow all of them but the one that is compared with the released table.
        out: a file for the table, .csv or .parquet.
    """
    from .project.replay import drift as measure_drift
    from .runs import load_run

    check_out(out, *TABLES)
    at_least(1, steps=steps)
    table = measure_drift(load_run(run), seeds, steps)
    if out is not None:
        export(out, table)
    last = table[table["step"] == table.groupby("variant")["step"].transform("max")]
    print(last.to_string(index=False, float_format=lambda value: f"{value:.3g}"))


@app.command
def design(out: Path, steps: int | None = None, workers: int | None = None) -> None:
    """Run the designed experiment behind the choice of settings and print the effects of the knobs.

    Args:
        out: a file for the table, one row per setting and seed, .csv or .parquet.
        steps: steps per seed (default: those of the released table).
        workers: processes of one core each (default: one per core).
    """
    from .project.design import STEPS, effects, run_design

    check_out(out, *TABLES)
    at_least(1, steps=steps, workers=workers)
    table = run_design(steps=STEPS if steps is None else steps, workers=workers)
    export(out, table)
    print(effects(table).to_string(index=False, float_format=lambda value: f"{value:.3g}"))


@app.command
def decode(
    run: RunFolder, seed: int | None = None, beta: float = 1e-12, points: int = 1, out: Path | None = None
) -> None:
    """Turn networks into programs: print the formula of one, or write the table of a whole folder.

    Args:
        run: a finished run folder, a folder of such folders, or a baseline.
        seed: print the program of this seed's network at `beta`.
        beta: price of one nat.
        points: for a table, how many values of beta from the lowest to the highest.
        out: the Parquet file of the table; rows of other runs stay.
    """
    from .decoding.decode import decode as decode_network
    from .programs import TABLE, few, of_folder, update
    from .runs import load_run

    check_out(out, ".parquet")
    if seed is not None:
        program = decode_network(load_run(run).model(seed).generate(beta, generator=0))
        print(f"{program.text}\n{program.label}: {program.numbers} numbers, {program.bits:.0f} bits, ", end="")
        print(f"{100 * program.kept:.2f} % of the output's variance")
        return
    for name, rows in of_folder(run, points):
        table = update(Path(TABLE) if out is None else out, name, rows)
        if len(table):
            print(f"{name}\n{few(table).to_string(float_format=lambda value: f'{value:.3g}')}")


@app.command
def info(run: RunFolder) -> None:
    """Check a run folder and print its configuration and what it holds.

    Args:
        run: a finished run folder.
    """
    from .runs import load_run

    opened = load_run(run)
    for field in dataclasses.fields(opened.config):
        print(f"{field.name:22} {getattr(opened.config, field.name)}")
    print(f"{'run':22} {opened.short_hash}: {len(opened.seeds)} seeds, {len(opened.sweep)} networks measured")


@app.command
def campaign(
    name: tyro.conf.Positional[Literal["kill", "flip", "probe"]], times: int | None = None, seed: int = 0
) -> None:
    """Kill trainings, flip bits, or probe the public interface at random; for maintainers, takes minutes.

    Args:
        name: the campaign.
        times: number of attempts (default: 40 kills, 200 bits, all probes).
        seed: of what is chosen at random.
    """
    from .project import campaigns

    at_least(1, times=times)
    table = getattr(campaigns, name)(**{"seed": seed} | ({} if times is None else {"times": times}))
    failed = table[~table["ok"]]
    if len(failed):
        print(failed.drop(columns="ok").to_string(index=False))
    print(f"{name}: {len(table)} attempts, {len(failed)} failed")
    raise SystemExit(1 if len(failed) else 0)


def at_least(least: int, **values: int | None) -> None:
    """Raise ValueError unless every value that is given is so large."""
    for name, value in values.items():
        if value is not None and value < least:
            raise ValueError(f"{name} is {value}; expected at least {least}")


def check_out(out: Path | None, *endings: str) -> None:
    """Make the folder of a file to be written, before the work for it begins.

    Raises:
        ValueError: its name has another ending.
        OSError: the folder cannot be made, or be written to.
    """
    if out is None:
        return
    if out.suffix.lower() not in endings:
        raise ValueError(f"out is {str(out)!r}; expected a file name that ends in {' or '.join(endings)}")
    out.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(out.parent, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(out.parent))


def export(out: Path, table: pd.DataFrame) -> None:
    """Write a table in the format that its name asks for."""
    from .files import write_atomic, write_table

    if out.suffix.lower() == ".csv":
        write_atomic(out, lambda file: table.to_csv(file, index=False))
    else:
        write_table(out, table)


def import_tasks(arguments: Sequence[str]) -> list[str]:
    """Import and register the tasks that ``--task module:name`` names.

    Returns:
        The arguments with the name under which the task is registered; without it where the command has no such option.
    """
    from .task import import_task

    rest, left = [], list(arguments)
    while left:
        word = left.pop(0)
        option, equals, value = word.partition("=")
        if option != "--task" or (not equals and not left):
            rest.append(word)
            continue
        value = value if equals else left.pop(0)
        name = import_task(value).name if ":" in value else value
        if arguments[0] == "train" or ":" not in value:
            rest += ["--task", name]
    return rest


def main() -> None:
    """Entry point; errors that name what is wrong are printed in one line, without a traceback."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
        try:
            app.cli(prog="python -m hyperlib", description=__doc__, args=import_tasks(sys.argv[1:]))
        except KeyboardInterrupt:
            print(f"error: interrupted; {GOES_ON}", file=sys.stderr)
            raise SystemExit(130) from None
        except OSError as error:
            raise SystemExit(f"error: {told(error)}") from None
        except (ValueError, KeyError, ModuleNotFoundError, BuildError) as error:
            said = error.args[0] if isinstance(error, KeyError) else error
            raise SystemExit(f"error: {' '.join(str(said).split())}") from None


if __name__ == "__main__":
    main()
