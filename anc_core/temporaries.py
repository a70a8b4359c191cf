"""Names of temporary files that tell who writes them, so that what the dead left can be removed.

Context: a temporary file of a fixed name is found again after ``kill -9``, but two processes that
write it at once (a worker that was taken for dead and lives, two copies of one output) tear it; one
of a random name is safe, and stays for ever when its process is killed.
Decision: host, process and the process's start are part of the name; the start is counted from the
machine's, so that no step of the clock changes it.
Consequence: no two writers share a file, and whoever comes next to the folder removes what belongs
to nobody. Files of other hosts are left alone: their processes can't be seen from here.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import socket
from contextlib import suppress
from pathlib import Path

import psutil

_WRITER = r"\.anc-([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{16}"
_NAME = re.compile(_WRITER + r"(-json)?\.part")
_FOLDER_NAME = re.compile(_WRITER + r"\.spool")
_GONE = frozenset({"Z", "X", "x"})
"""States of a process that is dead and not yet collected by its parent (proc(5))."""


def own_token() -> str:
    """Return a new token of this process for :func:`anc_core.files.temp_path`."""
    pid = os.getpid()
    return f"{_host()}-{pid}-{_start_of(pid) or 0}-{secrets.token_hex(8)}"


def remove_abandoned(folder: Path) -> int:
    """Remove the temporary files in ``folder`` whose process on this host is gone.

    Returns
    -------
    int
        How many there were. A folder that is missing or can't be searched has none.
    """
    removed = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for name in [entry.name for entry in entries if _is_abandoned(_NAME, entry.name)]:
            with suppress(OSError):  # somebody else was faster
                (folder / name).unlink()
                removed += 1
    return removed


def temporary_folder(parent: Path, token: str) -> Path:
    """Return the name of a temporary folder that :func:`remove_abandoned_folders` knows."""
    return parent / f".anc-{token}.spool"


def remove_abandoned_folders(parent: Path) -> int:
    """Remove the temporary folders in ``parent`` whose process on this host is gone.

    Returns
    -------
    int
        How many there were.
    """
    with suppress(OSError), os.scandir(parent) as entries:
        abandoned = [e.path for e in entries if _is_abandoned(_FOLDER_NAME, e.name)]
        for path in abandoned:
            shutil.rmtree(path, ignore_errors=True)
        return len(abandoned)
    return 0


def _is_abandoned(pattern: re.Pattern[str], name: str) -> bool:
    found = pattern.fullmatch(name)
    if found is None or found[1] != _host():
        return False
    return _start_of(int(found[2])) != int(found[3])


def _host() -> str:
    return hashlib.blake2s(socket.gethostname().encode(), digest_size=4).hexdigest()


def _start_of(pid: int) -> int | None:
    """Return when a process began, in clock ticks since the machine did; ``None`` if it is gone.

    0 where there is no ``/proc``: there a number that was given to another process counts as alive.
    """
    try:
        # The name of the program stands in brackets and may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        has_proc = Path("/proc/self/stat").exists()
        return 0 if not has_proc and psutil.pid_exists(pid) else None
    return None if fields[0] in _GONE else int(fields[19])
