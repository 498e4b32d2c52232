"""Networks along training of a few seeds, which are trained again for it: ``results/film.safetensors``."""

from functools import partial
from pathlib import Path

from hyperbook.studies.film import make_film
from hyperbook.studies.replay import trained_again
from hyperlib.checks import check_seeds
from hyperlib.commands import RunFolder, check_out, script
from hyperlib.files import write_tensors
from hyperlib.runs import SNAPSHOTS
from keep import changed


def main(run: RunFolder, seeds: tuple[int, ...], out: Path, copy: Path) -> None:
    """Train the groups of some seeds again, keep their networks at every snapshot, and models at five before the last.

    Args:
        run: a finished run.
        seeds: which of its seeds.
        out: a file for the networks, .safetensors.
        copy: a new folder for the run with hyperhypernetworks of these seeds, for the page that runs them.
    """
    check_out(out, ".safetensors")
    check_seeds(seeds)
    opened = run.open()
    found = list(trained_again(opened, seeds, opened.steps))
    write_tensors(out, make_film(opened, found))
    last = len(opened.steps) - 1
    kept = {opened.steps[round(k * last / 6)] for k in range(1, 6)}
    earlier = {
        f"{seed}.{step}.{name}": tensor.half()
        for seed, step, model in found
        if step in kept
        for name, tensor in model.parameters.items()
    }
    changed(opened, copy, {SNAPSHOTS: partial(write_tensors, tensors=earlier)})


if __name__ == "__main__":
    script(main)
