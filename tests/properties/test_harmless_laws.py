"""The laws of processors/base.py for HarmlessMix, with strengths that come and go."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anc_core.processors import HarmlessMix, SpectralSuppressor, harmless
from tests.strategies import run, run_aligned, signals, splits

laws = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)

# A segment has 512 samples at 1 kHz, so that streams of some thousand samples have many.
SAMPLE_RATES = (1_000, 1_999, 8_000)


asked = {"engine_knows_speech": False}
"""Whether the verdict depends on the engine's output as well."""


def mixed(sample_rate, num_channels):
    return HarmlessMix(SpectralSuppressor(sample_rate, num_channels), sample_rate, **asked)


def erratic(scores):
    """0, 1 or something between, from the scores' last digits."""
    if not np.isfinite(scores).all():
        return np.ones(3)
    return np.clip(np.modf(np.abs(scores) * 7.0)[0] * 3.0 - 1.0, 0.0, 1.0)


@pytest.fixture(params=["as judged", "erratic", "erratic, engine asked", "never", "always"])
def strength(request, monkeypatch):
    monkeypatch.setitem(asked, "engine_knows_speech", request.param == "erratic, engine asked")
    monkeypatch.setattr(harmless, "_NO_VOICE_DB", (-0.5, -12.0))  # what this engine reaches
    rules = {
        "erratic": erratic,
        "erratic, engine asked": erratic,
        "never": lambda _: np.zeros(3),
        "always": lambda _: np.ones(3),
    }
    if request.param in rules:
        monkeypatch.setattr(harmless, "strength_of", rules[request.param])
    return request.param


streams = st.tuples(st.sampled_from(SAMPLE_RATES), st.integers(1, 3)).flatmap(
    lambda kind: st.tuples(st.just(kind[0]), signals(kind[1], max_samples=12_000))
)


@laws
@given(stream=streams, data=st.data())
def test_any_split_gives_the_same_output_bit_for_bit(strength, stream, data):
    sample_rate, signal = stream
    mix = mixed(sample_rate, signal.shape[1])
    whole = run(mix, [signal])
    summary = mix.content
    parts = run(mix, data.draw(splits(signal)))
    np.testing.assert_array_equal(parts.view(np.int32), whole.view(np.int32))
    assert mix.content == summary


@laws
@given(stream=streams, data=st.data())
def test_output_is_as_long_as_the_input_plus_latency_and_finite(strength, stream, data):
    sample_rate, signal = stream
    before = signal.copy()
    mix = mixed(sample_rate, signal.shape[1])
    output = run(mix, data.draw(splits(signal)))
    assert output.shape == (len(signal) + mix.latency, signal.shape[1])
    assert output.dtype == np.float32
    assert np.isfinite(output).all()
    np.testing.assert_array_equal(signal, before)


@laws
@given(stream=streams, data=st.data())
def test_reset_makes_the_next_run_identical(strength, stream, data):
    sample_rate, signal = stream
    mix = mixed(sample_rate, signal.shape[1])
    first = run(mix, [signal])
    mix.process(data.draw(signals(signal.shape[1])))
    mix.reset()
    np.testing.assert_array_equal(run(mix, [signal]), first)


@laws
@given(stream=streams, data=st.data())
def test_nothing_but_engine_or_input_where_the_strength_is_one_or_zero(strength, stream, data):
    sample_rate, signal = stream
    output = run_aligned(mixed(sample_rate, signal.shape[1]), data.draw(splits(signal)))
    engine = run_aligned(SpectralSuppressor(sample_rate, signal.shape[1]), [signal])
    samples = signal.astype(np.float32)
    original = np.where(np.isfinite(samples), samples, np.float32(0.0))
    if strength == "always":
        np.testing.assert_array_equal(output.view(np.int32), engine.view(np.int32))
    # Without one whole frame (64 ms) there is nothing to judge, and the engine has it.
    elif strength == "never" and len(signal) > 0.07 * sample_rate:
        np.testing.assert_array_equal(output.view(np.int32), original.view(np.int32))
    else:
        # A mixture lies between the two; one rounding to float32 either way.
        low = np.minimum(original, engine).astype(np.float64)
        high = np.maximum(original, engine).astype(np.float64)
        slack = 1e-6 * np.maximum(np.abs(low), np.abs(high))
        assert (output >= low - slack).all()
        assert (output <= high + slack).all()


def test_memory_is_constant():
    mix = mixed(1_000, 1)
    noise = np.random.default_rng(1).normal(0, 0.1, (1_000, 1)).astype(np.float32)
    waiting = []
    for _ in range(200):
        mix.process(noise)
        waiting.append(len(mix._original) + len(mix._processed))
    # Input and output wait for the verdict (9 s), the input for the engine (2.5 s) as well.
    assert max(waiting) < 22_000
    assert max(waiting[100:]) <= max(waiting[:100])
