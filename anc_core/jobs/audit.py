"""Whether the store agrees with the disk."""

from __future__ import annotations

from pathlib import Path

from anc_core.records import Status
from anc_core.store import Database, list_sessions


def missing_outputs(database: Database) -> list[str]:
    """Return a line for every finished session whose output is not on the disk."""
    with database.read() as db:
        return [
            f"session {summary.session_id}: output {summary.output_path} is missing"
            for summary in list_sessions(db, statuses=(Status.OK, Status.DEGRADED))
            if summary.output_path is not None and not Path(summary.output_path).is_file()
        ]
