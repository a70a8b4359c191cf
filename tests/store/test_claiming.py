"""Claims: who may process a recording."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, text, update
from store_samples import (
    NOW,
    dead_owner,
    process,
    remote_owner,
    request,
    result,
    take,
)
from store_workers import claim_and_hang, race_for_claims

from anc_core.errors import ErrorCode, InputError, StoreError
from anc_core.records import Remark, Status
from anc_core.store import (
    Outcome,
    Owner,
    claim,
    finish,
    get_session,
    heartbeat,
    list_sessions,
    open_batch,
    release,
)
from anc_core.store.tables import AudioSession

ME = Owner.current()


def everything(database):
    with database.read() as db:
        return list(list_sessions(db))


def fail(database, code=ErrorCode.NOT_AUDIO, fingerprint="f1"):
    return process(
        database, fingerprint, status=Status.FAILED, error_code=code, error_message="no", events=()
    )


def test_an_unknown_recording_is_claimed(database):
    answer = take(database)
    assert (answer.outcome, answer.attempt, answer.previous) == (Outcome.CLAIMED, 1, None)
    (session,) = everything(database)
    assert session.session_id == answer.session_id
    assert (session.status, session.source_path) == (Status.RUNNING, "/audio/f1.wav")
    assert session.started_at == NOW


def test_a_generated_id_tells_the_time(database):
    assert take(database).session_id.startswith("20240501-120000-")


def test_the_wished_id_is_taken(database):
    assert take(database, session_id="hall-7").session_id == "hall-7"


def test_an_id_of_another_recording_is_refused(database):
    take(database, "f1", session_id="hall-7")
    with pytest.raises(InputError, match=r"hall-7.*another recording"):
        take(database, "f2", session_id="hall-7")
    assert len(everything(database)) == 1


def test_the_same_recording_keeps_its_first_id(database):
    first = process(database)
    assert take(database, session_id="another").session_id == first


@pytest.mark.parametrize("status", [Status.OK, Status.DEGRADED, Status.SKIPPED])
def test_what_is_done_is_not_done_again(database, status):
    session_id = process(database, status=status)
    answer = take(database)
    assert (answer.outcome, answer.session_id) == (Outcome.DONE, session_id)
    assert answer.previous is not None
    assert answer.previous.metrics.cancellation_db == 12.5
    assert len(answer.previous.events) == 1


def test_what_failed_is_tried_again(database):
    session_id = fail(database)
    answer = take(database)
    assert (answer.outcome, answer.session_id, answer.attempt) == (Outcome.CLAIMED, session_id, 2)
    assert answer.previous is not None
    assert answer.previous.error_code is ErrorCode.NOT_AUDIO


def test_a_second_try_starts_with_nothing_of_the_first(database):
    process(
        database,
        status=Status.FAILED,
        error_code=ErrorCode.LAG,
        warnings=(Remark(code="CLIPPED", message="3 samples"),),
        output_digest="abc",
        sidecar_path="/out/f1.json",
    )
    session_id = take(database).session_id
    with database.read() as db:
        now = get_session(db, session_id)
    assert now.status is Status.RUNNING
    assert (now.error_code, now.warnings, now.output_digest, now.sidecar_path) == (
        None,
        (),
        None,
        None,
    )
    assert (now.intervals, now.windows, now.events) == ((), (), ())
    assert now.metrics.cancellation_db is None
    assert now.finished_at is None


def test_what_a_live_worker_has_is_busy(database):
    assert take(database).outcome is Outcome.CLAIMED
    assert take(database).outcome is Outcome.BUSY


def test_what_a_dead_worker_had_is_taken_over_at_once(database):
    first = take(database, owner=dead_owner(), temp_path="/out/.left.part")
    answer = take(database)  # at the same instant: no heartbeat is waited for
    assert (answer.outcome, answer.session_id, answer.attempt) == (
        Outcome.CLAIMED,
        first.session_id,
        2,
    )
    assert answer.stale_temp_path == "/out/.left.part"
    assert answer.previous is not None
    assert answer.previous.status is Status.RUNNING


def test_a_reused_process_id_is_no_sign_of_life(database):
    take(database, owner=replace(ME, started_at=ME.started_at - timedelta(hours=1)))
    assert take(database).outcome is Outcome.CLAIMED


@pytest.mark.parametrize(("age_s", "outcome"), [(119, Outcome.BUSY), (121, Outcome.CLAIMED)])
def test_another_host_is_judged_by_its_heartbeat(database, age_s, outcome):
    take(database, owner=remote_owner())
    with database.begin() as db:
        assert claim(db, request(), ME, now=NOW + timedelta(seconds=age_s)).outcome is outcome


def test_a_recording_that_kills_its_workers_is_given_up(database):
    outcomes = [take(database, owner=dead_owner()).outcome for _ in range(5)]
    assert outcomes == [Outcome.CLAIMED] * 3 + [Outcome.EXHAUSTED] * 2
    (session,) = everything(database)
    assert (session.status, session.error_code) == (Status.FAILED, ErrorCode.INTERRUPTED)
    assert session.error_message is not None
    assert "its worker died 3 times" in session.error_message


def test_it_is_given_up_also_when_a_supervisor_releases_it_each_time(database):
    outcomes = []
    for _ in range(5):
        outcomes.append(take(database, owner=dead_owner()).outcome)
        with database.begin() as db:
            release(db, now=NOW)
    assert outcomes == [Outcome.CLAIMED] * 3 + [Outcome.EXHAUSTED] * 2


def test_an_exhausted_claim_tells_what_was_left_behind(database):
    take(database, owner=dead_owner(), temp_path="/out/.left.part")
    answer = take(database, max_attempts=1)
    assert (answer.outcome, answer.stale_temp_path) == (Outcome.EXHAUSTED, "/out/.left.part")


def test_redo_tries_again_what_was_given_up(database):
    take(database, owner=dead_owner())
    assert take(database, max_attempts=1).outcome is Outcome.EXHAUSTED
    answer = take(database, max_attempts=1, redo=True)
    assert (answer.outcome, answer.attempt) == (Outcome.CLAIMED, 1)


def test_redo_takes_over_what_is_done_and_counts_from_one(database):
    fail(database)
    session_id = take(database).session_id  # attempt 2
    with database.begin() as db:
        finish(db, result(session_id), ME)
    answer = take(database, redo=True)
    assert (answer.outcome, answer.session_id, answer.attempt) == (Outcome.CLAIMED, session_id, 1)
    with database.read() as db:
        assert get_session(db, session_id).events == ()


def test_redo_leaves_a_live_worker_alone(database):
    take(database)
    assert take(database, redo=True).outcome is Outcome.BUSY


def test_what_is_being_deleted_is_busy(database):
    process(database)
    with database.begin() as db:
        db.execute(update(AudioSession).values(status="deleting"))
    assert take(database, redo=True).outcome is Outcome.BUSY


def test_an_unknown_batch_is_refused(database):
    with pytest.raises(InputError, match=r"'b1' is unknown"):
        take(database, batch_id="b1")
    fail(database)
    with pytest.raises(InputError, match=r"'b1' is unknown"):
        take(database, batch_id="b1")


def test_a_claim_belongs_to_its_batch(database):
    with database.begin() as db:
        open_batch(db, "b1", {}, 1)
    take(database, batch_id="b1")
    assert [session.batch_id for session in everything(database)] == ["b1"]


def test_a_claim_that_is_rolled_back_never_was(database):
    def interrupted() -> None:
        with database.begin() as db:
            claim(db, request(), ME)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert everything(database) == []


@pytest.mark.parametrize("changes", [{"session_id": "../x"}, {"max_attempts": 0}])
def test_bad_requests_are_refused_before_the_database_is_asked(changes):
    with pytest.raises(InputError):
        request(**changes)


def test_of_eight_processes_that_race_for_one_recording_one_gets_it(database, database_url):
    fail(database, fingerprint="failed")
    take(database, "dead", owner=dead_owner())
    recordings = ["new 1", "failed", "dead", "new 2"]
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(8), context.Queue()
    workers = [
        context.Process(target=race_for_claims, args=(database_url, recordings, barrier, answers))
        for _ in range(8)
    ]
    for worker in workers:
        worker.start()
    counts = Counter(answers.get(timeout=60) for _ in range(8 * len(recordings)))
    for worker in workers:
        worker.join()
    assert counts == {
        (recording, outcome): count
        for recording in recordings
        for outcome, count in (("claimed", 1), ("busy", 7))
    }
    assert len(everything(database)) == len(recordings)


@pytest.mark.postgres
@pytest.mark.parametrize("before", ["nothing", "failed"])
def test_a_row_that_changes_between_reading_and_taking_is_read_again(
    postgres_url, open_store, before
):
    # SQLite cannot come here: its writing transactions exclude one another from the first read.
    slow, fast = open_store(postgres_url), open_store(postgres_url)
    if before == "failed":
        fail(slow)
    won = []

    def overtake(_connection, _cursor, statement, *_):
        if not won and statement.startswith(
            ("INSERT INTO audio_sessions", "UPDATE audio_sessions")
        ):
            won.append("once")
            won.append(take(fast).outcome)

    event.listen(slow.engine, "before_cursor_execute", overtake)
    assert take(slow).outcome is Outcome.BUSY
    assert won == ["once", Outcome.CLAIMED]
    assert len(everything(slow)) == 1


def test_after_kill_9_the_next_claim_takes_over_at_once(database, database_url):
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    worker = context.Process(target=claim_and_hang, args=(database_url, answers))
    worker.start()
    session_id = answers.get(timeout=60)
    assert take(database).outcome is Outcome.BUSY
    worker.kill()
    worker.join()
    answer = take(database)
    assert (answer.outcome, answer.session_id, answer.attempt) == (Outcome.CLAIMED, session_id, 2)


def test_a_killed_worker_that_nobody_collected_is_dead_too(database, database_url):
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    worker = context.Process(target=claim_and_hang, args=(database_url, answers))
    worker.start()
    answers.get(timeout=60)
    worker.kill()
    outcome = Outcome.BUSY
    for _ in range(200):  # the signal needs a moment to arrive; join() would collect the process
        outcome = take(database).outcome
        if outcome is not Outcome.BUSY:
            break
    worker.join()
    assert outcome is Outcome.CLAIMED


def test_heartbeats_reach_the_owner_only(database):
    session_id = take(database).session_id
    later = NOW + timedelta(seconds=5)
    with database.begin() as db:
        assert heartbeat(db, session_id, ME, now=later)
        assert not heartbeat(db, session_id, dead_owner())
        assert not heartbeat(db, "unknown", ME)
        assert (
            db.scalar(AudioSession.__table__.select().with_only_columns(AudioSession.heartbeat_at))
            == later
        )


def test_a_finished_session_needs_no_heartbeat(database):
    session_id = process(database)
    with database.begin() as db:
        assert not heartbeat(db, session_id, ME)


def test_a_worker_that_was_replaced_learns_it_and_cannot_finish(database):
    slow = dead_owner()
    session_id = take(database, owner=slow).session_id
    take(database)
    with database.begin() as db:
        assert not heartbeat(db, session_id, slow)
    with pytest.raises(StoreError, match="does not belong"), database.begin() as db:
        finish(db, result(session_id), slow)
    with database.read() as db:
        assert get_session(db, session_id).status is Status.RUNNING


def test_release_marks_the_sessions_of_dead_workers(database):
    take(database, "live")
    dead = take(database, "dead", owner=dead_owner(), temp_path="/out/.dead.part")
    process(database, "done")
    with database.begin() as db:
        released = release(db, now=NOW)
        assert release(db, now=NOW) == []
    assert [(r.session_id, r.temp_path, r.attempt) for r in released] == [
        (dead.session_id, "/out/.dead.part", 1)
    ]
    with database.read() as db:
        session = get_session(db, dead.session_id)
    assert (session.status, session.error_code) == (Status.FAILED, ErrorCode.INTERRUPTED)
    assert session.error_message == "/audio/dead.wav: its worker died once"
    assert session.finished_at == NOW


def test_release_waits_for_other_hosts(database):
    take(database, owner=remote_owner())
    with database.begin() as db:
        assert release(db, now=NOW + timedelta(seconds=119)) == []
        assert len(release(db, now=NOW + timedelta(seconds=121))) == 1


def test_release_of_a_batch_leaves_others_alone(database):
    with database.begin() as db:
        open_batch(db, "b1", {}, 1)
    take(database, "in", owner=dead_owner(), batch_id="b1")
    take(database, "out", owner=dead_owner())
    with database.begin() as db:
        assert [r.source_path for r in release(db, now=NOW, batch_id="b1")] == ["/audio/in.wav"]


def test_a_worker_can_give_up_its_own(database):
    session_id = take(database).session_id
    take(database, "other", owner=remote_owner())
    with database.begin() as db:
        assert [r.session_id for r in release(db, now=NOW, owner=ME)] == [session_id]
        assert not heartbeat(db, session_id, ME)
    assert take(database).outcome is Outcome.CLAIMED


def test_the_database_itself_forbids_unknown_statuses(database):
    take(database)
    with pytest.raises(StoreError), database.begin() as db:
        db.execute(text("UPDATE audio_sessions SET status = 'done'"))


def test_stopping_on_purpose_is_never_counted_against_a_recording(database):
    for _ in range(5):
        held = take(database, owner=dead_owner(), max_attempts=2)
        assert (held.outcome, held.attempt) == (Outcome.CLAIMED, 1)
        with database.begin() as db:
            (released,) = release(db, now=NOW, deliberate=True)
        assert released.session_id == held.session_id


def test_a_worker_that_says_it_was_interrupted_did_not_die_of_the_recording(database):
    for _ in range(5):
        held = take(database, max_attempts=2)
        assert (held.outcome, held.attempt) == (Outcome.CLAIMED, 1)
        with database.begin() as db:
            stopped = result(
                held.session_id, status=Status.FAILED, error_code=ErrorCode.INTERRUPTED
            )
            finish(db, stopped, Owner.current())


def test_a_failed_recording_gives_its_id_to_the_mended_file(database):
    failed = take(database, "empty", session_id="meeting", source_path="/audio/m.wav")
    with database.begin() as db:
        summary = result(
            failed.session_id, "empty", status=Status.FAILED, source_path="/audio/m.wav"
        )
        finish(db, summary, Owner.current())
    mended = take(database, "whole", session_id="meeting", source_path="/audio/m.wav")
    assert (mended.outcome, mended.session_id, mended.attempt) == (Outcome.CLAIMED, "meeting", 1)
    with pytest.raises(InputError, match="another recording"):
        take(database, "other", session_id="meeting", source_path="/audio/other.wav")
