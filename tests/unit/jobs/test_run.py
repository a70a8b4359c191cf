"""One recording, once: claims, repetitions, outputs that are in the way, ends of every kind."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from sqlalchemy import text

import anc_core.jobs.outputs as outputs
import anc_core.jobs.run as run_module
import anc_core.pipeline.sidecar as sidecar
from anc_core.errors import (
    ErrorCode,
    InputError,
    SourceChangedError,
    SourceError,
    StoreBusyError,
    WorkerDiedError,
)
from anc_core.files import digest_file, write_text_atomic
from anc_core.jobs.records import RecordingJob
from anc_core.jobs.run import run_recording
from anc_core.records import Mode, SessionSummary, Status
from anc_core.store import ClaimRequest, Outcome, Owner, claim
from tests.nasty.bench import Bench, samples
from tests.recordings import noisy_voice


@pytest.fixture
def source(bench: Bench) -> Path:
    return noisy_voice(bench.inputs / "x.wav", duration_s=1.5)


def refuse_to_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise AssertionError("the recording was processed again")

    monkeypatch.setattr(run_module, "run_request", fail)


# ------------------------------------------------------------------ good, and again


def test_a_recording_is_cleaned_stored_and_described_beside_its_output(
    bench: Bench, source: Path
) -> None:
    summary = bench.run(source, device_id="recorder-7", site="hall", user_id="ann")
    assert summary.status is Status.OK
    stored = bench.session(summary.session_id)
    assert stored == summary
    written = SessionSummary.from_json(Path(str(summary.sidecar_path)).read_bytes())
    # The sidecar is written by the pipeline, which knows nothing of the job's description.
    described = {
        name: getattr(written, name) for name in ("source_path", "device_id", "user_id", "site")
    }
    assert written == summary.model_copy(update=described)
    assert summary.output_digest == digest_file(bench.outputs / "x.wav")
    assert summary.source_digest == digest_file(source)
    assert (stored.device_id, stored.site, stored.user_id) == ("recorder-7", "hall", "ann")


def test_a_rerun_is_skipped_under_the_same_id_and_adds_no_row(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bench.run(source)
    modified = (bench.outputs / "x.wav").stat().st_mtime_ns
    refuse_to_decode(monkeypatch)
    again = bench.run(source)
    assert (again.status, again.session_id) == (Status.SKIPPED, first.session_id)
    assert "done before" in str(again.reason)
    assert (again.output_path, again.metrics) == (first.output_path, first.metrics)
    assert bench.session(first.session_id).status is Status.OK
    assert len(bench.sessions()) == 1
    assert (bench.outputs / "x.wav").stat().st_mtime_ns == modified


def test_other_parameters_are_another_session(bench: Bench, source: Path) -> None:
    first = bench.run(source)
    gentle = bench.run(source, bench.outputs / "gentle.wav", preset="gentle")
    assert gentle.session_id != first.session_id
    assert len(bench.sessions()) == 2


def test_the_session_id_of_the_caller_is_used(bench: Bench, source: Path) -> None:
    assert bench.run(source, session_id="hall-7").session_id == "hall-7"
    assert bench.run(source).session_id == "hall-7"


def test_the_session_id_of_another_recording_is_refused(bench: Bench, source: Path) -> None:
    bench.run(source, session_id="hall-7")
    other = noisy_voice(bench.inputs / "y.wav", duration_s=1.0, seed=4)
    with pytest.raises(InputError, match=r"hall-7.*another"):
        bench.run(other, session_id="hall-7")
    assert not (bench.outputs / "y.wav").exists()
    assert [s.source_path for s in bench.sessions()] == [str(source)]


def test_without_an_output_it_is_measured_and_stored(bench: Bench, source: Path) -> None:
    summary = bench.run(source, no_output=True)
    assert (summary.status, summary.output_path, summary.sidecar_path) == (Status.OK, None, None)
    assert summary.metrics.input_rms_dbfs is not None
    assert not bench.outputs.exists()
    assert bench.run(source, no_output=True).status is Status.SKIPPED


def test_relative_paths_mean_the_same_session(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bench.run(source)
    monkeypatch.chdir(bench.inputs)
    again = bench.run(Path("x.wav"), Path("../out/x.wav"))
    assert (again.status, again.session_id) == (Status.SKIPPED, first.session_id)
    assert again.source_path == str(source)


# ------------------------------------------------------------------ outputs in the way


def test_fail_refuses_an_output_that_exists_ours_or_not(bench: Bench, source: Path) -> None:
    first = bench.run(source, overwrite="fail")
    assert first.status is Status.OK
    again = bench.run(source, overwrite="fail")
    assert (again.status, again.error_code) == (Status.FAILED, ErrorCode.COLLISION)
    assert "overwrite" in str(again.error_message)
    # What is refused changes nothing of what was done.
    assert bench.session(first.session_id).status is Status.OK
    assert digest_file(bench.outputs / "x.wav") == first.output_digest


def test_replace_does_it_again_under_the_same_id(bench: Bench, source: Path) -> None:
    first = bench.run(source)
    again = bench.run(source, overwrite="replace")
    assert (again.status, again.session_id) == (Status.OK, first.session_id)
    assert again.output_digest == first.output_digest
    assert again.started_at is not None
    assert first.finished_at is not None
    assert again.started_at >= first.finished_at
    assert len(bench.sessions()) == 1


@pytest.mark.parametrize("overwrite", ["skip", "fail"])
def test_a_file_that_is_not_ours_is_never_overwritten(
    bench: Bench, source: Path, overwrite: str
) -> None:
    bench.outputs.mkdir()
    (bench.outputs / "x.wav").write_bytes(b"somebody's thesis")
    summary = bench.run(source, overwrite=overwrite)
    assert (summary.status, summary.error_code) == (Status.FAILED, ErrorCode.COLLISION)
    assert "x.wav" in str(summary.error_message)
    assert (bench.outputs / "x.wav").read_bytes() == b"somebody's thesis"
    assert bench.run(source, overwrite="replace").status is Status.OK


def test_a_file_put_beside_a_sidecar_of_ours_is_not_ours(bench: Bench, source: Path) -> None:
    first = bench.run(source)
    other = Bench.at(bench.folder / "other")
    (bench.outputs / "x.wav").write_bytes(b"edited by hand")
    summary = run_recording(
        bench.job(source), database=other.database, settings=other.settings
    )  # another store: only the sidecar knows of the output
    assert (summary.status, summary.error_code) == (Status.FAILED, ErrorCode.COLLISION)
    assert (bench.outputs / "x.wav").read_bytes() == b"edited by hand"
    assert Path(str(first.sidecar_path)).exists()


def test_an_output_of_ours_may_be_replaced_by_that_of_another_preset(
    bench: Bench, source: Path
) -> None:
    bench.run(source)
    gentle = bench.run(source, preset="gentle")
    assert gentle.status is Status.OK
    assert digest_file(bench.outputs / "x.wav") == gentle.output_digest


def test_an_empty_placeholder_is_no_obstacle(bench: Bench, source: Path) -> None:
    bench.outputs.mkdir()
    (bench.outputs / "x.wav").touch()
    assert bench.run(source).status is Status.OK


@pytest.mark.parametrize("loss", ["removed", "changed"])
def test_an_output_that_was_lost_is_made_again_under_the_same_id(
    bench: Bench, source: Path, loss: str
) -> None:
    first = bench.run(source)
    output = bench.outputs / "x.wav"
    if loss == "removed":
        output.unlink()
    else:
        output.write_bytes(output.read_bytes()[:-2])
    again = bench.run(source)
    assert (again.status, again.session_id) == (Status.OK, first.session_id)
    assert digest_file(output) == first.output_digest
    assert len(bench.sessions()) == 1


def test_a_lost_output_that_another_process_is_making_again_is_left_to_it(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bench.run(source)
    (bench.outputs / "x.wav").unlink()
    real, calls = run_module.claim, []

    def overtaken(db, request, owner, **words):
        calls.append(request.redo)
        if request.redo:
            return real(db, request, owner, **words).__class__(
                outcome=Outcome.BUSY, session_id=first.session_id, attempt=2
            )
        return real(db, request, owner, **words)

    monkeypatch.setattr(run_module, "claim", overtaken)
    refuse_to_decode(monkeypatch)
    assert bench.run(source).status is Status.SKIPPED
    assert calls == [False, True]


def test_an_output_wanted_elsewhere_is_copied_and_skipped(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bench.run(source)
    refuse_to_decode(monkeypatch)
    elsewhere = bench.folder / "elsewhere" / "y.wav"
    again = bench.run(source, elsewhere)
    assert (again.status, again.session_id) == (Status.SKIPPED, first.session_id)
    assert again.output_path == str(elsewhere)
    assert elsewhere.read_bytes() == (bench.outputs / "x.wav").read_bytes()
    assert sidecar.describes(elsewhere)
    assert not elsewhere.samefile(bench.outputs / "x.wav")
    assert bench.session(first.session_id).output_path == first.output_path


# ------------------------------------------------------------------ deaths at every point


def test_a_run_that_died_before_its_row_was_written_is_adopted_unheard(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: object, **kwargs: object) -> None:
        raise StoreBusyError("the database went away")

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "finish", away)
        with pytest.raises(StoreBusyError):
            bench.run(source)
    output = bench.outputs / "x.wav"
    assert output.is_file()
    [row] = bench.sessions()
    assert row.status is Status.RUNNING

    # The claim is still ours, and this very process lives: it must not wait for itself.
    refuse_to_decode(monkeypatch)
    adopted = bench.run(source)
    assert (adopted.status, adopted.session_id) == (Status.OK, row.session_id)
    assert adopted.output_digest == digest_file(output)
    assert bench.session(row.session_id) == adopted


@pytest.mark.parametrize("overwrite", ["skip", "fail", "replace"])
def test_a_retry_after_a_busy_store_succeeds_whatever_overwrite_says(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch, overwrite: str
) -> None:
    real, faults = run_module.finish, [StoreBusyError("locked")]

    def once(*args, **kwargs):
        if faults:
            raise faults.pop()
        return real(*args, **kwargs)

    monkeypatch.setattr(run_module, "finish", once)
    with pytest.raises(StoreBusyError):
        bench.run(source, overwrite=overwrite)
    assert bench.sessions()[0].error_code is ErrorCode.DB_UNAVAILABLE
    assert bench.run(source, overwrite=overwrite).status is Status.OK
    assert len(bench.sessions()) == 1


KILLED_IN = {
    "mid-stream": "on_progress",
    "before the sidecar": "atomic_path",
    "between sidecar and rename": "deliver",
}


@pytest.mark.parametrize("where", KILLED_IN.values(), ids=KILLED_IN.keys())
def test_kill_9_anywhere_is_mended_by_the_next_run(bench: Bench, source: Path, where: str) -> None:
    """A real process kills itself at the point named; nothing of Python's clean-up runs."""
    script = f"""
import os, signal
from pathlib import Path
import anc_core.pipeline.sidecar as sidecar
from anc_core.jobs.records import RecordingJob
from anc_core.jobs.records import RecordingJob
from anc_core.jobs.run import run_recording
from anc_core.pipeline.attempt import Attempt
from anc_core.settings import Settings
from anc_core.store import open_database

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

where, words = {where!r}, {{}}
if where == "on_progress":
    words = {{"on_progress": die}}
elif where == "deliver":
    Attempt.deliver = die
else:
    sidecar.atomic_path = die
url = {bench.settings.resolved_database_url!r}
run_recording(
    RecordingJob(source=Path({str(source)!r}), sink=Path({str(bench.outputs / "x.wav")!r})),
    database=open_database(url), settings=Settings(database_url=url), **words,
)
"""
    killed = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert not (bench.outputs / "x.wav").exists()
    assert len(bench.leftovers()) == 1  # the test would prove nothing otherwise
    [row] = bench.sessions()
    assert row.status is Status.RUNNING

    summary = bench.run(source)
    assert (summary.status, summary.session_id) == (Status.OK, row.session_id)
    assert bench.leftovers() == []
    assert len(bench.sessions()) == 1


