"""Outputs in buckets go with their sessions, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from sqlalchemy import update

from anc_core.errors import RemoteUnreachableError
from anc_core.maintenance.erase import EraseResult, erase_person
from anc_core.maintenance.orphans import find_orphans
from anc_core.maintenance.sessions import SessionRemover
from anc_core.records import SessionSummary
from anc_core.remote.address import RemotePath
from anc_core.store import mark_sessions
from anc_core.store.tables import AudioSession
from tests.nasty.bench import Bench
from tests.recordings import noisy_voice
from tests.remote_stores import memory_store

IN, OUT = RemotePath("memory", "b/in"), RemotePath("memory", "b/out")
SINK = OUT / "x.wav"


@pytest.fixture
def store() -> Iterator[MemoryFileSystem]:
    with memory_store() as found:
        yield found


@pytest.fixture
def done(bench: Bench, store: MemoryFileSystem) -> SessionSummary:
    voice = noisy_voice(bench.folder / "voice.wav", duration_s=1.0)
    store.put_file(str(voice), "/b/in/x.wav")
    return bench.run(IN / "x.wav", SINK, user_id="ann")


def remove(bench: Bench, done: SessionSummary, *roots: Path | RemotePath) -> SessionRemover:
    with bench.database.begin() as db:
        doomed = mark_sessions(db, [done.session_id])
    remover = SessionRemover(bench.database, roots)
    remover.remove(doomed)
    return remover


def erase(bench: Bench, *, dry_run: bool = False) -> EraseResult:
    settings = bench.settings.model_copy(update={"home": bench.folder / "home"})
    return erase_person(
        "ann", database=bench.database, settings=settings, actor="test", dry_run=dry_run
    )


def test_output_and_sidecar_go_and_the_recording_stays(
    bench: Bench, store: MemoryFileSystem, done: SessionSummary
) -> None:
    remover = remove(bench, done)
    assert (remover.num_sessions, remover.files, remover.problems) == (1, 2, {})
    assert remover.bytes > 0
    assert store.find("/b") == ["/b/in/x.wav"]
    assert remover.folders == set()


def test_what_somebody_put_in_its_place_stays(
    bench: Bench, store: MemoryFileSystem, done: SessionSummary
) -> None:
    store.pipe("/b/out/x.wav", b"theirs")
    remover = remove(bench, done)
    assert remover.kept == {"changed since it was delivered": 1}
    assert store.cat("/b/out/x.wav") == b"theirs"


@pytest.mark.parametrize("changed", [False, True])
def test_of_another_time_the_content_decides(
    bench: Bench, store: MemoryFileSystem, done: SessionSummary, changed: bool
) -> None:
    early = datetime.now(UTC) - timedelta(days=3)
    with bench.database.begin() as db:
        db.execute(update(AudioSession).values(started_at=early, finished_at=early))
    if changed:
        store.pipe("/b/out/x.wav", bytes(store.size("/b/out/x.wav")))
    assert remove(bench, done).files == (1 if changed else 2)
    assert store.exists("/b/out/x.wav") is changed


def test_outside_of_the_roots_nothing_is_removed(
    bench: Bench, store: MemoryFileSystem, done: SessionSummary
) -> None:
    remover = remove(bench, done, bench.folder, RemotePath("memory", "b/o"))
    assert remover.kept == {"outside the allowed folders": 2}
    assert store.exists("/b/out/x.wav")


def test_roots_that_are_urls_confine_files_as_well(bench: Bench, tmp_path: Path) -> None:
    voice = noisy_voice(bench.folder / "voice.wav", duration_s=1.0)
    done = bench.run(voice, bench.outputs / "x.wav")
    remover = remove(bench, done, OUT)
    assert remover.kept == {"outside the allowed folders": 2}
    assert (bench.outputs / "x.wav").exists()


def test_without_an_answer_the_session_stays_for_the_next_time(
    bench: Bench, store: MemoryFileSystem, done: SessionSummary, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: object, **kwargs: object) -> None:
        raise ConnectionResetError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "info", away)
        remover = remove(bench, done)
        assert remover.num_sessions == 0
        assert "no answer" in remover.problems[done.session_id]
    remover.finish_marked()
    assert (remover.num_sessions, remover.problems) == (1, {})
    assert store.find("/b/out") == []


def test_buckets_are_not_searched_for_orphans(
    bench: Bench, store: MemoryFileSystem, done: SessionSummary
) -> None:
    store.rm("/b/out", recursive=True)
    assert (find_orphans(bench.database).rows, find_orphans(bench.database).files) == (0, 0)


def test_erasing_a_person_takes_copies_in_buckets_too(
    bench: Bench, store: MemoryFileSystem, done: SessionSummary
) -> None:
    bench.run(IN / "x.wav", OUT / "copy.wav")
    store.pipe("/b/out/other.wav.json", b'{"session_id": "another", "fingerprint": "f"}')
    assert store.exists("/b/out/copy.wav.json")
    planned = erase(bench, dry_run=True)
    assert (planned.files, planned.recordings) == (1, 1)
    result = erase(bench)
    assert (result.complete, result.sessions, result.files) == (True, 1, 4)
    assert store.find("/b") == ["/b/in/x.wav", "/b/out/other.wav.json"]


def test_an_erasure_that_cannot_look_does_not_say_that_all_is_gone(
    bench: Bench, store: MemoryFileSystem, done: SessionSummary, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: object, **kwargs: object) -> None:
        raise ConnectionResetError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "find", away)
        with pytest.raises(RemoteUnreachableError):
            erase(bench)
    assert erase(bench).complete
