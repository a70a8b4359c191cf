"""The report as a whole: what is planted is found, nothing is invented, the same day replaces."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from anc_core import store
from anc_core.errors import InputError, SinkError
from anc_core.jobs.report import make_report
from anc_core.jobs.report_figures import gather
from anc_core.jobs.report_records import ReportFormat, ReportRequest, ReportResult
from anc_core.jobs.seed import SeedRequest, seed_store
from anc_core.jobs.seed_draws import Plant
from anc_core.reports.daily_figures import Verdict
from anc_core.reports.daily_flags import judge
from anc_core.reports.period import PeriodKind, period_of
from anc_core.settings import Settings
from anc_core.store import Database, open_database
from anc_core.store.job_history import JOB_DONE, JOB_FAILED

DAY = date(2026, 11, 3)
NOW = datetime(2026, 11, 4, 1, tzinfo=UTC)
SKIP_PAGE = (ReportFormat.JSON,)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Return a store whose last day has every anomaly; the days before have none."""
    database = open_database(f"sqlite:///{tmp_path_factory.mktemp('planted') / 'anc.db'}")
    seed_store(database, SeedRequest(sessions=1_200, days=15, last_day=DAY, plants=tuple(Plant)))
    yield database
    database.dispose()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path / 'anc.db'}")
    yield database
    database.dispose()


def settings(database: Database, **changes: Any) -> Settings:
    return Settings.load(database_url=database.url, **changes)


def make(database: Database, folder: Path, now: datetime = NOW, **request: Any) -> ReportResult:
    asked = ReportRequest(**({"day": DAY, "output_dir": folder, "formats": SKIP_PAGE} | request))
    return make_report(asked, settings(database), database, actor="test", now=now)


def test_what_was_planted_is_found_with_its_cause(planted: Database, tmp_path: Path) -> None:
    result = make(planted, tmp_path, formats=tuple(ReportFormat))
    found = {flag.rule: flag for flag in result.anomalies}
    assert set(found) == {
        "safety_violation", "failures", "missed_schedule", "negative_cancellation", "absent_device",
    }  # fmt: skip
    assert result.verdict is Verdict.RED
    assert "smoke alarm" in found["safety_violation"].cause
    assert found["safety_violation"].value == pytest.approx(4.2)
    assert "NO_SPACE" in found["failures"].cause
    assert found["missed_schedule"].subjects == ("cleanup-failed",)
    assert found["absent_device"].subjects == ("recorder-01",)
    assert found["negative_cancellation"].value > 0.02
    assert result.html_path is not None
    page = Path(result.html_path).read_text(encoding="utf-8")
    for flag in result.anomalies:
        assert flag.title in page
        assert flag.cause.replace("'", "&#39;") in page


def test_on_quiet_days_nothing_is_invented(planted: Database) -> None:
    for back in range(1, 4):
        period = period_of(DAY - timedelta(days=back), "UTC")
        figures = gather(planted, settings(planted), period, period.end)
        assert judge(figures)[2] == (), period.key


def test_the_json_twin_is_the_record(planted: Database, tmp_path: Path) -> None:
    result = make(planted, tmp_path)
    assert result.json_path is not None
    twin = json.loads(Path(result.json_path).read_text(encoding="utf-8"))
    dumped = result.model_dump(mode="json")
    assert twin["figures"] == dumped["figures"]
    assert twin["flags"] == dumped["anomalies"]
    assert (twin["verdict"], twin["report_version"]) == ("RED", "1")
    assert (result.html_path, result.markdown_path) == (None, None)


def test_numbers_add_up(planted: Database) -> None:
    figures = gather(planted, settings(planted), period_of(DAY, "UTC"), NOW)
    for name in ("ok", "degraded", "skipped", "failed"):
        bars = sum(getattr(hour.counts, name) for hour in figures.hours)
        assert bars == getattr(figures.sessions, name)
    assert sum(group.count for group in figures.failures) == figures.sessions.failed
    assert sum(device.sessions for device in figures.devices) == figures.sessions.total
    heard = sum(figures.days[0].noise_s.values())
    assert sum(map(sum, figures.noise_hours.values())) == pytest.approx(heard)
    assert figures.api.requests == sum(line.requests for line in figures.api.endpoints)
    with planted.read() as db:
        assert store.job_runs(db, NOW - timedelta(days=2), NOW)


def test_the_same_day_again_replaces_the_files_and_counts_up(
    planted: Database, tmp_path: Path
) -> None:
    first = make(planted, tmp_path)
    again = make(planted, tmp_path, now=NOW + timedelta(hours=1))
    assert again.revision == first.revision + 1
    assert again.late is not None
    assert again.late.since == NOW
    assert again.figures.sessions == first.figures.sessions == again.late.before
    assert [path.name for path in tmp_path.iterdir()] == ["daily-2026-11-03.json"]
    other = make(planted, tmp_path, timezone="Europe/Berlin")
    assert (other.revision, other.late) == (1, None)
    assert len(list(tmp_path.iterdir())) == 2


def test_reports_made_at_once_have_a_revision_each(empty: Database, tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda _: make(empty, tmp_path), range(3)))
    assert sorted(one.revision for one in made) == [1, 2, 3]
    twin = json.loads((tmp_path / "daily-2026-11-03.json").read_text(encoding="utf-8"))
    assert twin["revision"] == 3  # what lies there is what the row tells of


