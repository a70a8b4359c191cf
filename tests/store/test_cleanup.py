"""Cleanup: what goes, what stays, and that it can die at any moment."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, update
from store_samples import DEAD_PID, dead_owner, take
from store_workers import clean_up_slowly

from anc_core.errors import InputError, SessionNotFoundError
from anc_core.maintenance import cleanup as cleanup_module
from anc_core.maintenance import removal, sessions
from anc_core.maintenance.cleanup import run_cleanup
from anc_core.maintenance.cleanup_records import failed_sessions, old_sessions
from anc_core.maintenance.rows import RowRemover
from anc_core.records import Status, Window
from anc_core.store import (
    check_integrity,
    daily_figures,
    get_session,
    last_runs,
    list_sessions,
    mark_sessions,
    set_hold,
)
from anc_core.store.tables import CHILDREN, AudioSession, AuditEntry


def clean(studio, **options):
    request = old_sessions(**options)
    return run_cleanup(request, database=studio.database, settings=studio.settings, actor="test")


def ids(studio):
    with studio.database.read() as db:
        return set(db.scalars(select(AudioSession.id)))


def test_old_sessions_go_with_rows_and_files_and_young_ones_stay(studio_everywhere):
    studio = studio_everywhere
    studio.deliver("old", content=b"x" * 1000)
    young = studio.deliver("young", age=timedelta(days=29))
    done = clean(studio)
    assert ids(studio) == {young}
    assert studio.out() == {"young.wav", "young.wav.json"}
    assert (studio.root / "in" / "old.wav").exists()
    assert done.rows == {
        "audio_sessions": 1,
        "noise_detections": 2,
        "noise_totals": 1,
        "noise_events": 1,
        "processing_metrics": 2,
        "level_spans": 1,
    }
    assert done.files == 2
    assert done.bytes > 1000
    assert (done.orphan_rows, done.orphan_files, done.problems) == (0, 0, 0)
    assert check_integrity(studio.database) == []


def test_dry_run_counts_the_same_and_changes_nothing(studio):
    for name in ("a", "b"):
        studio.deliver(name, content=b"x" * 10)
    before = ids(studio), studio.out()
    plan = clean(studio, dry_run=True)
    assert (ids(studio), studio.out()) == before
    assert plan.bytes == 20
    assert clean(studio).rows == plan.rows


def test_audit_log_keeps_the_counts_and_the_job_counts_as_done(studio):
    studio.deliver("old")
    clean(studio)
    with studio.database.read() as db:
        entry = db.scalars(select(AuditEntry)).one()
        runs = last_runs(db, datetime.now(UTC) - timedelta(hours=1))
    assert entry.detail["rows"]["audio_sessions"] == 1
    assert runs["cleanup-old"].done_at is not None


def test_running_and_held_sessions_stay_and_are_counted(studio_everywhere):
    studio = studio_everywhere
    held = studio.deliver("held")
    with studio.database.begin() as db:
        set_hold(db, held, on_hold=True)
    running = take(studio.database, "running").session_id  # claimed in 2024 by this very process
    done = clean(studio)
    assert ids(studio) == {held, running}
    assert done.skipped == {"running": 1, "on hold": 1}
    assert "held.wav" in studio.out()
    with studio.database.begin() as db:
        set_hold(db, held, on_hold=False)
    assert clean(studio).sessions == 1


def test_hold_that_comes_after_the_plan_wins(studio, monkeypatch):
    held = studio.deliver("held")
    look = cleanup_module.candidates

    def hold_then_look(*args):
        found = look(*args)
        with studio.database.begin() as db:
            set_hold(db, held, on_hold=True)
        return found

    monkeypatch.setattr(cleanup_module, "candidates", hold_then_look)
    assert clean(studio).sessions == 0
    assert ids(studio) == {held}


def test_hold_of_what_is_being_deleted_comes_too_late(studio):
    gone = studio.deliver("gone")
    with studio.database.begin() as db:
        assert len(mark_sessions(db, [gone])) == 1
    with pytest.raises(SessionNotFoundError, match="being deleted"), studio.database.begin() as db:
        set_hold(db, gone, on_hold=True)


def test_emergencies_newest_and_the_number_are_kept_as_asked(studio_everywhere):
    studio = studio_everywhere
    emergency = studio.deliver("emergency")
    plain = [studio.deliver(f"p{n}", events=(), age=timedelta(days=40 + n)) for n in range(4)]
    assert clean(studio, keep_emergency_days=60, max_delete=1).sessions == 1  # the oldest
    assert ids(studio) == {emergency, *plain[:3]}
    done = clean(studio, keep_emergency_days=60, min_keep=2)
    assert ids(studio) == {emergency, plain[0]}
    assert done.skipped == {"emergency": 1, "among the newest": 1}
    assert clean(studio, min_keep=2).sessions == 0


def test_keep_audio_removes_rows_only(studio):
    studio.deliver("a")
    assert clean(studio, keep_audio=True).files == 0
    assert ids(studio) == set()
    assert studio.out() == {"a.wav", "a.wav.json"}


@pytest.mark.parametrize("age", [0, -1, float("nan"), float("inf"), 1e300])
def test_cutoffs_that_are_no_past_are_refused(age):
    with pytest.raises(InputError, match="older_than_days"):
        old_sessions(older_than_days=age)
    with pytest.raises(InputError, match="older_than_hours"):
        failed_sessions(older_than_hours=age)


@pytest.mark.parametrize(
    "options",
    [
        {"min_keep": -1},
        {"max_delete": 0},
        {"keep_emergency_days": 10},
        {"statuses": ["running"]},
        {"statuses": ["10; DROP"]},
        {"statuses": []},
    ],
)
def test_parameters_out_of_range_are_refused(options):
    with pytest.raises(InputError):
        old_sessions(**options)


def test_symbolic_links_are_neither_followed_nor_removed(studio):
    studio.deliver("a")
    output, precious = studio.root / "out" / "a.wav", studio.root / "precious"
    precious.write_bytes(b"cleaned")
    output.unlink()
    output.symlink_to(precious)
    done = clean(studio)
    assert precious.exists()
    assert output.is_symlink()
    assert done.files_kept == {"a symbolic link": 1}


def test_folder_that_became_a_link_out_of_the_roots_is_not_entered(studio, tmp_path_factory):
    studio.deliver("a")
    outside = tmp_path_factory.mktemp("outside")
    (studio.root / "out").rename(outside / "out")
    (studio.root / "out").symlink_to(outside / "out")
    assert clean(studio).files_kept == {"outside the allowed folders": 2}
    assert (outside / "out" / "a.wav").exists()


def test_nothing_outside_the_roots_is_removed(studio, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "a.wav"
    studio.deliver("a", output=outside)
    assert clean(studio).files_kept == {"outside the allowed folders": 2}
    assert outside.exists()


def test_file_of_somebody_else_in_the_outputs_place_stays(studio):
    studio.deliver("size")
    studio.deliver("content")
    studio.deliver("collision", status=Status.FAILED)
    for name, content in (("size", b"mine"), ("content", b"CLEANED"), ("collision", b"mine")):
        (studio.root / "out" / f"{name}.wav").write_bytes(content)
    assert clean(studio).files_kept == {
        "changed since it was delivered": 2,
        "not delivered by this session": 1,
    }
    assert {"size.wav", "content.wav", "collision.wav"} <= studio.out()


def test_output_that_was_copied_back_with_another_time_is_known_by_its_digest(studio):
    studio.deliver("a")
    studio.stamp(studio.root / "out" / "a.wav", datetime.now(UTC))
    assert clean(studio).files == 2


def test_input_is_never_removed_not_even_under_a_second_name(studio):
    studio.deliver("a")
    source, output = studio.root / "in" / "a.wav", studio.root / "out" / "a.wav"
    output.unlink()
    os.link(source, output)
    assert clean(studio).files_kept == {"the input itself": 1}
    assert output.exists()


def test_output_that_another_session_owns_or_reads_stays(studio_everywhere):
    studio = studio_everywhere
    first = studio.deliver("first")
    shared = studio.root / "out" / "first.wav"
    studio.deliver("second", output=shared, age=timedelta(days=1))
    assert clean(studio).files_kept == {"in use by another session": 1}
    assert first not in ids(studio)
    assert shared.exists()


def test_orphans_are_reported_both_ways_and_left_alone(studio_everywhere):
    studio = studio_everywhere
    studio.deliver("lost", age=timedelta(days=1))
    (studio.root / "out" / "lost.wav").unlink()
    studio.deliver("stray")
    clean(studio, keep_audio=True)
    (studio.root / "out" / ".anc-abc.part").write_bytes(b"half")
    (studio.root / "out" / "mine.json").write_text("{}")
    done = clean(studio)
    assert (done.orphan_rows, done.orphan_files) == (1, 2)
    assert len(done.examples) == 3
    assert {"stray.wav", ".anc-abc.part", "mine.json"} <= studio.out()


def test_an_imported_session_owns_no_file_here(studio_everywhere):
    studio = studio_everywhere
    studio.deliver("ours", age=timedelta(days=1))
    for name in ("elsewhere", "here"):
        session_id = studio.deliver(name, age=timedelta(days=1))
        with studio.database.begin() as db:
            where = AudioSession.id == session_id
            db.execute(update(AudioSession).where(where).values(imported_at=datetime.now(UTC)))
    # Its output lies where it was processed: that it is not here is no finding.
    (studio.root / "out" / "elsewhere.wav").unlink()
    (studio.root / "out" / "elsewhere.wav.json").unlink()
    done = clean(studio)
    assert (done.orphan_rows, done.orphan_files) == (0, 0)
    # What lies here under the path that it has there is another's, whose row is gone.
    studio.deliver("another", output=studio.root / "out" / "elsewhere.wav")
    done = clean(studio, keep_audio=True)
    assert (done.orphan_rows, done.orphan_files) == (0, 1)
    assert "elsewhere.wav" in done.examples[0]


def test_file_that_cannot_be_removed_keeps_its_session_for_the_next_time(studio, monkeypatch):
    stuck = studio.deliver("stuck")
    studio.deliver("other")
    unlink = os.unlink

    def refuse(name, **options):
        if name == "stuck.wav":
            raise PermissionError(1, "Operation not permitted")
        unlink(name, **options)

    monkeypatch.setattr(removal.os, "unlink", refuse)
    done = clean(studio)
    assert (done.problems, done.sessions) == (1, 1)
    assert ids(studio) == {stuck}
    monkeypatch.undo()
    assert clean(studio).sessions == 1
    assert studio.out() == set()


def test_days_are_kept_in_figures_before_their_sessions_go(studio_everywhere):
    studio = studio_everywhere
    then = datetime.now(UTC) - timedelta(days=40)
    for name in ("a", "b"):
        studio.deliver(name, recorded_at=then - timedelta(days=3))
    done = clean(studio, max_delete=1)
    assert done.rolled_up_days == 2  # that of the end, that of the recording
    assert clean(studio).sessions == 1
    with studio.database.read() as db:
        days = daily_figures(db, date(2000, 1, 1), date(2100, 1, 1))
    # The second cleanup saw one session only, and did not forget the other.
    assert [(day.processing.sessions, day.noise.sessions) for day in days] == [(0, 2), (2, 0)]


# ------------------------------------------------------------------- dying


@pytest.mark.parametrize(
    "where", ["mark", "claimed_paths", "unlink-1", "unlink-2", "unlink-3", "child_counts", "rows"]
)
def test_cleanup_that_dies_anywhere_is_gone_on_with(studio, monkeypatch, where):
    for name in ("a", "b", "c"):
        studio.deliver(name)
    young = studio.deliver("young", age=timedelta(days=1))
    _die_at(monkeypatch, where)
    with pytest.raises(KeyboardInterrupt):
        clean(studio)
    monkeypatch.undo()
    if where != "mark":
        with studio.database.read() as db:
            assert [one.session_id for one in list_sessions(db)] == [young]
    done = clean(studio)
    assert ids(studio) == {young}
    assert studio.out() == {"young.wav", "young.wav.json"}
    assert (done.orphan_rows, done.orphan_files) == (0, 0)
    with studio.database.read() as db:
        for table in CHILDREN:
            assert set(db.scalars(select(table.session_id))) == {young}


def _die_at(monkeypatch, where):
    def die(*_args, **_options):
        raise KeyboardInterrupt

    if where.startswith("unlink"):
        left = int(where[-1])
        unlink = os.unlink

        def die_later(name, **options):
            nonlocal left
            left -= 1
            if not left:
                die()
            unlink(name, **options)

        monkeypatch.setattr(removal.os, "unlink", die_later)
    elif where == "rows":
        monkeypatch.setattr(RowRemover, "_timed", die)
    elif where == "child_counts":
        monkeypatch.setattr("anc_core.maintenance.rows.child_counts", die)
    else:
        home = sessions if where == "claimed_paths" else cleanup_module
        monkeypatch.setattr(home, where, die)


def test_killed_for_real_in_the_middle(studio, ready_url, tmp_path):
    for number in range(30):
        studio.deliver(f"s{number}")
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    worker = context.Process(target=clean_up_slowly, args=(ready_url, str(tmp_path), ready))
    worker.start()
    assert ready.wait(60)
    time.sleep(0.2)
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    left = studio.out()
    assert 0 < len(left) < 60  # it died in the middle
    done = clean(studio)
    assert ids(studio) == set()
    assert studio.out() == set()
    assert done.files == len(left)
    assert done.rows["audio_sessions"] == 30
    assert (done.orphan_rows, done.orphan_files) == (0, 0)


# ------------------------------------------------------------------- failed


def test_failed_sessions_go_after_their_time_and_ok_ones_stay(studio):
    studio.deliver("bad", status=Status.FAILED, age=timedelta(hours=25))
    fresh = studio.deliver("fresh", status=Status.FAILED, age=timedelta(hours=23))
    good = studio.deliver("good")
    done = run_cleanup(
        failed_sessions(), database=studio.database, settings=studio.settings, actor="test"
    )
    assert done.sessions == 1
    assert ids(studio) == {fresh, good}


def test_interrupted_sessions_are_found_and_their_temporary_files_removed(studio_everywhere):
    studio = studio_everywhere
    temp = studio.root / "out" / ".anc-f1.part"
    temp.write_bytes(b"half")
    dead = take(studio.database, "f1", dead_owner(), temp_path=str(temp)).session_id
    alive = take(studio.database, "f2").session_id
    assert dead_owner().pid == DEAD_PID
    done = run_cleanup(
        failed_sessions(), database=studio.database, settings=studio.settings, actor="test"
    )
    assert done.interrupted == 1
    assert not temp.exists()
    with studio.database.read() as db:
        assert get_session(db, dead).error_code == "INTERRUPTED"
        assert get_session(db, alive).status is Status.RUNNING


# ------------------------------------------------------------------- short transactions


def test_session_with_very_many_rows_is_removed_in_pieces(studio_everywhere, monkeypatch):
    studio = studio_everywhere
    windows = tuple(
        Window(start_s=n, end_s=n + 1, channel=0, noise_type="fan", confidence=0.5)
        for n in range(5_000)
    )
    big = studio.deliver("big", windows=windows)
    small = studio.deliver("small")
    with studio.database.begin() as db:
        mark_sessions(db, [big, small])
    remover = RowRemover(studio.database)
    pieces = []
    monkeypatch.setattr(remover, "_learn", pieces.append)
    gone = remover.remove([big, small])
    assert gone["noise_detections"] == 5_002
    assert len(pieces) > 10
    assert ids(studio) == set()


def test_session_that_came_back_is_not_removed(studio):
    # Marked, then set free again by hand: only what is marked goes.
    freed = studio.deliver("freed")
    with studio.database.begin() as db:
        mark_sessions(db, [freed])
        db.execute(update(AudioSession).values(status="ok"))
    assert RowRemover(studio.database).remove([freed])["audio_sessions"] == 0
    assert ids(studio) == {freed}
