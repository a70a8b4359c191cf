from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from anc_core.store import Owner

NOW = datetime(2024, 5, 1, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)


def owner_of(process: subprocess.Popen[bytes]) -> Owner:
    started = datetime.fromtimestamp(psutil.Process(process.pid).create_time(), UTC)
    return Owner(socket.gethostname(), process.pid, started)


@pytest.fixture
def sleeper():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_the_current_owner_is_this_process_every_time():
    me = Owner.current()
    assert (me.host, me.pid) == (socket.gethostname(), os.getpid())
    assert me == Owner.current()
    assert me.started_at < datetime.now(UTC)


def test_on_this_host_the_process_counts_and_not_the_heartbeat(sleeper):
    assert owner_of(sleeper).is_alive(LONG_AGO, NOW)
    assert owner_of(sleeper).is_alive(None, NOW)


def test_a_killed_process_is_dead_at_once_even_before_its_parent_collects_it(sleeper):
    owner = owner_of(sleeper)
    sleeper.kill()
    deadline = time.monotonic() + 5
    while owner.is_alive(NOW, NOW) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert psutil.Process(sleeper.pid).status() == psutil.STATUS_ZOMBIE
    assert not owner.is_alive(NOW, NOW)
    sleeper.wait()
    assert not owner.is_alive(NOW, NOW)


@pytest.mark.parametrize(("shift_s", "alive"), [(1.5, True), (-1.5, True), (3, False), (-3, False)])
def test_another_start_time_is_another_process(shift_s, alive):
    me = Owner.current()
    other = replace(me, started_at=me.started_at + timedelta(seconds=shift_s))
    assert other.is_alive(NOW, NOW) is alive


@pytest.mark.parametrize(
    ("heartbeat_at", "alive"),
    [
        (NOW, True),
        (NOW - timedelta(seconds=120), True),
        (NOW - timedelta(seconds=121), False),
        (NOW + timedelta(seconds=60), True),  # its clock is ahead of ours
        (None, False),
    ],
)
def test_on_another_host_the_heartbeat_counts(heartbeat_at, alive):
    assert Owner("elsewhere.invalid", os.getpid(), NOW).is_alive(heartbeat_at, NOW) is alive


def test_the_patience_can_be_chosen():
    owner = Owner("elsewhere.invalid", 1, NOW)
    assert not owner.is_alive(NOW - timedelta(seconds=11), NOW, stale_after_s=10)
