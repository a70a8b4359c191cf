"""Sessions: what goes in comes out."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text, update
from store_samples import NOW, interval, process, request, result, take

from anc_core.errors import ErrorCode, InputError, SessionNotFoundError, StoreError, WarningCode
from anc_core.records import (
    Event,
    IntervalMetrics,
    LevelSpan,
    Metrics,
    Mode,
    Remark,
    SessionSummary,
    Status,
    Window,
)
from anc_core.store import (
    Owner,
    claim,
    find_by_fingerprint,
    finish,
    get_session,
    list_sessions,
    open_batch,
    sessions_between,
)
from anc_core.store.tables import CHILDREN, AudioSession

ME = Owner.current()

# --------------------------------------------------------------------------- any summary at all
FINITE = st.floats(allow_nan=False, allow_infinity=False)
SHARE = st.floats(0, 1)
COUNT = st.integers(0, 2**63 - 1)  # what a BIGINT holds
# Any text, with NUL, lone surrogates (undecodable bytes of a file name) and the escape itself.
TEXT = st.text(
    st.one_of(st.characters(), st.sampled_from("\x00\x1a\udc80\udcff0a<'\"%=\\")), max_size=20
)
MOMENT = st.datetimes(
    min_value=datetime(1900, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), FINITE, TEXT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def optional(strategy):
    return st.none() | strategy


def tuples(strategy):
    return st.lists(strategy, max_size=3).map(tuple)


METRICS = st.builds(
    Metrics,
    input_rms_dbfs=optional(FINITE),
    output_rms_dbfs=optional(FINITE),
    cancellation_db=optional(FINITE),
    cancellation_third_octave_db=st.dictionaries(st.sampled_from(["100", "1000"]), FINITE),
    snr_improvement_db=optional(FINITE),
    speech_level_change_db=optional(FINITE),
    clipped_samples_in=st.integers(0, 2**80),
    dc_offset=tuples(FINITE),
    null_reasons=st.dictionaries(TEXT, TEXT, max_size=2),
    wall_s=optional(FINITE),
    real_time_factor=optional(FINITE),
)
INTERVALS = st.builds(
    IntervalMetrics,
    index=COUNT,
    start_s=FINITE,
    end_s=FINITE,
    input_rms_dbfs=optional(FINITE),
    output_rms_dbfs=optional(FINITE),
    noise_floor_dbfs=optional(FINITE),
    attenuation_db=optional(FINITE),
    protected_share=FINITE,
)
LEVEL_SPANS = st.builds(
    LevelSpan,
    channel=COUNT,
    start_s=FINITE,
    end_s=FINITE,
    input_laeq_dbfs=optional(FINITE),
    output_lasmax_dbfs=optional(FINITE),
    input_levels=tuples(COUNT),
    output_levels=tuples(COUNT),
)
WINDOWS = st.builds(
    Window,
    start_s=FINITE,
    end_s=FINITE,
    channel=COUNT,
    noise_type=TEXT,
    confidence=SHARE,
    level_dbfs=optional(FINITE),
)
EVENTS = st.builds(
    Event,
    noise_type=TEXT,
    start_s=FINITE,
    end_s=FINITE,
    is_emergency=st.booleans(),
    channels=tuples(COUNT),
    peak_confidence=SHARE,
    mean_confidence=SHARE,
    window_count=COUNT,
    evidence=TEXT,
    max_attenuation_db=optional(FINITE),
)
FIELDS = {
    "status": st.sampled_from([Status.OK, Status.DEGRADED, Status.SKIPPED, Status.FAILED]),
    "session_id": st.just("any"),
    "fingerprint": st.just("f1"),
    "source_path": TEXT,
    "source_digest": TEXT,
    "source_bytes": COUNT,
    "reference_path": optional(TEXT),
    "output_path": optional(TEXT),
    "output_digest": optional(TEXT),
    "sidecar_path": optional(TEXT),
    "duration_s": optional(FINITE),
    "declared_duration_s": optional(FINITE),
    "sample_rate": optional(COUNT),
    "num_channels": optional(COUNT),
    "num_samples": optional(COUNT),
    "container": optional(TEXT),
    "subtype": optional(TEXT),
    "chunk_size": optional(COUNT),
    "num_chunks": COUNT,
    "mode": st.sampled_from(Mode),
    "preset": TEXT,
    "preset_used": optional(TEXT),
    "apply_anc": st.booleans(),
    "parameters": st.dictionaries(TEXT, JSON, max_size=3),
    "metrics": METRICS,
    "intervals": tuples(INTERVALS),
    "level_spans": tuples(LEVEL_SPANS),
    "windows": tuples(WINDOWS),
    "events": tuples(EVENTS),
    "protected": tuples(st.tuples(FINITE, FINITE)),
    "warnings": tuples(st.builds(Remark, code=st.sampled_from(WarningCode), message=TEXT)),
    "error_code": optional(st.sampled_from(ErrorCode)),
    "error_message": optional(TEXT),
    "reason": optional(TEXT),
    "model_id": optional(TEXT),
    "core_version": optional(TEXT),
    "device_id": optional(TEXT),
    "gain_setting": optional(TEXT),
    "user_id": optional(TEXT),
    "site": optional(TEXT),
    "batch_id": st.sampled_from([None, "b1"]),
    "recorded_at": optional(MOMENT),
    "started_at": MOMENT,
    "finished_at": MOMENT,
}
SUMMARIES = st.builds(SessionSummary, **FIELDS)


UNDECODABLE = SessionSummary(
    status=Status.OK,
    session_id="any",
    fingerprint="f1",
    source_path="\udce9.wav",
    source_digest="",
    source_bytes=0,
    parameters={"\ud800": "\x00"},
    metrics=Metrics(null_reasons={"\udc80": "\ud800"}),
    started_at=NOW,
    finished_at=NOW,
)


@given(summary=SUMMARIES)
@example(summary=UNDECODABLE)
@settings(
    max_examples=60,
    deadline=None,
    # One database for all examples: each replaces the session of the one before.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_summary_survives_the_round_trip(database, summary):
    with database.begin() as db:
        db.execute(text("DELETE FROM audio_sessions"))
        open_batch(db, "b1", {}, 1)
        claim(db, request("f1", session_id="any", temp_path=None), ME)
        finish(db, summary, ME)
    with database.read() as db:
        assert get_session(db, "any") == summary
        assert find_by_fingerprint(db, "f1") == summary


def test_no_field_of_a_summary_is_left_out_above():
    # A new field of the record needs a column; at its default it would not be missed.
    assert set(FIELDS) == set(SessionSummary.model_fields)


# ------------------------------------------------------------------------------------- finishing
def test_finishing_again_changes_nothing(database):
    session_id = take(database).session_id
    for _ in range(2):
        with database.begin() as db:
            finish(db, result(session_id), ME)
    with database.read() as db:
        assert get_session(db, session_id).windows == result(session_id).windows


def test_finishing_keeps_what_only_the_claim_knew(database):
    with database.begin() as db:
        open_batch(db, "b1", {}, 1)
        session_id = claim(
            db, request(batch_id="b1", device_id="d", user_id="u", site="s", recorded_at=NOW), ME
        ).session_id
        finish(db, result(session_id, "f1"), ME)
        found = get_session(db, session_id)
    assert (found.batch_id, found.device_id, found.user_id, found.site, found.recorded_at) == (
        "b1",
        "d",
        "u",
        "s",
        NOW,
    )
    assert found.source_digest == "digest-f1"


def test_the_identity_stays_that_of_the_claim(database):
    session_id = take(database).session_id
    with database.begin() as db:
        finish(db, result(session_id, "another"), ME)
        assert get_session(db, session_id).fingerprint == "f1"


def test_figures_are_columns_too(database):
    session_id = process(database)
    with database.read() as db:
        row = db.get(AudioSession, session_id)
        assert row is not None
        assert (row.cancellation_db, row.wall_s, row.real_time_factor) == (12.5, 0.25, 0.025)
        assert row.metrics_version == "1"
        assert row.temp_path is None


def test_the_output_size_is_kept(database):
    session_id = take(database).session_id
    with database.begin() as db:
        finish(db, result(session_id), ME, output_bytes=42)
        assert db.get(AudioSession, session_id).output_bytes == 42


def test_a_failure_without_figures_is_finished_like_any_other(database):
    session_id = process(
        database,
        status=Status.FAILED,
        error_code=ErrorCode.EMPTY_FILE,
        error_message="/audio/f1.wav: empty",
        metrics=Metrics(),
        output_path=None,
        duration_s=None,
    )
    with database.read() as db:
        found = get_session(db, session_id)
    assert (found.status, found.error_code, found.output_path) == (
        Status.FAILED,
        ErrorCode.EMPTY_FILE,
        None,
    )


def test_a_session_that_was_never_claimed_cannot_be_finished(database):
    with pytest.raises(StoreError, match="does not belong"), database.begin() as db:
        finish(db, result("never"), ME)


def test_running_is_no_way_to_finish(database):
    session_id = take(database).session_id
    with pytest.raises(InputError, match="running"), database.begin() as db:
        finish(db, result(session_id, status=Status.RUNNING), ME)


@pytest.mark.parametrize(
    "changes",
    [
        {"recorded_at": NOW.replace(tzinfo=None)},
        {"finished_at": NOW.replace(tzinfo=None)},
        {"recorded_at": datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))},
        {"parameters": {"gain": math.nan}},
        {"parameters": {"gain": math.inf}},
    ],
    ids=["naive", "naive finish", "beyond the calendar", "nan", "inf"],
)
def test_what_cannot_be_stored_is_refused_and_the_session_left_as_it_was(database, changes):
    session_id = take(database).session_id
    with pytest.raises(InputError), database.begin() as db:
        finish(db, result(session_id, **changes), ME)
    with database.read() as db:
        assert get_session(db, session_id).status is Status.RUNNING


def test_an_hour_of_intervals_survives_being_written_twice(database):
    session_id = take(database).session_id
    summary = result(session_id, intervals=tuple(interval(i) for i in range(3600)))
    for _ in range(2):
        with database.begin() as db:
            finish(db, summary, ME)
    with database.read() as db:
        assert get_session(db, session_id).intervals == summary.intervals


def test_children_are_written_in_one_statement_a_table(database):
    statements = []
    event.listen(
        database.engine,
        "before_cursor_execute",
        lambda _c, _cursor, statement, _p, _ctx, many: statements.append((statement, many)),
    )
    process(database, intervals=tuple(interval(i) for i in range(100)))
    inserts = [many for statement, many in statements if statement.startswith("INSERT INTO proc")]
    assert inserts == [True]


# --------------------------------------------------------------------------------------- reading
def test_an_unknown_session_is_an_error_that_names_it(database):
    with pytest.raises(SessionNotFoundError, match="'nobody'"), database.read() as db:
        get_session(db, "nobody")
    with database.read() as db:
        assert find_by_fingerprint(db, "nobody") is None


def test_a_session_that_is_being_deleted_is_gone_already(database):
    session_id = process(database)
    with database.begin() as db:
        db.execute(update(AudioSession).values(status="deleting"))
    with pytest.raises(SessionNotFoundError), database.read() as db:
        get_session(db, session_id)
    with database.read() as db:
        assert list(list_sessions(db)) == []


def test_deleting_a_session_in_plain_sql_deletes_its_children(database):
    kept, gone = process(database, "kept"), process(database, "gone")
    with database.begin() as db:
        db.execute(text("DELETE FROM audio_sessions WHERE id = :id"), {"id": gone})
    with database.read() as db:
        for table in CHILDREN:
            owners = db.scalars(text(f"SELECT DISTINCT session_id FROM {table.__tablename__}"))
            assert owners.all() == [kept]


def test_deleting_a_batch_in_plain_sql_keeps_its_sessions(database):
    with database.begin() as db:
        open_batch(db, "b1", {}, 1)
    session_id = process(database, batch_id="b1")
    with database.begin() as db:
        db.execute(text("DELETE FROM batches"))
    with database.read() as db:
        assert get_session(db, session_id).batch_id is None


def listed(database, **filters):
    with database.read() as db:
        return [s.source_path.removeprefix("/audio/")[:-4] for s in list_sessions(db, **filters)]


def test_sessions_are_listed_by_finish_time_without_children(database):
    process(database, "late", finished_at=NOW + timedelta(hours=1))
    process(database, "early")
    assert listed(database) == ["early", "late"]
    with database.read() as db:
        assert all(s.windows == () and s.events == () for s in list_sessions(db))


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["a", "b"]),
        ({"statuses": ["ok"]}, ["a"]),
        ({"statuses": [Status.OK, Status.FAILED]}, ["a", "b"]),
        ({"statuses": []}, []),
        ({"device_id": "d1"}, ["a"]),
        ({"user_id": "u2"}, ["b"]),
        ({"site": "s1", "preset": "gentle"}, ["a"]),
        ({"site": "s1", "preset": "default"}, []),
        ({"error_code": ErrorCode.LAG}, ["b"]),
        ({"model_id": "m1"}, ["a"]),
        ({"finished_from": NOW, "finished_before": NOW + timedelta(hours=1)}, ["a"]),
        ({"recorded_from": NOW}, ["b"]),
        ({"recorded_before": NOW}, ["a"]),
        ({"limit": 1}, ["a"]),
        ({"site": "' OR 1=1 --"}, []),
    ],
)
def test_filters(database, filters, found):
    process(
        database,
        "a",
        device_id="d1",
        user_id="u1",
        site="s1",
        preset="gentle",
        model_id="m1",
        recorded_at=NOW - timedelta(days=1),
    )
    process(
        database,
        "b",
        status=Status.FAILED,
        error_code=ErrorCode.LAG,
        device_id="d2",
        user_id="u2",
        site="s2",
        recorded_at=NOW,
        finished_at=NOW + timedelta(hours=1),
    )
    assert listed(database, **filters) == found


def test_sessions_can_be_listed_by_id(database):
    ids = [process(database, name) for name in "abc"]
    assert listed(database, session_ids=[ids[2], "unknown"]) == ["c"]


def test_a_listing_may_be_left_half_way(database):
    for name in "abc":
        process(database, name)
    with database.read() as db:
        next(list_sessions(db))
        assert len(list(list_sessions(db))) == 3


def test_any_number_of_ids_may_be_asked_for(database):
    ids = [
        process(database, name, finished_at=NOW + timedelta(hours=hours))
        for hours, name in enumerate("abc")
    ]
    many = [*ids, *(f"unknown-{i}" for i in range(70_000)), *ids]
    assert listed(database, session_ids=many) == ["a", "b", "c"]
    assert listed(database, session_ids=many, limit=2) == ["a", "b"]
    assert listed(database, session_ids=[]) == []


def test_a_period_holds_its_start_and_not_its_end(database):
    for hours in range(3):
        process(
            database,
            f"h{hours}",
            finished_at=NOW + timedelta(hours=hours),
            recorded_at=NOW - timedelta(hours=hours),
        )
    hour = timedelta(hours=1)
    with database.read() as db:
        finished = sessions_between(db, NOW, NOW + 2 * hour)
        recorded = sessions_between(db, NOW - 2 * hour, NOW, by="recorded")
    assert [s.source_path for s in finished] == ["/audio/h0.wav", "/audio/h1.wav"]
    assert {s.source_path for s in recorded} == {"/audio/h1.wav", "/audio/h2.wav"}


def test_a_period_is_understood_in_any_time_zone(database):
    process(database)
    zone = timezone(timedelta(hours=-7))
    with database.read() as db:
        start = NOW.astimezone(zone)
        assert len(sessions_between(db, start, start + timedelta(seconds=1))) == 1


@pytest.mark.parametrize(
    "end", [NOW - timedelta(seconds=1), (NOW + timedelta(1)).replace(tzinfo=None)]
)
def test_a_period_that_makes_no_sense_is_refused(database, end):
    with pytest.raises(InputError), database.read() as db:
        sessions_between(db, NOW, end)
