"""Access logs into the store: each line once, through rotation, truncation and damage."""

from __future__ import annotations

import gzip
import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from anc_core.api_requests import Endpoints
from anc_core.errors import InputError
from anc_core.jobs.access_log_lines import MAX_LINE_BYTES, LineReader
from anc_core.jobs.access_logs import import_access_logs
from anc_core.settings import Settings
from anc_core.store.tables import ApiLogPosition, ApiRequest

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)


def line(number, *, path="/items/7", status=200, duration="0.250"):
    at = (AT + timedelta(seconds=number)).strftime("%d/%b/%Y:%H:%M:%S +0000")
    return f'10.0.0.1 - - [{at}] "GET {path} HTTP/1.1" {status} 12 "-" "curl" {duration}\n'


def lines(start, stop):
    return "".join(line(number) for number in range(start, stop))


@pytest.fixture
def load(database, tmp_path):
    settings = Settings.load(database_url=database.url, home=tmp_path)

    def call(*paths, **words):
        return import_access_logs(settings, paths, **words)

    return call


def count(database):
    with database.read() as db:
        return db.scalar(select(func.count()).select_from(ApiRequest))


def test_a_log_that_grows_is_read_on_and_no_line_twice(database, load, tmp_path):
    log = tmp_path / "access.log"
    log.write_text(lines(0, 10) + line(10)[:20])
    first = load(log)
    assert (first.lines, first.requests, first.bad_lines) == (10, 10, 0)
    assert load(log).lines == 0
    log.write_text(lines(0, 15))
    again = load(log)
    assert (again.requests, again.files[0].resumed_at) == (5, len(lines(0, 10)))
    with database.read() as db:
        row = db.scalars(select(ApiRequest).order_by(ApiRequest.id)).first()
        assert (row.path, row.duration_ms, row.client) == ("/items/{id}", 250.0, None)
        assert row.requested_at == AT
        assert db.scalars(select(ApiLogPosition)).one().lines == 15
    assert count(database) == 15


def test_rotation_by_renaming_copying_and_packing_loses_and_doubles_nothing(
    database, load, tmp_path
):
    log, old, packed = (tmp_path / name for name in ("access.log", "access.log.1", "a.2.gz"))
    log.write_text(lines(0, 10))
    load(log)
    log.write_text(lines(0, 12))
    log.rename(old)
    log.write_text(lines(12, 14))
    found = load(log, old)
    assert [one.requests for one in found.files] == [2, 2]
    # Packed now, and the copy of it is another file with the same text.
    with gzip.open(packed, "wt") as sink:
        sink.write(old.read_text() + line(99).rstrip("\n"))
    assert [one.requests for one in load(old, packed, log).files] == [0, 1, 0]
    # Truncated in place: the same name and inode, another log.
    inode = log.stat().st_ino
    with log.open("r+") as file:
        file.truncate(0)
        file.write(lines(14, 17))
    assert log.stat().st_ino == inode
    assert load(log).requests == 3
    assert count(database) == 10 + 2 + 2 + 1 + 3


def test_two_logs_with_the_same_first_line_are_two(database, load, tmp_path):
    for name, start in (("a", 1), ("b", 100), ("a", 1)):
        log = tmp_path / f"{name}.log"
        log.write_text(line(0) + lines(start, start + 5))
        load(log)
    assert count(database) == 12


def test_bad_lines_are_counted_with_examples_and_the_rest_is_read(database, load, tmp_path):
    log = tmp_path / "x.log"
    bad = [
        "nonsense\n",
        line(1).replace("May", "Foo"),
        line(1, status=999),
        "x" * MAX_LINE_BYTES * 3 + "\n",
    ]
    bad += ['{"time": "2024-05-01T12:00:00", "path": "/", "method": "GET", "status": 200}\n', "{\n"]
    log.write_bytes((line(0) + "".join(bad) + "\n" + line(2)).encode() + b"\xff\xfe\x00\n")
    found = load(log)
    assert (found.lines, found.requests, found.bad_lines) == (10, 2, 7)
    examples = found.files[0].examples
    assert [one.line for one in examples] == [2, 3, 4, 5, 6]
    assert "Foo" in examples[1].reason
    assert all(len(one.text) <= 120 for one in examples)
    assert found.files[0].position == log.stat().st_size


