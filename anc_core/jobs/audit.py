"""Whether the store agrees with the disk."""

from __future__ import annotations

from pathlib import Path

from anc_core.remote.address import is_url
from anc_core.store import Database, delivered_outputs


def missing_outputs(database: Database) -> list[str]:
    """Return a line for every finished session whose output is not on the disk.

    Sessions that were imported have their outputs elsewhere, and so have those whose output is a
    URL: buckets are not searched.
    """
    with database.read() as db:
        return [
            f"session {session_id}: output {output_path} is missing"
            for session_id, output_path in delivered_outputs(db)
            if not is_url(output_path) and not Path(output_path).is_file()
        ]
