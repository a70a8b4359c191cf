"""Export and import on both databases: the same content, whatever the format."""

from __future__ import annotations

import csv
import io
import json
import shutil
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update
from store_samples import NOW, dead_owner, process, request

from anc_core.errors import InputError, SessionNotFoundError, SinkError
from anc_core.exchange.export import export_sessions
from anc_core.exchange.load import import_sessions
from anc_core.exchange.records import ExportRequest, Format
from anc_core.records import Metrics, Remark, Status
from anc_core.settings import Settings
from anc_core.store import claim, finished_sources, get_session, open_batch, open_database
from anc_core.store.claims import Outcome
from anc_core.store.owner import Owner
from anc_core.store.plain_rows import SessionSelection
from anc_core.store.tables import AudioSession, AuditEntry

ALL = list(Format)
NASTY = '=HYPERLINK("http://x","y")'


@pytest.fixture
def store(database, tmp_path):
    return Settings.load(database_url=database.url, home=tmp_path / "home")


def fresh(migrated_file, folder, name):
    shutil.copyfile(migrated_file, folder / name)
    return Settings.load(database_url=f"sqlite:///{folder / name}", home=folder / "home2")


@pytest.fixture
def other(migrated_file, tmp_path):
    """An empty SQLite database, whatever the first one is."""
    return fresh(migrated_file, tmp_path, "other.db")


@pytest.fixture
def here(migrated_file, tmp_path):
    """Settings of another SQLite database, with one session in it."""
    settings_ = fresh(migrated_file, tmp_path, "here.db")
    database = open_database(settings_.database_url)
    process(database, "f1")
    database.dispose()
    return settings_


def export(store, path, format_=Format.CSV, **words):
    selection = words.pop("selection", SessionSelection())
    asked = ExportRequest(output_path=path, format=format_, selection=selection, **words)
    return export_sessions(store, asked, actor="test")


def load(store, path, **words):
    return import_sessions(store, path, actor="test", **words)


def fill(database):
    with database.begin() as db:
        open_batch(db, "b1", {"glob": "=*.wav"}, 2, now=NOW)
    process(
        database,
        "f1",
        batch_id="b1",
        user_id="u1",
        device_id="-7",
        reason="",
        error_message="'quoted",
        site='a\x00b\udc80\x1a\r\nc,"d"\te',
        recorded_at=datetime(1, 1, 1, tzinfo=UTC),
        warnings=(Remark(code="CLIPPED", message="=1+1"),),
        parameters={"b": 1, "a": [None, 1e-300, "\ud800", -0.0]},
        protected=((0.0, 1.5),),
    )
    return process(
        database,
        "f2",
        status=Status.FAILED,
        metrics=Metrics(),
        windows=(),
        events=(),
        intervals=(),
        recorded_at=datetime(2024, 5, 1, 12, 0, 0, 7, tzinfo=UTC),
    )


def cells(path, table):
    with zipfile.ZipFile(path) as archive:
        body = archive.read(f"{table}.csv").decode()
    return list(csv.DictReader(io.StringIO(body, newline="")))


@pytest.mark.parametrize("format_", ALL)
def test_what_is_exported_and_imported_exports_the_same(database, store, other, tmp_path, format_):
    fill(database)
    path = tmp_path / "export"
    first = export(store, path, format_)
    came = load(other, path)
    assert (came.added, came.skipped, came.replaced) == (2, 0, 0)
    assert came.row_counts == first.row_counts
    again = export(other, tmp_path / "again", Format.JSONL)
    assert again.digest == first.digest == came.digest
    with database.read() as db, open_database(other.database_url).read() as theirs:
        for session_id in [row["id"] for row in db.execute(select(AudioSession.id)).mappings()]:
            assert get_session(db, session_id) == get_session(theirs, session_id)
    # What an analysis reads came along.
    sums = "SELECT * FROM noise_totals ORDER BY session_id, noise_type, quarter"
    with database.read() as db, open_database(other.database_url).read() as theirs:
        found = [tuple(row) for row in db.execute(text(sums))]
        assert found
        assert [tuple(row) for row in theirs.execute(text(sums))] == found
    # The same once more: nothing is new, nothing is written.
    twice = load(other, path)
    assert (twice.added, twice.skipped, sum(twice.row_counts.values())) == (0, 2, 0)


