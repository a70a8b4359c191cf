"""The bench that these tests work at."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flows import cli
from tests.nasty.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return an empty bench."""
    return Bench.at(tmp_path / "bench")


@pytest.fixture
def run_cli(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Call ``anc`` in this process; returns exit code, standard output, standard error."""

    def call(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["anc", *map(str, words)])
        code = 0
        try:
            cli.main()
        except SystemExit as err:
            code = int(err.code or 0)
        out, err_text = capfd.readouterr()
        return code, out, err_text

    return call
