"""Log lines: ids, one line each, no secrets, nothing that a name from outside could forge."""

from __future__ import annotations

import io
import json
import logging
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from anc_core.jobs.pool import WorkerPool
from anc_core.logs import (
    HIDDEN,
    LogContext,
    LogStyle,
    call_in_context,
    configure_logs,
    current_ids,
    log_context,
    log_ids,
    set_id_source,
)
from anc_core.settings import Settings
from tests.unit.jobs import calls

HOSTILE = "a\n2026-01-01T00:00:00Z INFO anc_core: forged\x1b[31m\u202e\u2028.wav"
log = logging.getLogger("anc_core.test")


@pytest.fixture
def written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[], list[str]]:
    """Return the lines that were written since the last call, in a process without Prefect."""
    monkeypatch.setattr(logging.root, "handlers", [])
    return lambda: capsys.readouterr().err.split("\n")[:-1]


def style(**words) -> LogStyle:
    return LogStyle(**{"as_json": False, "level": "INFO"} | words)


def test_ids_are_those_of_the_block_and_nest() -> None:
    with log_ids(batch_id="b", session_id=None):
        with log_ids(session_id="s"):
            assert current_ids() == {"batch_id": "b", "session_id": "s"}
        assert current_ids() == {"batch_id": "b"}
    assert current_ids() == {}


def test_threads_do_not_mix_them(written) -> None:
    configure_logs(style(as_json=True))

    def work(number: int) -> None:
        with log_ids(session_id=f"s{number}"):
            log.info("%d", number)

    with ThreadPoolExecutor(4) as threads, log_ids(batch_id="b"):
        list(threads.map(lambda n: copy_context().run(work, n), range(20)))
    lines = [json.loads(line) for line in written()]
    assert len(lines) == 20
    assert all(line["session_id"] == f"s{line['message']}" for line in lines)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_line_is_one_line_whatever_stands_in_it(as_json: bool, written) -> None:
    configure_logs(style(as_json=as_json))
    with log_ids(session_id="s1", batch_id="b1"):
        log.warning("%s: wrong", HOSTILE)
    (line,) = written()
    assert line.isascii() or not as_json
    assert "\x1b" not in line
    assert "\u202e" not in line
    if as_json:
        found = json.loads(line)
        assert found["message"] == f"{HOSTILE}: wrong"
        assert (found["level"], found["logger"]) == ("WARNING", "anc_core.test")
        assert (found["session_id"], found["batch_id"]) == ("s1", "b1")
        assert found["timestamp"].endswith("+00:00")
    else:
        assert line.endswith(": wrong [session_id=s1 batch_id=b1]")
        assert " WARNING anc_core.test: a\\n2026" in line


def test_a_trace_of_text_is_indented_and_that_of_json_a_field(written) -> None:
    for as_json in (False, True):
        configure_logs(style(as_json=as_json))
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            log.exception("failed")
        first, *rest = written()
        if as_json:
            assert rest == []
            assert HOSTILE in json.loads(first)["exception"]
        else:
            assert first.endswith("anc_core.test: failed")
            assert all(line.startswith("    ") for line in rest)
            assert "\x1b" not in "".join(rest)


class PrefectConsoleHandler(logging.StreamHandler):
    """As Prefect's: known by its name, since the core does not import Prefect."""


def test_prefects_lines_keep_their_looks_and_get_the_ids(written, monkeypatch) -> None:
    stream = io.StringIO()
    theirs = PrefectConsoleHandler(stream)
    theirs.setFormatter(logging.Formatter("12:00 | %(levelname)s | %(message)s"))
    logging.root.addHandler(theirs)
    for _ in range(2):  # again changes nothing
        configure_logs(style(secrets=("hidden-word",)))
    with log_ids(session_id="s1"):
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            log.exception("%s hidden-word", HOSTILE)
    first, *rest = stream.getvalue().split("\n")[:-1]
    assert first.startswith("12:00 | ERROR | a\\n2026")
    assert first.endswith(f" {HIDDEN} [session_id=s1]")
    assert rest[0].strip() == "Traceback (most recent call last):"
    assert all(line.startswith("    ") for line in rest)
    assert "\x1b" not in stream.getvalue()
    assert written() == []  # no second line by a handler of ours


@pytest.mark.parametrize("as_json", [False, True])
def test_secrets_are_not_shown_wherever_they_come_from(
    as_json: bool, written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANC_DATABASE_URL", "postgresql://anc:p%40ss-word@db/anc")
    monkeypatch.setenv("ANC_ALERT_WEBHOOK_URL", "https://example.org/hook-token")
    monkeypatch.setenv("ANC_ALERT_WEBHOOK_SECRET", 'sign"ature')
    monkeypatch.setenv("ANC_REPORT_SMTP_URL", "smtp://me:mail-pass@mail:587")
    monkeypatch.setenv("ANC_LOG_JSON", str(as_json))
    configure_logs(Settings.load().log_style)
    log.error(
        "p%%40ss-word p@ss-word https://example.org/hook-token %s mail-pass", 'sign"ature',
    )  # fmt: skip
    (line,) = written()
    assert line.count(HIDDEN) == 5
    for secret in ("ss-word", "hook-token", "ature", "mail-pass"):
        assert secret not in line


def test_the_level_is_that_of_the_settings(written) -> None:
    configure_logs(style(level="ERROR"))
    log.warning("quiet")
    log.error("loud")
    assert len(written()) == 1
    configure_logs(style(level="DEBUG"))
    log.debug("all")
    assert len(written()) == 1  # and no line twice, though it was configured twice


def test_an_edge_adds_what_it_knows(written) -> None:
    configure_logs(style(as_json=True))
    set_id_source(lambda: {"flow_run_id": "f"})
    try:
        log.info("x")
        log.info("y", extra={"flow_run_id": "its own"})
    finally:
        set_id_source(dict)
    assert [json.loads(line)["flow_run_id"] for line in written()] == ["f", "its own"]


def test_numbers_that_json_has_not_are_words(written) -> None:
    configure_logs(style(as_json=True))
    log.info("x", extra={"level_dbfs": float("-inf")})
    assert json.loads(written()[0], parse_constant=pytest.fail)["level_dbfs"] == "-inf"


def test_a_worker_process_writes_as_its_parent_does(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logs(style(as_json=True, secrets=("hidden-word",)))
    with log_ids(batch_id="b1"), WorkerPool(1) as pool:
        pool.run(calls.log_warning, "of hidden-word")
    line = json.loads(capfd.readouterr().err)
    assert (line["message"], line["batch_id"]) == (f"of {HIDDEN}", "b1")


def test_what_travels_can_be_pickled_and_ends_with_the_call() -> None:
    with log_ids(session_id="s"):
        context = pickle.loads(pickle.dumps(log_context()))
    assert context == LogContext(style=None, ids={"session_id": "s"})
    assert call_in_context(context, current_ids, ()) == {"session_id": "s"}
    assert current_ids() == {}
