"""The bench that every test of bad input works at, and the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import run_cli
from tests.nasty.bench import Bench

__all__ = ["run_cli"]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return an empty bench."""
    return Bench.at(tmp_path / "bench")
