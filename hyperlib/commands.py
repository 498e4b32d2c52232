"""What command lines share: a run folder as an argument, files to write, errors in one line without a traceback."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from .checks import expect
from .fast.build import BuildError
from .files import GOES_ON, told
from .network import Shape, check_shape
from .problems import import_task

if TYPE_CHECKING:
    import pandas as pd

    from .runs import Run

Shapes = Annotated[tuple[str, ...], tyro.conf.arg(metavar="{N-H-1}")]
TABLES = (".csv", ".parquet")


@dataclass(frozen=True)
class Stored:
    """A run as a command line names it.

    Attributes:
        run: a finished run folder.
        task: module:name of the run's task, if it is one of your own.
    """

    run: tyro.conf.Positional[Path]
    task: Annotated[str | None, tyro.conf.arg(metavar="MODULE:NAME")] = None

    def open(self) -> Run:
        """The run, with all files checked; see `hyperlib.runs.load_run`."""
        from .runs import load_run

        return load_run(self.run, task=None if self.task is None else import_task(self.task))


RunFolder = Annotated[Stored, tyro.conf.arg(name="")]


def layers(shapes: Sequence[str]) -> list[Shape]:
    """Shapes from layer sizes joined by hyphens."""
    return [check_shape([int(n) if n.isdecimal() else 0 for n in shape.split("-")]) for shape in shapes]


def at_least(least: int, **values: int | None) -> None:
    """Raise ValueError unless every value that is given is so large."""
    for name, value in values.items():
        expect(value is None or value >= least, name, value, f"at least {least}")


def check_out(out: Path | None, *endings: str) -> None:
    """Make the folder of a file to be written, before the work for it begins; ValueError if the name ends otherwise."""
    if out is None:
        return
    expect(out.suffix.lower() in endings, "out", str(out), f"a file name that ends in {' or '.join(endings)}")
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


def show(table: pd.DataFrame, digits: int = 3) -> None:
    """Print a table, its numbers with so many digits that count."""
    print(table.to_string(index=False, float_format=lambda value: f"{value:.{digits}g}"))


def obey(parse: Callable[[], Any]) -> None:
    """Parse and run a command; an error that names what is wrong, and a warning, are each printed in one line."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # for a terminal that has no Greek letters
        try:
            parse()
            sys.stdout.flush()
        except BrokenPipeError:  # whoever reads has enough, as in: info RUN | head -1
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(128 + signal.SIGPIPE) from None
        except KeyboardInterrupt:
            print(f"error: interrupted; {GOES_ON}", file=sys.stderr)
            raise SystemExit(130) from None
        except OSError as error:
            raise SystemExit(f"error: {told(error)}") from None
        except (ValueError, KeyError, ModuleNotFoundError, BuildError) as error:
            said = error.args[0] if isinstance(error, KeyError) else error
            raise SystemExit(f"error: {' '.join(str(said).split())}") from None


def script(function: Callable[..., object]) -> None:
    """Command line of a script whose arguments are those of ``function``."""
    obey(lambda: tyro.cli(function))
