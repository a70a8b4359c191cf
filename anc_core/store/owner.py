"""Who works on a session, and whether that worker still lives.

Context: a worker that is killed (-9, out of memory) writes nothing; waiting for its heartbeat to
grow old would hold its recordings back for minutes.
Decision: on the same host the process table is asked, so death is seen at once; the start time
tells a reused process id apart. From another host only the age of the heartbeat can be judged.
Consequence: hosts that share a store need distinct host names. If a running host's clock is
stepped by more than :data:`START_TOLERANCE_S`, its workers look dead to their neighbours; a session
is then processed twice, but only one of the two can finish it.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psutil

STALE_AFTER_S = 120.0
START_TOLERANCE_S = 2.0
"""Linux derives the start from the boot time, which moves a little as the clock is corrected."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A worker process.

    Parameters
    ----------
    host : str
        Name of the machine or container.
    pid : int
        Process id on that host.
    started_at : datetime
        When the process began, aware; tells a reused ``pid`` apart.
    """

    host: str
    pid: int
    started_at: datetime

    @classmethod
    def current(cls) -> Owner:
        """Return this process."""
        pid = os.getpid()
        return cls(socket.gethostname(), pid, _start_of(psutil.Process(pid)))

    def is_alive(
        self, heartbeat_at: datetime | None, now: datetime, stale_after_s: float = STALE_AFTER_S
    ) -> bool:
        """Tell whether the worker still runs.

        Parameters
        ----------
        heartbeat_at : datetime or None
            Its last sign of life; judged only when it lives on another host.
        now : datetime
            The present, aware.
        stale_after_s : float
            Seconds without a heartbeat after which a worker of another host counts as dead.
        """
        if self.host == socket.gethostname():
            return self._runs_here()
        return heartbeat_at is not None and now - heartbeat_at <= timedelta(seconds=stale_after_s)

    def _runs_here(self) -> bool:
        try:
            process = psutil.Process(self.pid)
            # A killed child that its parent has not collected yet is still in the table.
            if process.status() in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}:
                return False
            age = _start_of(process) - self.started_at
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:  # another user's process: it exists, and that is all we learn
            return True
        return abs(age.total_seconds()) <= START_TOLERANCE_S


def _start_of(process: psutil.Process) -> datetime:
    return datetime.fromtimestamp(process.create_time(), UTC)
