"""Lines of access logs: common and combined (nginx, Apache), or a JSON object on each line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from anc_core.api_requests import ApiRequest, Endpoints, endpoint_of, method_of
from anc_core.errors import InputError

MAX_LINE_BYTES = 1 << 16

# host ident user [day/Mon/year:h:m:s zone] "request" status bytes ...; a vhost may stand before it.
_LINE = re.compile(
    r'(?P<who>[^\["]{1,2048})'
    r"\[(?P<d>\d{2})/(?P<b>[A-Z][a-z]{2})/(?P<y>\d{4}):(?P<t>\d{2}:\d{2}:\d{2}) "
    r"(?P<sign>[+-])(?P<zh>\d{2})(?P<zm>\d{2})\] "
    r'"(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}) (?:\d+|-)(?P<rest>.*)',
    re.DOTALL,
)
# What is never closed ends with the line: a search from each quotation mark would be quadratic.
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?$)')
# What follows the user agent: 0.123, rt=0.123, request_time="0.123", 123456 (Apache's %D).
_DURATION = re.compile(r'(?:^|\s)(?:(?P<name>[A-Za-z_]+)=)?"?(?P<value>\d+(?:\.\d+)?)"?(?=\s|$)')
_DURATION_NAMES = {None, "rt", "request_time", "duration", "time", "t"}
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}

_TIME_KEYS = ("time_iso8601", "@timestamp", "timestamp", "requested_at", "time", "ts")
_METHOD_KEYS = ("method", "request_method", "http_method", "verb")
_PATH_KEYS = ("path", "uri", "request_uri", "url", "endpoint")
_STATUS_KEYS = ("status", "status_code", "response_status", "http_status")
_CLIENT_KEYS = ("client", "remote_addr", "client_ip", "remote_ip")
# Key -> milliseconds of one; nginx's $request_time is in seconds.
_DURATION_KEYS = {
    "duration_ms": 1.0,
    "latency_ms": 1.0,
    "elapsed_ms": 1.0,
    "response_time_ms": 1.0,
    "request_time": 1e3,
    "duration_s": 1e3,
    "duration_us": 1e-3,
}


class LineReader:
    """Makes requests of lines.

    Parameters
    ----------
    endpoints : Endpoints
        Keeps their number small.
    keep_client : bool
        Keep the client's address, which is personal data.
    """

    def __init__(self, endpoints: Endpoints, *, keep_client: bool = False) -> None:
        self._endpoints = endpoints
        self._keep_client = keep_client

    def read(self, line: bytes) -> ApiRequest | None:
        """Return the request of a line, ``None`` for an empty one.

        Raises
        ------
        InputError
            Says what is wrong with the line.
        """
        if len(line) > MAX_LINE_BYTES:
            msg = f"is longer than {MAX_LINE_BYTES} bytes"
            raise InputError(msg)
        text = line.decode("utf-8", "backslashreplace").strip("\r\n\ufeff ")
        if not text:
            return None
        try:
            return self._of_object(text) if text.startswith("{") else self._of_words(text)
        except InputError:
            raise
        except (ValueError, TypeError, OverflowError, RecursionError) as err:
            raise InputError(str(err) or type(err).__name__) from err

    def _of_words(self, text: str) -> ApiRequest:
        found = _LINE.fullmatch(text)
        if found is None:
            msg = "is neither the common nor the combined log format nor JSON"
            raise InputError(msg)
        offset = timedelta(hours=int(found["zh"]), minutes=int(found["zm"]))
        zone = timezone(-offset if found["sign"] == "-" else offset)
        hour, minute, second = map(int, found["t"].split(":"))
        # Not strptime: the month's name is English whatever the locale.
        at = datetime(
            int(found["y"]), _month(found["b"]), int(found["d"]), hour, minute, min(second, 59),
            tzinfo=zone,
        )  # fmt: skip
        # A vhost or an index may stand first; the client is the last word but two (ident, user).
        words = found["who"].split()
        client = words[-3] if len(words) >= 3 else words[0] if words else ""
        return self._request(
            at, found["request"], int(found["status"]), _duration_ms(found["rest"]), client
        )

    def _of_object(self, text: str) -> ApiRequest:
        row = json.loads(text)
        if not isinstance(row, dict):
            msg = "is no JSON object"
            raise InputError(msg)
        path = _first(row, _PATH_KEYS)
        line = row.get("request")
        if path is None and isinstance(line, str):
            request = line
        elif path is None:
            msg = f"has no path; one of {', '.join(_PATH_KEYS)}"
            raise InputError(msg)
        else:
            request = f"{_needed(row, _METHOD_KEYS, 'method')} {path}"
        return self._request(
            _moment(_needed(row, _TIME_KEYS, "time")),
            request,
            int(str(_needed(row, _STATUS_KEYS, "status"))),
            _object_duration_ms(row),
            str(_first(row, _CLIENT_KEYS) or ""),
        )

    def _request(
        self, at: datetime, request: str, status: int, duration_ms: float | None, client: str
    ) -> ApiRequest:
        # What is no request (TLS at a plain port, an empty line) was answered all the same.
        method, _, rest = request.partition(" ")
        endpoint, session_id = endpoint_of(rest.rpartition(" HTTP/")[0] or rest or "/")
        return ApiRequest(
            requested_at=at.astimezone(UTC),
            method=method_of(method),
            path=self._endpoints.name(endpoint),
            status_code=status,
            duration_ms=duration_ms,
            client=client if self._keep_client and client not in {"", "-"} else None,
            session_id=session_id,
        )


def _month(name: str) -> int:
    try:
        return _MONTHS[name]
    except KeyError:
        msg = f"{name!r} is no month"
        raise InputError(msg) from None


def _duration_ms(rest: str) -> float | None:
    """Return the first number after the quoted words: seconds with a point, else microseconds."""
    for found in _DURATION.finditer(_QUOTED.sub(_kept_number, rest)):
        if found["name"] in _DURATION_NAMES:
            value = found["value"]
            return float(value) * 1e3 if "." in value else int(value) / 1e3
    return None


def _kept_number(quoted: re.Match[str]) -> str:
    inner = quoted[0][1:-1]
    return inner if re.fullmatch(r"\d+\.\d+", inner) else "-"


def _object_duration_ms(row: Mapping[str, Any]) -> float | None:
    for name, factor in _DURATION_KEYS.items():
        value = row.get(name)
        if value is not None and value not in {"", "-"}:
            return float(value) * factor
    return None


def _moment(value: Any) -> datetime:  # noqa: ANN401 - a JSON value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    moment = datetime.fromisoformat(str(value))
    if moment.utcoffset() is None:
        msg = f"time {value!r} has no zone"
        raise InputError(msg)
    return moment


def _first(row: Mapping[str, Any], names: Iterable[str]) -> Any:  # noqa: ANN401 - a JSON value
    return next((row[name] for name in names if row.get(name) is not None), None)


def _needed(row: Mapping[str, Any], names: tuple[str, ...], what: str) -> Any:  # noqa: ANN401
    value = _first(row, names)
    if value is None:
        msg = f"has no {what}; one of {', '.join(names)}"
        raise InputError(msg)
    return value
