"""Files of a run, written atomically and checked when read: JSON, tensors as safetensors, tables as Parquet."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import re
import secrets
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

if TYPE_CHECKING:
    import pandas as pd

GOES_ON = "the same command goes on from what is there"
LOCK = ".lock"
MANIFEST = "manifest.json"


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

    A process that dies at any moment leaves the old file or the new one, never a part. OSError, with its number, its
    reason and ``path``, if the system refuses.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb"):  # here, so that it gets the mode that the user's umask asks for
            pass
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError | SafetensorError):
            raise refused(path, error) from error
        raise


def write_json(path: Path, value: object) -> None:
    """Write plain JSON atomically."""
    write_atomic(path, lambda file: file.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8"))


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write named tensors as safetensors, atomically."""
    write_atomic(path, lambda file: save_file({name: t.contiguous() for name, t in tensors.items()}, file))


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as Parquet, atomically and without loss, with a checksum over its contents."""
    from pandas.api.types import is_float_dtype  # here, because pandas takes half a second to import

    # Floats are measured, so that hardly one is there twice and a dictionary of them saves nothing. What they share is
    # sign, exponent and first digits: with the bytes of each place side by side, a run's tables are half as large.
    floats = [name for name, kind in table.dtypes.items() if is_float_dtype(kind)]
    others = [name for name in table.columns if name not in floats]
    how = {"compression": "zstd", "compression_level": 19, "use_dictionary": others, "use_byte_stream_split": floats}
    signed = table.copy(deep=False)
    signed.attrs = table.attrs | {"sha256": contents(table)}
    write_atomic(path, lambda file: signed.to_parquet(file, engine="pyarrow", index=False, **how))


def contents(table: pd.DataFrame) -> str:
    """Hexadecimal SHA-256 over the names, the kinds and the values of a table's columns."""
    found = hashlib.sha256()
    for name, column in table.items():
        numbers = getattr(column.dtype, "kind", "O") in "biuf" and not column.hasnans
        values = column.to_numpy() if numbers else column.astype(object).where(column.notna(), None).to_numpy()
        found.update(f"{name} {values.dtype}\0".encode())
        found.update(values.tobytes() if numbers else repr(values.tolist()).encode())
    return found.hexdigest()


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that a killed process left in ``folder``."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Hexadecimal SHA-256 of the names, shapes and values of tensors, whatever file holds them."""
    found = hashlib.sha256()
    for name, tensor in tensors.items():
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> dict:
    """Read a JSON object, or RunError."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path} is missing; expected a finished run folder (is the training still going on?)") from None
    except (OSError, ValueError, RecursionError) as error:  # neither JSON nor text is a ValueError
        raise RunError(f"{path} is damaged: {error}") from None
    if not isinstance(value, dict):
        raise RunError(f"{path} holds a {type(value).__name__}; expected a JSON object")
    return value


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file, or RunError if it is missing or damaged."""
    if not path.is_file():
        raise RunError(f"{path} is missing")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise RunError(f"{path} is damaged: {error}") from None


def read_table(path: Path, columns: set[str]) -> pd.DataFrame:
    """Read a Parquet table that has these columns at least; RunError if it has not, is damaged or missing."""
    import pandas as pd  # here, because it takes half a second to import

    if not path.is_file():
        raise RunError(f"{path} is missing")
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:  # what is no Parquet is a ValueError
        raise RunError(f"{path} is damaged: {' '.join(str(error).split())}") from None
    if table.attrs.pop("sha256", None) not in (None, contents(table)):
        raise RunError(f"{path} is damaged: its contents differ from the checksum in it")
    if missing := sorted(columns - set(table.columns)):
        raise RunError(f"{path} has no column {', '.join(missing)}; expected {', '.join(sorted(columns))}")
    return table


def write_signed(path: Path, value: Mapping) -> None:
    """Write plain JSON atomically, with a checksum over its own contents."""
    plain = {name: entry for name, entry in value.items() if name != "sha256"}
    write_json(path, {"sha256": _digest(plain), **plain})


