"""One request to the service, and the endpoint that its path stands for.

A path names things (``/sessions/2024-05-01_hall.7/events``); figures are of endpoints
(``/sessions/{session_id}/events``). Only the latter is stored, so that their number stays small.
Standard library only: the middleware lives in other people's processes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from urllib.parse import unquote

from anc_core.errors import InputError

MAX_ENDPOINTS = 500
"""Different paths that are told apart; a scanner that invents more of them meets one name."""
OTHER = "{other}"

METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"}
)
_MAX_SEGMENTS = 8
_MAX_TEXT = 256
# A word, possibly of several parts, possibly with a short number: v1, mp3, oauth2, top-10.
_WORD = re.compile(r"(?=.{1,32}$)[A-Za-z_]+(?:[.\-_~][A-Za-z_]+)*(?:[.\-_]?[0-9]{1,2})?")
_HEX = re.compile(r"[0-9a-fA-F]{8,}")
_SESSIONS = ("session", "sessions")
_TEMPLATE = re.compile(r"\{[A-Za-z_]{1,32}\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """A request that was answered.

    Raises
    ------
    InputError
        If the time is naive, the status no HTTP status or the duration negative or not finite.
    """

    requested_at: datetime
    """When it came in, aware."""
    method: str
    path: str
    """Endpoint; see :func:`endpoint_of`."""
    status_code: int
    """100 to 599."""
    duration_ms: float | None = None
    """Until the last byte of the answer; ``None`` where a log does not tell."""
    client: str | None = None
    session_id: str | None = None
    """The session it was about, where the path names one."""
    error_code: str | None = None

    def __post_init__(self) -> None:
        if self.requested_at.utcoffset() is None:
            msg = f"requested_at {self.requested_at.isoformat()} has no time zone; give one"
            raise InputError(msg)
        if not 100 <= self.status_code <= 599:
            msg = f"status_code is {self.status_code}; it must be 100 to 599"
            raise InputError(msg)
        if self.duration_ms is not None and not (
            isfinite(self.duration_ms) and self.duration_ms >= 0
        ):
            msg = f"duration_ms is {self.duration_ms}; it must be finite and >= 0, or None"
            raise InputError(msg)


def method_of(word: str) -> str:
    """Return an HTTP method in capitals, ``OTHER`` for what is none."""
    method = word.upper()
    return method if method in METHODS else "OTHER"


def endpoint_of(path: str) -> tuple[str, str | None]:
    """Return the endpoint of ``path``, and the session that it names, if any.

    Parameters
    ----------
    path : str
        With or without host and query, percent-encoded or not; a template passes unchanged.

    Examples
    --------
    >>> endpoint_of("/v1/sessions/20240501-120000-0a1b2c3d/events?limit=5")
    ('/v1/sessions/{session_id}/events', '20240501-120000-0a1b2c3d')
    >>> endpoint_of("/users/42/")
    ('/users/{id}', None)
    """
    bare = re.split(r"[?#;]", path, maxsplit=1)[0]
    if "://" in bare:
        bare = "/" + bare.partition("://")[2].partition("/")[2]
    names: list[str] = []
    session_id = None
    for part in filter(None, bare.split("/")):
        if len(names) == _MAX_SEGMENTS:
            names.append("...")
            break
        if names and names[-1] in _SESSIONS and not _TEMPLATE.fullmatch(part):
            session_id = unquote(part)[:_MAX_TEXT]
            names.append("{session_id}")
        else:
            names.append(_segment(part))
    return "/" + "/".join(names), session_id


class Endpoints:
    """Endpoints that are told apart: the first :data:`MAX_ENDPOINTS`, then ``{other}``."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = set(known)

    def name(self, endpoint: str) -> str:
        """Return ``endpoint``, or ``{other}`` once there are too many of them."""
        if endpoint in self._known:
            return endpoint
        if len(self._known) >= MAX_ENDPOINTS:
            return OTHER
        self._known.add(endpoint)
        return endpoint


def _segment(part: str) -> str:
    if _TEMPLATE.fullmatch(part):
        return part
    is_word = _WORD.fullmatch(part) is not None and not (
        _HEX.fullmatch(part) and any(sign.isdigit() for sign in part)
    )
    return part if is_word else "{id}"
