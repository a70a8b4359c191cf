from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from anc_core.pipeline.stopwatch import Stopwatch


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    return clock


def test_nothing_timed_is_zero_seconds() -> None:
    assert Stopwatch().seconds["decode"] == 0.0


def test_durations_of_one_name_add_up(clock: Clock) -> None:
    watch = Stopwatch()
    for duration_s in (1.0, 2.5):
        with watch.time("suppress"):
            clock.now += duration_s
        clock.now += 7.0
    with watch.time("encode"):
        clock.now += 0.5
    assert watch.seconds == {"suppress": 3.5, "encode": 0.5}


def test_time_counts_although_the_block_raises(clock: Clock) -> None:
    watch = Stopwatch()

    def work() -> None:
        with watch.time("suppress"):
            clock.now += 1.0
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert watch.seconds["suppress"] == 1.0


def test_producing_is_timed_and_consuming_is_not(clock: Clock) -> None:
    def produce() -> Iterator[int]:
        for number in range(3):
            clock.now += 1.0
            yield number
        clock.now += 0.25  # the end is part of the work

    watch = Stopwatch()
    consumed = []
    for number in watch.timed("decode", produce()):
        clock.now += 10.0
        consumed.append(number)
    assert consumed == [0, 1, 2]
    assert watch.seconds["decode"] == 3.25


def test_error_of_the_producer_passes_through(clock: Clock) -> None:
    def produce() -> Iterator[int]:
        clock.now += 1.0
        yield 1
        raise EOFError

    watch = Stopwatch()
    with pytest.raises(EOFError):
        list(watch.timed("decode", produce()))
    assert watch.seconds["decode"] == 1.0


def test_two_stopwatches_are_independent(clock: Clock) -> None:
    first, second = Stopwatch(), Stopwatch()
    with first.time("x"):
        clock.now += 1.0
    assert second.seconds["x"] == 0.0
