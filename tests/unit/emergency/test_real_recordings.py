"""On real recordings, where they are at hand: the measured figures less a margin.

``benchmarks/emergency.py`` measures more, with noise, by class and with intervals.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from anc_core.emergency.detect import detect

pytestmark = pytest.mark.realdata


def share_protected(audio: np.ndarray, rate: int) -> float:
    spans = detect(audio, rate).protected
    return sum(end - start for start, end in spans) / (len(audio) / rate)


def of_file(path: Path) -> float:
    return share_protected(*soundfile.read(path, dtype="float32"))


def mean_of_recordings(shares: dict[str, list[float]]) -> float:
    return float(np.mean([np.mean(of_one) for of_one in shares.values()]))


def siren_clips(realdata: Path) -> list[Path]:
    """Return up to four clips of every recording."""
    by_recording: dict[str, list[Path]] = {}
    for path in sorted((realdata / "emergency" / "siren").iterdir()):
        by_recording.setdefault(path.name.split("-")[0], []).append(path)
    return [path for paths in by_recording.values() for path in paths[:: -(-len(paths) // 4)]]


def test_most_siren_time_is_protected(realdata):
    shares: dict[str, list[float]] = {}
    for path in siren_clips(realdata):
        shares.setdefault(path.name.split("-")[0], []).append(of_file(path))
    assert mean_of_recordings(shares) > 0.8


def test_most_siren_time_under_speech_as_loud_is_protected(realdata):
    talkers = sorted((realdata / "clean_speech").glob("librispeech*/*.flac"))
    shares: dict[str, list[float]] = {}
    for number, path in enumerate(siren_clips(realdata)):
        siren, rate = soundfile.read(path, dtype="float32")
        speech, speech_rate = soundfile.read(talkers[4 + 5 * (number % 30)], dtype="float32")
        place = np.arange(len(siren)) * speech_rate / rate
        voice = np.interp(place, np.arange(len(speech)), speech, period=len(speech))
        mixture = siren + voice * (np.std(siren) / np.std(voice))
        share = share_protected(mixture.astype(np.float32), rate)
        shares.setdefault(path.name.split("-")[0], []).append(share)
    assert mean_of_recordings(shares) > 0.6


def test_hardly_any_speech_is_protected(realdata):
    # Every fifth speaker is held out of all training.
    paths = sorted((realdata / "clean_speech").glob("librispeech*/*.flac"))[4::5]
    assert np.mean([of_file(path) for path in paths]) < 0.03


def test_machines_are_suppressed(realdata):
    shares = [
        of_file(path)
        for kind in ("air_conditioner", "jackhammer", "drilling")
        for path in sorted((realdata / "noise" / kind).iterdir())[::6]
    ]
    assert np.mean(shares) < 0.25
