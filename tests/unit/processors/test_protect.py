from __future__ import annotations

import numpy as np
import pytest

from anc_core.errors import InputError
from anc_core.processors import EmergencyGuard, FixedIntervals, Suppressor
from tests.strategies import run, run_aligned

RATE = 8_000


class Mute:
    """An inner processor whose output is easily told from the input: silence."""

    num_channels = 1

    def __init__(self, latency=100):
        self.latency = latency

    def process(self, chunk):
        return np.zeros_like(chunk)

    def flush(self):
        return np.zeros((self.latency, 1), np.float32)

    def reset(self):
        pass


def guard(stretches, *, inner=None, latency=0, fade_s=0.01):
    return EmergencyGuard(
        inner or Mute(), FixedIntervals(stretches, latency=latency), sample_rate=RATE, fade_s=fade_s
    )


def ones(num_samples):
    return np.ones((num_samples, 1), np.float32)


def test_fade_is_a_raised_cosine_outside_the_stretch():
    output = run_aligned(guard([(500, 600)]), [ones(2_000)])[:, 0]
    fade = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, 81) / 81)
    np.testing.assert_array_equal(output[500:600], 1.0)
    np.testing.assert_allclose(output[600:680], fade, atol=1e-7)
    np.testing.assert_allclose(output[420:500], fade[::-1], atol=1e-7)
    assert not output[:420].any()
    assert not output[680:].any()


def test_stretches_closer_than_a_fade_meet_at_the_larger_share():
    both = run_aligned(guard([(500, 600), (640, 700)]), [ones(2_000)])
    first = run_aligned(guard([(500, 600)]), [ones(2_000)])
    second = run_aligned(guard([(640, 700)]), [ones(2_000)])
    np.testing.assert_array_equal(both, np.maximum(first, second))


@pytest.mark.parametrize("inner_latency", [0, 100])
@pytest.mark.parametrize("latency", [0, 1, 300])
def test_fades_do_not_depend_on_how_the_stream_arrives(inner_latency, latency):
    signal = np.random.default_rng(1).normal(0, 0.1, (900, 1)).astype(np.float32)
    single = np.split(signal, 900)
    whole = run_aligned(guard([(300, 310), (600, 700)]), [signal])
    late = guard([(300, 310), (600, 700)], inner=Mute(inner_latency), latency=latency)
    np.testing.assert_array_equal(run_aligned(late, single), whole)


@pytest.mark.parametrize("stretch", [(0, 50), (1_950, 2_000), (0, 2_000), (1_990, 9_000)])
def test_stretch_at_the_edge_of_the_stream_is_whole(stretch):
    output = run_aligned(guard([stretch]), [ones(2_000)])
    np.testing.assert_array_equal(output[slice(*stretch)], ones(2_000)[slice(*stretch)])


def test_sound_that_is_recognised_late_is_protected_from_its_beginning():
    late = guard([(300, 5_000)], latency=4_000)
    chunks = np.split(ones(10_000), 100)
    output = run_aligned(late, chunks)
    np.testing.assert_array_equal(output[300:5_000], 1.0)


def test_latency_is_the_larger_of_inner_and_detector_with_fade():
    assert guard([]).latency == 100
    assert guard([], latency=50).latency == 130
    assert guard([], latency=5_000).latency == 5_080


def test_nothing_comes_out_before_it_is_decided():
    late = guard([(300, 400)], latency=1_000)
    emitted = sum(len(late.process(ones(100))) for _ in range(10))
    assert emitted == late.latency


def test_protected_stretches_are_united_and_limited_to_the_stream():
    g = guard([(100, 200), (150, 300), (300, 310), (900, 5_000), (7_000, 8_000)])
    run(g, np.split(ones(1_000), 50))
    assert g.protected == [(100, 310), (900, 1_000)]
    assert g.num_protected_samples == 310
    assert g.protected_within(200, 950) == [(200, 310), (900, 950)]
    assert g.protected_within(310, 900) == []
    assert g.protected_within(0, 100) == []


def test_protected_stretches_outlive_the_stream_until_the_next_begins():
    g = guard([(100, 200)])
    run(g, [ones(500)])
    assert g.protected == [(100, 200)]
    g.process(ones(50))
    assert g.protected == []


def test_second_stream_after_flush_equals_the_first():
    g = guard([(100, 200)], inner=Suppressor(RATE), latency=77)
    signal = np.random.default_rng(1).normal(0, 0.1, (3_000, 1)).astype(np.float32)
    np.testing.assert_array_equal(run(g, [signal]), run(g, [signal]))


def test_empty_stream_gives_the_latency_alone():
    assert run(guard([(0, 10)]), []).shape == (100, 1)
    assert run_aligned(guard([(0, 10)]), []).shape == (0, 1)


def test_protected_non_finite_samples_count_as_zero():
    signal = ones(500)
    signal[150] = np.nan
    output = run_aligned(guard([(100, 200)]), [signal])
    assert output[150] == 0.0
    np.testing.assert_array_equal(output[151:200], 1.0)


def test_any_channel_protects_all():
    signal = np.random.default_rng(1).normal(0, 0.1, (3_000, 3)).astype(np.float32)
    g = guard([(1_000, 2_000)], inner=Suppressor(RATE, 3))
    output = run_aligned(g, [signal])
    np.testing.assert_array_equal(output[1_000:2_000], signal[1_000:2_000])


@pytest.mark.parametrize("fade_s", [0.0, -1.0, 2.0, float("nan")])
def test_bad_fade_is_refused(fade_s):
    with pytest.raises(InputError, match="fade_s is"):
        guard([], fade_s=fade_s)


@pytest.mark.parametrize("stretch", [(-1, 5), (5, 5), (6, 5)])
def test_bad_stretch_is_refused(stretch):
    with pytest.raises(InputError, match="stretch"):
        FixedIntervals([stretch])


def test_fixed_intervals_are_revealed_after_their_latency():
    detector = FixedIntervals([(20, 30)], latency=10)
    detector.process(ones(5))
    assert detector.num_decided == 0
    detector.process(ones(30))
    assert detector.num_decided == 25
    assert detector.protected(0, 25) == [(20, 25)]
    detector.flush()
    assert detector.num_decided == 35
    assert detector.protected(25, 35) == [(25, 30)]
    assert detector.windows == detector.events == ()
    detector.reset()
    assert detector.num_decided == 0


def test_negative_latency_is_refused():
    with pytest.raises(InputError, match="latency is -1"):
        FixedIntervals([], latency=-1)
