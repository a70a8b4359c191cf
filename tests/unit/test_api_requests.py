"""Which endpoint a path stands for, and what a request may be."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anc_core.api_requests import (
    MAX_ENDPOINTS,
    OTHER,
    ApiRequest,
    Endpoints,
    endpoint_of,
    method_of,
)
from anc_core.errors import InputError


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("", "/"),
        ("/", "/"),
        ("//health///", "/health"),
        ("/v1/users/42", "/v1/users/{id}"),
        ("/users/550e8400-e29b-41d4-a716-446655440000/x", "/users/{id}/x"),
        ("/jobs/deadbeef01", "/jobs/{id}"),
        ("/files/report%202024.pdf", "/files/{id}"),
        ("/oauth2/top-10/s3/mp3", "/oauth2/top-10/s3/mp3"),
        ("https://host:8000/api/items/7?id=8#x", "/api/items/{id}"),
        ("/users/a@b.example", "/users/{id}"),
        ("/users/{user_id}/x", "/users/{user_id}/x"),
        ("/" + "a/" * 30, "/a/a/a/a/a/a/a/a/..."),
        ("/" + "a" * 33, "/{id}"),
        ("/session/..%2f..%2fetc", "/session/{session_id}"),
    ],
)
def test_ids_collapse_and_words_stay(path, endpoint):
    assert endpoint_of(path)[0] == endpoint


def test_the_session_of_a_path_is_told():
    assert endpoint_of("/sessions/2024-05-01_hall.7/x")[1] == "2024-05-01_hall.7"
    assert endpoint_of("/sessions")[1] is None
    assert endpoint_of("/sessions/{session_id}")[1] is None


@given(st.text())
def test_an_endpoint_is_its_own_endpoint(path):
    endpoint = endpoint_of(path)[0]
    assert endpoint_of(endpoint)[0] == endpoint
    assert len(endpoint) <= 9 * 34


def test_a_scanner_cannot_invent_endpoints_without_end():
    endpoints = Endpoints(["/known"])
    named = {endpoints.name(f"/{number}") for number in range(10 * MAX_ENDPOINTS)}
    assert len(named) == MAX_ENDPOINTS
    assert OTHER in named
    assert endpoints.name("/known") == "/known"


def test_methods_are_few():
    assert (method_of("get"), method_of("\x16\x03")) == ("GET", "OTHER")


@pytest.mark.parametrize(
    "fault",
    [
        {"requested_at": datetime(2024, 5, 1)},  # noqa: DTZ001 - the very fault
        {"status_code": 99},
        {"status_code": 600},
        {"duration_ms": float("nan")},
        {"duration_ms": -1.0},
    ],
)
def test_what_cannot_be_is_refused(fault):
    good = {
        "requested_at": datetime(2024, 5, 1, tzinfo=UTC),
        "method": "GET",
        "path": "/",
        "status_code": 200,
    }
    ApiRequest(**good)
    with pytest.raises(InputError):
        ApiRequest(**(good | fault))
