"""Do seeds of case 3d lose more for want of channels that carry? See `hyperbook.studies.channel`."""

from pathlib import Path

import pandas as pd

from hyperbook.studies.channel import carried, further, muted
from hyperbook.studies.settings import SEEDS
from hyperlib.cluster import one_thread
from hyperlib.commands import export, script
from hyperlib.runs import load_run


def main(
    out: Path = Path("results/settings"),
    run: Path = Path("results/l1"),
    scratch: Path = Path("results/l1-scratch"),
    runs: Path = Path("runs/channel"),
    workers: int = 1,
) -> None:
    """Write ``muted.parquet``, decoders trained with channels of noise alone, and ``channel.parquet``.

    The latter says what channels carry in seeds of case 3d, before and after they were trained on with their encoder
    and without.

    Args:
        out: folder for the tables; a table that is there stays.
        run: a run with seeds of case 3d.
        scratch: a run of the decoder alone, whose settings are taken.
        runs: folder for the new runs.
        workers: processes; 0 trains in this one.
    """
    if not (out / "muted.parquet").exists():
        with one_thread(True):
            export(out / "muted.parquet", muted(load_run(scratch), SEEDS))
    if not (out / "channel.parquet").exists():
        before = load_run(run)
        made = {name: further(before, runs / name, name == "on", workers=workers) for name in ("on", "off")}
        tables = [carried(one).assign(encoder=name) for name, one in {"before": before, **made}.items()]
        export(out / "channel.parquet", pd.concat(tables, ignore_index=True))


if __name__ == "__main__":
    script(main)
