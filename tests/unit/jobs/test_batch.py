"""The steps of a batch: begin, shards, conclude; what is counted, freed, linked and retried."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
import soundfile as sf
from sqlalchemy import select

import anc_core.jobs.batch as batch_module
from anc_core.audio.synth import alarm
from anc_core.errors import (
    ErrorCode,
    SinkError,
    SourceChangedError,
    StoreBusyError,
    WorkerDiedError,
)
from anc_core.files import digest_file, temp_path
from anc_core.jobs.batch import (
    begin,
    conclude,
    done_in_batch,
    held_by_others,
    reconcile,
    results_of_lost_shard,
    run_shard,
    summarise,
)
from anc_core.jobs.records import BatchSummary
from anc_core.pipeline import sidecar
from anc_core.records import Status
from anc_core.store import ClaimRequest, Owner, claim
from anc_core.store.tables import Batch
from tests.nasty import files
from tests.nasty.bench import Bench
from tests.recordings import noisy_voice


def wav(path: Path, seed: int = 1) -> Path:
    return noisy_voice(path, duration_s=1.0, seed=seed)


def assert_adds_up(summary: BatchSummary) -> None:
    parts = (summary.ok, summary.degraded, summary.skipped, summary.failed, summary.duplicates)
    assert summary.planned == sum(parts)
    assert len(summary.results) == summary.planned


def stored_batch(bench: Bench, batch_id: str) -> Batch:
    with bench.database.read() as db:
        return db.scalars(select(Batch).where(Batch.id == batch_id)).one()


def test_the_counts_add_up_and_the_batch_is_closed_with_them(bench: Bench) -> None:
    wav(bench.inputs / "a.wav")
    (bench.inputs / "twin.wav").write_bytes((bench.inputs / "a.wav").read_bytes())
    files.truncated(bench.inputs / "half.wav")
    files.empty(bench.inputs / "empty.wav")
    files.no_frames(bench.inputs / "nothing.wav")
    summary = bench.batch(batch_id="monday")
    assert_adds_up(summary)
    counts = (summary.ok, summary.degraded, summary.skipped, summary.failed, summary.duplicates)
    assert counts == (1, 1, 1, 1, 1)
    assert summary.audio_s == 1.5  # a second, and half of one; the twin cost nothing
    row = stored_batch(bench, "monday")
    assert (row.status, row.planned, row.counts["failed"]) == ("degraded", 5, 1)
    assert {s.batch_id for s in bench.sessions()} == {"monday"}


def test_a_second_run_skips_everything_that_worked(bench: Bench) -> None:
    wav(bench.inputs / "a.wav")
    (bench.inputs / "twin.wav").write_bytes((bench.inputs / "a.wav").read_bytes())
    files.empty(bench.inputs / "empty.wav")
    bench.batch()
    rows = {s.session_id for s in bench.sessions()}
    again = bench.batch()
    assert_adds_up(again)
    # What is a twin stays one, so that a batch that goes on has the counts of one that did not.
    assert (again.ok, again.skipped, again.failed, again.duplicates) == (0, 1, 1, 1)
    assert {s.session_id for s in bench.sessions()} == rows
    assert again.audio_s == 0.0


def test_nothing_found_is_no_failure(bench: Bench) -> None:
    summary = bench.batch()
    assert (summary.planned, summary.nothing_to_do) == (0, True)
    assert not bench.outputs.exists()


@pytest.mark.parametrize(
    ("duplicates", "delivered", "linked"),
    [
        ("link", ["a.wav", "b.wav"], True),
        ("skip", ["a.wav"], None),
        ("process", ["a.wav", "b.wav"], False),
    ],
)
def test_duplicates_are_linked_skipped_or_processed(
    bench: Bench, duplicates: str, delivered: list[str], linked: bool | None
) -> None:
    wav(bench.inputs / "a.wav")
    (bench.inputs / "b.wav").write_bytes((bench.inputs / "a.wav").read_bytes())
    summary = bench.batch(duplicates=duplicates)
    assert_adds_up(summary)
    assert bench.delivered() == delivered
    assert len(bench.sessions()) == 1
    if linked is not None:
        first, second = (bench.outputs / name for name in delivered)
        assert first.samefile(second) is linked
        assert first.read_bytes() == second.read_bytes()
        assert sidecar.describes(second)


def test_a_twin_never_replaces_a_file_that_is_not_ours(bench: Bench) -> None:
    wav(bench.inputs / "a.wav")
    (bench.inputs / "b.wav").write_bytes((bench.inputs / "a.wav").read_bytes())
    bench.outputs.mkdir()
    (bench.outputs / "b.wav").write_bytes(b"somebody's")
    summary = bench.batch()
    assert_adds_up(summary)
    assert (bench.outputs / "b.wav").read_bytes() == b"somebody's"


def test_a_manifest_row_is_processed_as_it_says(bench: Bench) -> None:
    wav(bench.inputs / "a.wav")
    wav(bench.inputs / "b.wav", seed=2)
    table = bench.inputs / "list.csv"
    table.write_text("path,preset,session_id,site\na.wav,gentle,hall-1,roof\nb.wav,,,\n")
    summary = bench.batch(table, site="cellar")
    assert summary.ok == 2
    by_name = {Path(s.source_path).name: s for s in bench.sessions()}
    a, b = by_name["a.wav"], by_name["b.wav"]
    assert (a.preset, a.session_id, a.site) == ("gentle", "hall-1", "roof")
    assert (b.preset, b.site) == ("default", "cellar")


# ------------------------------------------------------------------ begin and reconcile


def test_a_folder_that_cannot_be_written_is_said_before_the_batch_begins(bench: Bench) -> None:
    wav(bench.inputs / "a.wav")
    plan = bench.plan()
    bench.outputs.touch()  # became a file since it was planned
    with pytest.raises(SinkError, match="out") as caught:
        begin(plan, bench.database)
    assert caught.value.code is ErrorCode.NOT_WRITABLE
    with bench.database.read() as db:
        assert db.scalars(select(Batch)).all() == []


def test_the_probe_of_the_folder_leaves_nothing(bench: Bench) -> None:
    wav(bench.inputs / "a.wav")
    begin(bench.plan(), bench.database)
    assert list(bench.outputs.iterdir()) == []


def claimed_by_the_dead(bench: Bench, source: Path) -> Path:
    """Claim ``source`` for a process that is gone; return the temporary file it left."""
    bench.outputs.mkdir(exist_ok=True)
    fingerprint = bench.job(source).request(bench.settings).fingerprint(digest_file(source), None)
    temp = temp_path(bench.outputs / source.name, fingerprint)
    temp.write_bytes(b"half an output")
    temp_path(temp, fingerprint + "-json").write_bytes(b"half a sidecar")
    owner = Owner(Owner.current().host, 2**22 + 1, datetime(2020, 1, 1, tzinfo=UTC))
    with bench.database.begin() as db:
        claim(
            db,
            ClaimRequest(fingerprint=fingerprint, source_path=str(source), temp_path=str(temp)),
            owner,
        )
    return temp


def test_what_dead_processes_hold_is_freed_with_its_temporary_files(bench: Bench) -> None:
    claimed_by_the_dead(bench, wav(bench.inputs / "a.wav"))
    assert len(bench.leftovers()) == 2
    assert reconcile(bench.database) == 1
    assert bench.leftovers() == []
    [row] = bench.sessions()
    assert (row.status, row.error_code) == (Status.FAILED, ErrorCode.INTERRUPTED)
    assert reconcile(bench.database) == 0
    assert bench.batch().ok == 1


# ------------------------------------------------------------------ shards


def test_one_that_fails_does_not_touch_the_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(3):
        wav(bench.inputs / f"{seed}.wav", seed=seed)
    real = batch_module.run_recording

    def explode(job, **words):
        if job.source.name == "1.wav":
            raise ZeroDivisionError("a bug of ours")
        return real(job, **words)

    monkeypatch.setattr(batch_module, "run_recording", explode)
    summary = bench.batch()
    assert (summary.ok, summary.failed) == (2, 1)
    assert summary.failures[0].error_code is ErrorCode.INTERNAL
    assert "ZeroDivisionError: a bug of ours" in str(summary.failures[0].error_message)


def test_what_may_pass_is_raised_until_it_is_final(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    wav(bench.inputs / "a.wav")
    wav(bench.inputs / "b.wav", seed=2)
    plan = bench.plan(batch_id="b-1")
    begin(plan, bench.database)
    real, done = batch_module.run_recording, []

    def changing(job, **words):
        if job.source.name == "a.wav":
            raise SourceChangedError(f"{job.source}: still being copied")
        done.append(job.source.name)
        return real(job, **words)

    monkeypatch.setattr(batch_module, "run_recording", changing)
    with pytest.raises(SourceChangedError, match=r"1 of 2.*a\.wav"):
        run_shard(plan.jobs, bench.settings, final=False)
    assert done == ["b.wav"]  # the others were done before it was raised

    results = run_shard(plan.jobs, bench.settings, final=True)
    assert [line.status for line in results] == [Status.FAILED, Status.OK]
    assert results[0].error_code is ErrorCode.CHANGED_DURING_READ
    assert results[1].reason is None  # done in this very batch: not "done before"


@pytest.mark.parametrize("overwrite", ["skip", "replace", "fail"])
def test_a_shard_that_is_tried_again_does_nothing_twice(bench: Bench, overwrite: str) -> None:
    wav(bench.inputs / "a.wav")
    plan = bench.plan(batch_id="b-1", overwrite=overwrite)
    begin(plan, bench.database)
    [first] = run_shard(plan.jobs, bench.settings, final=False)
    modified = (bench.outputs / "a.wav").stat().st_mtime_ns
    [second] = run_shard(plan.jobs, bench.settings, final=True)
    assert first == second
    assert (bench.outputs / "a.wav").stat().st_mtime_ns == modified


def test_a_lost_shard_is_told_from_the_store(bench: Bench) -> None:
    wav(bench.inputs / "a.wav")
    wav(bench.inputs / "b.wav", seed=2)
    plan = bench.plan(batch_id="b-1")
    begin(plan, bench.database)
    run_shard(plan.jobs[:1], bench.settings, final=True)  # the worker came so far
    lines = results_of_lost_shard(plan.jobs, bench.database, WorkerDiedError("killed by signal 9"))
    assert [line.status for line in lines] == [Status.OK, Status.FAILED]
    assert (lines[1].error_code, lines[1].error_message) == (
        ErrorCode.INTERRUPTED,
        "killed by signal 9",
    )
    assert lines[0].output_path == str(bench.outputs / "a.wav")


def test_a_batch_that_goes_on_counts_what_it_had_done(bench: Bench) -> None:
    wav(bench.inputs / "a.wav")
    wav(bench.inputs / "b.wav", seed=2)
    plan = bench.plan(batch_id="b-1")
    begin(plan, bench.database)
    run_shard(plan.jobs[:1], bench.settings, final=True)  # and then it is suspended
    modified = (bench.outputs / "a.wav").stat().st_mtime_ns
    again = bench.plan(batch_id="b-1")
    assert [job.source.name for job in again.jobs] == ["b.wav"]
    results = run_shard(again.jobs, bench.settings, final=True)
    summary = conclude(again, results, database=bench.database, shards=1, wall_s=1.0)
    assert (summary.planned, summary.ok, summary.skipped) == (2, 2, 0)
    assert (bench.outputs / "a.wav").stat().st_mtime_ns == modified
    assert bench.batch(batch_id="b-2").skipped == 2, "in another batch nothing was done"


def test_what_another_run_of_the_batch_did_is_known_without_a_look_at_the_file(
    bench: Bench,
) -> None:
    sf.write(bench.inputs / "a.wav", alarm("t3_3100", 9.0, 16_000, seed=1), 16_000)
    wav(bench.inputs / "b.wav", seed=2)
    plan = bench.plan(batch_id="b-1")
    begin(plan, bench.database)
    before = datetime.now(UTC)
    [line] = run_shard(plan.jobs[:1], bench.settings, final=True)
    known = done_in_batch(plan.jobs, bench.database, since=before)
    assert known == {line.source_path: line}
    assert line.emergency_events == 1
    assert done_in_batch(plan.jobs, bench.database, since=datetime.now(UTC)) == {}
    assert done_in_batch(bench.plan(batch_id="b-2").jobs, bench.database) == {}


def test_what_another_process_holds_is_told_from_what_is_skipped_for_good(bench: Bench) -> None:
    wav(bench.inputs / "a.wav")
    files.no_frames(bench.inputs / "nothing.wav")
    plan = bench.plan(batch_id="b-1")
    begin(plan, bench.database)
    held, _ = plan.jobs
    fingerprint = held.request(bench.settings).fingerprint(digest_file(held.source), None)
    with bench.database.begin() as db:
        # On another machine; its heartbeat is fresh.
        claim(
            db,
            ClaimRequest(fingerprint=fingerprint, source_path=str(held.source), batch_id="b-1"),
            Owner("elsewhere", 1, datetime.now(UTC)),
        )
    results = run_shard(plan.jobs, bench.settings, final=True)
    assert {line.status for line in results} == {Status.SKIPPED}
    assert held_by_others(plan.jobs, results) == [held]


def test_a_bad_parameter_of_one_row_costs_that_row_only(bench: Bench) -> None:
    wav(bench.inputs / "a.wav")
    wav(bench.inputs / "b.wav", seed=2)
    bench.batch(bench.inputs / "a.wav")
    [taken] = bench.sessions()
    table = bench.inputs / "list.csv"
    table.write_text(f"path,session_id,preset\nb.wav,{taken.session_id},\na.wav,,gentle\n")
    summary = bench.batch(table)
    assert (summary.ok, summary.failed) == (1, 1)
    assert summary.failures[0].error_code is ErrorCode.BAD_PARAMETER
    assert taken.session_id in str(summary.failures[0].error_message)


def test_a_busy_store_is_raised_and_not_swallowed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    wav(bench.inputs / "a.wav")
    plan = bench.plan()
    begin(plan, bench.database)

    def busy(job, **words):
        raise StoreBusyError("locked for 60 s")

    monkeypatch.setattr(batch_module, "run_recording", busy)
    with pytest.raises(StoreBusyError):
        run_shard(plan.jobs, bench.settings, final=False)
    [line] = run_shard(plan.jobs, bench.settings, final=True)
    assert line.error_code is ErrorCode.DB_UNAVAILABLE


# ------------------------------------------------------------------ summaries


def test_a_dry_run_counts_what_is_known_and_writes_nothing(bench: Bench) -> None:
    wav(bench.inputs / "a.wav")
    plan = bench.plan(bench.inputs, bench.inputs / "gone.wav")
    summary = summarise(plan, (), dry_run=True)
    assert (summary.planned, summary.failed, summary.dry_run) == (2, 1, True)
    assert summary.estimated_s > 0
    assert not bench.outputs.exists()
    assert bench.sessions() == []


def test_all_failed_is_a_failed_batch(bench: Bench) -> None:
    files.empty(bench.inputs / "empty.wav")
    summary = bench.batch(batch_id="b-1")
    assert (summary.failed, summary.planned) == (1, 1)
    assert stored_batch(bench, "b-1").status == "failed"


def test_conclude_frees_what_a_killed_worker_of_the_batch_still_holds(bench: Bench) -> None:
    wav(bench.inputs / "a.wav")
    plan = bench.plan(batch_id="b-1")
    begin(plan, bench.database)
    owner = Owner(Owner.current().host, 2**22 + 1, datetime(2020, 1, 1, tzinfo=UTC))
    with bench.database.begin() as db:
        claim(db, ClaimRequest(fingerprint="f" * 32, source_path="a", batch_id="b-1"), owner)
    lines = results_of_lost_shard(plan.jobs, bench.database, WorkerDiedError("gone"))
    conclude(plan, lines, database=bench.database, shards=1, wall_s=1.0)
    assert [s.status for s in bench.sessions()] == [Status.FAILED]


def test_outputs_are_readable_by_whom_the_umask_allows(bench: Bench) -> None:
    wav(bench.inputs / "a.wav")
    before = os.umask(0o027)
    try:
        bench.batch()
    finally:
        os.umask(before)
    assert (bench.outputs / "a.wav").stat().st_mode & 0o777 == 0o640