def test_a_torn_gz_gives_what_is_whole_and_goes_on_once_it_is_mended(database, load, tmp_path):
    log = tmp_path / "x.gz"
    body = gzip.compress(os.urandom(4).hex().encode() + b"\n" + lines(0, 4_000).encode())
    log.write_bytes(body[: len(body) // 2])
    torn = load(log)
    assert torn.failed == 1
    assert "end-of-stream" in torn.files[0].error
    log.write_bytes(body)
    whole = load(log)
    assert whole.failed == 0
    assert torn.requests + whole.requests == count(database) == 4_000


def test_a_missing_log_does_not_stop_the_others(database, load, tmp_path):
    (tmp_path / "x.log").write_text(lines(0, 3))
    found = load(tmp_path / "nothing.log", tmp_path, tmp_path / "x.log")
    assert (found.failed, found.requests) == (2, 3)
    with pytest.raises(InputError, match="at least one"):
        load()


def test_an_empty_log_is_no_error(load, tmp_path):
    (tmp_path / "x.log").write_text("")
    with gzip.open(tmp_path / "x.gz", "wb"):
        pass
    assert (load(tmp_path / "x.log", tmp_path / "x.gz").failed, count) == (0, count)


def read(text, **words):
    return LineReader(Endpoints(), **words).read(text.encode())


@pytest.mark.parametrize(
    ("text", "duration_ms"),
    [
        (line(0, duration=""), None),
        (line(0, duration="0.001"), 1.0),
        (line(0, duration="rt=1.5 uct=0.1"), 1_500.0),
        (line(0, duration='"0.020"'), 20.0),
        (line(0, duration="- 0.5"), 500.0),
        (line(0, duration="request_time=0.3"), 300.0),
        (line(0, duration="123456"), 123.456),
        ('h - - [01/May/2024:12:00:00 +0000] "GET / HTTP/1.0" 200 -\n', None),
    ],
)
def test_durations_of_nginx_and_apache(text, duration_ms):
    assert read(text).duration_ms == duration_ms


def test_a_line_tells_time_method_and_client():
    one = read(
        "shop.example:80 10.1.2.3 - j doe [01/May/2024:14:00:00 +0200] "
        '"POST /a/b?c=\\"d HTTP/2.0" 404 0 "http://x [y]" "agent \\" 1.5"\n'.replace("j doe", "jd"),
        keep_client=True,
    )
    assert (one.requested_at, one.method, one.path, one.status_code) == (AT, "POST", "/a/b", 404)
    assert (one.client, one.duration_ms) == ("10.1.2.3", None)
    assert read(line(0, path="/sessions/abc/x")).session_id == "abc"
    assert read('h - - [01/May/2024:12:00:00 +0000] "\\x16\\x03" 400 0\n').method == "OTHER"


@pytest.mark.parametrize(
    ("row", "duration_ms"),
    [
        ({"time": "2024-05-01T14:00:00+02:00", "method": "GET", "path": "/a"}, None),
        ({"ts": AT.timestamp(), "verb": "get", "url": "http://h/a?b"}, None),
        (
            {
                "time_iso8601": "2024-05-01T12:00:00Z",
                "request": "GET /a HTTP/1.1",
                "request_time": "0.5",
            },
            500.0,
        ),
        (
            {
                "@timestamp": "2024-05-01T12:00:00Z",
                "request_method": "GET",
                "uri": "/a",
                "duration_ms": 7,
            },
            7.0,
        ),
    ],
)
def test_json_lines(row, duration_ms):
    one = read(json.dumps(row | {"status": 200}))
    assert (one.requested_at, one.method, one.path) == (AT, "GET", "/a")
    assert one.duration_ms == duration_ms
