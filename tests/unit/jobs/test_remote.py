"""Recordings and outputs that are URLs: the same job, the same rows, by other roads."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

import anc_core.jobs.outputs as outputs_module
import anc_core.jobs.run as run_module
from anc_core.errors import ErrorCode, InputError, RemoteUnreachableError, SinkError
from anc_core.files import digest_file
from anc_core.jobs.audit import missing_outputs
from anc_core.jobs.batch import begin, run_shard
from anc_core.jobs.direct import run_batch
from anc_core.jobs.plan import BatchRequest, output_place
from anc_core.jobs.records import RecordingJob
from anc_core.jobs.run import run_recording
from anc_core.pipeline import sidecar
from anc_core.records import Mode, SessionSummary, Status
from anc_core.remote import objects
from anc_core.remote.address import RemotePath, place
from tests.nasty.bench import Bench
from tests.recordings import noisy_voice
from tests.remote_stores import memory_store

IN, OUT = RemotePath("memory", "b/in"), RemotePath("memory", "b/out")


@pytest.fixture
def store() -> Iterator[MemoryFileSystem]:
    with memory_store() as found:
        yield found


@pytest.fixture
def voice(bench: Bench) -> Path:
    return noisy_voice(bench.folder / "voice.wav", duration_s=1.5)


@pytest.fixture
def source(store: MemoryFileSystem, voice: Path) -> RemotePath:
    return put(store, voice, "day/x.wav")


def put(store: MemoryFileSystem, path: Path, name: str) -> RemotePath:
    store.put_file(str(path), f"/b/in/{name}")
    return IN / name


def held(store: MemoryFileSystem) -> list[str]:
    return sorted(store.find("/b/out"))


def refuse_to_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise AssertionError("an object was fetched")

    monkeypatch.setattr(objects, "fetch", fail)


def spooled(bench: Bench) -> list[Path]:
    return [path for path in bench.settings.spool.rglob("*") if path.exists()]


# ------------------------------------------------------------------ one recording


def test_an_object_is_cleaned_into_an_object_and_described_beside_it(
    bench: Bench, store: MemoryFileSystem, source: RemotePath, voice: Path, tmp_path: Path
) -> None:
    local = bench.run(voice, bench.outputs / "x.wav", overwrite="replace")
    summary = bench.run(source, OUT / "x.wav", overwrite="replace", user_id="ann")
    assert (summary.status, summary.session_id) == (Status.OK, local.session_id)
    assert summary.source_path == str(source)
    assert summary.output_path == "memory://b/out/x.wav"
    assert summary.sidecar_path == "memory://b/out/x.wav.json"
    # By whichever road: the same content gives the same session and the same output.
    assert summary.source_digest == digest_file(voice)
    assert store.cat("/b/out/x.wav") == (bench.outputs / "x.wav").read_bytes()
    assert summary.output_digest == digest_file(bench.outputs / "x.wav")
    assert bench.session(summary.session_id) == summary
    written = SessionSummary.from_json(store.cat("/b/out/x.wav.json"))
    assert written == summary
    assert spooled(bench) == []
    assert bench.leftovers() == []


def test_any_road_may_be_mixed(
    bench: Bench, store: MemoryFileSystem, source: RemotePath, voice: Path
) -> None:
    down = bench.run(source, bench.outputs / "down.wav")
    written = SessionSummary.from_json(Path(str(down.sidecar_path)).read_bytes())
    assert (down.source_path, written.source_path) == (str(source), str(source))
    assert str(bench.settings.spool) not in written.to_json()
    up = bench.run(voice, OUT / "up.wav", preset="gentle")
    assert (up.status, up.source_path) == (Status.OK, str(voice))
    assert held(store) == ["/b/out/up.wav", "/b/out/up.wav.json"]


def test_a_reference_may_be_an_object(
    bench: Bench, store: MemoryFileSystem, source: RemotePath, voice: Path
) -> None:
    reference = put(store, noisy_voice(bench.folder / "r.wav", duration_s=1.5, seed=5), "r.wav")
    summary = bench.run(source, OUT / "x.wav", mode=Mode.CANCEL, reference=reference)
    assert summary.reference_path == str(reference)
    assert json.loads(store.cat("/b/out/x.wav.json"))["reference_path"] == str(reference)


def test_a_rerun_is_skipped_and_a_lost_output_is_made_again(
    bench: Bench, store: MemoryFileSystem, source: RemotePath
) -> None:
    first = bench.run(source, OUT / "x.wav")
    again = bench.run(source, OUT / "x.wav")
    assert (again.status, again.session_id) == (Status.SKIPPED, first.session_id)
    store.rm_file("/b/out/x.wav")
    redone = bench.run(source, OUT / "x.wav")
    assert (redone.status, redone.session_id) == (Status.OK, first.session_id)
    assert held(store) == ["/b/out/x.wav", "/b/out/x.wav.json"]


def test_the_same_content_under_another_name_gets_a_copy(
    bench: Bench, store: MemoryFileSystem, source: RemotePath
) -> None:
    bench.run(source, OUT / "x.wav")
    for sink in (OUT / "y.wav", bench.outputs / "y.wav"):
        copy = bench.run(source, sink)
        assert (copy.status, copy.output_path) == (Status.SKIPPED, str(sink))
        assert sidecar.describes(sink)
    assert store.cat("/b/out/y.wav") == store.cat("/b/out/x.wav")
    assert spooled(bench) == []


def test_nothing_of_somebody_else_is_written_over(
    bench: Bench, store: MemoryFileSystem, source: RemotePath
) -> None:
    store.pipe("/b/out/x.wav", b"theirs")
    summary = bench.run(source, OUT / "x.wav")
    assert summary.error_code is ErrorCode.COLLISION
    assert store.cat("/b/out/x.wav") == b"theirs"
    assert bench.run(source, source).error_code is ErrorCode.COLLISION


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("missing.wav", None, ErrorCode.NOT_FOUND),
        ("empty.wav", b"", ErrorCode.EMPTY_FILE),
        ("text.wav", b"no audio, whatever its name says", ErrorCode.NOT_AUDIO),
        ("folder", b"1", ErrorCode.PERMISSION),
    ],
)
def test_a_bad_object_fails_once_by_its_own_name(
    bench: Bench, store: MemoryFileSystem, name: str, content: bytes | None, code: ErrorCode
) -> None:
    if content is not None:
        store.pipe(f"/b/in/{name}/x" if name == "folder" else f"/b/in/{name}", content)
    summary = bench.run(IN / name, OUT / "x.wav")
    assert (summary.status, summary.error_code) == (Status.FAILED, code)
    assert str(IN / name) in str(summary.error_message)
    assert str(bench.settings.spool) not in summary.to_json()
    assert bench.session(summary.session_id).source_path == str(IN / name)
    assert held(store) == []


def test_a_large_object_is_not_fetched(
    bench: Bench, source: RemotePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_fetch(monkeypatch)
    settings = bench.settings.model_copy(update={"max_source_bytes": 1_000})
    job = RecordingJob(source=source, sink=OUT / "x.wav")
    summary = run_recording(job, database=bench.database, settings=settings)
    assert summary.error_code is ErrorCode.TOO_LONG


def test_an_upload_that_breaks_off_leaves_nothing_and_is_tried_again(
    bench: Bench, store: MemoryFileSystem, source: RemotePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, faults = MemoryFileSystem.put_file, [ConnectionResetError("gone")]

    def put_file(self: MemoryFileSystem, path: str, name: str, **words: object) -> None:
        if name.endswith(".wav") and faults:
            raise faults.pop()
        real(self, path, name, **words)

    monkeypatch.setattr(MemoryFileSystem, "put_file", put_file)
    with pytest.raises(RemoteUnreachableError):
        bench.run(source, OUT / "x.wav")
    assert held(store) == []
    (left,) = bench.sessions()
    assert (left.status, left.error_code) == (Status.FAILED, ErrorCode.TIMEOUT)
    assert bench.run(source, OUT / "x.wav").status is Status.OK
    assert len(bench.sessions()) == 1


def test_what_was_delivered_by_a_run_that_died_is_adopted(
    bench: Bench, store: MemoryFileSystem, source: RemotePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "finish", die)
        with pytest.raises(KeyboardInterrupt):
            bench.run(source, OUT / "x.wav")
    monkeypatch.setattr(run_module, "run_request", die)
    assert bench.run(source, OUT / "x.wav").status is Status.OK


def test_a_worker_says_that_it_lives_while_it_delivers(
    bench: Bench, source: RemotePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = []
    real = run_module.heartbeat
    monkeypatch.setattr(run_module, "heartbeat", lambda *a, **k: beats.append(1) or real(*a, **k))
    session_beats = []
    deliver = objects.deliver

    def watched(*args: object, **words: object) -> None:
        before = len(beats)
        deliver(*args, **words)
        session_beats.append(len(beats) - before)

    monkeypatch.setattr(outputs_module.objects, "deliver", watched)
    settings = bench.settings.model_copy(update={"heartbeat_s": 1e-9})
    job = RecordingJob(source=source, sink=OUT / "x.wav")
    assert run_recording(job, database=bench.database, settings=settings).status is Status.OK
    assert all(session_beats)
    assert len(session_beats) == 2


# ------------------------------------------------------------------ many


def test_a_bucket_is_a_folder(bench: Bench, store: MemoryFileSystem, voice: Path) -> None:
    put(store, voice, "a.wav")
    put(store, voice, "day/b.wav")
    put(store, noisy_voice(bench.folder / "c.wav", duration_s=1.0, seed=9), "day/deep/c.wav")
    for name in ("notes.txt", "._x.wav", "day//d.wav"):
        store.pipe(f"/b/in/{name}", b"1")
    store.pipe("/b/in/bad.wav", b"bad")
    summary = bench.batch(str(IN), str(IN / "gone.wav"), "memory://c/x.wav", output_dir=OUT)
    lines = {line.source_path.rpartition("/b/")[2]: line for line in summary.results}
    assert summary.planned == len(summary.results) == 7
    assert (summary.ok, summary.skipped, summary.failed, summary.ignored) == (2, 1, 4, 2)
    assert lines["in/bad.wav"].error_code is ErrorCode.NOT_AUDIO
    assert lines["in/gone.wav"].error_code is ErrorCode.NOT_FOUND
    # The same content twice: processed once, and both have their output.
    assert store.cat("/b/out/a.wav") == store.cat("/b/out/day/b.wav")
    names = [name for name in held(store) if not name.endswith(".json")]
    assert names == ["/b/out/a.wav", "/b/out/day/b.wav", "/b/out/day/deep/c.wav"]
    assert spooled(bench) == []


def test_what_did_not_change_is_not_fetched_again(
    bench: Bench, store: MemoryFileSystem, voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, voice, "a.wav")
    assert bench.batch(str(IN), output_dir=OUT).ok == 1
    with monkeypatch.context() as patch:
        refuse_to_fetch(patch)
        plan = bench.plan(str(IN), output_dir=OUT)
        assert (plan.jobs, [line.status for line in plan.settled]) == ((), [Status.SKIPPED])
    # As many bytes, another sound.
    put(store, noisy_voice(bench.folder / "n.wav", duration_s=1.5, seed=7), "a.wav")
    assert len(bench.plan(str(IN), output_dir=OUT).jobs) == 1
    put(store, voice, "a.wav")
    store.pipe("/b/out/a.wav", b"")
    assert len(bench.plan(str(IN), output_dir=OUT).jobs) == 1


def test_outputs_inside_the_input_are_not_inputs(
    bench: Bench, store: MemoryFileSystem, voice: Path
) -> None:
    put(store, voice, "a.wav")
    inner = IN / "cleaned"
    assert bench.batch(str(IN), output_dir=inner).ok == 1
    again = bench.batch(str(IN), output_dir=inner)
    assert (again.planned, again.skipped) == (1, 1)


def test_patterns_pairs_and_suffixes_are_those_of_files(
    bench: Bench, store: MemoryFileSystem, voice: Path
) -> None:
    for name in ("1_mic.wav", "1_ref.wav", "2_mic.wav"):
        put(store, voice, name)
    plan = bench.plan(str(IN / "*.wav"), output_dir=OUT, pair="*_mic.wav=*_ref.wav")
    references = {str(job.source): str(job.reference) for job in plan.jobs}
    assert references == {
        "memory://b/in/1_mic.wav": "memory://b/in/1_ref.wav",
        "memory://b/in/2_mic.wav": "memory://b/in/2_ref.wav",
    }
    assert output_place(IN / "x.m4a", OUT) == OUT / "x.flac"
    assert output_place(IN / "x.m4a", OUT, is_copy=True) == OUT / "x.m4a"
    assert output_place(IN / "x.wav", Path("out")) == Path("out/x.wav")


def test_manifests_name_objects_and_may_be_objects(
    bench: Bench, store: MemoryFileSystem, voice: Path
) -> None:
    put(store, voice, "a.wav")
    store.pipe("/b/in/list.csv", b"path,output,site\na.wav,first.wav,hall\n../b.wav,,\n")
    plan = bench.plan(str(IN / "list.csv"), output_dir=OUT)
    (job,) = plan.jobs
    assert (job.source, job.sink, job.site) == (IN / "a.wav", OUT / "first.wav", "hall")
    assert [line.error_code for line in plan.settled] == [ErrorCode.BAD_PARAMETER]
    here = bench.folder / "list.csv"
    here.write_text(f"path\n{IN / 'a.wav'}\nvoice.wav\n")
    found = {str(job.source) for job in bench.plan(here, output_dir=OUT).jobs}
    assert found == {"memory://b/in/a.wav", str(voice)}


def test_two_objects_for_one_output_are_found_before_any_work(
    bench: Bench, store: MemoryFileSystem, voice: Path
) -> None:
    put(store, voice, "x.wav")
    store.put_file(str(voice), "/c/in/x.wav")
    with pytest.raises(SinkError) as caught:
        bench.plan(str(IN), "memory://c/in", output_dir=OUT)
    assert caught.value.code is ErrorCode.COLLISION


def test_twins_that_met_at_work_both_get_their_output(
    bench: Bench, store: MemoryFileSystem, voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers at the same content: the second finds it busy, and is served at the end."""
    put(store, voice, "a.wav")
    put(store, voice, "b.wav")
    (bench.settings.home).mkdir(exist_ok=True)
    import anc_core.jobs.direct as direct

    def met(plan, shards, pool, database, settings, on_progress):
        lines = run_shard(plan.jobs[:1], settings, final=True)
        busy = lines[0].model_copy(
            update={
                "source_path": str(plan.jobs[1].source),
                "status": Status.SKIPPED,
                "reason": run_module.BUSY_REASON,
            }
        )
        return iter([lines, (busy,)])

    monkeypatch.setattr(direct, "_run_shards", met)
    request = BatchRequest(inputs=(str(IN),), output_dir=OUT)
    summary = run_batch(request, database=bench.database, settings=bench.settings)
    assert (summary.ok, summary.skipped) == (1, 1)
    assert store.cat("/b/out/a.wav") == store.cat("/b/out/b.wav")


