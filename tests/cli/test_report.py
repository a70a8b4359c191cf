"""``anc report`` and ``anc acknowledge``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from anc_core.records import Event, SessionSummary, Status
from anc_core.store import ClaimRequest, Owner, claim, finish
from tests.nasty.bench import Bench

Anc = Callable[..., tuple[int, str, str]]
AT = datetime(2026, 11, 3, 9, tzinfo=UTC)


@pytest.fixture
def anc(bench: Bench, monkeypatch: pytest.MonkeyPatch, run_cli: Anc) -> Anc:
    monkeypatch.setenv("ANC_DATABASE_URL", bench.settings.resolved_database_url)
    monkeypatch.setenv("ANC_RETRY_DELAY_S", "0")
    monkeypatch.setenv("ANC_RETRIES", "0")
    return run_cli


def put_alarm(bench: Bench) -> str:
    """Store a session whose alarm was made 3 dB quieter; the device's name is an attack."""
    event = Event(
        noise_type="smoke_alarm", start_s=1.0, end_s=5.0, is_emergency=True, channels=(0,),
        peak_confidence=0.9, mean_confidence=0.9, window_count=8, max_attenuation_db=3.0,
    )  # fmt: skip
    with bench.database.begin() as db:
        asked = ClaimRequest(
            fingerprint="f", source_path="/in/\x1b[31ma.wav", device_id="<script>\x1b[31m"
        )
        mine = claim(db, asked, Owner.current())
        finish(
            db,
            SessionSummary(
                status=Status.OK, session_id=mine.session_id, fingerprint="f",
                source_path="/in/\x1b[31ma.wav", duration_s=9.0, events=(event,), finished_at=AT,
            ),
            Owner.current(),
        )  # fmt: skip
    return mine.session_id


def test_a_report_is_printed_with_its_causes_and_files(
    anc: Anc, bench: Bench, tmp_path: Path
) -> None:
    put_alarm(bench)
    code, out, _ = anc("report", "--date", "2026-11-03", "-o", tmp_path / "out")
    assert code == 0
    assert out.startswith("RED  ANC daily report, Tuesday, 3 November 2026 (UTC), revision 1")
    assert "1 emergency sound made quieter by more than 1 dB" in out
    assert "\x1b" not in out
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["daily-2026-11-03.html", "daily-2026-11-03.json", "daily-2026-11-03.md"]
    assert "<script" not in (tmp_path / "out" / names[0]).read_text(encoding="utf-8")


def test_json_is_the_record_and_nothing_else(anc: Anc, bench: Bench, tmp_path: Path) -> None:
    session_id = put_alarm(bench)
    words = ("report", "--week", "--date", "2026-11-08", "--tz", "Europe/Berlin", "--json")
    code, out, _ = anc(*words, "--formats", "json", "-o", tmp_path)
    record = json.loads(out)
    assert (code, record["verdict"]) == (0, "RED")
    assert record["figures"]["period"]["key"] == "2026-W45"
    assert (record["html_path"], record["figures"]["events"]["unacknowledged"]) == (None, 1)
    assert anc("acknowledge", session_id)[:2] == (
        0,
        f"{session_id}: 1 emergency events acknowledged\n",
    )
    again = json.loads(anc(*words, "--formats", "json", "-o", tmp_path)[1])
    assert (again["figures"]["events"]["unacknowledged"], again["revision"]) == (0, 2)
    assert anc("acknowledge", "nobody")[0] == 2


def test_a_report_that_cannot_be_sent_is_written_all_the_same(
    anc: Anc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANC_REPORT_WEBHOOK_URL", "http://127.0.0.1:9/hook")
    words = ("report", "--date", "2026-11-03", "--formats", "md", "-o", tmp_path / "out")
    assert anc(*words)[0] == 0
    code, out, _ = anc(*words, "--send")
    assert code == 1
    assert "webhook: the receiver could not be reached" in out
    assert (tmp_path / "out" / "daily-2026-11-03.md").is_file()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--formats", "pdf"), "html, json, md"),
        (("--tz", "Mars/Olympus"), "IANA"),
        (("--date", "3.11.2026"), "2026"),
    ],
)
def test_wrong_usage_is_one_line(anc: Anc, words: tuple[str, ...], why: str) -> None:
    code, out, err = anc("report", *words)
    assert (code, out) == (2, "")
    assert why in err


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\nsys.argv = ['anc', 'report', '--help']\n"
        "import flows.cli\n"
        "try:\n    flows.cli.main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'pydantic', 'matplotlib', 'jinja2', 'prefect', 'sqlalchemy', 'httpx'}\n"
        "print('loaded', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.stdout.endswith("loaded []\n")