def read_signed(path: Path) -> dict:
    """Read what `write_signed` wrote, or RunError if the file is missing or any part of it has changed."""
    value = read_json(path)
    signed = value.pop("sha256", None)
    if signed != _digest(value):
        raise RunError(f"{path} is damaged: its contents differ from the checksum in it")
    return value


def _digest(value: Mapping) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def checksums(folder: Path, names: Iterable[str]) -> dict[str, dict[str, str | int]]:
    """What a manifest says of the files of a folder: SHA-256 and bytes of each."""
    return {name: {"sha256": sha256(folder / name), "bytes": (folder / name).stat().st_size} for name in names}


def check_files(folder: Path, digests: Mapping[str, str], lister: str, verify: bool = True) -> None:
    """RunError unless a folder's files are there and, to ``verify``, have the SHA-256 that the file ``lister`` says."""
    for name, digest in digests.items():
        if not (folder / name).is_file():
            raise RunError(f"{folder / name} is missing; {lister} lists it")
        if verify and sha256(folder / name) != digest:
            raise RunError(f"{folder / name} is damaged: its SHA-256 differs from the one in {lister}")


def read_manifest(folder: Path, least: Iterable[str] = (), verify: bool = True) -> dict:
    """The manifest of a folder, which has to list at least some files; RunError as for `check_files`."""
    path = folder / MANIFEST
    manifest = read_signed(path)
    files = listed if isinstance(listed := manifest.get("files"), dict) else {}
    digests: dict[str, str] = {}
    for name in dict.fromkeys([*least, *files]):
        entry = files.get(name)
        if not isinstance(entry, dict) or not isinstance(entry.get("sha256"), str) or name != Path(name).name:
            raise RunError(f"{path} does not list {name} with its sha256; expected so for each of {tuple(least)}")
        digests[name] = entry["sha256"]
    check_files(folder, digests, MANIFEST, verify)
    return manifest


class Parts:
    """The files of an unfinished training that belong together, with their checksums, and some facts about them.

    Written after the files that it lists, it is what counts. RunError if one of them is damaged or missing.

    Attributes:
        facts: plain JSON values.
        files: name -> SHA-256.
    """

    def __init__(self, folder: Path):
        self.path = folder / "parts.json"
        self.facts: dict = {}
        self.files: dict[str, str] = {}
        if self.path.exists():
            found = read_signed(self.path)
            self.facts, self.files = found["facts"], found["files"]
            check_files(folder, self.files, self.path.name)

    def add(self, *names: str) -> None:
        """List files of the folder, as they are now."""
        self.files |= {name: sha256(self.path.parent / name) for name in names}

    def write(self, **facts: object) -> None:
        """Write the list with these facts, besides those it has."""
        self.facts |= facts
        write_signed(self.path, {"facts": self.facts, "files": self.files})


@contextlib.contextmanager
def locked(folder: Path, wait_s: float = 0) -> Iterator[None]:
    """Keep other processes from writing in ``folder`` meanwhile. The lock ends with the process, however that ends.

    RunError, which names the other process, after ``wait_s`` seconds; a warning where a file system has no locks.
    """
    path = folder / LOCK
    lock = FileLock(path, timeout=wait_s)
    try:
        lock.acquire()
    except Timeout:
        other = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
        other = " ".join(other.split()) or "another process"
        raise RunError(f"{folder} is in use by {other}; wait for it or choose another folder") from None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
        warnings.warn(f"{folder}: no locks here; let no second process write in it ({told(error)})", stacklevel=3)
    own = isinstance(lock, FileLock) and lock.is_locked  # a lock of another kind keeps its file by itself
    try:
        if own:
            path.write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")
        yield
    finally:
        if own:  # before the release: whoever has opened it meanwhile then sees that it is gone
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        lock.release()
