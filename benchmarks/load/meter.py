"""Memory and processor time of a command and of all that it starts, sampled while it runs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

SAMPLE_EVERY_S = 0.5
_MEGA = 1e6
_WORKER = "anc_core.jobs.worker"
"""Stands in the command line of a process of the worker pool."""


@dataclass(slots=True)
class Role:
    """What the processes of one kind held: the parent, or its workers."""

    rss_mb: float = 0.0
    """Peak of the largest of them, pages shared with others included."""
    uss_mb: float = 0.0
    """Peak of the largest of them, its own pages only."""
    history: list[tuple[float, float]] = field(default_factory=list)
    """(seconds since the start, own pages of the largest one in MB)."""

    def at(self, share: float) -> float:
        """Return the median of what the largest one held around ``share`` of the run, in MB."""
        last_s = self.history[-1][0]
        near = sorted(mb for s, mb in self.history if abs(s / last_s - share) <= 0.05)
        return near[len(near) // 2] if near else float("nan")


@dataclass(slots=True)
class Usage:
    """What a command took."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    """Of the command and of all that it started and waited for."""
    tree_mb: float = 0.0
    """Peak of the sum of own pages over the tree."""
    load: float = 0.0
    """Processes that wanted a core, on average over the last minute of the run."""
    roles: dict[str, Role] = field(default_factory=lambda: defaultdict(Role))
    stdout: bytes = b""
    stderr: str = ""
    exit_code: int = 0


def run(
    words: Sequence[str], environment: Mapping[str, str], *, log: Path, niceness: int = 0
) -> Usage:
    """Run ``anc`` with ``words``; what it says on standard error is kept in ``log``, too."""
    usage, ended = Usage(), threading.Event()
    start = time.monotonic()
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows", *words],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    os.setpriority(os.PRIO_PROCESS, process.pid, niceness)
    sampler = threading.Thread(target=_sample, args=(process.pid, ended, usage, start))
    sampler.start()
    assert process.stdout is not None
    with process.stdout:
        usage.stdout = process.stdout.read()
    # Of this one process and those that it waited for; others may run beside it.
    _, status, taken = os.wait4(process.pid, 0)
    ended.set()
    process.returncode = usage.exit_code = os.waitstatus_to_exitcode(status)
    sampler.join()
    usage.wall_s = time.monotonic() - start
    usage.cpu_s = taken.ru_utime + taken.ru_stime
    usage.load = os.getloadavg()[0]
    usage.stderr = log.read_text(errors="replace")
    return usage


def _sample(pid: int, ended: threading.Event, usage: Usage, start: float) -> None:
    root = psutil.Process(pid)
    while not ended.wait(SAMPLE_EVERY_S):
        largest: dict[str, float] = defaultdict(float)
        tree_mb = 0.0
        for member in _family(root):
            try:
                memory: Any = member.memory_full_info()
                role = _role(member, root)
            except (psutil.Error, OSError):
                continue  # it has just ended
            own_mb = memory.uss / _MEGA
            tree_mb += own_mb
            largest[role] = max(largest[role], own_mb)
            held = usage.roles[role]
            held.rss_mb = max(held.rss_mb, memory.rss / _MEGA)
            held.uss_mb = max(held.uss_mb, own_mb)
        usage.tree_mb = max(usage.tree_mb, tree_mb)
        for role, own_mb in largest.items():
            usage.roles[role].history.append((time.monotonic() - start, own_mb))


def _family(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def _role(member: psutil.Process, root: psutil.Process) -> str:
    if member.pid == root.pid:
        return "parent"
    return "worker" if any(_WORKER in word for word in member.cmdline()) else "other"