def test_the_digest_is_the_same_for_every_format_and_time(database, store, tmp_path):
    fill(database)
    digests = {export(store, tmp_path / f"{one}", one).digest for one in ALL}
    digests.add(export(store, tmp_path / "plain", csv_safe=False, bom=True).digest)
    assert len(digests) == 1


def test_from_elsewhere_into_this_database(database, store, other, tmp_path):
    there = open_database(other.database_url)
    fill(there)
    first = export(other, tmp_path / "x", Format.PARQUET)
    load(store, tmp_path / "x")
    assert export(store, tmp_path / "y", Format.CSV).digest == first.digest


NASTY_TEXTS = st.text(
    st.one_of(
        st.sampled_from("=+-@\t\r\n'\"\x00\x1a,;\udc80\ud83d\U0001f600＝\ufeff 0a"),
        st.characters(),
    ),
    max_size=12,
)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    texts=st.lists(st.tuples(NASTY_TEXTS, st.none() | NASTY_TEXTS), min_size=1, max_size=4),
    format_=st.sampled_from(ALL),
    csv_safe=st.booleans(),
    bom=st.booleans(),
)
def test_any_text_comes_back(migrated_file, tmp_path_factory, texts, format_, csv_safe, bom):
    folder = tmp_path_factory.mktemp("texts")
    here, there = fresh(migrated_file, folder, "a.db"), fresh(migrated_file, folder, "b.db")
    database = open_database(here.database_url)
    ids = []
    for number, (must, may) in enumerate(texts):
        changes = {"source_path": must, "user_id": may, "reason": may, "preset": must}
        ids.append(process(database, f"f{number}", **changes))
    first = export(here, folder / "x", format_, csv_safe=csv_safe, bom=bom)
    load(there, folder / "x")
    copy = open_database(there.database_url)
    with database.read() as db, copy.read() as theirs:
        for session_id in ids:
            assert get_session(db, session_id) == get_session(theirs, session_id)
    assert export(there, folder / "y", Format.JSONL).digest == first.digest
    for one in (database, copy):
        one.dispose()


def test_hostile_text_is_inert_in_a_spreadsheet_and_numbers_stay(database, store, tmp_path):
    process(
        database, "f1", user_id=NASTY, site="+1", device_id="@x", reason="-1", error_message="\t="
    )
    export(store, tmp_path / "x.zip")
    (row,) = cells(tmp_path / "x.zip", "audio_sessions")
    for name in ("user_id", "site", "device_id", "reason", "error_message"):
        assert row[name].startswith("'")
    assert row["user_id"] == f"'{NASTY}"
    (one, *_) = cells(tmp_path / "x.zip", "processing_metrics")
    assert one["input_rms_dbfs"] == "-30.0"
    export(store, tmp_path / "plain.zip", csv_safe=False)
    (row,) = cells(tmp_path / "plain.zip", "audio_sessions")
    assert row["user_id"] == NASTY


def test_numbers_that_are_none_are_null_and_zero_has_no_sign(database, store, tmp_path):
    session_id = process(database, "f1")
    values = {"input_rms_dbfs": float("inf"), "output_rms_dbfs": -0.0}
    with database.begin() as db:
        db.execute(update(AudioSession).values(values))
        if database.dialect == "postgresql":
            db.execute(text("UPDATE audio_sessions SET wall_s = 'NaN'"))
    export(store, tmp_path / "x.zip")
    (row,) = cells(tmp_path / "x.zip", "audio_sessions")
    assert (row["id"], row["input_rms_dbfs"], row["output_rms_dbfs"]) == (session_id, "", "0.0")
    if database.dialect == "postgresql":
        assert row["wall_s"] == ""
    export(store, tmp_path / "x.json", Format.JSON)
    assert (
        json.loads((tmp_path / "x.json").read_text())["tables"]["audio_sessions"][0][
            "input_rms_dbfs"
        ]
        is None
    )


