"""Objects are listed, fetched and delivered whole, and faults are told in our words."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import known_implementations

from anc_core.errors import (
    ErrorCode,
    InputError,
    RecordingError,
    RemoteUnreachableError,
    SinkError,
    SourceChangedError,
    SourceError,
    WorkerDiedError,
)
from anc_core.files import digest_file
from anc_core.remote import objects
from anc_core.remote.address import RemotePath
from tests.remote_stores import memory_store

IN = RemotePath("memory", "b/in")


@pytest.fixture
def store() -> Iterator[MemoryFileSystem]:
    with memory_store() as found:
        yield found


def names(listing: objects.Listing) -> list[str]:
    return sorted(str(one.place) for one in listing.objects)


def test_all_below_is_listed_and_impossible_names_are_told(store: MemoryFileSystem) -> None:
    for name in ("/b/in/a.wav", "/b/in/day/b.wav", "/b/in2/c.wav", "/b/in//d.wav"):
        store.pipe(name, b"123")
    listing = objects.list_below(IN)
    assert names(listing) == ["memory://b/in/a.wav", "memory://b/in/day/b.wav"]
    assert [one.size for one in listing.objects] == [3, 3]
    assert len(listing.refused) == 1
    assert "memory://b/in//d.wav" in listing.refused[0]
    assert names(objects.list_below(IN, recursive=False)) == ["memory://b/in/a.wav"]
    assert objects.list_below(IN / "nothing").objects == ()


def test_a_pattern_finds_objects_and_folders(store: MemoryFileSystem) -> None:
    for name in ("/b/in/a.wav", "/b/in/day-1/b.wav", "/b/in/day-2/c.wav"):
        store.pipe(name, b"1")
    found, folders = objects.match(IN / "day-*")
    assert names(found) == []
    assert [str(one) for one in folders] == ["memory://b/in/day-1", "memory://b/in/day-2"]
    found, _ = objects.match(IN / "**/*.wav")
    assert len(found.objects) == 3
    with pytest.raises(InputError, match="stand for the bucket"):
        objects.match(RemotePath("memory", "*"))


def test_a_listing_and_a_look_say_the_same(store: MemoryFileSystem) -> None:
    store.pipe("/b/in/a.wav", b"123")
    assert objects.list_below(IN).objects == (objects.look_at(IN / "a.wav"),)
    assert objects.look_at(IN) is None


def test_equal_size_and_second_are_told_apart_by_the_tag() -> None:
    def stamp(tag: str) -> int | None:
        info = {"size": 3, "LastModified": 1_700_000_000, "ETag": tag}
        return objects._object(IN, info).stamp

    assert stamp("a") != stamp("b")
    assert stamp("a") == stamp('"a"')
    assert objects._object(IN, {"size": 3}).identity is None


def test_a_fetched_object_is_the_object(store: MemoryFileSystem, tmp_path: Path) -> None:
    store.pipe("/b/in/a.wav", b"123")
    found = objects.look_at(IN / "a.wav")
    assert found is not None
    objects.fetch(found, tmp_path / "a.wav")
    assert (tmp_path / "a.wav").read_bytes() == b"123" == objects.read(IN / "a.wav")
    assert objects.digest(IN / "a.wav") == digest_file(tmp_path / "a.wav")
    store.pipe("/b/in/a.wav", b"456")
    with pytest.raises(SourceChangedError, match="changed while"):
        objects.fetch(found, tmp_path / "a.wav")


def test_what_does_not_fit_on_the_disk_is_not_fetched(
    store: MemoryFileSystem, tmp_path: Path
) -> None:
    found = objects.RemoteObject(place=IN / "a.wav", size=1 << 60, modified_at=None, stamp=1)
    with pytest.raises(SinkError) as caught:
        objects.fetch(found, tmp_path / "a.wav")
    assert caught.value.code is ErrorCode.NO_SPACE


class Shelf(LocalFileSystem):
    """A store that shows what grows, like SFTP; ``shelf:///x`` is a folder of the test."""

    protocol = "shelf"
    cachable = False
    faults: ClassVar[list[Exception]] = []

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(path).removeprefix("shelf://").rstrip("/")

    def put_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        if self.faults:
            Path(path2).write_bytes(b"half")
            raise self.faults.pop()
        super().put_file(path1, path2, **kwargs)


fsspec.register_implementation("shelf", Shelf, clobber=True)


