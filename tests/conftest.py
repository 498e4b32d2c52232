"""Fixtures that several test modules share."""

from __future__ import annotations

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
