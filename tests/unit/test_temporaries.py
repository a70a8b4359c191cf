"""Temporary files tell whose they are; what belongs to nobody is removed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from anc_core.files import atomic_path, temp_path
from anc_core.temporaries import own_token, remove_abandoned

_TOKEN = "from anc_core.temporaries import own_token; print(own_token(), flush=True); input()"


def left_by_another(folder: Path, *suffixes: str) -> subprocess.Popen[str]:
    """Return a process that has temporary files in ``folder`` and lives."""
    pipe = subprocess.PIPE
    words = [sys.executable, "-c", _TOKEN]
    other = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True)
    assert other.stdout is not None
    token = other.stdout.readline().strip()
    for suffix in suffixes:
        temp_path(folder / "x", token + suffix).write_bytes(b"half")
    return other


def test_what_a_dead_process_left_is_removed_and_what_a_live_one_writes_is_not(
    tmp_path: Path,
) -> None:
    mine = temp_path(tmp_path / "x", own_token())
    mine.write_bytes(b"half")
    with left_by_another(tmp_path, "", "-json") as other:
        assert remove_abandoned(tmp_path) == 0
        assert len(list(tmp_path.iterdir())) == 3
        other.kill()  # and not yet collected: a zombie writes nothing any more
        while other.poll() is None:
            pass
    assert remove_abandoned(tmp_path) == 2
    assert list(tmp_path.iterdir()) == [mine]


def test_a_number_that_was_given_to_another_process_does_not_protect(tmp_path: Path) -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("the start of a process is known from /proc only")
    host, pid, start, random = own_token().split("-")
    assert int(pid) == os.getpid()
    temp_path(tmp_path / "x", f"{host}-{pid}-{int(start) - 1}-{random}").touch()
    assert remove_abandoned(tmp_path) == 1


def test_other_hosts_and_other_names_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: "elsewhere")
        temp_path(tmp_path / "x", own_token().replace(f"-{os.getpid()}-", "-4194305-")).touch()
    temp_path(tmp_path / "x", "0123456789abcdef").touch()
    (tmp_path / "x.wav").touch()
    assert remove_abandoned(tmp_path) == 0
    assert remove_abandoned(tmp_path / "missing") == 0
    assert len(list(tmp_path.iterdir())) == 3


def test_two_writers_of_one_file_never_share_what_is_not_complete(tmp_path: Path) -> None:
    """The second is quicker: both versions come whole, the last one stays."""
    with atomic_path(tmp_path / "x") as slow:
        slow.write_bytes(b"ab")
        with atomic_path(tmp_path / "x") as quick:
            quick.write_bytes(b"other")
        assert (tmp_path / "x").read_bytes() == b"other"
    assert (tmp_path / "x").read_bytes() == b"ab"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
