"""The bench that these tests work at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nasty.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return an empty bench."""
    return Bench.at(tmp_path / "bench")
