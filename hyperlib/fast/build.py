"""Compiling C++ once per machine into a cache folder, and loading it."""

import ctypes
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from ..files import sha256

FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-std=c++17", "-shared", "-fPIC")


class BuildError(RuntimeError):
    """No compiler, a failed compilation or a cache folder that cannot be written; the message says what to do."""


def cache_folder() -> Path | None:
    """Where compiled kernels are kept: ``HYPERLIB_CACHE``, or ``hyperlib`` in the user's cache folder.

    None without a home that can be written: every process then compiles.
    """
    chosen = os.environ.get("HYPERLIB_CACHE")
    try:
        folder = Path(chosen or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hyperlib")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # there is no home: RuntimeError
        if chosen:
            raise
        return None
    return folder if chosen or os.access(folder, os.W_OK) else None


def compiler() -> list[str]:
    """The command of the C++ compiler: ``CXX`` if set, else the first of c++, g++ and clang++; BuildError without."""
    wanted = [shlex.split(os.environ["CXX"])] if os.environ.get("CXX", "").strip() else [["c++"], ["g++"], ["clang++"]]
    for command, *options in wanted:
        if found := shutil.which(command):
            return [found, *options]
    tried = ", ".join(command[0] for command in wanted)
    raise BuildError(f"no C++ compiler: {tried} not found; install g++ or set CXX to a compiler")


def load(source: Path, defines: tuple[str, ...] = ()) -> ctypes.CDLL:
    """The library compiled from ``source``, from the cache folder if it was compiled there before.

    The file name carries two hashes: of the source, the flags and the compiler's macros, which tell its version and the
    processor's, and of the content, which tells a damaged file. ``defines`` are macros, as in ``("SIZE=5",)``.
    BuildError if there is no compiler, it fails, or the cache folder cannot be written.
    """
    command = [*compiler(), *FLAGS, *(f"-D{define}" for define in defines)]
    macros = run([*command, "-dM", "-E", "-x", "c++", os.devnull])
    digest = hashlib.sha256(b"\0".join([source.read_bytes(), " ".join(command).encode(), macros])).hexdigest()
    name = f"{source.stem}-{digest[:20]}"
    try:
        cache = cache_folder()
        for found in sorted(cache.glob(f"{name}-*.so")) if cache else ():
            if found.stem == f"{name}-{sha256(found)[:20]}":
                return ctypes.CDLL(str(found))
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            made = Path(folder) / f"{name}.so"
            run([*command, str(source), "-o", str(made)])
            if cache:  # several processes may compile at once: each moves a file of its own into place
                made = made.replace(cache / f"{name}-{sha256(made)[:20]}.so")
            return ctypes.CDLL(str(made))
    except OSError as error:
        raise BuildError(f"{source.name} could not be compiled and kept: {error}") from error


def run(command: list[str]) -> bytes:
    """What ``command`` prints, or BuildError with its errors."""
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        raise BuildError(f"{command[0]} cannot be run: {error}") from error
    if done.returncode:
        raise BuildError(f"{' '.join(command)} failed:\n{done.stderr.decode(errors='replace').strip()}")
    return done.stdout
