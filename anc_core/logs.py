"""Log lines that say whose they are: session, batch and run ids on every line, as text or JSON.

Context: one recording's lines come from a flow, from threads, from worker processes and from the
core, which knows neither Prefect nor who calls it.
Decision: ids travel in a context variable, and to a worker process with each request; an edge that
knows more (Prefect's runs) is asked by way of :func:`set_id_source`. A filter puts them on every
record that passes a handler of ours.
Consequence: no function takes an id only to log it. Lines before a recording is claimed have no
session id, since it is the claim that gives one; they name the file.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

from pythonjsonlogger.json import JsonFormatter

from anc_core.inert import inert

T = TypeVar("T")

ID_NAMES = ("session_id", "batch_id", "flow_run_id", "task_run_id")
LOGGERS = ("anc_core", "deployments", "flows")
"""Ours, whose level is ``ANC_LOG_LEVEL``."""
HIDDEN = "**********"

_MIN_SECRET = 6
"""A shorter one would blot out half of every line; a password that short keeps nothing secret."""
_RENAMED = {"levelname": "level", "name": "logger", "exc_info": "exception", "stack_info": "stack"}

_ids: ContextVar[Mapping[str, str]] = ContextVar("anc_log_ids", default={})  # noqa: B039 - never changed


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStyle:
    """How lines look; travels to worker processes."""

    as_json: bool
    level: str
    secrets: tuple[str, ...] = ()
    """Never shown, wherever they come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogContext:
    """What a worker process must know so that its lines look like those of its parent."""

    style: LogStyle | None
    ids: Mapping[str, str]


class _State:
    """Of this process: what it was told last."""

    style: LogStyle | None = None
    replaced: ClassVar[list[tuple[logging.Logger, logging.Handler, bool]]] = []
    """Prefect's, kept: it looks for them by name, and begins anew where one is gone."""
    source: Callable[[], Mapping[str, str]] = staticmethod(dict)


@contextmanager
def log_ids(**ids: str | None) -> Iterator[None]:
    """Let every line of the block, in this thread, bear these ids (:data:`ID_NAMES`)."""
    known = {name: value for name, value in ids.items() if value is not None}
    token = _ids.set({**_ids.get(), **known})
    try:
        yield
    finally:
        _ids.reset(token)


def current_ids() -> dict[str, str]:
    """Return the ids that a line written now would bear."""
    return {**_State.source(), **_ids.get()}


def set_id_source(source: Callable[[], Mapping[str, str]]) -> None:
    """Let ``source`` be asked for ids that only the edge knows; it is quick and never raises."""
    _State.source = staticmethod(source)


def configure_logs(style: LogStyle) -> None:
    """Write the lines of this process to standard error in ``style``; again changes the style.

    A handler of Prefect that writes text keeps its looks and gets the ids behind its lines.
    """
    _State.style = style
    for name in LOGGERS:
        logging.getLogger(name).setLevel(style.level)
    theirs = [(place, one) for place in _loggers() for one in place.handlers if _is_prefects(one)]
    if not style.as_json:
        for _, handler in theirs:
            _behind(handler, style)
        if any(place is logging.root for place, _ in theirs):
            return
    for place, handler in theirs if style.as_json else ():
        _State.replaced.append((place, handler, place.propagate))
        place.removeHandler(handler)
        place.propagate = True
    _remove_own()
    own = JsonHandler() if style.as_json else _OwnHandler()
    own.setFormatter(_Json(style.secrets) if style.as_json else _Text(style.secrets))
    logging.root.addHandler(own)


def forget_configuration() -> None:
    """Undo :func:`configure_logs`: a test leaves the log as it was."""
    _State.style = None
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.NOTSET)
    _remove_own()
    while _State.replaced:
        place, theirs, propagates = _State.replaced.pop()
        place.propagate = propagates
        place.addHandler(theirs)


def _remove_own() -> None:
    for handler in [one for one in logging.root.handlers if isinstance(one, _OwnHandler)]:
        logging.root.removeHandler(handler)


