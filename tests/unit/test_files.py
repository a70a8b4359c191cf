"""Digests, identities and outputs that are complete or do not exist."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import re
import threading
from pathlib import Path

import pytest

from anc_core import files
from anc_core.errors import ErrorCode, InputError, SinkError, SourceChangedError, SourceError
from anc_core.files import (
    atomic_path,
    check_unchanged,
    copy_atomic,
    digest_file,
    identify,
    link_or_copy,
    open_regular,
    printable,
    temp_path,
    write_text_atomic,
)

LONG_NAME = "ü" * 124 + "x" * 3 + ".wav"  # 2 * 124 + 7 = 255 bytes, the limit of a name
ODD_NAMES = [
    LONG_NAME,
    "🎧 звук.wav",
    "cafe\u0301.wav",
    "-rf.wav",
    "line\nbreak 'quote\".wav",
    os.fsdecode(b"caf\xe9.wav"),  # Latin-1, no UTF-8: Python escapes it with a surrogate
]


def parts(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def interrupted(temp: Path, error: BaseException) -> None:
    temp.write_bytes(b"only a ha")
    raise error


def replace_with_equal_content(path: Path) -> None:
    new = path.with_name("new")
    new.write_bytes(path.read_bytes())
    new.replace(path)


# ----------------------------------------------------------------------------- temp names


def test_temp_path_lies_beside_the_output_and_never_contains_its_name(tmp_path):
    temp = temp_path(tmp_path / LONG_NAME, "abc-_9")
    assert temp == tmp_path / ".anc-abc-_9.part"


@pytest.mark.parametrize("token", ["", "a" * 65, "a/b", "..", "a b", "ä", "a\n"])
def test_temp_path_refuses_a_token_that_could_be_a_path(token):
    with pytest.raises(InputError, match=re.escape(repr(token))):
        temp_path(Path("a.wav"), token)


# ----------------------------------------------------------------------------- atomic outputs


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_output_of_any_legal_name_is_written(tmp_path, name):
    write_text_atomic(tmp_path / name, "x")
    assert parts(tmp_path) == [name]


def test_a_missing_folder_is_made_and_an_old_output_replaced(tmp_path):
    path = tmp_path / "a" / "b" / "out.txt"
    write_text_atomic(path, "old")
    write_text_atomic(path, "né\n", token="t")
    assert path.read_bytes() == "né\n".encode()
    assert parts(path.parent) == ["out.txt"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_after_an_exception_the_old_output_is_untouched_and_nothing_else_is_there(tmp_path, error):
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(error), atomic_path(path) as temp:
        interrupted(temp, error())
    assert path.read_text() == "old"
    assert parts(tmp_path) == ["out.txt"]


def test_the_output_is_synced_then_renamed_then_its_folder_synced(tmp_path, monkeypatch):
    events: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def sync(descriptor: int) -> None:
        events.append("folder" if Path(f"/dev/fd/{descriptor}").is_dir() else "file")
        real_sync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        events.append("rename")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replace)
    write_text_atomic(tmp_path / "out.txt", "x")
    assert events == ["file", "rename", "folder"]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, ErrorCode.NO_SPACE),
        (errno.EDQUOT, ErrorCode.NO_SPACE),
        (errno.EACCES, ErrorCode.NOT_WRITABLE),
        (errno.EROFS, ErrorCode.NOT_WRITABLE),
        (errno.EIO, ErrorCode.NOT_WRITABLE),
    ],
)
def test_an_error_of_the_disk_becomes_a_sink_error_that_names_the_file(tmp_path, number, code):
    path = tmp_path / "out.wav"
    with pytest.raises(SinkError, match=re.escape(str(path))) as caught, atomic_path(path) as temp:
        interrupted(temp, OSError(number, os.strerror(number)))
    assert caught.value.code is code
    assert os.strerror(number) in str(caught.value)
    assert parts(tmp_path) == []


def test_an_error_with_a_code_of_its_own_passes_unchanged(tmp_path):
    with pytest.raises(SourceError) as caught, atomic_path(tmp_path / "out.wav"):
        raise SourceError(ErrorCode.NO_AUDIO, "in.wav: empty")
    assert caught.value.code is ErrorCode.NO_AUDIO


def test_what_cannot_be_an_output_is_refused_before_any_work(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "file").touch()
    for bad in ("folder.wav", "file/out.wav", "file/deeper/out.wav", "n" * 256):
        with pytest.raises(SinkError) as caught, atomic_path(tmp_path / bad):
            pytest.fail("the work was begun")
        assert caught.value.code is ErrorCode.NOT_WRITABLE


def test_what_a_killed_process_left_under_the_same_token_is_replaced(tmp_path):
    path = tmp_path / "out.txt"
    temp_path(path, "t").write_text("half of a much longer thing")
    write_text_atomic(path, "whole", token="t")
    assert path.read_text() == "whole"
    assert parts(tmp_path) == ["out.txt"]


def test_an_output_that_is_a_symlink_replaces_the_link_not_its_target(tmp_path):
    target = tmp_path / "original.txt"
    target.write_text("precious")
    (tmp_path / "out.txt").symlink_to(target)
    write_text_atomic(tmp_path / "out.txt", "new")
    assert target.read_text() == "precious"


# ----------------------------------------------------------------------------- copies and links


def test_a_copy_has_the_same_bytes_and_shares_none(tmp_path):
    source, copy = tmp_path / "a.bin", tmp_path / "sub" / "b.bin"
    content = os.urandom(2_500_000)  # more than two blocks, not a multiple
    source.write_bytes(content)
    copy_atomic(source, copy)
    assert copy.read_bytes() == content
    assert not copy.samefile(source)


def test_a_link_is_the_same_file_and_linking_again_changes_nothing(tmp_path):
    source, link = tmp_path / "a.bin", tmp_path / "b.bin"
    source.write_bytes(b"x")
    link.write_bytes(b"something older")
    link_or_copy(source, link)
    link_or_copy(source, link)
    assert link.samefile(source)
    assert parts(tmp_path) == ["a.bin", "b.bin"]


def test_where_links_are_impossible_a_copy_is_made(tmp_path, monkeypatch):
    def no_link(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", no_link)
    source, copy = tmp_path / "a.bin", tmp_path / "b.bin"
    source.write_bytes(b"content")
    link_or_copy(source, copy)
    assert copy.read_bytes() == b"content"
    assert not copy.samefile(source)
    assert parts(tmp_path) == ["a.bin", "b.bin"]


def test_a_copy_onto_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    source = tmp_path / "a.bin"
    source.write_bytes(b"content")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "_write_all", full)
    with pytest.raises(SinkError) as caught:
        copy_atomic(source, tmp_path / "out" / "b.bin")
    assert caught.value.code is ErrorCode.NO_SPACE
    assert parts(tmp_path / "out") == []


# ----------------------------------------------------------------------------- sources


def test_digest_is_blake2b_256_of_the_content(tmp_path):
    path = tmp_path / "a.bin"
    content = os.urandom((1 << 20) + 17)
    path.write_bytes(content)
    assert digest_file(path) == hashlib.blake2b(content, digest_size=32).hexdigest()


@pytest.mark.parametrize("read", [open_regular, digest_file, identify])
def test_only_regular_files_are_opened(tmp_path, read):
    os.mkfifo(tmp_path / "fifo.wav")
    (tmp_path / "a.wav").mkdir()
    outcomes: list[ErrorCode] = []

    def try_all() -> None:
        for path in (tmp_path / "fifo.wav", tmp_path / "a.wav", Path("/dev/zero")):
            with pytest.raises(SourceError) as caught:
                read(path)
            outcomes.append(caught.value.code)

    # In a thread of its own: opening a FIFO would block for ever.
    thread = threading.Thread(target=try_all, daemon=True)
    thread.start()
    thread.join(timeout=10)
    assert outcomes == [ErrorCode.PERMISSION] * 3


def test_a_missing_file_and_a_symlink_loop_are_not_found(tmp_path):
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    for name in ("none.wav", "loop.wav", "n" * 300, "nul\0.wav"):
        with pytest.raises(SourceError) as caught:
            identify(tmp_path / name)
        assert caught.value.code is ErrorCode.NOT_FOUND


def test_an_unreadable_file_is_a_matter_of_permission(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    path.write_bytes(b"x")

    def denied(*_: object) -> int:  # root may read everything, so the refusal is simulated
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(files, "_open_nonblocking", denied)
    with pytest.raises(SourceError, match="permissions") as caught:
        open_regular(path)
    assert caught.value.code is ErrorCode.PERMISSION


def test_an_unchanged_file_passes_and_reading_does_not_change_it(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"12345")
    before = identify(path)
    digest_file(path)
    check_unchanged(path, before)
    assert pickle.loads(pickle.dumps(before)) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: p.write_bytes(b"123456"), "size 5 -> 6"),
        (lambda p: os.utime(p, ns=(0, 0)), "mtime_ns"),
        (replace_with_equal_content, "inode"),
        (Path.unlink, "vanished"),
    ],
)
def test_a_change_while_reading_is_transient_and_named(tmp_path, change, said):
    path = tmp_path / "a.wav"
    path.write_bytes(b"12345")
    before = identify(path)
    change(path)
    with pytest.raises(SourceChangedError, match=said) as caught:
        check_unchanged(path, before)
    assert caught.value.code is ErrorCode.CHANGED_DURING_READ


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_message_about_any_name_can_be_encoded(tmp_path, name):
    with pytest.raises(SourceError) as caught:
        identify(tmp_path / name)
    assert str(caught.value).encode("utf-8")


def test_printable_leaves_ordinary_names_alone():
    assert printable("grüße 🎧.wav") == "grüße 🎧.wav"
