import os
from pathlib import Path

import numpy as np
import pytest

from anc_core.metrics import SessionMeter
from anc_core.metrics.activity import ActivityDetector, FrameClass
from anc_core.metrics.frames import FrameGrid

RATE = 16_000
LENGTH = 400


def classify(samples, *, pieces=1, rate=RATE):
    grid = FrameGrid(rate, 1)
    num_frames = len(samples) // grid.frame_length
    frames = samples[: num_frames * grid.frame_length].astype(np.float32)
    audible = frames.reshape(num_frames, grid.frame_length).var(axis=1) > 1e-9
    spectra = grid.frame_powers(frames[np.newaxis])
    detector = ActivityDetector(grid)
    decisions = []
    for part in np.array_split(np.arange(num_frames), pieces):
        decisions += detector.push(spectra[part], audible[part])
    decisions += detector.flush()
    return np.concatenate([np.zeros(0, np.int8), *(d.classes for d in decisions)])


def frame_powers(samples):
    whole = len(samples) // LENGTH * LENGTH
    return (samples[:whole].reshape(-1, LENGTH).astype(np.float64) ** 2).mean(axis=1)


def test_every_frame_is_decided_once(hiss):
    for num_frames in (0, 1, 4, 499, 500, 501, 1_300):
        assert len(classify(hiss(num_frames * LENGTH))) == num_frames


def test_steady_noise_is_noise(hiss):
    classes = classify(hiss(60 * RATE))
    assert (classes == FrameClass.NOISE).mean() > 0.98


def test_the_level_does_not_matter(talk, hiss):
    voice, _ = talk()
    mixture = voice + hiss(len(voice))
    same = classify(mixture) == classify(mixture / 16)
    assert same.mean() > 0.99  # the fixed floor of -110 dBFS moves a decision or two


@pytest.mark.parametrize("snr_db", [5, 10, 20])
def test_noise_frames_hold_next_to_no_voice(snr_db, talk, hiss):
    voice, _ = talk(40)
    noise = hiss(len(voice), 0.1 * 10 ** (-snr_db / 20))
    classes = classify(voice + noise)
    only_noise = classes == FrameClass.NOISE
    leak = frame_powers(voice)[only_noise].sum() / frame_powers(noise)[only_noise].sum()
    assert leak < 10**-1.5  # -15 dB: 12 dB of cancellation would read 11.5 dB or better
    pauses = frame_powers(voice) == 0.0
    assert (only_noise & pauses).sum() > 0.3 * pauses.sum()


def test_speech_frames_are_voiced_and_stand_10_db_above_the_noise(talk, hiss):
    voice, _ = talk(40)
    noise = hiss(len(voice), 0.02)
    speech = classify(voice + noise) == FrameClass.SPEECH
    voiced = frame_powers(voice) > 0.0
    assert speech.sum() * 0.025 > 3.0
    assert (speech & ~voiced).sum() == 0
    ratio = frame_powers(voice)[speech].sum() / frame_powers(noise)[speech].sum()
    assert ratio > 10.0 / 1.3  # broadband; 10 dB hold in the speech band


def test_a_recording_may_begin_with_speech(talk, hiss):
    voice, _ = talk(10)
    begins = voice[round(0.85 * RATE) :]
    classes = classify(begins + hiss(len(begins)))
    assert FrameClass.NOISE not in classes[:40]
    assert (classes[:40] == FrameClass.SPEECH).sum() > 15


def test_speech_over_next_to_no_noise_is_speech(talk, hiss):
    voice, _ = talk(20)
    classes = classify(voice + hiss(len(voice), 1e-4))  # the noise is at -80 dBFS
    voiced = frame_powers(voice) > 1e-5
    assert (classes[voiced] == FrameClass.SPEECH).mean() > 0.95
    assert (classes[voiced] != FrameClass.NOISE).all()


def test_zeros_are_silence(talk):
    voice, _ = talk(20)
    silent = frame_powers(voice) == 0.0
    assert ((classify(voice) == FrameClass.SILENCE) == silent).mean() > 0.99


def test_a_gated_line_has_a_noise_floor(talk, hiss):
    voice, _ = talk(20)
    mixture = voice + hiss(len(voice))
    mixture.reshape(-1, RATE)[::4] = 0.0  # every fourth second is digital silence
    classes = classify(mixture)
    assert (classes == FrameClass.NOISE).sum() * 0.025 > 1.0


def test_noise_that_becomes_louder_is_noise_again_after_seconds(hiss):
    noise = np.concatenate([hiss(10 * RATE, 0.01), hiss(10 * RATE, 0.1)])
    classes = classify(noise)
    assert (classes[:380] == FrameClass.NOISE).mean() > 0.9
    assert (classes[520:] == FrameClass.NOISE).mean() > 0.9


@pytest.mark.parametrize("pieces", [2, 7, 333])
def test_the_pieces_do_not_matter(pieces, talk, hiss):
    voice, _ = talk(30)
    mixture = voice + hiss(len(voice))
    assert (classify(mixture, pieces=pieces) == classify(mixture)).all()


@pytest.mark.realdata
@pytest.mark.parametrize(("snr_db", "tolerance_db"), [(5, 2.5), (10, 1.0)])
def test_a_known_cancellation_is_read_off_recorded_speech_in_rain(snr_db, tolerance_db):
    root = Path(os.environ.get("ANC_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
    speech_files = sorted((root / "clean_speech" / "librispeech_train-clean-100").glob("*.flac"))
    noise_files = sorted((root / "noise" / "flightgear_rain").glob("*.ogg"))
    if not speech_files or not noise_files:
        pytest.skip(f"no recordings in {root}; set ANC_TEST_DATA")
    sf = pytest.importorskip("soundfile")
    soxr = pytest.importorskip("soxr")
    voice = np.concatenate([sf.read(path, dtype="float32")[0] for path in speech_files[:4]])
    noise, rate = sf.read(noise_files[0], dtype="float32", always_2d=True)
    noise = np.resize(soxr.resample(noise[:, 0], rate, RATE), len(voice))
    noise *= np.sqrt((voice**2).mean() / (noise**2).mean() / 10 ** (snr_db / 10))
    meter = SessionMeter(RATE, 1)
    meter.update((voice + noise)[:, np.newaxis], (voice + noise / 4)[:, np.newaxis])
    # A-weighted, because the "clean" recordings have a rumble of their own, which is noise too.
    read = meter.compute().figures["cancellation_a_weighted_db"]
    assert read == pytest.approx(12.04, abs=tolerance_db)
