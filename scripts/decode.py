"""The table of programs: the networks of whole runs, decoded."""

from pathlib import Path

from hyperbook.studies.programs import TABLE, few_constants, of_folder, update
from hyperlib.commands import RunFolder, at_least, check_out, script


def main(run: RunFolder, points: int = 1, out: Path = Path(TABLE)) -> None:
    """Turn the networks of a folder into programs and put them into a table.

    Args:
        run: a finished run, a folder of runs, or a baseline.
        points: how many values of beta, from the lowest to the highest.
        out: the Parquet file of the table; rows of other runs stay.
    """
    at_least(1, points=points)
    check_out(out, ".parquet")
    for folder, rows in of_folder(run.run, points):
        table = update(out, folder, rows)
        if len(table):
            print(f"{table['run'][0]}\n{few_constants(table).to_string(float_format=lambda value: f'{value:.3g}')}")


if __name__ == "__main__":
    script(main)