def test_duplicates_on_the_disk_are_copied_within_the_bucket(
    bench: Bench, store: MemoryFileSystem
) -> None:
    for name in ("a.wav", "b.wav"):
        noisy_voice(bench.inputs / name, duration_s=1.5)
    summary = bench.batch(output_dir=OUT)
    assert (summary.ok, summary.duplicates) == (1, 1)
    assert sidecar.describes(OUT / "a.wav")
    assert sidecar.describes(OUT / "b.wav")


def test_a_bucket_that_does_not_answer_is_worth_another_try(
    bench: Bench, store: MemoryFileSystem, source: RemotePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = bench.plan(str(IN), output_dir=OUT)
    begin(plan, bench.database)

    def away(*args: object, **kwargs: object) -> None:
        raise ConnectionResetError("no answer")

    monkeypatch.setattr(MemoryFileSystem, "info", away)
    with pytest.raises(RemoteUnreachableError):
        run_shard(plan.jobs, bench.settings, final=False)
    (line,) = run_shard(plan.jobs, bench.settings, final=True)
    assert (line.status, line.error_code) == (Status.FAILED, ErrorCode.TIMEOUT)


def test_a_bucket_that_may_not_be_written_is_told_before_the_work(
    bench: Bench, store: MemoryFileSystem, source: RemotePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*args: object, **kwargs: object) -> None:
        raise PermissionError("Access Denied")

    plan = bench.plan(str(IN), output_dir=OUT)
    monkeypatch.setattr(MemoryFileSystem, "pipe_file", denied)
    with pytest.raises(SinkError, match="Access Denied") as caught:
        begin(plan, bench.database)
    assert caught.value.code is ErrorCode.PERMISSION


def test_a_spool_that_is_too_small_is_told_before_the_work(
    bench: Bench, store: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = objects._object
    monkeypatch.setattr(
        objects, "_object", lambda where, info: real(where, {**info, "size": 1 << 60})
    )
    store.pipe("/b/in/a.wav", b"1")
    with pytest.raises(SinkError) as caught:
        bench.plan(str(IN), output_dir=OUT)
    assert caught.value.code is ErrorCode.NO_SPACE


# ------------------------------------------------------------------ confinement


def test_urls_are_confined_by_roots_that_are_urls(
    bench: Bench, store: MemoryFileSystem, voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, voice, "a.wav")
    store.put_file(str(voice), "/b/in2/a.wav")
    refuse_to_fetch(monkeypatch)
    for roots, inputs, sink in (
        ((bench.folder,), str(IN), bench.outputs),
        ((IN, OUT), "memory://b/in2", OUT),
        ((IN, OUT), str(voice), OUT),
    ):
        settings = bench.settings.model_copy(update={"allowed_roots": roots})
        confined = Bench(bench.folder, bench.database, settings)
        plan = confined.plan(inputs, output_dir=sink)
        assert plan.jobs == ()
        assert [line.error_code for line in plan.settled] == [ErrorCode.PERMISSION]
    with pytest.raises(SinkError, match="ANC_ALLOWED_ROOTS"):
        confined.plan(str(IN), output_dir=RemotePath("memory", "b"))
    summary = confined.run(IN / "a.wav", bench.outputs / "a.wav")
    assert summary.error_code is ErrorCode.PERMISSION
    assert len(confined.plan(str(IN), output_dir=OUT).jobs) == 1


def test_an_output_of_a_bucket_is_not_called_missing(bench: Bench, source: RemotePath) -> None:
    bench.run(source, OUT / "x.wav")
    assert missing_outputs(bench.database) == []


def test_a_password_never_reaches_the_store(bench: Bench) -> None:
    with pytest.raises(InputError) as caught:
        bench.batch("memory://me:hidden@b/in", output_dir=OUT)
    assert "hidden" not in str(caught.value)
    assert bench.sessions() == []


# ------------------------------------------------------------------ kill


def test_kill_9_in_the_middle_of_a_fetched_recording_leaves_nothing_for_good(
    bench: Bench, store: MemoryFileSystem, voice: Path
) -> None:
    """The dead worker's spool goes with the next recording, its session is done again."""
    script = f"""
import os, signal
from pathlib import Path
import fsspec
from anc_core.jobs.records import RecordingJob
from anc_core.jobs.run import run_recording
from anc_core.remote.address import place
from anc_core.settings import Settings
from anc_core.store import open_database
fsspec.filesystem("memory").put_file({str(voice)!r}, "/b/in/x.wav")
settings = Settings.load(database_url={bench.database.url!r}, home={str(bench.folder)!r})
job = RecordingJob(source=place("memory://b/in/x.wav"), sink=place("memory://b/out/x.wav"))
run_recording(job, database=open_database(settings.resolved_database_url), settings=settings,
              on_progress=lambda _: os.kill(os.getpid(), signal.SIGKILL))
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[3], check=False
    )
    assert ended.returncode == -signal.SIGKILL
    settings = bench.settings.model_copy(update={"home": bench.folder})
    (left,) = settings.spool.iterdir()
    again = Bench(bench.folder, bench.database, settings)
    summary = again.run(put(store, voice, "x.wav"), place("memory://b/out/x.wav"))
    assert summary.status is Status.OK
    assert not left.exists()
    assert list(settings.spool.iterdir()) == []
