"""Windows into events: gaps, hysteresis, channels."""

from __future__ import annotations

import pytest

from anc_core.classifier.events import MAX_EVENT_S, NoiseEvents
from anc_core.records import Window
from anc_core.windows import SILENCE, SPEECH


def window(
    start_s: float, noise_type: str = "fan", confidence: float = 0.9, channel: int = 0
) -> Window:
    return Window(
        start_s=start_s,
        end_s=start_s + 1.0,
        channel=channel,
        noise_type=noise_type,
        confidence=confidence,
    )


def spans(windows: list[Window]) -> list[tuple[str, float, float]]:
    return [(e.noise_type, e.start_s, e.end_s) for e in NoiseEvents.of(windows)]


def test_a_run_is_one_event_with_its_figures() -> None:
    confidences = [0.6, 0.9, 0.4]
    windows = [window(0.5 * i, confidence=c) for i, c in enumerate(confidences)]
    (event,) = NoiseEvents.of(windows)
    assert (event.start_s, event.end_s, event.window_count) == (0.0, 2.0, 3)
    assert event.peak_confidence == 0.9
    assert event.mean_confidence == pytest.approx(1.9 / 3)
    assert not event.is_emergency
    assert event.max_attenuation_db is None


@pytest.mark.parametrize(("gap_s", "num_events"), [(3.0, 1), (3.5, 2)])
def test_a_pause_of_three_seconds_is_bridged(gap_s: float, num_events: int) -> None:
    assert len(spans([window(0.0), window(1.0 + gap_s)])) == num_events


def test_another_noise_in_between_is_an_event_of_its_own() -> None:
    windows = [window(0.0), window(0.5, "rain"), window(1.0)]
    assert spans(windows) == [("fan", 0.0, 2.0), ("rain", 0.5, 1.5)]


def test_an_event_goes_on_below_what_makes_it_count_before_and_after() -> None:
    windows = [window(0.5 * i, confidence=c) for i, c in enumerate([0.2, 0.35, 0.5, 0.3, 0.29])]
    assert spans(windows) == [("fan", 0.5, 2.5)]


def test_what_never_is_as_likely_as_not_is_no_event() -> None:
    assert spans([window(0.5 * i, confidence=0.49) for i in range(9)]) == []


@pytest.mark.parametrize("name", [SILENCE, SPEECH])
def test_what_is_no_noise_is_no_event(name: str) -> None:
    assert spans([window(0.0, name, 1.0), window(0.5), window(1.0, name, 1.0)]) == [
        ("fan", 0.5, 1.5)
    ]


def test_channels_share_an_event() -> None:
    windows = [window(0.0, channel=1), window(0.5, channel=0), window(0.5, channel=1)]
    (event,) = NoiseEvents.of(windows)
    assert event.channels == (0, 1)
    assert event.window_count == 3


def test_a_long_event_is_cut() -> None:
    windows = [window(0.5 * i) for i in range(int(2 * MAX_EVENT_S) + 20)]
    found = spans(windows)
    assert [round(end - start) for _, start, end in found] == [600, 11]


def test_it_begins_anew_after_a_flush() -> None:
    events = NoiseEvents()
    events.add([window(0.0)])
    assert len(events.flush()) == 1
    assert events.flush() == ()