def _loggers() -> list[logging.Logger]:
    known = logging.root.manager.loggerDict.values()
    return [logging.root, *(one for one in known if isinstance(one, logging.Logger))]


def log_context() -> LogContext:
    """Return what :func:`call_in_context` needs in another process."""
    return LogContext(style=_State.style, ids=current_ids())


def call_in_context(
    context: LogContext, function: Callable[..., T], arguments: tuple[Any, ...]
) -> T:
    """Call a function in a worker process as if its lines were written by the parent."""
    if context.style is not None and context.style != _State.style:
        configure_logs(context.style)
    with log_ids(**context.ids):
        return function(*arguments)


class AddIds(logging.Filter):
    """Puts the ids on every record that has none of its own."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add what is known; let every record pass."""
        for name, value in current_ids().items():
            if getattr(record, name, None) is None:
                setattr(record, name, value)
        return True


class _OwnHandler(logging.StreamHandler[Any]):
    """Standard error, whatever that is when a line is written: tests and tools exchange it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.addFilter(AddIds())

    @property
    def stream(self) -> Any:  # noqa: ANN401 - what sys has
        return sys.stderr


class JsonHandler(_OwnHandler):
    """One that Prefect leaves alone when it is imported later.

    It replaces the root's handlers unless there is one that is somebody's own, which it tells by a
    name without an underscore. In text its own looks are what people know.
    """


class _Json(JsonFormatter):
    """One object a line: timestamp (UTC), level, logger, message, ids, what else a record has."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__(
            ["levelname", "name", "message"],
            rename_fields=_RENAMED,
            timestamp=True,
            json_ensure_ascii=True,
            json_default=str,
        )
        # As they would stand in a JSON string.
        self._secrets = tuple(json.dumps(secret)[1:-1] for secret in secrets)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return _without(super().format(record), self._secrets)

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Leave out what says nothing."""
        plain = super().process_log_record(log_data)
        return {name: _plain(value) for name, value in plain.items() if value is not None}


class _Text(logging.Formatter):
    """``2026-11-30T22:50:01.123Z WARNING anc_core.jobs.run: message [session_id=...]``."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the trace behind it."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        head = f"{at.replace('+00:00', 'Z')} {record.levelname} {record.name}: "
        line = head + inert(record.getMessage()) + ids_of(record) + _trace_of(self, record)
        return _without(line, self._secrets)


class _Behind(logging.Formatter):
    """Another's line with the ids behind it."""

    def __init__(self, inner: logging.Formatter, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self.inner, self._secrets = inner, secrets

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the trace behind it."""
        plain = copy(record)
        plain.msg, plain.args = inert(record.getMessage()), None
        plain.exc_info = plain.exc_text = None
        line = self.inner.format(plain) + ids_of(record) + _trace_of(self, record)
        return _without(line, self._secrets)


def ids_of(record: logging.LogRecord) -> str:
    """Return the ids of a record as they stand at the end of a text line."""
    found = {name: getattr(record, name, None) for name in ID_NAMES}
    words = " ".join(f"{name}={inert(str(v))}" for name, v in found.items() if v is not None)
    return f" [{words}]" if words else ""


def _trace_of(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """Return the trace, indented, so that no line of it looks like one of the log."""
    if not record.exc_info:
        return ""
    trace = formatter.formatException(record.exc_info)
    return "".join(f"\n    {inert(part)}" for part in trace.split("\n"))


def _behind(handler: logging.Handler, style: LogStyle) -> None:
    formatter = handler.formatter or logging.Formatter()
    inner = formatter.inner if isinstance(formatter, _Behind) else formatter
    handler.setFormatter(_Behind(inner, style.secrets))
    if not any(isinstance(one, AddIds) for one in handler.filters):
        handler.addFilter(AddIds())


def _is_prefects(handler: logging.Handler) -> bool:
    return type(handler).__name__ == "PrefectConsoleHandler"


def _without(line: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        if len(secret) >= _MIN_SECRET:
            line = line.replace(secret, HIDDEN)
    return line


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a record has
    """Return what JSON can hold: it has no NaN, and a moment is text."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    return str(value) if isinstance(value, float) and value - value != 0.0 else value
