"""Clips of events: the right seconds, of the right file, small, and a word where there are none."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from anc_core.reports import event_clips as module
from anc_core.reports.daily_figures import EventLine
from anc_core.reports.event_clips import CLIP_S, LEAD_S, RATE_HZ, event_clips
from tests.reports import event

RATE = 8_000


@pytest.fixture
def line(tmp_path: Path) -> EventLine:
    """Return an event from 6 s on in the second channel: noise before, a tone within."""
    rng = np.random.default_rng(1)
    audio = 0.01 * rng.standard_normal((20 * RATE, 2)).astype(np.float32)
    time_s = np.arange(20 * RATE) / RATE
    audio[6 * RATE : 12 * RATE, 1] += 0.5 * np.sin(2 * np.pi * 1000 * time_s[: 6 * RATE])
    for name in ("in.wav", "out.flac"):
        sf.write(tmp_path / name, audio, RATE)
    return event(
        start_s=6.0,
        end_s=12.0,
        channel=1,
        source_path=str(tmp_path / "in.wav"),
        output_path=str(tmp_path / "out.flac"),
    )


def decoded(url: str | None) -> np.ndarray[Any, np.dtype[np.float64]]:
    assert url is not None
    samples, rate = sf.read(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    assert rate == RATE_HZ
    return samples


def test_a_clip_holds_the_beginning_of_the_event_before_and_after(line: EventLine) -> None:
    clips, left_out = event_clips([line])
    clip = clips["s1:0"]
    assert (left_out, clip.missing) == (0, "")
    for sound, picture in ((clip.before, clip.picture_before), (clip.after, clip.picture_after)):
        samples = decoded(sound)
        assert len(samples) / RATE_HZ == pytest.approx(CLIP_S, abs=0.15)  # MP3 pads
        lead = round((LEAD_S - 0.2) * RATE_HZ)
        assert np.std(samples[:lead]) < 0.05 < 0.3 < np.std(samples[2 * RATE_HZ :])
        assert (picture or "").startswith("data:image/png;base64,")
    assert clip.size < 400_000


def test_files_that_are_gone_changed_or_forbidden_are_said_to_be_so(
    line: EventLine, tmp_path: Path
) -> None:
    def missing(**changes: Any) -> str:
        changed = line.model_copy(update=changes)
        return event_clips([changed])[0]["s1:0"].missing

    gone = str(tmp_path / "none.wav")
    assert missing(source_path=gone) == "no sound before: the file is gone or cannot be read"
    assert missing(source_path=gone, output_path=gone).startswith("no sound before and after")
    assert missing(output_path=None) == "no sound after: there was no output"
    assert "changed" in missing(source_bytes=1)
    assert "imported" in missing(imported=True)
    assert "reach" in missing(start_s=500.0)
    assert "reach" in missing(channel=9)
    (tmp_path / "text.wav").write_text("no audio")
    assert "cannot be read" in missing(source_path=str(tmp_path / "text.wav"))
    clips, _ = event_clips([line], may_read=lambda _: False)
    assert (clips["s1:0"].before, clips["s1:0"].after) == (None, None)


def test_violations_come_first_and_the_page_stops_at_its_size(
    line: EventLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [line.model_copy(update={"event_id": f"s1:{n}", "violation": n == 2}) for n in range(3)]
    monkeypatch.setattr(module, "MAX_CLIP_BYTES", 1)
    clips, left_out = event_clips(lines)
    assert (list(clips), left_out) == (["s1:2"], 2)