@pytest.mark.parametrize("format_", ALL)
def test_an_empty_database_is_an_export_without_rows(database, store, other, tmp_path, format_):
    empty = export(store, tmp_path / "x", format_)
    assert (empty.sessions, set(empty.row_counts.values())) == (0, {0})
    assert "no session matches" in empty.warnings[0]
    came = load(other, tmp_path / "x")
    assert (came.sessions, came.warnings) == (0, ("the export has no sessions",))
    if format_ is Format.CSV:
        with zipfile.ZipFile(tmp_path / "x") as archive:
            assert archive.read("noise_detections.csv").startswith(b"session_id,position,")


def test_a_selection_takes_what_matches_all_of_it(database, store, tmp_path):
    def ids(name, **words):
        export(store, tmp_path / name, selection=SessionSelection(**words))
        return [row["id"] for row in cells(tmp_path / name, "audio_sessions")]

    failed = fill(database)
    assert ids("1", statuses=("failed",)) == [failed]
    assert failed not in ids("2", user_id="u1")
    assert ids("3", batch_id="b1", statuses=("failed",)) == []
    assert len(ids("4", start=NOW, end=NOW + timedelta(seconds=1))) == 2
    assert ids("5", start=NOW - timedelta(1), end=NOW) == []
    assert ids("6", by="recorded", start=NOW - timedelta(1)) == [failed]
    assert ids("7", session_ids=(failed,)) == [failed]
    with zipfile.ZipFile(tmp_path / "2") as archive:
        assert archive.read("noise_detections.csv").count(b"\r\n") == 3


def test_unknown_and_running_sessions_are_named(database, store, tmp_path):
    known = process(database, "f1")
    with pytest.raises(SessionNotFoundError, match="'nope', 'x'") as caught:
        export(store, tmp_path / "x", selection=SessionSelection(session_ids=("nope", known, "x")))
    assert known not in str(caught.value)
    with database.begin() as db:
        running = claim(db, request("f2"), Owner.current(), now=NOW).session_id
    with pytest.raises(InputError, match="still running"):
        export(store, tmp_path / "x", selection=SessionSelection(session_ids=(running,)))
    assert not (tmp_path / "x").exists()
    assert "1 sessions are still running" in export(store, tmp_path / "x").warnings[0]


def test_nothing_is_overwritten_unless_told_and_never_the_store_or_a_recording(
    database, store, tmp_path
):
    victim = tmp_path / "a.wav"
    victim.write_bytes(b"RIFF")
    process(database, "f1", source_path=str(victim))
    with pytest.raises(SinkError, match="file of session"):
        export(store, victim, overwrite=True)
    link = tmp_path / "link.wav"
    link.symlink_to(victim)
    with pytest.raises(SinkError, match="file of session"):
        export(store, link, overwrite=True)
    assert victim.read_bytes() == b"RIFF"
    target = tmp_path / "x"
    target.write_text("mine")
    with pytest.raises(SinkError, match="overwrite"):
        export(store, target)
    assert target.read_text() == "mine"
    export(store, target, overwrite=True)
    if database.dialect == "sqlite":
        file = tmp_path / "anc.db"
        for name in (file, tmp_path / "anc.db-wal"):
            with pytest.raises(SinkError, match="database itself"):
                export(store, name, overwrite=True)
    assert not list(tmp_path.glob(".anc-*"))


def test_the_audit_log_tells_whom_an_export_holds(database, store, tmp_path):
    fill(database)
    made = export(store, tmp_path / "x", selection=SessionSelection(user_id="u1"))
    with database.read() as db:
        entry = db.scalars(select(AuditEntry).where(AuditEntry.action == "export")).one()
    assert entry.subject == entry.detail["path"] == str(tmp_path / "x")
    assert entry.detail["digest"] == made.digest
    assert entry.detail["user_ids"] == ["u1"]
    assert entry.detail["selection"] == {"user_id": "u1"}
    assert len(entry.detail["session_ids"]) == entry.detail["sessions"] == 1


