"""What a training takes of a recording."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf

from anc_core.audio.training_clips import read_clip
from anc_core.errors import SourceError


def test_silent_ends_are_cut_and_channels_are_averaged(tmp_path):
    left = np.concatenate([np.zeros(500), np.full(3, 0.5), np.zeros(20), [0.25], np.zeros(70)])
    sf.write(tmp_path / "x.wav", np.stack([left, -0.5 * left], axis=1), 8_000, subtype="FLOAT")
    clip = read_clip(tmp_path / "x.wav", 8_000)
    assert clip.dtype == np.float32
    np.testing.assert_array_equal(clip, 0.25 * left[500:524])


def test_what_is_no_number_counts_as_nothing(tmp_path):
    samples = np.full(100, 0.5)
    samples[[10, 20, 99]] = np.nan, np.inf, -np.inf
    sf.write(tmp_path / "x.wav", samples, 8_000, subtype="FLOAT")
    clip = read_clip(tmp_path / "x.wav", 8_000)
    assert (len(clip), clip.max(), clip.min()) == (99, 0.5, 0.0)


def test_of_silence_nothing_is_left_and_another_rate_is_made(tmp_path):
    sf.write(tmp_path / "x.wav", np.zeros(800), 8_000)
    assert len(read_clip(tmp_path / "x.wav", 8_000)) == 0
    sf.write(tmp_path / "y.wav", np.full(8_000, 0.5), 8_000)
    assert len(read_clip(tmp_path / "y.wav", 16_000)) == pytest.approx(16_000, abs=64)


def test_what_is_no_audio_is_an_error(tmp_path):
    (tmp_path / "x.wav").write_text("no audio")
    with pytest.raises(SourceError):
        read_clip(tmp_path / "x.wav", 8_000)
