from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc_core.dsp.path_filter import BLOCK, MAX_DIRECT_TAPS, PathFilter
from anc_core.errors import InputError

NUM_SAMPLES = 5_000
SHAPES = [(1,), (7,), (333,), (MAX_DIRECT_TAPS,), (MAX_DIRECT_TAPS + 1,), (4_100,)]
SHAPES += [(1, 3, 50), (3, 2, 2_500)]


def path_and_signal(shape, dtype, num_samples=NUM_SAMPLES):
    rng = np.random.default_rng(sum(shape))
    path = rng.standard_normal(shape) * np.exp(-np.arange(shape[-1]) / 500)
    num_inputs = shape[1] if len(shape) == 3 else 1
    return path, rng.standard_normal((num_samples, num_inputs)).astype(dtype)


def plain(path, signal):
    """The sum of convolutions, float64."""
    path = path.reshape(1, 1, -1) if path.ndim == 1 else path
    columns = [
        sum(np.convolve(signal[:, j].astype(float), row[j])[: len(signal)] for j in range(len(row)))
        for row in path
    ]
    return np.stack(columns, axis=1)


def in_pieces(path_filter, signal, sizes):
    pieces, start = [], 0
    while start < len(signal):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(path_filter.process(signal[start : start + size]))
        start += size
    return np.concatenate(pieces)


# Rounding of sums over num_taps products, each lane at most num_taps/8 long: below 1e-6 in float32
# and 1e-15 in float64 of the output's RMS; the FFTs are better than that.
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 3e-6), ("float64", 3e-14)])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_output_is_the_convolution(shape, dtype, tolerance):
    path, signal = path_and_signal(shape, dtype)
    output = PathFilter(path, dtype=dtype).process(signal)
    expected = plain(path, signal)
    assert output.dtype == dtype
    assert output.flags.c_contiguous
    np.testing.assert_allclose(output, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_any_chunks_give_the_same_bits(shape, dtype):
    path, signal = path_and_signal(shape, dtype)
    whole = PathFilter(path, dtype=dtype).process(signal)
    for sizes in ([1, 7, 64], [480], [4_096], [3, 0, 1_021]):
        np.testing.assert_array_equal(
            in_pieces(PathFilter(path, dtype=dtype), signal, sizes), whole
        )


@settings(max_examples=20)
@given(st.lists(st.integers(0, 700), min_size=1).filter(any), st.sampled_from(SHAPES))
def test_any_split_gives_the_same_bits(sizes, shape):
    path, signal = path_and_signal(shape, "float32", 2_300)
    whole = PathFilter(path).process(signal)
    np.testing.assert_array_equal(in_pieces(PathFilter(path), signal, sizes), whole)


@pytest.mark.parametrize("shape", [(50,), (2, 2, 2_500)], ids=str)
@pytest.mark.parametrize("cut", [0, 3, BLOCK, 2 * BLOCK + 5])
def test_another_filter_goes_on_from_the_state(shape, cut):
    path, signal = path_and_signal(shape, "float32")
    whole = PathFilter(path).process(signal)
    first, second = PathFilter(path), PathFilter(path)
    first.process(signal[:cut])
    second.process(signal[:100])
    state = first.state()
    second.load(state)
    first.process(signal[:99])  # what the state holds is its own
    np.testing.assert_array_equal(second.process(signal[cut:]), whole[cut:])


@pytest.mark.parametrize("shape", [(50,), (4_000,)], ids=str)
def test_reset_makes_the_next_run_the_first(shape):
    path, signal = path_and_signal(shape, "float32")
    path_filter = PathFilter(path)
    first = path_filter.process(signal)
    path_filter.reset()
    np.testing.assert_array_equal(path_filter.process(signal), first)


def test_nothing_in_is_nothing_out():
    path_filter = PathFilter(np.ones((2, 3, 4)))
    assert path_filter.process(np.zeros((0, 3), np.float32)).shape == (0, 2)


def test_silence_stays_silent_to_the_bit_and_costs_no_denormals():
    path_filter = PathFilter(np.full(3_000, 1e-30))
    assert not path_filter.process(np.ones((5_000, 1), np.float32)).any()


def test_states_of_other_filters_are_refused():
    path_filter = PathFilter(np.ones(50))
    for other in (
        PathFilter(np.ones(51)),
        PathFilter(np.ones(4_000)),
        PathFilter(np.ones((1, 2, 50))),
    ):
        with pytest.raises(InputError, match="state has arrays"):
            path_filter.load(other.state())
    with pytest.raises(InputError, match="state has arrays"):
        path_filter.load({})


def test_chunks_and_types_are_checked():
    path_filter = PathFilter(np.ones((1, 2, 4)))
    for bad in (np.zeros((5, 1), np.float32), np.zeros(5), np.zeros((5, 2), np.int16)):
        with pytest.raises(InputError, match=r"\(num_samples, 2\)"):
            path_filter.process(bad)
    with pytest.raises(InputError, match="dtype"):
        PathFilter([1.0], dtype="int16")
    with pytest.raises(InputError, match="shape"):
        PathFilter(np.ones((2, 2)))
