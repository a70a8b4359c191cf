"""Windows of a stream: where they are, and that no split changes a bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc_core.features import NUM_FEATURES, WindowFeatures, clip_features
from anc_core.features.frame_features import SAMPLE_RATE


def run(sample_rate, signal, sizes):
    stream, found, start, turn = WindowFeatures(sample_rate, signal.shape[1]), [], 0, 0
    while start < len(signal):
        found += stream.process(signal[start : start + sizes[turn % len(sizes)]])
        start, turn = start + sizes[turn % len(sizes)], turn + 1
    found += stream.flush()
    starts = np.concatenate([np.zeros(0), *(some.start_s for some in found)])
    empty = np.zeros((0, signal.shape[1], NUM_FEATURES), np.float32)
    return starts, np.concatenate([empty, *(some.vectors for some in found)]), found


def white(seconds, sample_rate, num_channels=1, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.1, (round(seconds * sample_rate), num_channels)).astype(np.float32)


@pytest.mark.parametrize("sample_rate", [SAMPLE_RATE, 16_000])
@pytest.mark.parametrize("sizes", [(1_000,), (77, 16_000, 3), (400_000,)])
def test_any_split_gives_the_same_bits(sample_rate, sizes):
    signal = white(41.3, sample_rate, 2)  # twice 32 windows and a rest
    starts, vectors, _ = run(sample_rate, signal, [len(signal)])
    again, parts, _ = run(sample_rate, signal, sizes)
    np.testing.assert_array_equal(again, starts)
    np.testing.assert_array_equal(parts.view(np.int32), vectors.view(np.int32))


@given(st.floats(0.0, 37.0), st.integers(1, 2))
@settings(max_examples=30, deadline=None)
def test_windows_cover_the_whole_stream(seconds, num_channels):
    signal = white(seconds, 8_000, num_channels)
    starts, vectors, found = run(8_000, signal, [5_000])
    assert vectors.shape == (len(starts), num_channels, NUM_FEATURES)
    assert np.isfinite(vectors).all()
    if not len(signal):
        assert not len(starts)
        return
    length = found[-1].length_s
    assert starts[0] == 0.0
    assert (np.diff(starts) <= 0.5).all()
    assert (np.diff(starts) > 0).all()
    # 26 ms of the last frame lie beyond the window, and ends below 0.1 s get none of their own.
    assert starts[-1] + length >= len(signal) / 8_000 - 0.15
    assert length == 1.0 or len(starts) == 1


def test_windows_are_what_they_would_be_as_clips():
    signal = white(20.25, SAMPLE_RATE, 1)
    starts, vectors, _ = run(SAMPLE_RATE, signal, [30_000])
    assert starts[:3].tolist() == [0.0, 0.5, 1.0]
    for place in (0, 1, 31, 32, len(starts) - 1):
        first = round(starts[place] * SAMPLE_RATE)
        clip = signal[first : first + 49 * 320 + 512, 0]
        np.testing.assert_allclose(
            vectors[place, 0], clip_features(clip, SAMPLE_RATE), rtol=1e-3, atol=1e-3
        )


def test_channels_do_not_know_of_each_other():
    signal = white(3.0, SAMPLE_RATE, 2)
    _, both, _ = run(SAMPLE_RATE, signal, [7_000])
    _, alone, _ = run(SAMPLE_RATE, signal[:, 1:], [7_000])
    np.testing.assert_array_equal(both[:, 1:], alone)


def test_a_flushed_stream_begins_anew():
    stream, signal = WindowFeatures(SAMPLE_RATE), white(2.2, SAMPLE_RATE)
    runs = [[*stream.process(signal), *stream.flush()] for _ in range(2)]
    for first, second in zip(*runs, strict=True):
        np.testing.assert_array_equal(first.start_s, second.start_s)
        np.testing.assert_array_equal(first.vectors, second.vectors)
