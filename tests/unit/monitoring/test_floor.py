"""Counters never fall while the store stays what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from anc_core.monitoring.floor import raised

OK, FAILED = ("anc_sessions_total", ("ok",)), ("anc_sessions_total", ("failed",))
TIMEOUT = ("anc_session_failures_total", ("TIMEOUT",))
RUNNING = ("anc_running_sessions", ())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "floor.json"


def test_a_counter_stays_and_a_gauge_falls(file: Path) -> None:
    raised({OK: 90.0, FAILED: 2.0, TIMEOUT: 2.0, RUNNING: 3.0}, file, "a")
    # One failure is tried again: its session leaves the day, its code is gone.
    found = raised({OK: 90.0, FAILED: 1.0, RUNNING: 0.0}, file, "a")
    assert found == {OK: 90.0, FAILED: 2.0, TIMEOUT: 2.0, RUNNING: 0.0}
    assert raised({OK: 91.0, FAILED: 3.0}, file, "a")[FAILED] == 3.0


def test_another_store_begins_anew(file: Path) -> None:
    raised({OK: 90.0}, file, "a")
    assert raised({OK: 60.0}, file, "b")[OK] == 60.0


def test_a_store_that_was_emptied_or_restored_begins_anew(file: Path) -> None:
    raised({OK: 90.0}, file, "a")
    assert raised({OK: 45.0}, file, "a")[OK] == 90.0
    assert raised({OK: 44.0}, file, "a")[OK] == 44.0


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"store": "a"}', b"\xff", b'{"store":"a","highest":[1]}']
)
def test_a_damaged_file_costs_a_warning(
    file: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    assert raised({OK: 1.0}, file, "a") == {OK: 1.0}
    assert "counters may fall once" in caplog.text
    assert raised({OK: 0.0}, file, "a") == {OK: 0.0}  # less than half: a store begun anew


def test_a_home_that_cannot_be_written_costs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "home").write_text("a file")
    assert raised({OK: 1.0}, tmp_path / "home" / "floor.json", "a") == {OK: 1.0}
    assert "counters may fall" in caplog.text
