"""Rooms and mixing: reverberation time, direct sound, signal-to-noise ratio."""

from __future__ import annotations

import math

import numpy as np
import pytest

from anc_core.audio.synth import active_speech, mix, noise, room, room_response, voice
from anc_core.errors import InputError

RATE = 16_000


def schroeder_rt60_s(response, rate):
    """T30: slope of the backward-integrated energy between -5 and -35 dB (ISO 3382-1)."""
    energy = np.cumsum(response[::-1].astype(float) ** 2)[::-1]
    decay_db = 10 * np.log10(energy / energy[0])
    part = (decay_db < -5.0) & (decay_db > -35.0)
    slope = np.polyfit(np.flatnonzero(part) / rate, decay_db[part], 1)[0]
    return -60.0 / slope


@pytest.mark.parametrize("rate", [8_000, 48_000])
@pytest.mark.parametrize("rt60_s", [0.2, 0.4, 1.2])
def test_reverberation_time_is_the_asked_one(rt60_s, rate):
    response = room_response(rate, seed=1, rt60_s=rt60_s, distance_m=2.0)
    assert schroeder_rt60_s(response, rate) == pytest.approx(rt60_s, rel=0.2)


def test_direct_sound_comes_first_and_alone():
    response = room_response(RATE, seed=1)
    assert response.dtype == np.float32
    assert response[0] == 1.0
    assert not response[1 : round(1e-3 * RATE)].any()


def test_reverberation_grows_with_distance_as_in_a_diffuse_field():
    def ratio_db(distance_m):
        response = room_response(RATE, seed=1, rt60_s=0.5, distance_m=distance_m).astype(float)
        return 10 * math.log10(np.sum(response[1:] ** 2))

    # Twice the distance: the direct sound falls by 6.02 dB, the reverberation stays.
    assert ratio_db(2.0) - ratio_db(1.0) == pytest.approx(6.02, abs=0.01)


def test_first_reflections_are_sparse_and_the_tail_is_dense():
    response = room_response(48_000, seed=3, rt60_s=0.6, distance_m=1.0)
    early = np.count_nonzero(response[: round(0.008 * 48_000)]) / (0.008 * 48_000)
    late = response[round(0.15 * 48_000) : round(0.2 * 48_000)]
    assert early < 0.1
    assert np.count_nonzero(late) > 0.95 * len(late)


def test_room_keeps_length_level_and_start():
    dry = np.zeros(RATE, dtype=np.float32)
    dry[400] = 0.5
    wet = room(dry, RATE, seed=2)
    assert wet.shape == dry.shape
    assert wet.dtype == np.float32
    # Convolution by FFT leaves rounding (1e-16) before the sound; float32 keeps it below 1e-7.
    assert np.abs(wet[:400]).max() < 1e-7
    assert np.argmax(np.abs(wet)) == 400
    np.testing.assert_allclose(np.sum(wet.astype(float) ** 2), 0.25, rtol=1e-5)


def test_silence_in_a_room_is_silence():
    assert not room(np.zeros(100, dtype=np.float32), RATE, seed=0).any()


def test_room_is_the_same_for_the_same_seed():
    np.testing.assert_array_equal(room_response(RATE, seed=5), room_response(RATE, seed=5))
    assert not np.array_equal(room_response(RATE, seed=5), room_response(RATE, seed=6))


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 15.0])
def test_ratio_counts_over_active_speech(snr_db):
    speech = voice(5.0, RATE, seed=1)
    mixture, scaled = mix(speech, noise("pink", 5.0, RATE, seed=2), snr_db)
    active = active_speech(speech, RATE)
    ratio = np.sum(speech[active].astype(float) ** 2) / np.sum(scaled[active].astype(float) ** 2)
    assert 10 * math.log10(ratio) == pytest.approx(snr_db, abs=1e-3)
    np.testing.assert_array_equal(mixture, speech + scaled)
    assert mixture.dtype == scaled.dtype == np.float32


def test_pauses_do_not_change_the_noise_level():
    speech = voice(4.0, RATE, seed=1)
    hiss = noise("white", 8.0, RATE, seed=2)
    padded = np.concatenate([speech, np.zeros_like(speech)])
    _, short = mix(speech, hiss[: len(speech)], 5.0)
    _, long = mix(padded, hiss, 5.0)
    # The hangover runs 0.2 s into the added silence: at most 0.2 s in 3 s active, 0.3 dB.
    change_db = 10 * math.log10(
        np.mean(long.astype(float) ** 2) / np.mean(short.astype(float) ** 2)
    )
    assert abs(change_db) < 0.35


def test_speech_is_active_where_it_sounds():
    speech = np.zeros(4 * RATE, dtype=np.float32)
    speech[RATE : 2 * RATE] = noise("pink", 1.0, RATE, seed=0, level_dbfs=-26.0)
    active = active_speech(speech, RATE)
    # Frames of 10 ms; ITU-T P.56 adds 0.2 s behind.
    assert active[RATE : 2 * RATE].mean() > 0.98
    assert not active[: RATE - 160].any()
    assert not active[2 * RATE + round(0.21 * RATE) :].any()


def test_channels_are_mixed_by_one_gain():
    speech = np.stack([voice(2.0, RATE, seed=1)] * 2, axis=1)
    hiss = np.stack([noise("white", 2.0, RATE, seed=s) for s in (2, 3)], axis=1)
    mixture, scaled = mix(speech, hiss, 10.0)
    assert mixture.shape == speech.shape
    gains = scaled[hiss != 0] / hiss[hiss != 0]
    np.testing.assert_allclose(gains, gains[0], rtol=1e-5)


def test_knocks_in_the_pauses_only_still_have_a_level():
    speech = np.zeros(2 * RATE, dtype=np.float32)
    speech[:8_000] = voice(0.5, RATE, seed=1)
    knock = np.zeros_like(speech)
    knock[-100:] = 0.5
    _, scaled = mix(speech, knock, 0.0)
    assert scaled.any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: room_response(RATE, seed=0, rt60_s=0.0), "rt60_s is 0"),
        (lambda: room_response(RATE, seed=0, distance_m=500.0), "distance_m 500"),
        (lambda: room(np.zeros((4, 2), np.float32), RATE, seed=0), r"shape \(4, 2\)"),
        (lambda: mix(np.ones(3, np.float32), np.ones(4, np.float32), 0.0), "must be the same"),
        (lambda: mix(np.zeros(9, np.float32), np.ones(9, np.float32), 0.0), "silent"),
        (lambda: mix(np.ones(9, np.float32), np.zeros(9, np.float32), 0.0), "silent"),
        (lambda: mix(np.ones(9, np.float32), np.ones(9, np.float32), math.nan), "finite"),
    ],
)
def test_impossible_requests_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