def test_where_outputs_grow_they_are_renamed(tmp_path: Path) -> None:
    (tmp_path / "new.wav").write_bytes(b"new")
    sink = RemotePath("shelf", f"{tmp_path}/out/day/a.wav")
    objects.deliver(tmp_path / "new.wav", sink)
    assert (tmp_path / "out/day/a.wav").read_bytes() == b"new"
    (tmp_path / "new.wav").write_bytes(b"newer")
    Shelf.faults = [ConnectionResetError("gone")]
    with pytest.raises(RemoteUnreachableError):
        objects.deliver(tmp_path / "new.wav", sink)
    assert [p.name for p in (tmp_path / "out/day").iterdir()] == ["a.wav"]
    assert (tmp_path / "out/day/a.wav").read_bytes() == b"new"
    objects.copy(sink, sink.with_name("b.wav"))
    assert (tmp_path / "out/day/b.wav").read_bytes() == b"new"


def test_a_probe_leaves_nothing(store: MemoryFileSystem, tmp_path: Path) -> None:
    objects.probe(IN)
    assert store.find("/b") == []
    objects.probe(RemotePath("shelf", f"{tmp_path}/new"))
    assert list((tmp_path / "new").iterdir()) == []


class NoCredentialsError(Exception):
    """As botocore's: no OSError."""


@pytest.mark.parametrize(
    ("fault", "reading", "writing"),
    [
        (FileNotFoundError("x"), ErrorCode.NOT_FOUND, ErrorCode.NOT_WRITABLE),
        (PermissionError("Access Denied"), ErrorCode.PERMISSION, ErrorCode.PERMISSION),
        (NoCredentialsError("none found"), ErrorCode.PERMISSION, ErrorCode.PERMISSION),
        (OSError(errno.EINVAL, "no such name"), ErrorCode.NOT_FOUND, ErrorCode.NOT_WRITABLE),
        (ConnectionResetError("x"), ErrorCode.TIMEOUT, ErrorCode.TIMEOUT),
        (TimeoutError("x"), ErrorCode.TIMEOUT, ErrorCode.TIMEOUT),
        (RuntimeError("a library's own"), ErrorCode.TIMEOUT, ErrorCode.TIMEOUT),
    ],
)
def test_faults_have_codes(
    store: MemoryFileSystem,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception,
    reading: ErrorCode,
    writing: ErrorCode,
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise fault

    (tmp_path / "a").touch()
    monkeypatch.setattr(MemoryFileSystem, "info", fail)
    monkeypatch.setattr(MemoryFileSystem, "put_file", fail)
    with pytest.raises((RecordingError, RemoteUnreachableError), match="memory://b/in/a") as read:
        objects.look_at(IN / "a.wav")
    with pytest.raises((RecordingError, RemoteUnreachableError), match="memory://b/in/a") as write:
        objects.deliver(tmp_path / "a", IN / "a.wav")
    codes = [getattr(err.value, "code", None) for err in (read, write)]
    assert codes == [reading, writing]


def test_a_fault_of_ours_is_not_taken_for_the_network(
    store: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MemoryFileSystem, "info", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        objects.look_at(IN)


def test_who_lost_its_session_stops_to_deliver(store: MemoryFileSystem, tmp_path: Path) -> None:
    def stop() -> None:
        raise WorkerDiedError("taken over")

    (tmp_path / "a.wav").write_bytes(b"123")
    with pytest.raises(WorkerDiedError):
        objects.deliver(tmp_path / "a.wav", IN / "a.wav", on_bytes=stop)


def test_without_the_extra_one_sentence_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = {"class": "no_such_package.Nowhere", "err": "Install no_such_package"}
    monkeypatch.setitem(known_implementations, "nowhere", needs)
    with pytest.raises(InputError, match=r"pip install 'anc-platform\[remote\]'") as caught:
        objects.look_at(RemotePath("nowhere", "b/a.wav"))
    assert "\n" not in str(caught.value)


def test_an_unknown_protocol_is_a_mistake_of_the_call() -> None:
    with pytest.raises(InputError, match="nonsense"):
        objects.look_at(RemotePath("nonsense", "b/a.wav"))


def test_a_missing_object_is_no_fault_where_it_may_be_missing(store: MemoryFileSystem) -> None:
    assert objects.find(IN / "a.wav") is None
    with pytest.raises(SourceError):
        objects.look_at(IN / "a.wav")
