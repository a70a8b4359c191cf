"""Law 4: statistics measured on parts and merged equal the statistics of the whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anc_core.errors import InputError
from anc_core.metrics import Histogram, LevelStatistics, PowerStatistics, SpectralStatistics

# Float64 sums of at most 1e4 terms in another order differ by 1e4 * 2**-53 = 1e-12.
RTOL = 1e-9


@st.composite
def parts(draw, max_columns=4):
    """Return rows of random numbers over a wide range of levels, and cuts into parts."""
    num_rows = draw(st.integers(0, 300))
    num_columns = draw(st.integers(1, max_columns))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = 10.0 ** draw(st.integers(-6, 3))
    offset = draw(st.sampled_from([0.0, 0.5, -1.0]))
    rows = (scale * rng.normal(size=(num_rows, num_columns)) + offset).astype(np.float32)
    cuts = sorted(draw(st.lists(st.integers(0, num_rows), max_size=5)))
    return rows, np.split(rows, cuts)


def merged(make, pieces):
    total = make()
    for piece in pieces:
        one = make()
        one.update(piece)
        total = total.merge(one)
    return total


def whole(make, rows):
    statistics = make()
    statistics.update(rows)
    return statistics


@given(parts())
def test_power(case):
    rows, pieces = case
    num_channels = rows.shape[1]

    def make():
        return PowerStatistics(num_channels)

    one, other = whole(make, rows), merged(make, pieces)
    # Sums may cancel, so they are compared with what was summed, not with what is left.
    atol = RTOL * float(np.abs(rows).sum(dtype=np.float64))
    np.testing.assert_allclose(one.sums, other.sums, rtol=RTOL, atol=atol)
    np.testing.assert_allclose(one.squares, other.squares, rtol=RTOL)
    assert one.count == other.count == len(rows)
    assert one.power() == pytest.approx(other.power(), rel=RTOL)


@given(parts())
def test_levels(case):
    rows, pieces = case
    num_channels = rows.shape[1]

    def make():
        return LevelStatistics(num_channels)

    one, other = whole(make, rows).compute(), merged(make, pieces).compute()
    assert one.rms_dbfs == (
        None if other.rms_dbfs is None else pytest.approx(other.rms_dbfs, rel=RTOL, abs=1e-9)
    )
    assert one.peak_dbfs == other.peak_dbfs
    np.testing.assert_allclose(one.dc_offset, other.dc_offset, rtol=RTOL, atol=1e-9)


@given(parts(max_columns=9))
def test_spectra(case):
    rows, pieces = case
    num_bins = rows.shape[1]

    def make():
        return SpectralStatistics(num_bins)

    one, other = whole(make, rows**2), merged(make, [piece**2 for piece in pieces])
    assert one.num_frames == other.num_frames
    np.testing.assert_allclose(one.compute(), other.compute(), rtol=RTOL)


@given(parts(), st.floats(0.0, 1.0))
def test_histograms_are_equal_to_the_last_count(case, share):
    rows, pieces = case

    def make():
        return Histogram(-2.0, 2.0, 0.01)

    one, other = whole(make, rows), merged(make, pieces)
    assert (one.counts == other.counts).all()
    assert one.quantile(share) == other.quantile(share)


@given(parts())
def test_merging_changes_neither_side(case):
    rows, pieces = case
    left, right = LevelStatistics(rows.shape[1]), LevelStatistics(rows.shape[1])
    left.update(pieces[0])
    right.update(rows)
    before = (left.compute(), right.compute())
    left.merge(right)
    assert (left.compute(), right.compute()) == before


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (PowerStatistics(1), PowerStatistics(2)),
        (LevelStatistics(2), LevelStatistics(3)),
        (SpectralStatistics(3), SpectralStatistics(4)),
        (Histogram(0, 1, 0.1), Histogram(0, 1, 0.2)),
    ],
)
def test_what_is_not_alike_is_not_merged(one, other):
    with pytest.raises(InputError):
        one.merge(other)
