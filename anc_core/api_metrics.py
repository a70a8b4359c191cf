"""Requests of any ASGI application into the store, without slowing one of them down.

::

    app.add_middleware(ApiMetricsMiddleware, database_url="postgresql://...")   # Starlette, FastAPI
    app = ApiMetricsMiddleware(app)                                             # any other

A request costs one entry in a queue of bounded length; a thread of its own writes what is in it.
Whatever happens there, the application does not notice: what cannot be queued or written is counted
and dropped. Standard library only, until the thread opens the store.
"""

from __future__ import annotations

import atexit
import logging
import queue
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from anc_core.api_requests import ApiRequest, Endpoints, endpoint_of, method_of

_log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Sink = Callable[[Sequence[ApiRequest]], None]

QUEUE_LENGTH = 10_000
"""Requests that wait at most: about 5 MB."""
AT_ONCE = 500
WRITE_EVERY_S = 1.0
CLOSE_WITHIN_S = 5.0

# nginx's word for a client that went away before it was answered.
_CLIENT_CLOSED = 499
_SERVER_ERROR = 500


@dataclass(slots=True)
class WriterCounts:
    """What became of the requests."""

    written: int = 0
    dropped: int = 0
    """The queue was full."""
    failed: int = 0
    """The store refused them or was away."""


class RequestWriter:
    """Writes requests in a thread of its own, which starts with the first one.

    Parameters
    ----------
    sink : callable
        Called in that thread with up to :data:`AT_ONCE` requests; may raise and may take its time.
    queue_length : int
        Requests that wait at most; more are dropped and counted.
    """

    def __init__(self, sink: Sink, *, queue_length: int = QUEUE_LENGTH) -> None:
        self._sink = sink
        self._queue: queue.Queue[ApiRequest] = queue.Queue(queue_length)
        self._thread: threading.Thread | None = None
        self._guard = threading.Lock()
        self._closing = threading.Event()
        self.counts = WriterCounts()

    def put(self, request: ApiRequest) -> None:
        """Queue a request; never waits, never raises."""
        if self._thread is None:
            self._start()
        try:
            self._queue.put_nowait(request)
        except queue.Full:
            self.counts.dropped += 1

    def close(self, timeout_s: float = CLOSE_WITHIN_S) -> None:
        """Write what is queued, for ``timeout_s`` at most; what comes later starts anew."""
        with self._guard:
            thread, self._thread = self._thread, None
            if thread is None:
                return
            self._closing.set()
            thread.join(timeout_s)
            if thread.is_alive():
                _log.warning("requests: %d were not written in time", self._queue.qsize())
            self._closing = threading.Event()
        atexit.unregister(self.close)
        if self.counts.dropped or self.counts.failed:
            _log.warning("requests: %s", self.counts)

    def _start(self) -> None:
        with self._guard:
            if self._thread is not None:
                return
            # A daemon: it may not keep a process alive. atexit gives it the time that it needs.
            self._thread = threading.Thread(
                target=self._run, args=(self._closing,), name="anc-requests", daemon=True
            )
            self._thread.start()
        atexit.register(self.close)

    def _run(self, closing: threading.Event) -> None:
        while True:
            is_last = closing.wait(WRITE_EVERY_S) if self._queue.empty() else closing.is_set()
            while requests := self._taken():
                self._write(requests)
            if is_last:
                return
            closing.wait(WRITE_EVERY_S)

    def _taken(self) -> list[ApiRequest]:
        taken: list[ApiRequest] = []
        while len(taken) < AT_ONCE:
            try:
                taken.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return taken

    def _write(self, requests: list[ApiRequest]) -> None:
        try:
            self._sink(requests)
        except Exception:  # noqa: BLE001 - a sink may raise anything
            # The thread must outlive whatever the sink does; the next ones may be written.
            if not self.counts.failed:
                _log.exception("requests cannot be written; they are dropped until that is over")
            self.counts.failed += len(requests)
        else:
            self.counts.written += len(requests)


class ApiMetricsMiddleware:
    """Notes method, endpoint, status and duration of every HTTP request.

    Parameters
    ----------
    app : callable
        An ASGI 3 application; it sees every message unchanged.
    database_url : str, optional
        Where to; by default the one of this installation (``ANC_DATABASE_URL``).
    sink : callable, optional
        Takes the requests instead of the store.
    keep_client : bool
        Store the client's address, which is personal data.

    Notes
    -----
    The endpoint is the route's own template where the framework tells it (Starlette and FastAPI
    do), else :func:`anc_core.api_requests.endpoint_of`. The duration is until the last byte of the
    answer was handed to the server; work in the background after it does not count. Queued requests
    are written when the server shuts down (ASGI lifespan), or at the process's exit.
    """

    def __init__(
        self,
        app: App,
        database_url: str | None = None,
        *,
        sink: Sink | None = None,
        keep_client: bool = False,
    ) -> None:
        self._app = app
        self._keep_client = keep_client
        self._endpoints = Endpoints()
        self.writer = RequestWriter(sink or _StoreSink(database_url))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on to the application."""
        if scope["type"] == "http":
            await self._measured(scope, receive, send)
        else:
            await self._app(scope, receive, send)
            if scope["type"] == "lifespan":  # it ends with the server: there is nobody to slow down
                self.writer.close()

    async def _measured(self, scope: Scope, receive: Receive, send: Send) -> None:
        at, started = datetime.now(UTC), time.perf_counter()
        status, ended = 0, 0.0

        async def watched(message: Message) -> None:
            nonlocal status, ended
            await send(message)
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body" and not message.get("more_body"):
                ended = time.perf_counter()

        error: str | None = None
        try:
            await self._app(scope, receive, watched)
        except Exception as err:
            error = type(err).__name__
            status = status or _SERVER_ERROR
            raise
        finally:
            # A cancelled task (not an Exception) is a client that went away.
            duration_s = (ended or time.perf_counter()) - started
            self._note(scope, at, status or _CLIENT_CLOSED, duration_s, error)

    def _note(
        self, scope: Scope, at: datetime, status: int, duration_s: float, error: str | None
    ) -> None:
        try:
            route = getattr(scope.get("route"), "path", None)
            path = scope.get("root_path", "") + route if route else str(scope.get("path", "/"))
            endpoint, _ = endpoint_of(path)
            client = scope.get("client") if self._keep_client else None
            self.writer.put(
                ApiRequest(
                    requested_at=at,
                    method=method_of(str(scope.get("method", ""))),
                    path=self._endpoints.name(endpoint),
                    status_code=status,
                    duration_ms=1e3 * duration_s,
                    client=str(client[0]) if client else None,
                    session_id=endpoint_of(str(scope.get("path", "/")))[1],
                    error_code=error,
                )
            )
        except Exception:  # noqa: BLE001 - nothing here may break the answer
            self.writer.counts.failed += 1


class _StoreSink:
    """Opens the store on first use, in the thread that writes."""

    def __init__(self, database_url: str | None) -> None:
        self._url = database_url
        self._database: Any = None

    def __call__(self, requests: Sequence[ApiRequest]) -> None:
        from anc_core.settings import Settings
        from anc_core.store import open_database, record_api_requests

        if self._database is None:
            settings = Settings.load(database_url=self._url)
            self._database = open_database(settings.resolved_database_url)
        with self._database.begin() as db:
            record_api_requests(db, requests)
