from __future__ import annotations

import numpy as np

from anc_core.dsp.slow_curve import SlowCurve


def drawn(points, cuts, *, spacing=10, first=7, half_width=2):
    curve = SlowCurve(spacing, first, half_width=half_width)
    curve.put(points)
    curve.finish()
    return np.concatenate([curve.take(n) for n in cuts])


def test_curve_of_equal_points_is_exactly_that_value():
    for value in (0.0, 1.0):
        assert set(drawn([value] * 9, [100]).tolist()) == {value}


def test_curve_does_not_depend_on_how_it_is_asked_for():
    points = np.random.default_rng(3).random(12)
    whole = drawn(points, [150])
    np.testing.assert_array_equal(drawn(points, [0, 1, 6, 1, 40, 2, 100]), whole)


def test_curve_passes_through_the_means_at_their_places():
    points = np.random.default_rng(4).random(6)
    whole = drawn(points, [70])
    for index in range(6):
        mean = np.mean(points[max(0, index - 2) : index + 3])
        # The mean of at most five numbers: rounding of a few ulp.
        assert abs(whole[7 + 10 * index] - mean) < 1e-15


def test_curve_never_jumps():
    points = [1.0] * 5 + [0.0] * 5 + [1.0] * 5
    # One point in five changes a mean by 0.2, over ten samples.
    assert np.abs(np.diff(drawn(points, [160]))).max() < 0.02 + 1e-12


def test_only_what_no_later_point_can_change_is_final():
    curve = SlowCurve(10, 7)
    assert curve.num_final == 0
    curve.put([1.0, 1.0])
    assert curve.num_final == 0
    curve.put([1.0])
    assert curve.num_final == 7
    curve.put([0.0])
    assert curve.num_final == 17
    early = curve.take(17)
    curve.put([0.0] * 20)
    np.testing.assert_array_equal(early, drawn([1.0] * 3 + [0.0] * 21, [17]))


def test_without_points_the_curve_is_one():
    assert drawn([], [5]).tolist() == [1.0] * 5


def test_memory_is_constant():
    curve = SlowCurve(10, 7)
    for _ in range(1_000):
        curve.put([0.5])
        curve.take(int(curve.num_final))
    assert len(curve._means) + len(curve._points) < 10
