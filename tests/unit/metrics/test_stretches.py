import numpy as np
import pytest

from anc_core.metrics.stretches import MAX_STRETCHES, StretchQueue, StretchTable

LENGTH = 100


def energies(*powers):
    return LENGTH * np.array(powers, dtype=float)[:, np.newaxis]


def test_the_worst_100_ms_counts():
    table = StretchTable(LENGTH, 1)
    out = np.ones(20)
    out[8:12] = 0.5
    table.add((0, 20 * LENGTH), energies(*[1.0] * 20), energies(*out))
    table.close()
    ((stretch, loss),) = table.compute()
    assert stretch == (0, 2_000)
    assert loss == pytest.approx(3.0103, abs=1e-4)


@pytest.mark.parametrize("cut", range(1, 20))
def test_windows_cross_the_border_of_two_pieces(cut):
    table = StretchTable(LENGTH, 1)
    before, after = np.ones(20), np.ones(20)
    after[8:12] = 0.5
    table.add((0, cut * LENGTH), energies(*before[:cut]), energies(*after[:cut]))
    table.add((cut * LENGTH, 2_000), energies(*before[cut:]), energies(*after[cut:]))
    table.close()
    assert table.compute() == (((0, 2_000), pytest.approx(3.0103, abs=1e-4)),)


def test_less_than_100_ms_is_judged_as_a_whole():
    table = StretchTable(LENGTH, 1)
    table.add((10, 150), energies(1.0, 1.0), energies(1.0, 0.5))
    table.close()
    assert table.compute() == (((10, 150), pytest.approx(10 * np.log10(2 / 1.5))),)


def test_the_worst_channel_counts():
    table = StretchTable(LENGTH, 2)
    table.add((0, 400), LENGTH * np.ones((4, 2)), LENGTH * np.array([[1.0, 0.1]] * 4))
    table.close()
    assert table.compute() == (((0, 400), pytest.approx(10.0)),)


def test_silent_stretches_have_no_loss_and_silenced_ones_a_finite_one():
    table = StretchTable(LENGTH, 1)
    table.add((0, 400), energies(0, 0, 0, 0), energies(0, 0, 0, 0))
    table.add((500, 900), energies(1, 1, 1, 1), energies(0, 0, 0, 0))
    table.close()
    assert table.compute() == (((0, 400), None), ((500, 900), pytest.approx(200.0)))


def test_thousands_of_stretches_are_merged_and_none_is_lost():
    table = StretchTable(LENGTH, 1)
    for index in range(3 * MAX_STRETCHES):
        start = 1_000 * index
        table.add((start, start + 100), energies(1.0), energies(0.5 if index == 777 else 1.0))
    table.close()
    found = table.compute()
    assert len(found) <= MAX_STRETCHES
    (worst,) = [stretch for stretch, loss in found if loss > 1.0]
    assert worst[0] <= 777_000 < worst[1]


def test_the_queue_clips_merges_and_cuts():
    queue = StretchQueue()
    queue.put([(50, 80), (0, 10), (5, 20)], 0, 60)
    queue.put([(60, 80), (90, 95)], 60, 100)
    assert queue.take(55) == [(0, 20), (50, 55)]
    assert queue.take(100) == [(55, 80), (90, 95)]
    assert queue.take(200) == []
