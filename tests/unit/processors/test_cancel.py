from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from anc_core.dsp.adaptive_filter import ALGORITHMS
from anc_core.errors import InputError
from anc_core.processors import ReferenceCanceller

RATE = 16_000


def scene(num_samples=4 * RATE, num_references=1, seed=1):
    """Return a reference and what arrives of it through a decaying path."""
    rng = np.random.default_rng(seed)
    reference = rng.normal(0, 0.1, (num_samples, num_references)).astype(np.float32)
    paths = rng.normal(size=(120, num_references)) * np.exp(-np.arange(120) / 25)[:, np.newaxis]
    echo = sum(
        np.convolve(reference[:, c], paths[:, c])[:num_samples] for c in range(num_references)
    )
    return reference, echo.astype(np.float32)[:, np.newaxis]


def db(numerator, denominator):
    return 10 * np.log10(
        np.mean(np.square(numerator, dtype=float)) / np.mean(np.square(denominator, dtype=float))
    )


def run(canceller, primary, reference):
    """Return the output without its delay."""
    parts = [canceller.process(primary, reference), canceller.flush()]
    return np.concatenate(parts)[canceller.latency :]


@pytest.mark.parametrize(("num_references", "min_db"), [(1, 40.0), (2, 30.0)])
def test_noise_that_the_reference_explains_disappears(num_references, min_db):
    reference, echo = scene(num_references=num_references)
    output = run(ReferenceCanceller(RATE, 1, num_references), echo, reference)
    assert len(output) == len(echo)
    # Nothing but the time to learn limits an echo without other sound; two filters take longer.
    assert db(echo[-RATE:], output[-RATE:]) > min_db


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name != "kalman"])
def test_every_algorithm_of_the_books_does_its_work(algorithm):
    reference, echo = scene()
    canceller = ReferenceCanceller(RATE, algorithm=algorithm, num_taps=128)
    output = run(canceller, echo, reference)
    assert output.shape == echo.shape
    assert db(echo[-RATE:], output[-RATE:]) > 20.0


def test_what_the_reference_does_not_explain_stays():
    reference, echo = scene()
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(len(echo)) / RATE)[:, np.newaxis]
    output = run(ReferenceCanceller(RATE), (echo + tone).astype(np.float32), reference)
    last = output[-RATE:, 0].astype(float)
    gain = last @ tone[-RATE:, 0] / (tone[-RATE:, 0] @ tone[-RATE:, 0])
    # The limit; a held tone is the hardest: within 0.5 s some noise always resembles it.
    assert 20 * np.log10(gain) == pytest.approx(0.0, abs=0.5)
    assert db(echo[-RATE:], (output - tone)[-RATE:]) > 25.0


