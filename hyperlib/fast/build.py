"""Compiling C++ once per machine into a cache folder, and loading it."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-std=c++17", "-shared", "-fPIC")


class BuildError(RuntimeError):
    """No compiler, a failed compilation or a cache folder that cannot be written; the message says what to do."""


def cache_folder() -> Path:
    """Where compiled kernels are kept: ``HYPERLIB_CACHE``, or ``hyperlib`` in the user's cache folder."""
    if chosen := os.environ.get("HYPERLIB_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hyperlib"


def compiler() -> str:
    """The C++ compiler: ``CXX`` if set, else the first of c++, g++ and clang++ on the path.

    Raises:
        BuildError: there is none.
    """
    wanted = [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    found = next(filter(None, map(shutil.which, wanted)), None)
    if found is None:
        raise BuildError(f"no C++ compiler: {', '.join(wanted)} not found; install g++ or set CXX to a compiler")
    return found


def load(source: Path, defines: tuple[str, ...] = ()) -> ctypes.CDLL:
    """The library compiled from ``source``, from the cache folder if it was compiled there before.

    The file name carries a hash of all that decides its content: the source, the flags, and the macros which the
    compiler predefines, among them its version and the features of this machine's processor.

    Args:
        source: a C++ file without includes of its own.
        defines: macros, as in ``("SIZE=5",)``.

    Raises:
        BuildError: there is no compiler, or it failed, or the cache folder cannot be written.
    """
    command = [compiler(), *FLAGS, *(f"-D{define}" for define in defines)]
    try:
        macros = run([*command, "-dM", "-E", "-x", "c++", os.devnull])
        digest = hashlib.sha256(b"\0".join([source.read_bytes(), " ".join(command).encode(), macros])).hexdigest()
        target = cache_folder() / f"{source.stem}-{digest[:20]}.so"
        if not target.exists():
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Several processes may compile at once: each writes a file of its own and moves it into place.
            with tempfile.TemporaryDirectory(dir=target.parent) as folder:
                made = Path(folder) / target.name
                run([*command, str(source), "-o", str(made)])
                made.replace(target)
        return ctypes.CDLL(str(target))
    except OSError as error:
        raise BuildError(f"{source.name} could not be compiled into {cache_folder()}: {error}") from error


def run(command: list[str]) -> bytes:
    """What ``command`` prints.

    Raises:
        BuildError: it failed; the message holds its errors.
    """
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise BuildError(f"{' '.join(command)} failed:\n{done.stderr.decode(errors='replace').strip()}")
    return done.stdout
