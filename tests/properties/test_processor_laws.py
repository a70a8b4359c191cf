"""The laws of processors/base.py (design.md, section 4), over random signals and splits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anc_core.processors import EmergencyGuard, FixedIntervals, Processor, Suppressor
from tests.strategies import KINDS, run, run_aligned, signals, splits, streams

# The first example of a kind loads its kernels, so a deadline would measure the compiler.
laws = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_kinds_are_processors(kind):
    assert isinstance(KINDS[kind](16_000, 2), Processor)


@laws
@given(stream=streams(), data=st.data())
def test_any_split_gives_the_same_output_bit_for_bit(stream, data):
    kind, sample_rate, signal = stream
    processor = KINDS[kind](sample_rate, signal.shape[1])
    whole = run(processor, [signal])
    parts = run(processor, data.draw(splits(signal)))
    np.testing.assert_array_equal(parts.view(np.int32), whole.view(np.int32))


@laws
@given(stream=streams(), data=st.data())
def test_output_has_the_length_of_the_input_plus_latency(stream, data):
    kind, sample_rate, signal = stream
    processor = KINDS[kind](sample_rate, signal.shape[1])
    output = run(processor, data.draw(splits(signal)))
    assert output.shape == (len(signal) + processor.latency, signal.shape[1])
    assert output.dtype == np.float32
    assert run_aligned(processor, [signal]).shape == signal.shape


@laws
@given(stream=streams(), data=st.data())
def test_reset_makes_the_next_run_identical(stream, data):
    kind, sample_rate, signal = stream
    processor = KINDS[kind](sample_rate, signal.shape[1])
    first = run(processor, [signal])
    processor.process(data.draw(signals(signal.shape[1])))
    processor.reset()
    np.testing.assert_array_equal(run(processor, [signal]), first)


@laws
@given(stream=streams())
def test_whatever_comes_in_only_finite_samples_come_out(stream):
    kind, sample_rate, signal = stream
    assert np.isfinite(run(KINDS[kind](sample_rate, signal.shape[1]), [signal])).all()


@laws
@given(stream=streams())
def test_input_is_not_changed(stream):
    kind, sample_rate, signal = stream
    before = signal.copy()
    run(KINDS[kind](sample_rate, signal.shape[1]), [signal])
    np.testing.assert_array_equal(signal, before)


@laws
@given(
    signal=signals(2),
    off=st.sampled_from([{"strength": 0.0}, {"max_attenuation_db": 0.0}]),
    data=st.data(),
)
def test_no_gain_change_returns_every_finite_sample_bit_for_bit(signal, off, data):
    output = run_aligned(Suppressor(16_000, 2, **off), data.draw(splits(signal)))
    samples = signal.astype(np.float32)
    expected = np.where(np.isfinite(samples), samples, np.float32(0.0))
    np.testing.assert_array_equal(output.view(np.int32), expected.view(np.int32))


@laws
@given(
    signal=signals(2),
    stretches=st.lists(
        st.tuples(st.integers(0, 5_000), st.integers(1, 900)).map(lambda s: (s[0], s[0] + s[1])),
        max_size=5,
    ),
    latency=st.sampled_from([0, 1, 900, 3_000]),
    data=st.data(),
)
def test_protected_samples_pass_bit_for_bit_and_the_rest_is_the_inner_output(
    signal, stretches, latency, data
):
    fade_s = 0.005
    guard = EmergencyGuard(
        Suppressor(16_000, 2),
        FixedIntervals(stretches, latency=latency),
        sample_rate=16_000,
        fade_s=fade_s,
    )
    output = run_aligned(guard, data.draw(splits(signal)))
    inner = run_aligned(Suppressor(16_000, 2), [signal])
    protected = np.zeros(len(signal), bool)
    reached = np.zeros(len(signal), bool)
    for start, stop in stretches:
        protected[start:stop] = True
        reached[max(0, start - int(fade_s * 16_000)) : stop + int(fade_s * 16_000)] = True
    samples = signal.astype(np.float32)
    original = np.where(np.isfinite(samples), samples, np.float32(0.0))
    np.testing.assert_array_equal(output[protected], original[protected])
    np.testing.assert_array_equal(output[~reached], inner[~reached])
    assert guard.num_protected_samples == protected.sum()
    assert guard.protected_within(0, len(signal)) == guard.protected
