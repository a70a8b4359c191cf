"""``anc analyze`` and ``anc db seed`` in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from anc_core.analysis_records import PeriodAnalysis, SessionAnalysis
from anc_core.jobs.seed import SeedSummary

Anc = Callable[..., tuple[int, str, str]]


@pytest.fixture
def anc(tmp_path: Path, run_cli: Anc) -> Anc:
    url = f"sqlite:///{tmp_path / 'anc.db'}"
    return lambda *words: run_cli(*words, "--database-url", url)


def seed(anc: Anc, *words: str) -> SeedSummary:
    code, out, err = anc(
        "db", "seed", "--sessions", "60", "--days", "2", "--end", "2026-05-31", "--json", *words
    )
    assert (code, err) == (0, "")
    return SeedSummary.from_json(out)


def test_a_period_and_a_session(anc: Anc) -> None:
    assert seed(anc, "--plant", "safety-violation").sessions == 60
    period = ("analyze", "--since", "2026-05-30", "--until", "2026-06-02", "--tz", "Europe/Berlin")
    code, out, err = anc(*period, "--group-by", "noise-type", "--group-by", "site")
    assert (code, err) == (0, "")
    assert "60 sessions finished" in out
    assert "VIOLATION" in out
    assert "comparison" in out
    found = PeriodAnalysis.from_json(
        anc(*period, "--site", "school", "--site", "workshop", "--no-compare", "--json")[1]
    )
    assert set(found.filters.site) == {"school", "workshop"}
    assert 0 < found.performance_statistics.sessions < 60
    assert found.comparison == ()
    code, out, _ = anc("analyze", "seed-1-00000005")
    assert code == 0
    assert "session seed-1-00000005" in out
    assert "timeline" in out
    one = SessionAnalysis.from_json(anc("analyze", "seed-1-00000005", "--json")[1])
    assert one.session_id == "seed-1-00000005"


def test_an_empty_database_has_an_answer(anc: Anc) -> None:
    code, out, err = anc("analyze", "--group-by", "device")
    assert (code, err) == (0, "")
    assert "no session finished and none was recorded" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nix",), "session 'nix' is not in the store"),
        (("x", "--since", "2026-01-01"), "leave out since"),
        (("x", "--group-by", "site"), "leave out group_by"),
        (("--tz", "Mars/X"), "time zone 'Mars/X' is not known"),
        (("--since", "2026-01-02", "--until", "2026-01-01"), "before it starts"),
        (("--group-by", "colour"), "'colour' is not one of"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    anc: Anc, words: tuple[str, ...], message: str
) -> None:
    code, out, err = anc("analyze", *words)
    assert (code, out) == (2, "")
    assert message in err


def test_every_command_answers_where_all_failed(anc: Anc, tmp_path: Path) -> None:
    recording = tmp_path / "empty.wav"
    recording.touch()
    assert anc("process", str(recording), "--quiet")[0] == 1
    code, out, _ = anc("analyze")
    assert code == 0
    assert "EMPTY_FILE" in out