def test_redaction_leaves_no_name_and_the_same_pseudonym_everywhere(database, store, tmp_path):
    for name in ("f1", "f2"):
        process(
            database,
            name,
            user_id="alice",
            device_id="alice-phone",
            site="alice-home",
            source_path=f"/home/alice/{name}.wav",
            output_path=f"/out/alice/{name}.wav",
            error_message="/home/alice: broken",
            reason="alice",
            parameters={"who": "alice"},
            warnings=(Remark(code="CLIPPED", message="/home/alice/x.wav clipped"),),
        )
    export(store, tmp_path / "a", Format.JSONL, redact=True)
    text_ = (tmp_path / "a").read_text()
    assert "alice" not in text_
    assert "digest-f1" not in text_
    rows = [json.loads(line) for line in text_.splitlines()]
    users = {row["user_id"] for row in rows if row.get("table") == "audio_sessions"}
    assert len(users) == 1
    assert users.pop().startswith("user-")
    # A second export has the same pseudonyms, another installation's has others.
    once = export(store, tmp_path / "b", Format.JSONL, redact=True)
    (store.home / "redaction.key").write_bytes(bytes(32))
    assert export(store, tmp_path / "c", Format.JSONL, redact=True).digest != once.digest
    assert (store.home / "redaction.key").stat().st_mode & 0o077 in {0, 0o044}


def test_what_is_here_and_different_is_refused_or_replaced(database, store, other, tmp_path):
    fill(database)
    export(store, tmp_path / "x")
    load(other, tmp_path / "x")
    there = open_database(other.database_url)
    with there.begin() as db:
        db.execute(text("UPDATE noise_detections SET confidence = 0.5 WHERE position = 1"))
    before = export(other, tmp_path / "before").digest
    with pytest.raises(
        InputError, match=r"1 sessions are here already and not the same.*--replace"
    ):
        load(other, tmp_path / "x")
    assert export(other, tmp_path / "after").digest == before
    with there.begin() as db:
        db.execute(update(AudioSession).values(on_hold=True))
    with pytest.raises(InputError, match="on hold"):
        load(other, tmp_path / "x", replace=True)
    with there.begin() as db:
        db.execute(update(AudioSession).values(on_hold=False))
    came = load(other, tmp_path / "x", replace=True)
    assert (came.added, came.skipped, came.replaced) == (0, 1, 1)
    assert export(other, tmp_path / "end").digest == came.digest


def test_the_same_recording_under_another_id_is_refused(database, store, other, tmp_path):
    process(database, "f1")
    export(store, tmp_path / "x")
    process(open_database(other.database_url), "f1")
    with pytest.raises(InputError, match="under another id"):
        load(other, tmp_path / "x")


def test_an_imported_session_is_no_finished_work_here(database, store, other, tmp_path):
    process(database, "f1")
    export(store, tmp_path / "x")
    load(other, tmp_path / "x")
    there = open_database(other.database_url)
    with there.read() as db:
        assert finished_sources(db, ["/audio/f1.wav"]) == {}
    with there.begin() as db:
        taken = claim(db, request("f1"), dead_owner(), now=NOW)
    assert (taken.outcome, taken.attempt) == (Outcome.CLAIMED, 1)


def rewrite(path, change):
    """Write the zip anew; ``change`` gets and gives the name and body of every file."""
    with zipfile.ZipFile(path) as archive:
        members = [change(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in members:
            archive.writestr(name, body)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b",0.9,", b",1.9,", r"noise_detections row 1: confidence is '1.9'"),
        (b",0.9,", b",nan,", r"noise_detections row 1: confidence is 'nan': must be finite"),
        (b",0.8,", b",,", r"noise_detections row 2: confidence is missing"),
        (b",0.8,", b",0.8,,", r"row 2: has 9 cells instead of 8"),
        (b",siren,0.8", b",siren,0.81", r"not what was exported"),
        (b",1,1.0,2.0,", b",0,1.0,2.0,", r"row 2: key .* twice or out of order"),
    ],
)
def test_a_changed_file_is_refused_by_row_and_nothing_is_written(
    tmp_path, here, other, old, new, message
):
    path = tmp_path / "x"
    export(here, path)

    def change(name, body):
        if name == "noise_detections.csv":
            assert old in body
            body = body.replace(old, new)
        return name, body

    rewrite(path, change)
    with pytest.raises(InputError, match=message):
        load(other, path)
    assert export(other, tmp_path / "y").sessions == 0


