"""The exact versions in requirements.txt, from what pyproject.toml asks for."""

import hashlib
import json
import re
import subprocess
import tomllib
from pathlib import Path

import tyro

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / "requirements.txt"
HEADER = """\
# Exact versions that work together, for Python 3.11 and later; `make` installs them into .venv.
# Written by `make pins` from the dependencies of pyproject.toml, whose fingerprint is {}.
#
# On Linux, pip takes the CUDA build of torch (several GB). Without a GPU, name PyTorch's CPU wheel index (the install
# selector on pytorch.org shows it) in PIP_EXTRA_INDEX_URL before the first `make`; pip then prefers the CPU build. So
# that it can, what the CUDA build alone brings along is not pinned.
"""
CUDA = re.compile(r"^(nvidia-|cuda-|triton==).*\n", re.MULTILINE)


def asked_for() -> str:
    """Of all that pyproject.toml says about dependencies."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [project[key] for key in ("requires-python", "dependencies", "optional-dependencies")]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


def main(uv: str = "uv", check: bool = False) -> None:
    """Write requirements.txt anew; versions that still fit stay. Or check that nothing was asked for since.

    Args:
        uv: the program uv.
        check: only compare fingerprints, without uv and without a network; exit status 1 if they differ.
    """
    if check:
        if f"fingerprint is {asked_for()}." not in PINS.read_text(encoding="utf-8"):
            raise SystemExit("requirements.txt is older than the dependencies in pyproject.toml; run: make pins")
        return
    call = [uv, "pip", "compile", "pyproject.toml", "--extra", "test", "--python-version", "3.11", "--no-header"]
    call += ["--annotation-style", "line", "--quiet", "--output-file", PINS.name]
    subprocess.run(call, cwd=ROOT, check=True)
    found = re.sub(r"\+[\w.]+", "", CUDA.sub("", PINS.read_text(encoding="utf-8")))
    PINS.write_text(HEADER.format(asked_for()) + "\n" + found, encoding="utf-8")


if __name__ == "__main__":
    tyro.cli(main)
