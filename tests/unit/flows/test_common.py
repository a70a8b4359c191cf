from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest

from anc_core.errors import ErrorCode, InputError, SourceError, StoreBusyError, WorkerDiedError
from anc_core.settings import Settings
from flows import common
from flows.common import is_last_attempt, is_transient, logged, retry_options

# ----------------------------------------------------------------------------- retries


def test_delays_double_and_are_as_many_as_the_retries() -> None:
    options = retry_options(Settings(retries=4, retry_delay_s=0.5))
    assert options["retries"] == 4
    assert options["retry_delay_seconds"] == [0.5, 1.0, 2.0, 4.0]


@pytest.mark.parametrize("retries", [0, 1, 3, 20])
def test_prefect_accepts_the_options(retries: int) -> None:
    from prefect import task

    @task
    def work() -> None: ...

    patient = work.with_options(**retry_options(Settings(retries=retries)))
    assert patient.retries == retries
    assert patient.retry_condition_fn is is_transient


def test_delays_stop_growing_before_they_take_hours() -> None:
    options = retry_options(Settings(retries=20, retry_delay_s=1.0))
    assert max(options["retry_delay_seconds"]) == 2 ** (common.MAX_BACKOFF_EXPONENT - 1)


def failed(err: Exception) -> SimpleNamespace:
    def result() -> None:
        raise err

    return SimpleNamespace(result=result)


@pytest.mark.parametrize(
    ("err", "expected"),
    [
        (StoreBusyError("locked"), True),
        (WorkerDiedError("killed"), True),
        (SourceError(ErrorCode.NOT_AUDIO, "text"), False),
        (InputError("bad"), False),
        (OSError("disk"), False),
    ],
)
def test_only_what_may_pass_is_tried_again(err: Exception, expected: bool) -> None:
    assert is_transient(None, None, failed(err)) is expected


def test_success_is_not_tried_again() -> None:
    assert is_transient(None, None, SimpleNamespace(result=lambda: 1)) is False


@pytest.mark.parametrize(
    ("count", "retries", "expected"),
    [(0, 3, True), (1, 3, False), (3, 3, False), (4, 3, True), (1, 0, True)],
)
def test_last_attempt_is_the_one_after_all_retries(
    count: int, retries: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(common.task_run, "get_run_count", lambda: count)
    assert is_last_attempt(retries) is expected


def test_run_outside_of_prefect_is_the_last_attempt() -> None:
    assert is_last_attempt(3)


# ----------------------------------------------------------------------------- logging


@logged
def double(number: float, path: Path | None = None) -> float:
    """Return twice the number."""
    if number < 0:
        raise InputError(f"{number} is negative; 100 %s wrong\n{path}")
    return 2 * number


@logged
def lock() -> None:
    raise StoreBusyError("locked")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="flows")
    return caplog


def test_task_keeps_its_name_and_result(lines: pytest.LogCaptureFixture) -> None:
    assert double(2.0) == 4.0
    assert (double.__name__, double.__doc__) == ("double", "Return twice the number.")


def test_start_and_end_are_logged_with_arguments_and_duration(
    lines: pytest.LogCaptureFixture,
) -> None:
    double(2.0, path=Path("x.wav"))
    start, end = lines.messages
    assert start == "double started number=2.0 path='x.wav' attempt=1"
    assert end.startswith("double finished number=2.0 path='x.wav' attempt=1 duration_s=0.")
    assert {record.levelno for record in lines.records} == {logging.INFO}


def test_failure_is_critical_with_type_message_trace_and_retries(
    lines: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(InputError):
        double(-1.0)
    record = lines.records[-1]
    assert record.levelno == logging.CRITICAL
    assert "error='InputError'" in record.message
    assert "-1.0 is negative" in record.message
    assert "retries=0" in record.message
    assert record.exc_info is not None


@pytest.mark.parametrize(
    ("count", "level"), [(1, logging.WARNING), (3, logging.WARNING), (4, logging.CRITICAL)]
)
def test_transient_failure_is_critical_only_after_the_last_retry(
    count: int, level: int, lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(common.task_run, "get_run_count", lambda: count)
    with pytest.raises(StoreBusyError):
        lock()
    assert lines.records[-1].levelno == level  # ANC_RETRIES is 3
    assert f"retries={count - 1}" in lines.messages[-1]


def test_facts_are_an_object_for_who_reads_json(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANC_LOG_JSON", "1")
    double(2.0, Path("caf\udce9.wav"))
    double(float("nan"))
    with pytest.raises(InputError):
        double(-1.0)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    lines = capfd.readouterr().err.splitlines()
    records = [json.loads(line, parse_constant=refuse) for line in lines]
    events = ["double started", "double finished"] * 2 + ["double started", "double failed"]
    assert [" ".join(record["message"].split()[:2]) for record in records] == events
    assert records[0]["facts"] == {"number": 2.0, "path": "caf\udce9.wav", "attempt": 1}
    assert records[-1]["facts"]["error"] == "InputError"
    assert "Traceback" in records[-1]["exception"]


@pytest.mark.parametrize("name", ["%s%n.wav", "\x1b[31m.wav", "a\nb.wav", "caf\udce9.wav"])
def test_hostile_name_stays_one_harmless_line(name: str, lines: pytest.LogCaptureFixture) -> None:
    double(1.0, Path(name))
    for message in lines.messages:
        message.encode("utf-8")
        assert message.isprintable()
    assert "%s%n" in "".join(lines.messages) or "%" not in name


def test_long_argument_is_cut(lines: pytest.LogCaptureFixture) -> None:
    double(1.0, Path("x" * 10_000))
    assert max(map(len, lines.messages)) < 500


def test_wrong_arguments_are_told_as_python_does() -> None:
    with pytest.raises(TypeError, match="missing a required argument: 'number'"):
        double()
