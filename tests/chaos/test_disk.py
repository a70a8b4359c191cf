"""The disk fills up, becomes read-only or loses the output folder while a batch runs."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.chaos.conftest import repetitions
from tests.chaos.direct import attack
from tests.chaos.site import until
from tests.chaos.verdict import World

pytestmark = [pytest.mark.long, pytest.mark.timeout(7_200)]


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system of 48 MB on ``folder``; only root may."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(words, check=False).returncode:
        pytest.skip("a file system of our own cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Take all the room that is left, to the last byte."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while file.write(b"\0" * size):
                    pass
    return ballast


@pytest.mark.parametrize("with_store", [False, True], ids=["outputs", "outputs and store"])
def test_a_disk_that_fills_up(world: World, tmp_path: Path, *, with_store: bool) -> None:
    what = "outputs and store" if with_store else "outputs"
    for one in repetitions(f"disk full: {what}", most=5):
        case = attack(world, tmp_path / str(one.number), one)
        disk = tmp_path / f"disk-{one.number}"
        with small_disk(disk):
            case.place = disk / "out"
            if with_store:
                case.env["ANC_HOME"] = str(disk / "home")
            with case.running() as process:
                case.wait_for_a_moment()
                ballast = fill(disk)
                case.end()
                case.moment += f", exit code {process.returncode}"
                ballast.unlink()
                case.conclude()


def test_a_disk_that_becomes_read_only(world: World, tmp_path: Path) -> None:
    for one in repetitions("outputs read-only", most=5):
        case = attack(world, tmp_path / str(one.number), one)
        disk = tmp_path / f"disk-{one.number}"
        with small_disk(disk):
            case.place = disk / "out"
            with case.running() as process:
                case.wait_for_a_moment()
                # Refused while somebody has a file open for writing: the gaps are short.
                until(lambda disk=disk: _remount(disk, "ro"), 60, 0.001)
                case.end()
                case.moment += f", exit code {process.returncode}"
                assert _remount(disk, "rw")
                case.conclude()


def _remount(disk: Path, how: str) -> bool:
    words = ["mount", "-o", f"remount,{how}", str(disk)]
    return subprocess.run(words, check=False, capture_output=True).returncode == 0


def test_an_output_folder_that_is_removed(world: World, tmp_path: Path) -> None:
    for one in repetitions("output folder removed", most=5):
        case = attack(world, tmp_path / str(one.number), one)
        with case.running() as process:
            case.wait_for_a_moment()
            deadline = time.monotonic() + 1.0
            while case.out.exists() and time.monotonic() < deadline:
                shutil.rmtree(case.out, ignore_errors=True)
            case.end()
            case.moment += f", exit code {process.returncode}"
            case.conclude()