def test_only_the_report_of_yesterday_is_a_run_of_the_daily_job(
    empty: Database, tmp_path: Path
) -> None:
    make(empty, tmp_path, day=DAY - timedelta(days=3))
    make(empty, tmp_path, kind=PeriodKind.WEEK)
    with empty.read() as db:
        assert store.job_runs(db, NOW, NOW + timedelta(seconds=1)) == []
    make(empty, tmp_path)
    with empty.read() as db:
        runs = store.job_runs(db, NOW, NOW + timedelta(seconds=1))
    assert [(run.job, run.failed) for run in runs] == [("daily-report", False)]


def test_the_row_keeps_sums_and_no_names(planted: Database, tmp_path: Path) -> None:
    result = make(planted, tmp_path)
    with planted.read() as db:
        kept = store.stored_report(db, "daily", DAY, "UTC")
    assert kept is not None
    assert kept.paths == {"json": result.json_path}
    assert kept.figures["sessions"]["failed"] == result.figures.sessions.failed
    assert kept.figures["flags"][0] == "safety_violation"
    assert "recorder" not in json.dumps(kept.figures)
    assert ".wav" not in json.dumps(kept.figures)


def test_a_day_is_still_compared_with_days_whose_sessions_are_deleted(
    tmp_path: Path, planted: Database
) -> None:
    copy = tmp_path / "copy.db"
    source = sqlite3.connect(planted.url.removeprefix("sqlite:///"))
    with sqlite3.connect(copy) as target:
        source.backup(target)
    source.close()
    database = open_database(f"sqlite:///{copy}")
    before = gather(database, settings(database), period_of(DAY, "UTC"), NOW)
    with database.begin() as db:
        for day in before.baseline:
            store.roll_up(db, date.fromisoformat(day.day), now=NOW)
    with sqlite3.connect(copy) as raw:
        raw.execute("PRAGMA foreign_keys = ON")
        raw.execute("DELETE FROM audio_sessions WHERE finished_at < '2026-11-03'")
    after = gather(database, settings(database), period_of(DAY, "UTC"), NOW)
    database.dispose()
    same = ("counts", "negative", "cancellation_n", "noise_sessions")
    for old, new in zip(before.baseline, after.baseline, strict=True):
        for name in same:
            assert getattr(new, name) == getattr(old, name), (old.day, name)
        assert new.audio_s == pytest.approx(old.audio_s)
        assert new.noise_s == pytest.approx(old.noise_s)
    assert after.recent.ok == before.recent.ok


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (DAY, 24)]
)
def test_no_data_is_a_report_on_days_of_any_length(
    empty: Database, tmp_path: Path, day: date, hours: int
) -> None:
    result = make(empty, tmp_path, day=day, timezone="Europe/Berlin")
    assert (result.verdict, result.anomalies) == (Verdict.AMBER, ())
    assert result.reasons[0].startswith("No data")
    assert len(result.figures.hours) == hours
    assert result.figures.sessions.total == 0


@pytest.mark.parametrize(
    ("kind", "key"), [("daily", "2026-11-03"), ("weekly", "2026-W44"), ("monthly", "2026-10")]
)
def test_without_a_date_it_is_the_last_period_that_is_over(
    empty: Database, tmp_path: Path, kind: str, key: str
) -> None:
    result = make(empty, tmp_path, day=None, kind=PeriodKind(kind))
    assert result.figures.period.key == key
    assert result.json_path == str(tmp_path / f"{kind}-{key}.json")


def test_which_day_was_yesterday_depends_on_the_zone(empty: Database, tmp_path: Path) -> None:
    late = datetime(2026, 11, 3, 23, 30, tzinfo=UTC)
    assert make(empty, tmp_path, late, day=None).figures.period.first == date(2026, 11, 2)
    there = make(empty, tmp_path, late, day=None, timezone="Asia/Seoul")
    assert there.figures.period.first == date(2026, 11, 3)


def test_what_cannot_be_is_refused_before_anything_is_written(
    empty: Database, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="IANA"):
        make(empty, tmp_path / "out", timezone="Mars/Olympus")
    asked = ReportRequest(day=DAY, output_dir=tmp_path / "out")
    narrow = settings(empty, allowed_roots=(tmp_path / "else",))
    with pytest.raises(SinkError, match="ANC_ALLOWED_ROOTS"):
        make_report(asked, narrow, empty, actor="test", now=NOW)
    assert not (tmp_path / "out").exists()


def test_a_job_is_missed_when_its_cycle_and_grace_are_over(empty: Database, tmp_path: Path) -> None:
    def run(job: str, at: datetime, action: str = JOB_DONE) -> None:
        with empty.begin() as db:
            store.record_audit(db, action, job, {}, "schedule", now=at)

    midnight = datetime(2026, 11, 3, tzinfo=UTC)
    for back in (1, 0):
        run("cleanup-failed", midnight + timedelta(hours=3) - timedelta(days=back))
    run("daily-report", midnight - timedelta(hours=23))
    run("daily-report", midnight + timedelta(hours=1), JOB_FAILED)
    run("vacuum", midnight - timedelta(days=6))
    run("a job of somebody else's", midnight)
    lines = {line.name: line for line in make(empty, tmp_path).figures.schedules}
    assert set(lines) == {"cleanup-failed", "daily-report", "vacuum"}
    assert {name: line.missed for name, line in lines.items()} == {
        "cleanup-failed": False, "daily-report": True, "vacuum": False,
    }  # fmt: skip
    assert (lines["daily-report"].failed, lines["daily-report"].runs) == (1, 0)
    assert lines["daily-report"].longest_gap_s == 47 * 3600
