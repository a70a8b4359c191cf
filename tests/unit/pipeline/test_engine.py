from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from anc_core.errors import InputError
from anc_core.pipeline.engine import (
    Bypass,
    WithReference,
    build_canceller,
    build_suppressor,
    resolve_mode,
)
from anc_core.presets import PRESETS, CancellationParameters
from anc_core.processors import Processor
from anc_core.records import Mode

# ----------------------------------------------------------------------------- mode


@pytest.mark.parametrize(
    ("mode", "has_reference", "expected"),
    [
        ("auto", False, Mode.SUPPRESS),
        ("auto", True, Mode.CANCEL),
        (Mode.AUTO, True, Mode.CANCEL),
        ("suppress", False, Mode.SUPPRESS),
        ("cancel", True, Mode.CANCEL),
    ],
)
def test_auto_cancels_where_there_is_a_reference(
    mode: str, has_reference: bool, expected: Mode
) -> None:
    assert resolve_mode(mode, has_reference=has_reference) is expected


@pytest.mark.parametrize(
    ("mode", "has_reference", "message"),
    [
        ("loud", False, "mode 'loud' is unknown; choose one of auto, suppress, cancel"),
        ("", False, "mode '' is unknown"),
        ("cancel", False, "'cancel' needs a reference"),
        ("suppress", True, "'suppress' takes no reference"),
    ],
)
def test_mode_that_contradicts_the_reference_is_refused(
    mode: str, has_reference: bool, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        resolve_mode(mode, has_reference=has_reference)


# ----------------------------------------------------------------------------- bypass


def test_bypass_returns_every_sample_bit_for_bit() -> None:
    bypass = Bypass(2)
    chunk = np.array([[np.nan, -0.0], [1e-45, np.inf]], np.float32)
    assert bypass.process(chunk).tobytes() == chunk.tobytes()
    assert bypass.flush().shape == (0, 2)
    assert (bypass.latency, bypass.num_channels) == (0, 2)
    bypass.reset()


# ----------------------------------------------------------------------------- builders


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda p: p.name)
@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_every_preset_has_its_suppressor(preset, rate: int) -> None:
    suppressor = build_suppressor(preset, rate, 2)
    assert suppressor.num_channels == 2
    assert isinstance(suppressor, Processor)


def test_what_the_engine_builds_are_processors() -> None:
    assert isinstance(Bypass(1), Processor)
    canceller = WithReference(build_canceller(CancellationParameters(), 16_000, 1, 1), [], 1)
    assert isinstance(canceller, Processor)
    assert canceller.num_channels == 1


# ----------------------------------------------------------------------------- with reference


class Difference:
    """A canceller that keeps what it was given."""

    sample_rate, num_channels, latency = 16_000, 1, 7

    def __init__(self) -> None:
        self.references: list[np.ndarray] = []
        self.num_resets = 0

    def process(self, chunk: np.ndarray, reference: np.ndarray) -> np.ndarray:
        assert len(chunk) == len(reference)
        self.references.append(reference)
        return chunk - reference[:, :1]

    def flush(self) -> np.ndarray:
        return np.full((1, 1), 9, np.float32)

    def reset(self) -> None:
        self.num_resets += 1


def column(values: list[float]) -> np.ndarray:
    return np.array(values, np.float32).reshape(-1, 1)


def test_reference_is_drawn_sample_by_sample_beside_the_input() -> None:
    canceller = Difference()
    reference = [column([1, 2, 3]), column([]), column([4]), column([5, 6])]
    combined = WithReference(canceller, reference, 1)
    outputs = [combined.process(column([10] * n)) for n in (0, 2, 1, 3)]
    assert np.concatenate(outputs).ravel().tolist() == [9, 8, 7, 6, 5, 4]
    assert combined.latency == 7
    assert combined.flush().tolist() == [[9]]


def test_reference_counts_as_silent_after_its_end() -> None:
    canceller = Difference()
    combined = WithReference(canceller, [column([1, 2])], 1)
    assert combined.process(column([10] * 4)).ravel().tolist() == [9, 8, 10, 10]
    assert combined.process(column([10] * 2)).ravel().tolist() == [10, 10]


def test_missing_reference_is_silence_of_as_many_channels() -> None:
    canceller = Difference()
    WithReference(canceller, [], 3).process(column([1, 1]))
    assert canceller.references[0].shape == (2, 3)


def test_reference_is_read_no_further_than_needed() -> None:
    drawn = 0

    def stream() -> Iterator[np.ndarray]:
        nonlocal drawn
        for _ in range(100):
            drawn += 1
            yield column([0.0] * 10)

    WithReference(Difference(), stream(), 1).process(column([1.0] * 25))
    assert drawn == 3


def test_fresh_canceller_may_be_reset_a_used_one_cannot_start_again() -> None:
    canceller = Difference()
    combined = WithReference(canceller, [column([1, 2])], 1)
    combined.reset()
    assert canceller.num_resets == 1
    combined.process(column([1]))
    with pytest.raises(InputError, match="build a new one"):
        combined.reset()
