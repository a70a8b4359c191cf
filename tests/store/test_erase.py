"""Erasure: everything of one person goes, nothing of the others, and it stays gone."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, insert, select
from store_samples import take

from anc_core.errors import InputError, StoreError
from anc_core.files import link_or_copy
from anc_core.maintenance import erase as erase_module
from anc_core.maintenance.erase import erase_again, erase_person
from anc_core.maintenance.erase_ledger import EraseLedger
from anc_core.pipeline.sidecar import sidecar_path
from anc_core.store import check_integrity, erasures, record_audit, set_hold
from anc_core.store.tables import ApiRequest, AudioSession, AuditEntry, Batch, Report

ALICE, BOB = "alice <a@b>", "bob"


def erase(studio, user_id=ALICE, *, dry_run=False):
    return erase_person(
        user_id, database=studio.database, settings=studio.settings, actor="test", dry_run=dry_run
    )


def count(studio, table):
    with studio.database.read() as db:
        return db.scalar(select(func.count()).select_from(table))


def add_report(studio, name, text):
    path = studio.root / f"{name}.html"
    path.write_text(text)
    values = {
        "kind": "daily",
        "report_date": date(2024, 5, len(name)),
        "timezone": "UTC",
        "revision": 1,
        "verdict": "GREEN",
        "figures": {"sessions": 3},
        "paths": {"html": str(path)},
        "created_at": datetime.now(UTC) - timedelta(days=1),
    }
    studio.stamp(path, values["created_at"])
    with studio.database.begin() as db:
        db.execute(insert(Report), [values])
    return path


def add_export(studio, name, **held):
    path = studio.root / name
    path.write_text("rows")
    with studio.database.begin() as db:
        record_audit(db, "export", str(path), {"path": str(path), **held}, "carol")
    return path


def test_rows_files_and_ledger(studio_everywhere):
    studio = studio_everywhere
    mine = studio.deliver("mine", user_id=ALICE)
    other = studio.deliver("other", user_id=BOB)
    done = erase(studio)
    assert done.complete
    assert (done.sessions, done.files, done.recordings) == (1, 2, 1)
    assert done.rows["noise_detections"] == 2
    assert studio.out() == {"other.wav", "other.wav.json"}
    assert (studio.root / "in" / "mine.wav").exists()
    with studio.database.read() as db:
        assert db.scalars(select(AudioSession.id)).all() == [other]
        (entry,) = erasures(db)
    assert entry.subject == done.subject
    assert check_integrity(studio.database) == []
    assert mine not in json.dumps(done.model_dump(mode="json"))


def test_dry_run_is_the_default_and_writes_nothing(studio):
    studio.deliver("mine", user_id=ALICE)
    plan = erase_person(ALICE, database=studio.database, settings=studio.settings, actor="test")
    assert (plan.sessions, plan.files, plan.rows["noise_events"]) == (1, 1, 1)
    assert count(studio, AudioSession) == 1
    assert "mine.wav" in studio.out()
    assert not studio.settings.home.exists()  # not even the key of the ledger


def test_the_name_is_in_no_table_and_no_file_of_ours_afterwards(studio_everywhere):
    studio = studio_everywhere
    mine = studio.deliver("mine", user_id=ALICE)
    with studio.database.begin() as db:
        record_audit(db, "hold", mine, {"why": "asked"}, "carol")
        record_audit(db, "note", "x", {"for": ALICE}, "carol")
        record_audit(db, "note", "x", {"for": BOB}, "carol")
    assert erase(studio).audit_entries == 2
    with studio.database.read() as db:
        lines = db.scalars(select(AuditEntry)).all()
    said = [f"{line.actor} {line.subject} {json.dumps(line.detail)}" for line in lines]
    assert not any(ALICE in line or mine in line for line in said)
    assert any(BOB in line for line in said)
    files = [path for path in studio.settings.home.iterdir() if path.is_file()]
    assert {path.name for path in files} == {"erase.key", "erase-ledger.jsonl"}
    assert not any(ALICE in path.read_text() for path in files)
    assert (studio.settings.home / "erase.key").stat().st_mode & 0o077 == 0


def test_reports_that_mention_the_person_go_and_others_stay(studio):
    mine = studio.deliver("mine", user_id=ALICE)
    gone = [
        add_report(studio, "a", f"<td>{mine}</td>"),
        add_report(studio, "bb", "worst: mine.wav."),
        add_report(studio, "ccc", "alice &lt;a@b&gt; called"),
    ]
    stays = add_report(studio, "dddd", "undermine.wav alice bob")
    assert erase(studio).reports == 3
    assert not any(path.exists() for path in gone)
    assert stays.exists()
    assert count(studio, Report) == 1


def test_exports_that_hold_or_may_hold_the_person_go(studio_everywhere):
    studio = studio_everywhere
    mine = studio.deliver("mine", user_id=ALICE)
    gone = [
        add_export(studio, "a.csv", user_ids=[ALICE, BOB], session_ids=None),
        add_export(studio, "b.csv", user_ids=[], session_ids=[mine]),
        add_export(studio, "c.csv", user_ids=None, session_ids=None),
    ]
    stays = add_export(studio, "d.csv", user_ids=[BOB], session_ids=["another"])
    assert erase(studio).exports == 3
    assert not any(path.exists() for path in gone)
    assert stays.exists()


def test_file_that_took_an_exports_place_stays_and_is_told(studio):
    studio.deliver("mine", user_id=ALICE)
    path = add_export(studio, "a.csv", user_ids=[ALICE])
    studio.stamp(path, datetime.now(UTC) + timedelta(hours=1))
    done = erase(studio)
    assert path.exists()
    assert not done.complete
    assert "written to since" in done.examples[0]


def test_copies_that_duplicates_got_go_too(studio):
    mine = studio.deliver("mine", user_id=ALICE)
    output, twin = (studio.root / "out" / name for name in ("mine.wav", "twin.wav"))
    link_or_copy(output, twin)
    link_or_copy(sidecar_path(output), sidecar_path(twin))
    assert mine in sidecar_path(twin).read_text()
    erase(studio)
    assert studio.out() == set()


def test_requests_and_emptied_batches_go(studio_everywhere):
    studio = studio_everywhere
    mine = studio.deliver("mine", user_id=ALICE)
    with studio.database.begin() as db:
        for batch in ("hers", "both"):
            db.execute(
                insert(Batch),
                [
                    {
                        "id": batch,
                        "status": "ok",
                        "planned": 1,
                        "parameters": {"inputs": ["alice.wav"]},
                        "created_at": datetime.now(UTC),
                    }
                ],
            )
        db.get(AudioSession, mine).batch_id = "hers"
        request = {
            "requested_at": datetime.now(UTC),
            "method": "GET",
            "path": "/",
            "status_code": 200,
            "duration_ms": 1.0,
        }
        db.execute(insert(ApiRequest), [request | {"session_id": one} for one in (mine, "x")])
    done = erase(studio)
    assert (done.rows["api_requests"], done.rows["batches"]) == (1, 1)
    assert count(studio, ApiRequest) == 1
    assert count(studio, Batch) == 1


def test_held_and_running_sessions_stay_and_it_is_said_so(studio):
    held = studio.deliver("held", user_id=ALICE)
    with studio.database.begin() as db:
        set_hold(db, held, on_hold=True)
    take(studio.database, "running", user_id=ALICE)
    done = erase(studio)
    assert (done.complete, done.skipped) == (False, {"on hold": 1, "running": 1})
    assert count(studio, AudioSession) == 2


def test_empty_name_is_refused(studio):
    studio.deliver("nobody")
    with pytest.raises(InputError, match="user_id is empty"):
        erase(studio, " ")


@pytest.mark.parametrize(
    "step", ["outputs_named_after", "exports_of", "reports_until", "mark_sessions"]
)
def test_erasure_that_dies_is_completed_by_the_next(studio, monkeypatch, step):
    studio.deliver("mine", user_id=ALICE)
    export = add_export(studio, "a.csv", user_ids=[ALICE])

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(erase_module, step, die)
    with pytest.raises(KeyboardInterrupt):
        erase(studio)
    monkeypatch.undo()
    assert erase(studio).complete
    assert studio.out() == set()
    assert not export.exists()


def test_ledger_erases_again_what_is_older_and_spares_who_came_back(studio_everywhere):
    studio = studio_everywhere
    erase(studio)  # nothing there yet, but noted
    ledger = EraseLedger(studio.settings)
    entries = ledger.read()
    before = studio.deliver("before", user_id=ALICE)  # as if from a backup
    with studio.database.begin() as db:
        db.get(AudioSession, before).created_at = datetime.now(UTC) - timedelta(days=1)
    studio.deliver("after", user_id=ALICE)
    with studio.database.begin() as db:
        for row in db.scalars(select(AudioSession)):
            row.created_at = row.created_at + (
                timedelta(0) if row.id == before else timedelta(days=60)
            )
    (done,) = erase_again(studio.database, studio.settings, ledger, entries)
    assert done.sessions == 1
    assert studio.out() == {"after.wav", "after.wav.json"}


def test_ledger_of_another_key_is_refused(studio):
    erase(studio)
    entries = EraseLedger(studio.settings).read()
    (studio.settings.home / "erase.key").unlink()
    with pytest.raises(StoreError, match=r"erase\.key"):
        erase_again(studio.database, studio.settings, EraseLedger(studio.settings), entries)


def test_ledger_that_cannot_be_read_stops_everything(studio):
    studio.deliver("mine", user_id=ALICE)
    studio.settings.home.mkdir()
    (studio.settings.home / "erase-ledger.jsonl").write_text('{"subject": "half')
    with pytest.raises(StoreError, match="line 1"):
        erase(studio)
    assert count(studio, AudioSession) == 1
