"""The middleware notes requests; the application never notices it."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace

import pytest

from anc_core.api_metrics import ApiMetricsMiddleware, RequestWriter
from anc_core.store import api_request_figures, open_database


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": b"a", "more_body": True})
    await asyncio.sleep(0.02)
    await send({"type": "http.response.body", "body": b"b"})
    await asyncio.sleep(0.3)  # work in the background is no latency


async def broken(scope, receive, send):
    raise KeyError("x")


async def silent(scope, receive, send):
    await asyncio.sleep(60)


def call(app, **scope):
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b""}

    full = {"type": "http", "method": "GET", "path": "/", "client": ("10.0.0.1", 5)} | scope
    asyncio.run(app(full, receive, send))
    return sent


def noted(app, **scope):
    """Return what the middleware noted of one call, and what the server saw."""
    requests = []
    middleware = ApiMetricsMiddleware(app, sink=requests.extend)
    sent = call(middleware, **scope)
    middleware.writer.close()
    (one,) = requests
    return one, sent


def test_a_request_is_noted_and_the_answer_is_unchanged():
    one, sent = noted(hello, path="/sessions/s-1/events", method="post")
    assert (one.method, one.path, one.status_code) == (
        "POST",
        "/sessions/{session_id}/events",
        201,
    )
    assert (one.session_id, one.client, one.error_code) == ("s-1", None, None)
    assert 20 <= one.duration_ms < 250
    assert [message.get("body") for message in sent] == [None, b"a", b"b"]


def test_the_route_of_the_framework_is_the_endpoint():
    route = SimpleNamespace(path="/things/{name}")
    one, _ = noted(hello, path="/api/things/42", root_path="/api", route=route)
    assert one.path == "/api/things/{name}"


def test_an_error_of_the_application_is_its_own_and_noted_as_500():
    requests = []
    middleware = ApiMetricsMiddleware(broken, sink=requests.extend)
    with pytest.raises(KeyError):
        call(middleware)
    middleware.writer.close()
    assert (requests[0].status_code, requests[0].error_code) == (500, "KeyError")


def test_a_client_that_went_away_is_noted():
    requests = []
    middleware = ApiMetricsMiddleware(silent, sink=requests.extend)

    async def cancelled():
        task = asyncio.create_task(middleware({"type": "http", "path": "/"}, None, None))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    middleware.writer.close()
    assert requests[0].status_code == 499


def test_other_protocols_pass_and_shutdown_writes_what_is_queued():
    requests = []
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    middleware = ApiMetricsMiddleware(app, sink=requests.extend)
    call(middleware)  # no answer at all
    call(middleware, type="websocket")
    call(middleware, type="lifespan")
    assert seen == ["http", "websocket", "lifespan"]
    assert [one.status_code for one in requests] == [499]


def test_a_full_queue_drops_and_counts_and_never_waits():
    gate = threading.Event()
    writer = RequestWriter(lambda _: gate.wait(10), queue_length=10)
    request, _ = noted(hello)
    writer.put(request)
    time.sleep(0.1)
    started = time.perf_counter()
    for _ in range(1_000):
        writer.put(request)
    assert time.perf_counter() - started < 0.5
    assert writer.counts.dropped >= 980
    gate.set()
    writer.close()
    assert writer.counts.written + writer.counts.dropped == 1_001


def test_a_sink_that_fails_costs_its_requests_and_nothing_else():
    calls = []

    def sink(requests):
        calls.append(len(requests))
        if len(calls) == 1:
            raise RuntimeError("away")

    request, _ = noted(hello)
    writer = RequestWriter(sink)
    writer.put(request)
    writer.close()
    writer.put(request)  # it starts anew
    writer.close()
    assert (writer.counts.failed, writer.counts.written, calls) == (1, 1, [1, 1])


def test_a_broken_scope_breaks_nothing():
    middleware = ApiMetricsMiddleware(hello, sink=lambda _: None)
    call(middleware, client=7, method=None, path=None, root_path=None)
    call(middleware, route=SimpleNamespace(path=object()))
    assert middleware.writer.counts.failed == 1
    middleware.writer.close()


def test_requests_reach_the_store(tmp_path):
    url = f"sqlite:///{tmp_path / 'anc.db'}"
    middleware = ApiMetricsMiddleware(hello, url)
    call(middleware, path="/users/7")
    middleware.writer.close()
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC)
    with open_database(url).read() as db:
        found = api_request_figures(db, now - timedelta(minutes=5), now)
    assert (found.total.requests, found.endpoints[0].path) == (1, "/users/{id}")
