"""Fixtures that several test modules share."""

import functools
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def book() -> Path:
    """Folder of the built book. ``make test`` builds it before the tests that need it."""
    html = ROOT / "_build" / "html"
    if not (html / ".stamp").exists():
        message = "the book is not built: run make book"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return html


@pytest.fixture(scope="module")
def light():
    """One thread, and snapshots of a few networks: here it matters that they are measured, not how well."""
    import hyperlib as hl
    from hyperlib import experiment
    from hyperlib.cluster import one_thread

    few = functools.partial(hl.sweep, betas=hl.BETAS[::10], samples=32, generations=2)
    with one_thread(True), pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "sweep", few)
        yield
