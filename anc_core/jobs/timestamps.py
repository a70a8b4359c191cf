"""Times that recorders write: kept as they are, and remarked on where they cannot be true."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from anc_core.errors import WarningCode
from anc_core.records import Remark

EARLIEST = datetime(2000, 1, 2, tzinfo=UTC)
"""Clocks that were never set begin at 1970, 1980 or 2000, and then count for a while."""
FUTURE_TOLERANCE = timedelta(days=1)
"""Clocks that are fast, and local times that were taken for UTC."""


def timestamp_remarks(recorded_at: datetime | None, now: datetime) -> tuple[Remark, ...]:
    """Return TIMESTAMP_SUSPECT where nothing can have been recorded at ``recorded_at``.

    Parameters
    ----------
    recorded_at, now : datetime
        With their zones; ``None`` = not known, which is no fault.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> now = datetime(2024, 5, 1, tzinfo=UTC)
    >>> [remark.code.value for remark in timestamp_remarks(datetime(1970, 1, 1, tzinfo=UTC), now)]
    ['TIMESTAMP_SUSPECT']
    >>> timestamp_remarks(datetime(2024, 4, 30, tzinfo=UTC), now)
    ()
    """
    if recorded_at is None or EARLIEST <= recorded_at <= now + FUTURE_TOLERANCE:
        return ()
    what = "the clock was not set" if recorded_at < EARLIEST else "it lies in the future"
    message = f"recorded at {recorded_at.isoformat()}: {what}; set the recorder's clock"
    return (Remark(code=WarningCode.TIMESTAMP_SUSPECT, message=message),)
