"""What a periodic job leaves in the audit log, and who asked for it."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from anc_core.errors import AncError
from anc_core.store import Database, note_job_run


class JobNote:
    """What a job did, for the audit log; filled in while it runs."""

    def __init__(self) -> None:
        self.detail: dict[str, Any] = {}


@contextmanager
def noted_job(database: Database, job: str, actor: str) -> Iterator[JobNote]:
    """Note in the audit log that the block, a job, ended well, or that it failed and of what."""
    note = JobNote()
    try:
        yield note
    except Exception as err:
        # The database may be the very thing that failed: the error of the job is the one to tell.
        with suppress(AncError), database.begin() as db:
            detail = note.detail | {"error": f"{type(err).__name__}: {err}"}
            note_job_run(db, job, detail, actor, failed=True)
        raise
    with database.begin() as db:
        note_job_run(db, job, note.detail, actor)


def current_actor(program: str) -> str:
    """Return who asks for something on the command line: ``anc cleanup (name)``."""
    try:
        return f"{program} ({getpass.getuser()})"
    except (OSError, KeyError):  # a container's user without a name
        return f"{program} (uid {os.getuid()})"
