"""Real voices in real noise: the figures that synthetic signals cannot vouch for."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf

from anc_core.processors import Suppressor
from tests.strategies import run_aligned

RATE = 16_000
SNR_DB = 5.0

pytestmark = pytest.mark.realdata


def clips(folder, suffix, count):
    """Return ``count`` mono recordings at 16 kHz, evenly taken from ``folder``."""
    paths = sorted(folder.glob(f"*{suffix}"))
    found = []
    for path in paths[:: max(1, len(paths) // (4 * count))]:
        if sf.info(path).samplerate == RATE and len(found) < count:
            found.append(sf.read(path, dtype="float32", always_2d=True)[0][:, 0])
    return found


def si_sdr_db(target, estimate):
    part = (estimate @ target) / (target @ target) * target
    return 10 * np.log10(part @ part / np.sum((estimate - part) ** 2))


@pytest.fixture
def mixtures(realdata):
    voices = clips(realdata / "clean_speech" / "librispeech_train-clean-100", ".flac", 8)
    noises = [
        sf.read(path, dtype="float32", always_2d=True)[0][:, 0]
        for path in sorted((realdata / "noise" / "air_conditioner").glob("*"))[::7][:8]
    ]
    assert len(voices) == len(noises) == 8
    result = []
    for voice, hum in zip(voices, noises, strict=True):
        noise = np.resize(hum, len(voice))  # its rate does not matter: noise is noise
        noise *= np.std(voice) / np.std(noise) * np.float32(10 ** (-SNR_DB / 20))
        result.append((voice.astype(float), (voice + noise)[:, np.newaxis]))
    return result


def test_speech_in_air_conditioning_gains_4_db_and_keeps_its_level(mixtures):
    gains, levels = [], []
    for clean, noisy in mixtures:
        output = run_aligned(Suppressor(RATE), [noisy])[:, 0].astype(float)
        gains.append(si_sdr_db(clean, output) - si_sdr_db(clean, noisy[:, 0].astype(float)))
        levels.append(20 * np.log10((output @ clean) / (clean @ clean)))
    assert np.mean(gains) > 4.0  # 4.9 when this was written
    # At this SNR, in low-pitched hum, some of the voice is lost; over 0 to 15 dB it is 0.9 dB.
    assert abs(np.mean(levels)) < 1.5
