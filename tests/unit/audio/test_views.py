"""What decoders and encoders are shown."""

from __future__ import annotations

import errno
import io
import os

import pytest

from anc_core.audio.views import SinkView, SourceView

CONTENT = bytes(range(256))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    with io.FileIO(path, "r+") as opened:
        yield opened


def test_a_source_view_is_its_prefix_and_its_stretches(file):
    view = SourceView(file, [b"HEAD", (10, 5), (0, 0), b"", b"mid", (200, 3)])
    expected = b"HEAD" + CONTENT[10:15] + b"mid" + CONTENT[200:203]
    assert view.read() == expected
    for start in range(len(expected) + 2):
        for size in (0, 1, 3, 100):
            assert view.seek(start) == start
            assert view.read(size) == expected[start : start + size]
    assert view.seek(-2, os.SEEK_END) == len(expected) - 2
    assert view.seek(1, os.SEEK_CUR) == len(expected) - 1


def test_a_source_view_keeps_an_error_of_the_disk_for_later(file, monkeypatch):
    view = SourceView(file)

    class Broken(io.RawIOBase):
        def seek(self, *_: object) -> int:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(view, "_file", Broken())
    assert view.read(10) == b""
    assert view.error is not None
    assert view.error.errno == errno.EIO


def test_a_sink_view_leaves_its_gap_whatever_is_written_around_it(file):
    file.truncate(0)
    view = SinkView(file, gap_offset=4, gap_length=3)
    view.write(b"ab")
    view.write(b"cdefgh")  # across the gap
    view.seek(3)
    view.write(b"DE")  # once more, across
    assert view.seek(0, os.SEEK_END) == 8
    file.seek(0)
    assert file.read() == b"abcD\0\0\0Efgh"


def test_a_sink_view_keeps_the_first_error_and_writes_no_more(file, monkeypatch):
    view = SinkView(file)

    class Full(io.RawIOBase):
        def seek(self, *_: object) -> int:
            return 0

        def write(self, *_: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(view, "_file", Full())
    assert view.write(b"x") == 0
    monkeypatch.undo()
    assert view.write(b"y") == 0
    assert view.error is not None
    assert view.error.errno == errno.ENOSPC
