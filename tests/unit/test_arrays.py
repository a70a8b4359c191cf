from __future__ import annotations

import numpy as np
import pytest

from anc_core.arrays import (
    MAX_NUM_CHANNELS,
    as_columns,
    check_chunk,
    check_num_channels,
    check_sample_rate,
)
from anc_core.errors import InputError


@pytest.mark.parametrize("rate", [1_000, 7_999, 11_025, 44_100.0, np.int32(384_000), 768_000])
def test_real_sample_rate_passes_as_an_integer(rate: float) -> None:
    checked = check_sample_rate(rate)
    assert checked == rate
    assert type(checked) is int


@pytest.mark.parametrize(
    "rate", [0, -1, 999, 768_001, 4_000_000_000, 44_100.5, float("nan"), float("inf")]
)
def test_absurd_sample_rate_is_refused_with_its_value(rate: float) -> None:
    with pytest.raises(InputError, match=f"sample_rate is {rate} Hz; .* 1000 to 768000"):
        check_sample_rate(rate)


@pytest.mark.parametrize("count", [1, 2, MAX_NUM_CHANNELS])
def test_channel_count_within_limits_passes(count: int) -> None:
    assert check_num_channels(count) == count


@pytest.mark.parametrize("count", [0, -1, MAX_NUM_CHANNELS + 1])
def test_channel_count_outside_limits_is_refused(count: int) -> None:
    with pytest.raises(InputError, match=f"num_channels is {count}"):
        check_num_channels(count)


def test_good_chunk_passes_without_a_copy() -> None:
    chunk = np.ones((5, 2), np.float32)
    assert check_chunk(chunk, 2) is chunk


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4"])
def test_other_floats_become_native_float32(dtype: object) -> None:
    checked = check_chunk(np.full((3, 1), 0.5, dtype), 1)
    assert checked.dtype == np.float32
    assert checked.dtype.isnative
    assert (checked == 0.5).all()


def test_strided_chunk_becomes_contiguous_and_keeps_its_samples() -> None:
    planar = np.arange(6, dtype=np.float32).reshape(2, 3)
    checked = check_chunk(planar.T, 2)
    assert checked.flags.c_contiguous
    np.testing.assert_array_equal(checked, [[0, 3], [1, 4], [2, 5]])


def test_empty_chunk_is_a_chunk() -> None:
    assert check_chunk(np.zeros((0, 3), np.float32), 3).shape == (0, 3)


@pytest.mark.parametrize("shape", [(4,), (2, 4), (4, 2, 1), ()])
def test_wrong_shape_is_refused_and_the_axis_never_guessed(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"it must be \(num_samples, 2\)"):
        check_chunk(np.zeros(shape, np.float32), 2)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint8, bool, np.complex64, object])
def test_samples_without_a_known_full_scale_are_refused(dtype: type) -> None:
    with pytest.raises(InputError, match="dtype"):
        check_chunk(np.zeros((4, 1), dtype), 1)
    with pytest.raises(InputError, match="dtype"):
        as_columns(np.zeros(4, dtype))


def test_mono_becomes_one_column() -> None:
    np.testing.assert_array_equal(as_columns(np.array([0.25, -0.5])), [[0.25], [-0.5]])


def test_columns_stay_columns() -> None:
    assert as_columns(np.zeros((7, 3))).shape == (7, 3)


@pytest.mark.parametrize("shape", [(), (2, 2, 2), (4, 0), (1, MAX_NUM_CHANNELS + 1)])
def test_audio_of_no_sensible_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError):
        as_columns(np.zeros(shape))
