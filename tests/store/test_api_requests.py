"""Requests to the service: endpoints instead of paths, figures of a period."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import select

from anc_core.api_requests import ApiRequest
from anc_core.errors import InputError
from anc_core.store import api_request_figures, record_api_request, record_api_requests
from anc_core.store.tables import ApiRequest as Row

DAY = datetime(2024, 5, 1, tzinfo=UTC)


def many(path, durations, *, method="GET", status=200, at=DAY):
    return [
        ApiRequest(
            requested_at=at, method=method, path=path, status_code=status, duration_ms=duration
        )
        for duration in durations
    ]


def figures(database, start=DAY, end=DAY + timedelta(days=1)):
    with database.read() as db:
        return api_request_figures(db, start, end)


def test_a_path_is_stored_as_its_endpoint_with_the_session_beside_it(database):
    with database.begin() as db:
        record_api_request(
            db, method="get", path="/v1/sessions/hall-7/events?x=1", status_code=200, duration_ms=3
        )
        row = db.scalars(select(Row)).one()
        assert (row.method, row.path) == ("GET", "/v1/sessions/{session_id}/events")
        assert (row.session_id, row.duration_ms) == ("hall-7", 3.0)
        assert row.requested_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 100, 101, 1_000])
def test_percentiles_are_numpys(database, count):
    durations = np.random.default_rng(count).lognormal(3, 1, count)
    with database.begin() as db:
        assert record_api_requests(db, many("/a", durations.tolist())) == count
        record_api_requests(db, many("/b", [1.0, 1.0, None]))
    found = {one.path: one for one in figures(database).endpoints}
    got = [found["/a"][f"p{percent}_ms"] for percent in (50, 95, 99)]
    np.testing.assert_allclose(got, np.percentile(durations, [50, 95, 99]), rtol=1e-12)
    assert (found["/b"].requests, found["/b"].timed, found["/b"].p99_ms) == (3, 2, 1.0)
    total = figures(database).total
    everything = [*durations, 1.0, 1.0]
    assert (total.method, total.requests, total.timed) == ("*", count + 3, count + 2)
    assert total.p95_ms == pytest.approx(np.percentile(everything, 95), rel=1e-12)


def test_errors_are_shares_and_a_period_is_half_open(database):
    with database.begin() as db:
        record_api_requests(db, many("/a", [1.0] * 6))
        record_api_requests(db, many("/a", [1.0], status=404))
        record_api_requests(db, many("/a", [1.0], status=503))
        record_api_requests(db, many("/a", [9.0], at=DAY + timedelta(days=1)))
        record_api_requests(db, many("/a", [9.0], at=DAY - timedelta(microseconds=1)))
        record_api_requests(db, many("/a", [2.0], method="POST"))
    get, post = figures(database).endpoints
    assert (get.requests, get.client_errors, get.server_errors) == (8, 1, 1)
    assert (get.error_share, get.server_error_share, get.p99_ms) == (0.25, 0.125, 1.0)
    assert (post.method, post.error_share, post.p50_ms) == ("POST", 0.0, 2.0)


def test_no_requests_and_no_durations_are_answers(database):
    nothing = figures(database)
    assert (nothing.total.requests, nothing.total.error_share, nothing.total.p50_ms) == (
        0,
        None,
        None,
    )
    assert nothing.endpoints == ()
    with database.begin() as db:
        record_api_requests(db, many("/a", [None, None]))
    (one,) = figures(database).endpoints
    assert (one.requests, one.timed, one.p50_ms, one.error_share) == (2, 0, None, 0.0)


def test_a_naive_or_reversed_period_is_refused(database):
    with pytest.raises(InputError, match="no time zone"):
        figures(database, DAY.replace(tzinfo=None))
    with pytest.raises(InputError, match="before it starts"):
        figures(database, DAY, DAY - timedelta(days=1))