def test_a_recording_that_was_learnt_from_is_quiet_from_its_beginning():
    reference, echo = scene()
    fresh, primed = ReferenceCanceller(RATE), ReferenceCanceller(RATE)
    primed.learn_from(echo, reference)
    half = slice(0, RATE // 2)
    unprimed_db = db(echo[half], run(fresh, echo, reference)[half])
    assert db(echo[half], run(primed, echo, reference)[half]) > unprimed_db + 15.0


def test_every_primary_channel_has_its_own_filter():
    reference, echo = scene(RATE)
    two = ReferenceCanceller(RATE, 2).process(np.hstack([echo, -0.5 * echo]), reference)
    one = ReferenceCanceller(RATE).process(echo, reference)
    other = ReferenceCanceller(RATE).process(-0.5 * echo, reference)
    np.testing.assert_array_equal(two, np.hstack([one, other]))


def test_any_split_gives_the_same_output_bit_for_bit():
    reference, echo = scene(RATE, 2)
    whole = run(ReferenceCanceller(RATE, 1, 2), echo, reference)
    canceller = ReferenceCanceller(RATE, 1, 2)
    cuts = [0, 0, 1, 2, 9, 265, 266, 5_000, RATE]
    parts = [canceller.process(echo[a:b], reference[a:b]) for a, b in pairwise(cuts)]
    parts.append(canceller.flush())
    np.testing.assert_array_equal(np.concatenate(parts)[canceller.latency :], whole)


def test_level_of_both_signals_does_not_matter():
    reference, echo = scene()
    loud = run(ReferenceCanceller(RATE), echo, reference)
    quiet = run(ReferenceCanceller(RATE), 1e-3 * echo, 1e-3 * reference)
    assert db(echo[:RATE], loud[:RATE]) == pytest.approx(
        db(1e-3 * echo[:RATE], quiet[:RATE]), abs=0.1
    )


def peak_and_cancellation(primary, reference, **parameters):
    """Return the loudest 0.1 s of the output over that of the input, and dB of the last second."""
    canceller = ReferenceCanceller(RATE, **parameters)
    output = run(canceller, primary.astype(np.float32), reference.astype(np.float32))
    assert np.isfinite(output).all()
    sounds = [np.nan_to_num(primary, nan=0, posinf=0, neginf=0), output]
    loudest = [
        np.square(s.astype(float)).reshape(-1, RATE // 10).mean(axis=1).max() for s in sounds
    ]
    return np.sqrt(loudest[1] / loudest[0]), db(sounds[0][-RATE:], output[-RATE:])


def with_samples(signal, value):
    signal = signal.copy()
    signal[[1_000, 20_000, 30_001]] = value
    return signal


REFERENCE, ECHO = scene()
GATE = np.ones_like(ECHO)
GATE[RATE : 2 * RATE] = 0


@pytest.mark.parametrize(
    ("primary", "reference", "max_peak", "min_cancellation_db"),
    [
        pytest.param(ECHO, REFERENCE, 0.3, 40, id="nominal"),
        pytest.param(ECHO * GATE, REFERENCE * GATE, 0.3, 35, id="digital silence"),
        pytest.param(ECHO, with_samples(REFERENCE, np.nan), 0.3, 40, id="NaN in the reference"),
        pytest.param(with_samples(ECHO, np.inf), REFERENCE, 0.3, 40, id="inf in the primary"),
        pytest.param(with_samples(ECHO, 50.0), REFERENCE, 1.0, 20, id="impulses in the primary"),
        pytest.param(ECHO, with_samples(REFERENCE, 50.0), 1.1, -2, id="impulses in the reference"),
        pytest.param(ECHO + 1, REFERENCE + 1, 1.0, 15, id="DC"),
        pytest.param(np.clip(ECHO, -0.2, 0.2), np.clip(REFERENCE, -0.1, 0.1), 1.0, 3, id="clipped"),
        # 3 dB for the half second in which the filter is still believed in.
        pytest.param(ECHO * (2 * GATE - 1), REFERENCE, 1.5, 12, id="path changes its sign"),
        pytest.param(ECHO, np.roll(REFERENCE[::-1], 99), 1.0, -1, id="unrelated reference"),
        pytest.param(ECHO * GATE, REFERENCE, 1.0, 15, id="primary falls silent"),
        pytest.param(ECHO, REFERENCE * GATE, 1.1, 30, id="reference falls silent"),
    ],
)
def test_trouble_neither_diverges_nor_lasts(primary, reference, max_peak, min_cancellation_db):
    peak, cancellation_db = peak_and_cancellation(primary, reference)
    assert peak <= max_peak
    assert cancellation_db >= min_cancellation_db


def test_an_unrelated_reference_costs_less_than_a_decibel():
    _, cancellation_db = peak_and_cancellation(ECHO, np.roll(REFERENCE[::-1], 99))
    assert cancellation_db < 1.0


def test_non_finite_samples_count_as_zero_in_both_signals():
    broken = run(
        ReferenceCanceller(RATE), with_samples(ECHO, np.nan), with_samples(REFERENCE, -np.inf)
    )
    zeroed = run(ReferenceCanceller(RATE), with_samples(ECHO, 0.0), with_samples(REFERENCE, 0.0))
    np.testing.assert_array_equal(broken, zeroed)


def test_what_the_guard_did_is_told_once():
    canceller = ReferenceCanceller(RATE)
    primary = ECHO.copy()
    primary[2 * RATE :] = 0.0
    output = run(canceller, primary, REFERENCE)
    events = canceller.drain_events()
    assert events
    assert all(2.0 - canceller.latency / RATE <= event.time_s < 4.0 for event in events)
    assert canceller.drain_events() == ()
    # The filter foresees what no longer comes; a block after that is noticed it is mute.
    assert np.abs(output[2 * RATE + RATE // 4 :]).max() < 0.02 * np.abs(ECHO).max()


def test_the_end_of_a_recording_is_no_harm():
    canceller = ReferenceCanceller(RATE)
    output = run(canceller, ECHO, REFERENCE)
    assert canceller.drain_events() == ()
    assert db(ECHO[-canceller.latency :], output[-canceller.latency :]) > 35.0


def test_flush_forgets():
    canceller = ReferenceCanceller(RATE, 2)
    first = run(canceller, np.hstack([ECHO, ECHO]), REFERENCE)
    np.testing.assert_array_equal(run(canceller, np.hstack([ECHO, ECHO]), REFERENCE), first)


@pytest.mark.parametrize("num_samples", [0, 1, 100])
def test_a_recording_shorter_than_the_delay_keeps_its_length(num_samples):
    output = run(ReferenceCanceller(RATE), ECHO[:num_samples], REFERENCE[:num_samples])
    assert output.shape == (num_samples, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_taps": 0}, "num_taps is 0"),
        ({"num_taps": 2.5}, r"num_taps is 2\.5"),
        ({"step_size": 0.0}, r"step_size is 0\.0"),
        ({"step_size": 2.0}, r"step_size is 2\.0"),
        ({"step_size": float("nan")}, "step_size is nan"),
        ({"leakage": 1.0}, r"leakage is 1\.0"),
        ({"algorithm": "magic"}, "'magic' is unknown; choose one of kalman"),
        ({"dtype": "int16"}, "float32"),
        ({"num_reference_channels": 0}, "num_channels is 0"),
        ({"sample_rate": 5}, "sample_rate is 5"),
    ],
)
def test_bad_parameter_is_named_with_its_value(arguments, message):
    with pytest.raises(InputError, match=message):
        ReferenceCanceller(**{"sample_rate": RATE, **arguments})


def test_reference_of_another_length_is_refused():
    with pytest.raises(InputError, match="10 samples came with 9 of the reference"):
        ReferenceCanceller(RATE).process(ECHO[:10], REFERENCE[:9])


def test_one_tap_and_several_references_work():
    reference, echo = scene(RATE, 3)
    output = run(ReferenceCanceller(RATE, 1, 3, num_taps=1), echo, reference)
    assert np.isfinite(output).all()
