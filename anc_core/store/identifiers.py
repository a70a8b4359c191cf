"""Names of sessions and batches: safe as a file name on every system, sortable by time."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime

from anc_core.errors import InputError

MAX_ID_LENGTH = 128

_ALLOWED = re.compile(rf"[A-Za-z0-9._-]{{1,{MAX_ID_LENGTH}}}")
# Windows opens a device for these, whatever the extension: "Naming Files, Paths, and Namespaces".
_DEVICE = re.compile(r"(CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(\..*)?", re.IGNORECASE)


def validate_session_id(session_id: str, *, what: str = "session_id") -> str:
    """Return ``session_id``, or say why it cannot name a session.

    Parameters
    ----------
    session_id : str
        1 to 128 of ``A-Z a-z 0-9 . _ -``; not ``.`` or ``..``, not a Windows device name
        (``CON``, ``NUL.txt``), no dot at the end.
    what : str
        The word for it in the message.

    Raises
    ------
    InputError
        If it breaks a rule. Checked before any path is made from it.

    Examples
    --------
    >>> validate_session_id("2024-05-01_hall.7")
    '2024-05-01_hall.7'
    """
    shown = session_id if len(session_id) <= MAX_ID_LENGTH else session_id[:40] + "..."
    if _ALLOWED.fullmatch(session_id) is None:
        msg = f"{what} {shown!r} must be 1 to {MAX_ID_LENGTH} of the characters A-Z a-z 0-9 . _ -"
        raise InputError(msg)
    # Windows drops trailing dots, so "a." and "a" would be one file; this covers "." and "..".
    if session_id.endswith("."):
        msg = f"{what} {shown!r} ends with a dot; leave it out"
        raise InputError(msg)
    if _DEVICE.fullmatch(session_id):
        msg = f"{what} {shown!r} is the name of a device on Windows; choose another"
        raise InputError(msg)
    return session_id


def new_session_id(now: datetime) -> str:
    """Return a fresh id ``YYYYMMDD-HHMMSS-<8 hex>``: UTC time of ``now`` and 32 random bits."""
    return f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
