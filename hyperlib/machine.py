"""The machine that this process runs on: cores it may use, command, hardware, versions."""

import contextlib
import platform
import shlex
import sys
from importlib import metadata
from pathlib import Path

PACKAGES = ("torch", "numpy", "pandas", "pyarrow", "safetensors", "distributed")


def cores() -> int:
    """Cores that this process may use: not those that there are, but those which affinity and control group leave."""
    from dask.system import cpu_count  # here, because dask takes a while to import

    return max(1, cpu_count())


def command() -> str:
    """What this process was started as, without the folders of this machine."""
    program, *arguments = sys.argv
    path = Path(program)
    if path.name == "__main__.py":
        return shlex.join(["python", "-m", path.parent.name, *arguments])
    if path.name.startswith("ipykernel"):
        return "a notebook"
    return shlex.join(["python", *([path.name] if path.name else []), *arguments])


def hardware() -> dict[str, str | int]:
    """What can be read of this machine without privileges."""
    import torch

    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    found: dict[str, str | int] = {"processor": model, "cores": cores(), "system": platform.system()}
    if torch.cuda.is_available():
        found["accelerator"] = torch.cuda.get_device_name()
    return found


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide the numbers."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES}
