"""The baseline of section 2.5: the target network trained directly with Adam, all seeds on one core."""

from pathlib import Path

from hyperbook.studies.baseline import make_baseline
from hyperlib.cluster import one_thread
from hyperlib.commands import script
from hyperlib.config import TrainConfig


def main(out: Path, steps: int, seeds: int = 8) -> None:
    """Train the baseline and leave it in a folder.

    Args:
        out: folder for the networks and curves.
        steps: optimisation steps; a fair baseline has as many as the hypernetworks.
        seeds: number of networks.
    """
    with one_thread(True):
        found = make_baseline(out, steps, range(seeds), TrainConfig.batch)
    print(found.curves[found.curves["step"] == steps].to_string(index=False))
    print(f"{out}: {seeds} networks in {found.settings['cpu_s']:.0f} s of one core")


if __name__ == "__main__":
    script(main)