def test_a_lie_that_its_manifest_repeats_is_found_by_the_rows(tmp_path, here, other):
    path = tmp_path / "x"
    export(here, path, Format.JSONL)
    for old, new, message in [
        ('"status":"ok"', '"status":"running"', "audio_sessions row 1: status is 'running'"),
        ('"schema_version":1,"program"', '"schema_version":2,"program"', "newer"),
        ('"position":0,', '"position":true,', "position is 'True'"),
        ('"id":"2', '"id":"../2', "audio_sessions row 1: id"),
        ('{"table":"audio_sessions"', '{"table":"models"', "unknown or out of order"),
        ('{"table":"audio_sessions"', '{"table":["x"', "line row 2"),
        ('"mode":"auto"', '"mode":"evil"', "mode is 'evil'"),
    ]:
        body = path.read_text()
        assert old in body
        (tmp_path / "z").write_text(body.replace(old, new, 1))
        with pytest.raises(InputError, match=message):
            load(other, tmp_path / "z")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"{}",
        b"PK\x03\x04 no zip",
        b'{"anc_export":{}}\n',
        b"[" * 100_000,
        b"{" * 9_999,
    ],
)
def test_what_is_no_export_is_refused(tmp_path, other, body):
    (tmp_path / "x").write_bytes(body)
    with pytest.raises(InputError):
        load(other, tmp_path / "x")


@pytest.mark.parametrize("format_", ALL)
def test_a_truncated_export_is_refused(tmp_path, here, other, format_):
    export(here, tmp_path / "x", format_)
    body = (tmp_path / "x").read_bytes()
    for end in (len(body) // 2, len(body) - 2):
        (tmp_path / "y").write_bytes(body[:end])
        with pytest.raises(InputError):
            load(other, tmp_path / "y")


def test_a_folder_gets_a_name_and_a_misleading_one_a_warning(here, tmp_path):
    made = export(here, tmp_path, Format.CSV)
    assert made.output_path.startswith(str(tmp_path / "anc-export-"))
    assert made.output_path.endswith(".zip")
    assert made.warnings == ()
    (warning,) = export(here, tmp_path / "x.csv").warnings
    assert "a zip with a file for each table" in warning


def test_a_part_of_the_tables_is_for_reading_only(database, store, other, tmp_path):
    fill(database)
    made = export(store, tmp_path / "x", include=("noise_events",))
    assert set(made.row_counts) == {"batches", "calibrations", "audio_sessions", "noise_events"}
    with pytest.raises(InputError, match="exported without noise_detections"):
        load(other, tmp_path / "x")
    with pytest.raises(InputError, match="choose from"):
        export(store, tmp_path / "y", include=("models",))


def test_old_results_with_no_start_of_a_batch_are_exported_in_order(database, store, tmp_path):
    for number in (10, 9, 1, 2):
        taken = {"source_path": f"/{number}"}
        with database.begin() as db:
            claim(
                db,
                request(f"f{number}", session_id=f"{'aAbB'[number % 4]}-{number}"),
                dead_owner(),
                now=NOW,
            )
            db.execute(
                update(AudioSession)
                .where(AudioSession.fingerprint == f"f{number}")
                .values(status="failed", finished_at=None, **taken)
            )
    export(store, tmp_path / "x")
    ids = [row["id"] for row in cells(tmp_path / "x", "audio_sessions")]
    assert ids == sorted(ids)
    assert len(ids) == 4
