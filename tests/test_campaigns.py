"""The campaigns, each with a few attempts, and what they would say of a library that does not withstand them."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

import campaigns

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["kill", "change", "full", "pair", "flip", "forge"])
def test_a_campaign_finds_nothing(name, tmp_path):
    out = tmp_path / "table.csv"
    command = [sys.executable, ROOT / "scripts" / "campaigns.py", "--names", name, "--times", "3", "--out", out]
    paths = os.pathsep.join(str(ROOT / name) for name in ("", "book", "scripts"))
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, "--seconds", "600"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and out.read_text().splitlines()[1].startswith(f"{name},3,0,"), done.stderr


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_what_is_not_withstood_counts(tmp_path, monkeypatch):
    """A work that writes two files one after the other, and a reader that takes what is there."""

    def do(place: Path, run: Path) -> None:
        for name in "ab":
            (place / name).write_text("new")

    def read(place: Path) -> str:
        return "".join(path.read_text() for path in sorted(place.iterdir())) or campaigns.UNFINISHED

    monkeypatch.setattr(campaigns, "WORKS", {"torn": (do, read)})
    with pytest.raises(AssertionError, match="torn: what it leaves is neither unfinished nor done"):
        for number in range(100):
            place = tmp_path / str(number)
            place.mkdir()
            campaigns.disturb(campaigns.change, random.Random(number), place, tmp_path)