def test_an_output_without_its_row_is_never_taken_for_a_foreign_one(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C right after the rename: the output is there, and so is its record."""
    real = Path.replace

    def interrupted(path: Path, target: Path) -> Path:
        done = real(path, target)
        if Path(target).name == "x.wav":
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            bench.run(source)
    assert sidecar.describes(bench.outputs / "x.wav")
    [row] = bench.sessions()
    assert (row.status, row.error_code) == (Status.FAILED, ErrorCode.INTERRUPTED)
    refuse_to_decode(monkeypatch)
    assert bench.run(source).status is Status.OK


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, MemoryError, ZeroDivisionError])
def test_an_interruption_leaves_a_failed_row_and_no_file(
    bench: Bench, source: Path, stop: type[BaseException]
) -> None:
    def interrupt(num_samples: int) -> None:
        raise stop

    with pytest.raises(stop):
        bench.run(source, on_progress=interrupt)
    [row] = bench.sessions()
    deliberate = stop in {KeyboardInterrupt, SystemExit}
    expected = ErrorCode.INTERRUPTED if deliberate else ErrorCode.INTERNAL
    assert (row.status, row.error_code) == (Status.FAILED, expected)
    assert stop.__name__ in str(row.error_message)
    assert bench.delivered() == bench.leftovers() == []
    assert bench.run(source).status is Status.OK


def dead_owner() -> Owner:
    return Owner(Owner.current().host, 2**22 + 1, datetime(2020, 1, 1, tzinfo=UTC))


def claim_for(bench: Bench, source: Path, owner: Owner, **words: object) -> str:
    """Claim ``source`` as the job layer would, for ``owner``."""
    job = bench.job(source)
    fingerprint = job.request(bench.settings).fingerprint(digest_file(source), None)
    request = ClaimRequest(
        fingerprint=fingerprint, source_path=str(source), max_attempts=3, **words
    )
    with bench.database.begin() as db:
        held = claim(db, request, owner)
    assert held.outcome is Outcome.CLAIMED
    return held.session_id


def test_a_recording_that_kills_its_worker_is_given_up_after_max_attempts(
    bench: Bench, source: Path
) -> None:
    for _ in range(3):
        session_id = claim_for(bench, source, dead_owner())
    summary = bench.run(source)
    assert (summary.status, summary.error_code) == (Status.FAILED, ErrorCode.INTERRUPTED)
    assert summary.session_id == session_id
    for word in (str(source), "3 times", "replace"):
        assert word in str(summary.error_message)
    assert bench.delivered() == []
    assert bench.session(session_id).status is Status.FAILED
    assert bench.run(source).status is Status.FAILED  # and stays so
    assert bench.run(source, overwrite="replace").status is Status.OK


def test_what_another_live_process_works_on_is_left_to_it(bench: Bench, source: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        import psutil

        started = datetime.fromtimestamp(psutil.Process(process.pid).create_time(), UTC)
        owner = Owner(Owner.current().host, process.pid, started)
        session_id = claim_for(bench, source, owner)
        summary = bench.run(source)
        process.communicate(b"\n")
    assert (summary.status, summary.session_id) == (Status.SKIPPED, session_id)
    assert "another process" in str(summary.reason)
    assert bench.delivered() == []
    assert bench.run(source).status is Status.OK  # it ended without a word


def test_threads_of_one_process_do_it_once(bench: Bench, source: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        summaries = list(threads.map(bench.run, [source] * 4))
    assert sorted(s.status for s in summaries) == ["ok", "skipped", "skipped", "skipped"]
    assert len({s.session_id for s in summaries}) == len(bench.sessions()) == 1
    assert bench.leftovers() == []


def test_a_worker_whose_session_was_taken_over_stops(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = bench.settings.model_copy(update={"heartbeat_s": 1e-9})
    fast = Bench(bench.folder, bench.database, settings)
    monkeypatch.setattr(run_module, "heartbeat", lambda *args, **kwargs: False)
    with pytest.raises(WorkerDiedError, match=r"x\.wav.*taken over"):
        fast.run(source)
    assert bench.delivered() == bench.leftovers() == []


def test_tries_that_found_the_file_being_written_leave_no_failed_sessions(
    bench: Bench, source: Path
) -> None:
    content = source.read_bytes()
    for number in range(2):

        def append(_: int, number: int = number) -> None:
            source.write_bytes(content[: -4_000 * (number + 1)])

        with pytest.raises(SourceChangedError):
            bench.run(source, on_progress=append)
    codes = [row.error_code for row in bench.sessions()]
    assert codes == [ErrorCode.CHANGED_DURING_READ] * 2
    source.write_bytes(content)  # complete at last
    assert bench.run(source).status is Status.OK
    assert [row.status for row in bench.sessions()] == [Status.OK]


def test_a_database_that_is_away_for_a_heartbeat_costs_no_work(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = bench.settings.model_copy(update={"heartbeat_s": 1e-9})
    fast, asked = Bench(bench.folder, bench.database, settings), []

    def away(*args, **kwargs):
        asked.append(args)
        raise StoreBusyError("the database system is starting up")

    monkeypatch.setattr(run_module, "heartbeat", away)
    assert fast.run(source).status is Status.OK
    assert asked


def test_a_copied_output_never_stands_without_its_record(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.run(source)
    real, there = outputs.copy_atomic, []

    def look(origin, sink, token):
        there.append(sidecar.sidecar_path(sink).exists())
        real(origin, sink, token=token)

    monkeypatch.setattr(outputs, "copy_atomic", look)
    copy = bench.outputs / "elsewhere.wav"
    assert bench.run(source, copy).status is Status.SKIPPED
    assert there == [True]
    assert sidecar.describes(copy)


def test_a_worker_that_was_taken_for_dead_spoils_nothing(bench: Bench, source: Path) -> None:
    """As after a step of the clock: it lives, another does its work, and then it wakes up."""
    script = f"""
import sys
from pathlib import Path
from anc_core.errors import WorkerDiedError
from anc_core.jobs.records import RecordingJob
from anc_core.jobs.run import run_recording
from anc_core.settings import Settings
from anc_core.store import open_database

said = []
def pause(_):
    if not said:
        said.append(print("half way", flush=True))
        input()

url = {bench.settings.resolved_database_url!r}
try:
    run_recording(
        RecordingJob(source=Path({str(source)!r}), sink=Path({str(bench.outputs / "x.wav")!r})),
        database=open_database(url), settings=Settings(database_url=url), on_progress=pause,
    )
except WorkerDiedError as err:
    sys.exit("taken over" not in str(err))
sys.exit(2)
"""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", script], stdin=pipe, stdout=pipe) as sleeper:
        assert sleeper.stdout is not None
        assert sleeper.stdout.readline()
        with bench.database.begin() as db:
            db.execute(text("UPDATE audio_sessions SET owner_started_at = '2020-01-01 00:00:00'"))

        def wake(_: int) -> None:
            # Its successor is half way when it goes on, delivers, and finds that it is late.
            if sleeper.poll() is None:
                sleeper.communicate(b"\n")

        summary = bench.run(source, on_progress=wake)
        assert sleeper.returncode == 0
    assert summary.status is Status.OK
    assert digest_file(bench.outputs / "x.wav") == summary.output_digest
    assert sidecar.describes(bench.outputs / "x.wav")
    assert bench.leftovers() == []
    assert [row.status for row in bench.sessions()] == [Status.OK]


# ------------------------------------------------------------------ what cannot be read, or fails


def test_a_missing_file_gets_one_failed_row_and_works_once_it_is_there(bench: Bench) -> None:
    source = bench.inputs / "late.wav"
    for _ in range(2):
        summary = bench.run(source)
        assert (summary.status, summary.error_code) == (Status.FAILED, ErrorCode.NOT_FOUND)
        assert "late.wav" in str(summary.error_message)
    assert len(bench.sessions()) == 1
    noisy_voice(source, duration_s=1.0)
    assert bench.run(source).status is Status.OK


def test_a_missing_reference_is_named(bench: Bench, source: Path) -> None:
    summary = bench.run(source, reference=bench.inputs / "hum.wav")
    assert (summary.status, summary.error_code) == (Status.FAILED, ErrorCode.NOT_FOUND)
    assert "hum.wav" in str(summary.error_message)


def test_a_chunk_size_outside_its_limits_is_an_error_that_names_them(
    bench: Bench, source: Path
) -> None:
    with pytest.raises(InputError, match="8000 to 24000"):  # 0.5 s, and all of 1.5 s
        bench.run(source, chunk_size=7_999)
    [row] = bench.sessions()
    assert (row.status, row.error_code) == (Status.FAILED, ErrorCode.BAD_PARAMETER)
    assert bench.run(source, chunk_size=8_000).status is Status.OK


def test_a_recording_without_a_sample_is_skipped_and_not_looked_at_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = bench.inputs / "nothing.wav"
    sf.write(source, np.zeros(0), 16_000)
    first = bench.run(source)
    assert (first.status, first.error_code) == (Status.SKIPPED, ErrorCode.NO_AUDIO)
    refuse_to_decode(monkeypatch)
    again = bench.run(source)
    assert (again.status, again.error_code) == (Status.SKIPPED, ErrorCode.NO_AUDIO)
    assert (again.session_id, again.output_path) == (first.session_id, None)


def test_a_digest_of_the_planner_is_believed_only_for_the_file_it_saw(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from anc_core.files import identify

    identity, digest = identify(source), digest_file(source)
    real, read = run_module.digest_file, []
    monkeypatch.setattr(run_module, "digest_file", lambda p: read.append(p) or real(p))
    assert bench.run(source, identity=identity, digest=digest).source_digest == digest
    assert source not in read
    noisy_voice(source, duration_s=1.0, seed=9)
    second = bench.run(source, bench.outputs / "y.wav", identity=identity, digest=digest)
    assert source in read
    assert second.source_digest == digest_file(source) != digest


def test_a_reference_that_changed_is_another_session(bench: Bench, source: Path) -> None:
    hum = noisy_voice(bench.inputs / "hum.wav", duration_s=1.5, seed=8)
    first = bench.run(source, reference=hum)
    assert (first.mode, first.reference_path) == (Mode.CANCEL, str(hum))
    sf.write(hum, samples(hum) * 0.5, 16_000)
    assert bench.run(source, reference=hum).session_id != first.session_id


def test_an_unreadable_source_never_raises(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(path: Path) -> str:
        raise SourceError(ErrorCode.PERMISSION, f"{path}: cannot be read; check its permissions")

    monkeypatch.setattr(run_module, "digest_file", unreadable)
    summary = bench.run(source)
    assert (summary.status, summary.error_code) == (Status.FAILED, ErrorCode.PERMISSION)


def test_a_sidecar_that_is_no_json_is_not_believed(bench: Bench, source: Path) -> None:
    bench.outputs.mkdir()
    (bench.outputs / "x.wav").write_bytes(b"mine")
    write_text_atomic(sidecar.sidecar_path(bench.outputs / "x.wav"), "{broken")
    assert bench.run(source).error_code is ErrorCode.COLLISION


def test_relative_paths_are_recorded_so_that_they_hold_from_anywhere(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy_voice(bench.inputs / "x.wav", duration_s=1.0)
    monkeypatch.chdir(bench.inputs)
    job = RecordingJob(source=Path("x.wav"), sink=Path("../clean/x.wav"))
    summary = run_recording(job, database=bench.database, settings=bench.settings)
    assert Path(summary.output_path).is_absolute()
    assert Path(summary.sidecar_path).is_absolute()
    (stored,) = bench.sessions()
    assert (stored.source_path, stored.output_path) == (summary.source_path, summary.output_path)
    monkeypatch.chdir("/")
    assert Path(stored.output_path).is_file()
