"""Files of a run, written atomically and checked when read: JSON, tensors as safetensors, tables as Parquet."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import platform
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

if TYPE_CHECKING:
    import pandas as pd

GOES_ON = "the same command goes on from what is there"
LOCK = ".lock"


class RunError(ValueError):
    """A run folder is damaged, unfinished, in use, of another format, or not a run folder at all."""


def told(error: OSError) -> str:
    """An error of the operating system as "path: reason"."""
    reason = error.strerror or " ".join(str(error).split())
    return f"{error.filename}: {reason}" if error.filename else reason


def refused(path: Path, error: Exception) -> OSError:
    """An error from writing ``path``, with its number and path, which safetensors and Parquet only tell in words."""
    number = getattr(error, "errno", None)
    if number is None:
        found = re.search(r"(?:os error|errno) (\d+)", str(error))
        number = int(found.group(1)) if found else errno.EIO
    return OSError(number, os.strerror(number), str(path))


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, flush it to disk and rename it to ``path``.

    A process that dies at any moment leaves the old file or the new one, never a part. If ``write`` fails (a full
    disk, say), the temporary file is removed and the old file is left as it was.

    Raises:
        OSError: the system refuses; with its number, its reason and ``path``.
    """
    temporary = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException as error:
        if temporary:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        if isinstance(error, OSError | SafetensorError):
            raise refused(path, error) from error
        raise


def write_json(path: Path, value: object) -> None:
    """Write plain JSON atomically."""
    write_atomic(path, lambda file: file.write_text(json.dumps(value, indent=1) + "\n"))


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write named tensors as safetensors, atomically."""
    write_atomic(path, lambda file: save_file({name: t.contiguous() for name, t in tensors.items()}, file))


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as Parquet, atomically and without loss."""
    from pandas.api.types import is_float_dtype  # here, because pandas takes half a second to import

    # Floats are measured, so that hardly one is there twice and a dictionary of them saves nothing. What they share is
    # sign, exponent and first digits: with the bytes of each place side by side, a run's tables are half as large.
    floats = [name for name, kind in table.dtypes.items() if is_float_dtype(kind)]
    others = [name for name in table.columns if name not in floats]
    how = {"compression": "zstd", "compression_level": 19, "use_dictionary": others, "use_byte_stream_split": floats}
    write_atomic(path, lambda file: table.to_parquet(file, engine="pyarrow", index=False, **how))


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that a killed process left in ``folder``."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> dict:
    """Read a JSON object.

    Raises:
        RunError: missing file, or not a JSON object.
    """
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        raise RunError(f"{path} is missing; expected a finished run folder (is the training still going on?)") from None
    except (OSError, ValueError, RecursionError) as error:  # neither JSON nor text is a ValueError
        raise RunError(f"{path} is damaged: {error}") from None
    if not isinstance(value, dict):
        raise RunError(f"{path} holds a {type(value).__name__}; expected a JSON object")
    return value


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        RunError: missing or damaged file.
    """
    if not path.is_file():
        raise RunError(f"{path} is missing")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise RunError(f"{path} is damaged: {error}") from None


def read_table(path: Path, columns: set[str]) -> pd.DataFrame:
    """Read a Parquet table that has these columns at least.

    Raises:
        RunError: missing or damaged file, or a column is missing.
    """
    import pandas as pd  # here, because it takes half a second to import

    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:  # what is no Parquet is a ValueError
        raise RunError(f"{path} is damaged: {' '.join(str(error).split())}") from None
    if missing := sorted(columns - set(table.columns)):
        raise RunError(f"{path} has no column {', '.join(missing)}; expected {', '.join(sorted(columns))}")
    return table


# --- unfinished trainings --------------------------------------------------------------------------------------------


def write_signed(path: Path, value: Mapping) -> None:
    """Write plain JSON atomically, with a checksum over its own contents."""
    plain = {name: entry for name, entry in value.items() if name != "sha256"}
    write_json(path, {"sha256": _digest(plain), **plain})


def read_signed(path: Path) -> dict:
    """Read what `write_signed` wrote.

    Raises:
        RunError: missing file, or any part of it has changed.
    """
    value = read_json(path)
    signed = value.pop("sha256", None)
    if signed != _digest(value):
        raise RunError(f"{path} is damaged: its contents differ from the checksum in it")
    return value


def _digest(value: Mapping) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


class Ledger:
    """The files of a folder that belong together, with their checksums, and some facts about them.

    Written after the files that it lists, it is what counts: files that it does not list are not there yet.

    Attributes:
        facts: plain JSON values.
        files: name -> SHA-256.
    """

    def __init__(self, folder: Path):
        """An empty ledger, or the one in ``folder``, whose files are all checked.

        Raises:
            RunError: it is damaged, or a file that it lists is damaged or missing.
        """
        self.path = folder / "ledger.json"
        self.facts: dict = {}
        self.files: dict[str, str] = {}
        if not self.path.exists():
            return
        found = read_signed(self.path)
        self.facts, self.files = found["facts"], found["files"]
        for name, digest in self.files.items():
            if not (folder / name).is_file():
                raise RunError(f"{folder / name} is missing; {self.path.name} lists it")
            if sha256(folder / name) != digest:
                raise RunError(f"{folder / name} is damaged: its SHA-256 differs from the one in {self.path.name}")

    def add(self, *names: str) -> None:
        """List files of the folder, as they are now."""
        self.files |= {name: sha256(self.path.parent / name) for name in names}

    def write(self, **facts: object) -> None:
        """Write the ledger with these facts, besides those it has."""
        self.facts |= facts
        write_signed(self.path, {"facts": self.facts, "files": self.files})


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from training in ``folder`` meanwhile. The lock ends with the process, however that ends.

    Raises:
        RunError: another process holds the lock; the message names it.
    """
    path = folder / LOCK
    while True:
        with open(path, "a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                other = file.read().strip() or "another process"
                raise RunError(f"{folder} is being trained by {other}; wait for it or choose another folder") from None
            except OSError as error:
                if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                    raise
                # a file system without locks: better to train than not to
            if not _is_still(path, file.fileno()):
                continue  # its former holder has removed it meanwhile
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}")
            file.flush()
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
            return


def _is_still(path: Path, handle: int) -> bool:
    """Whether ``path`` is the open file ``handle``."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
