"""Sessions whose outputs really lie on the disk, as the pipeline leaves them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from store_samples import request, result

from anc_core.files import digest_file
from anc_core.pipeline import sidecar
from anc_core.records import SessionSummary, Status
from anc_core.settings import Settings
from anc_core.store import Database, Owner, claim, finish

LONG_AGO = datetime.now(UTC) - timedelta(days=100)


@dataclass
class Studio:
    """A database, a folder of recordings and one of outputs."""

    database: Database
    root: Path
    number: int = 0
    settings: Settings = field(init=False)

    def __post_init__(self) -> None:
        (self.root / "in").mkdir()
        (self.root / "out").mkdir()
        self.settings = Settings.load(home=self.root / "home", allowed_roots=str(self.root))

    def deliver(
        self,
        name: str,
        *,
        age: timedelta = timedelta(days=40),
        content: bytes = b"cleaned",
        output: Path | None = None,
        **changes: Any,
    ) -> str:
        """Process recording ``name``: input, output, sidecar, rows; return the session's id."""
        now = datetime.now(UTC)
        source = self.root / "in" / f"{name}.wav"
        source.write_bytes(b"noisy" + name.encode())
        output = output or self.root / "out" / f"{name}.wav"
        status = changes.pop("status", Status.OK)
        delivered = status in {Status.OK, Status.DEGRADED}
        wishes = {
            key: changes.pop(key)
            for key in ("user_id", "device_id", "recorded_at", "session_id")
            if key in changes
        }
        with self.database.begin() as db:
            taken = claim(
                db,
                request(
                    f"f-{name}",
                    source_path=str(source),
                    output_path=str(output),
                    temp_path=None,
                    **wishes,
                ),
                Owner.current(),
                now=now - age,
            )
        if delivered:
            output.write_bytes(content)
        summary: SessionSummary = result(
            taken.session_id,
            f"f-{name}",
            status=status,
            source_path=str(source),
            output_path=str(output),
            output_digest=digest_file(output) if delivered else None,
            sidecar_path=str(sidecar.sidecar_path(output)) if delivered else None,
            started_at=now - age,
            finished_at=now - age,
            **changes,
        )
        if delivered:
            sidecar.write(summary, "token")
            self.stamp(output, now - age)
        with self.database.begin() as db:
            finish(
                db,
                summary,
                Owner.current(),
                output_bytes=len(content) if delivered else None,
                now=now - age,
            )
        return taken.session_id

    @staticmethod
    def stamp(path: Path, moment: datetime) -> None:
        """Give a file the time at which it was delivered."""
        import os

        os.utime(path, (moment.timestamp(), moment.timestamp()))

    def out(self) -> set[str]:
        """Return the names of all that lies in the folder of outputs."""
        return {path.name for path in (self.root / "out").iterdir()}
