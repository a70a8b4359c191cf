"""On real recordings, where they are at hand: goals of docs, not exact figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from anc_core.emergency.detect import detect

pytestmark = pytest.mark.realdata


def share_protected(path: Path) -> float:
    audio, rate = soundfile.read(path, dtype="float32")
    spans = detect(audio, rate).protected
    return sum(end - start for start, end in spans) / (len(audio) / rate)


def test_most_siren_time_is_protected(realdata):
    by_recording: dict[str, list[float]] = {}
    for path in sorted((realdata / "emergency" / "siren").iterdir()):
        by_recording.setdefault(path.name.split("-")[0], []).append(share_protected(path))
    # Measured 0.82 (all clips), two of 16 recordings hold hardly any siren.
    assert np.mean([np.mean(shares) for shares in by_recording.values()]) > 0.7


def test_hardly_any_speech_is_protected(realdata):
    paths = sorted((realdata / "clean_speech").glob("librispeech*/*.flac"))[::8]
    # The limit of the specification; measured 0.004.
    assert np.mean([share_protected(path) for path in paths]) < 0.03
