"""The spool: made when needed, gone afterwards, and what the dead left as well."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from anc_core.errors import ErrorCode, SinkError
from anc_core.remote.spool import Spool


def test_nothing_is_made_before_it_is_needed(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool"):
        assert not (tmp_path / "spool").exists()


def test_it_is_private_keeps_suffixes_and_goes(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool") as spool:
        first, second = spool.path(".wav"), spool.path("." + "x" * 300)
        assert (first.suffix, second.suffix) == (".wav", "")
        assert first != second
        assert first.parent.stat().st_mode & 0o777 == 0o700
        first.write_bytes(b"1")
    assert list((tmp_path / "spool").iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from anc_core.remote.spool import Spool
with Spool(Path({str(tmp_path)!r})) as spool:
    spool.path(".wav").write_bytes(b"1")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False, cwd=Path(__file__).parents[3])
    (left,) = tmp_path.iterdir()
    with Spool(tmp_path) as living, Spool(tmp_path) as spool:
        ours = living.path(".wav")
        ours.touch()
        spool.path(".wav")
        assert not left.exists()
        assert ours.exists()


def test_a_disk_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Spool(tmp_path / "file" / "spool") as spool:
        with pytest.raises(SinkError) as caught:
            spool.path(".wav")
        assert caught.value.code is ErrorCode.NOT_WRITABLE
