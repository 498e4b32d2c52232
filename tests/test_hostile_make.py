"""The Makefile in folders with a space, after a move, and with arguments that a shell would split."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import hyperlib as hl

ROOT = Path(__file__).parents[1]

# Stands for the Python of .venv: writes its arguments down, one per line, and makes an empty book.
FAKE = '#!/bin/sh\nprintf "%s\\n" "$@" >> asked\nmkdir -p _build/html\n'


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A checkout whose path has a space, with a Python that only notes what it is asked to do."""
    folder = tmp_path / "my checkout"
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("hyperlib", "book", "scripts"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "live", "mathjax"))
    for name in ("Makefile", "requirements.txt", "pyproject.toml", "_config.yml", "_toc.yml", "README.md"):
        shutil.copy(ROOT / name, folder)
    for name in ("CHANGELOG.md", "CONTRIBUTING.md"):
        (folder / name).touch()
    python = folder / ".venv" / "bin" / "python"
    python.write_text(FAKE)
    python.chmod(0o755)
    return folder


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True, check=False)


def test_a_run_folder_with_a_space_is_one_argument(checkout):
    done = make(checkout, "train", "OUT=runs/my run", "ARGS=--steps 3")
    assert done.returncode == 0, done.stderr
    assert (checkout / "asked").read_text().splitlines()[-6:] == (
        ["hyperlib", "train", "--out", "runs/my run", "--steps", "3"]
    )


def test_parameters_with_a_space_reach_the_notebook(checkout):
    done = make(checkout, "run", "NB=04", 'PARAMS=-p run "runs/my run"')
    assert done.returncode == 0, done.stderr
    asked = (checkout / "asked").read_text().splitlines()
    assert asked[-7:] == ["04", "-p", "run", "runs/my run", "--out", "rerun", "--force"]


def test_a_checkout_installs_itself_once_and_again_after_a_move(checkout):
    assert make(checkout, "setup").returncode == 0
    assert make(checkout, "setup").returncode == 0
    assert (checkout / "asked").read_text().count("--editable\nbook\n") == 1
    moved = checkout.rename(checkout.parent / "moved here")
    assert make(moved, "setup").returncode == 0
    assert (moved / "asked").read_text().count("--editable\nbook\n") == 2


def test_no_script_of_the_environment_is_run():
    """Their first line holds the path of the environment as it was when they were installed."""
    used = re.findall(r"\.venv/bin/(\S+)", (ROOT / "Makefile").read_text())
    assert set(used) == {"python"}


def test_the_book_is_rendered_in_a_folder_with_a_space(checkout):
    done = make(checkout, "book")
    assert done.returncode == 0, done.stderr
    assert "--keep-going" in (checkout / "asked").read_text() and str(checkout) in done.stdout


def test_an_environment_without_pip_is_made_again(checkout, tmp_path):
    """As an interrupted first `make` leaves it, or a move of the Python that it was made with."""
    (checkout / ".venv" / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
    good, python = tmp_path / "good", tmp_path / "python"
    good.write_text(FAKE)
    python.write_text(f'#!/bin/sh\n[ "$2" = venv ] && cp "{good}" "$4/bin/python" && echo "$3" > made\nexit 0\n')
    for file in (good, python):
        file.chmod(0o755)
    done = make(checkout, "setup", f"PYTHON={python}")
    assert done.returncode == 0, done.stderr
    assert (checkout / "made").read_text() == "--clear\n" and "--editable" in (checkout / "asked").read_text()


def test_settings_of_pip_do_not_say_where_packages_go(checkout, monkeypatch):
    for name in ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_DRY_RUN", "PIP_INDEX_URL", "PIP_CACHE_DIR"):
        monkeypatch.setenv(name, "1")
    (checkout / ".venv" / "bin" / "python").write_text("#!/bin/sh\nenv | grep ^PIP_ | sort > asked\n")
    assert make(checkout, "setup").returncode == 0
    kept = set((checkout / "asked").read_text().splitlines())
    assert {"PIP_CACHE_DIR=1", "PIP_INDEX_URL=1", "PIP_USER=0"} <= kept
    assert not [line for line in kept if line.startswith(("PIP_TARGET", "PIP_PREFIX", "PIP_DRY_RUN"))]


def test_a_clone_has_the_bytes_that_checksums_are_over(tmp_path):
    """Also where Git is told to write CRLF, as on Windows."""
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout")
    git, some = ["git", "-c", "core.autocrlf=true"], ["HEAD", "--", ".gitattributes", "results/tasks/l2"]
    clone = ["clone", "-q", "--depth", "1", "--no-checkout", f"file://{ROOT}", tmp_path / "clone"]
    subprocess.run([*git, *clone], check=True)
    subprocess.run([*git, "checkout", "-q", *some], cwd=tmp_path / "clone", check=True)
    assert hl.load_run(tmp_path / "clone" / "results" / "tasks" / "l2").seeds
    assert b"\r" not in (tmp_path / "clone" / ".gitattributes").read_bytes()


def test_a_python_that_is_not_there_is_told(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("requirements.txt", "pyproject.toml"):
        (tmp_path / name).touch()
    for name in ("hyperlib", "book", "scripts"):
        (tmp_path / name).mkdir()
    (tmp_path / "book" / "pyproject.toml").touch()
    done = make(tmp_path, "setup", "PYTHON=/nope")
    assert done.returncode != 0
    assert "no program /nope" in done.stderr and "older" not in done.stderr


def test_clean_removes_what_builds_leave(checkout):
    for name in ("build", "_build", "hyperlib.egg-info", "executed"):
        (checkout / name).mkdir()
    assert make(checkout, "clean").returncode == 0
    assert not any((checkout / name).exists() for name in ("build", "_build", "hyperlib.egg-info", "executed"))
    assert "/build/" in (ROOT / ".gitignore").read_text().splitlines()
