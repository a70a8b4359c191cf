"""A few seconds of an emergency event before and after, for a page that is mailed.

MP3 at 16 kHz: every browser and mail program plays it, and a clip has the size of a small picture.
What was judged is the recording itself; the clip only lets a person hear what it was.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anc_core.audio import open_reader
from anc_core.errors import AncError
from anc_core.files import open_regular
from anc_core.remote.address import is_url
from anc_core.reports.daily_figures import EventLine
from anc_core.reports.listening import Samples, at_rate, data_url, spectrograms

CLIP_S = 4.0
LEAD_S = 0.5
"""Of the clip, before the event begins."""
RATE_HZ = 16_000
MAX_CLIPS = 24
MAX_CLIP_BYTES = 5_000_000
"""Of all clips of a page; with drawings and tables a page stays below what mail carries."""

_DPI = 90
_FALLBACK_START_S = 1_800.0
"""What only a streaming decoder reads is decoded from the start; that far and no farther."""


@dataclass(frozen=True, slots=True)
class Clip:
    """What a page shows of an event: data addresses; ``None`` = that side is not to be had."""

    before: str | None
    after: str | None
    picture_before: str | None
    picture_after: str | None
    missing: str
    """Why something is missing, in words; empty if nothing is."""

    @property
    def size(self) -> int:
        """Characters that it puts into the page."""
        return sum(
            len(part or "")
            for part in (self.before, self.after, self.picture_before, self.picture_after)
        )


def event_clips(
    lines: Iterable[EventLine], may_read: Callable[[str], bool] = lambda _path: True
) -> tuple[Mapping[str, Clip], int]:
    """Cut the clips of events, the gravest first, until the page is full.

    Parameters
    ----------
    lines : iterable of EventLine
    may_read : callable
        Whether a file may be opened.

    Returns
    -------
    dict of Clip, by ``event_id``
        Events whose files are gone have a clip that says so.
    int
        How many events were left out for the page's size.
    """
    clips: dict[str, Clip] = {}
    size = left_out = 0
    for line in sorted(lines, key=lambda line: (not line.violation, -line.peak_confidence)):
        if len(clips) >= MAX_CLIPS or size > MAX_CLIP_BYTES:
            left_out += 1
            continue
        clips[line.event_id] = clip = cut(line, may_read)
        size += clip.size
    return clips, left_out


def cut(line: EventLine, may_read: Callable[[str], bool]) -> Clip:
    """Return the clip of one event; files that are gone or changed are said to be so."""

    def read(path: str | None, num_bytes: int | None) -> tuple[Samples | None, str]:
        if path is None:
            return None, "there was no output"
        if line.imported:
            return None, "the session was imported without its files"
        if is_url(path):
            return None, "the recording lies in a bucket"
        if not may_read(path):
            return None, "the file may not be read"
        return _read(path, num_bytes, line.channel, max(line.start_s - LEAD_S, 0.0))

    before, why_before = read(line.source_path, line.source_bytes)
    after, why_after = read(line.output_path, line.output_bytes)
    sounds = [sound for sound in (before, after) if sound is not None]
    pictures = iter(spectrograms(sounds, RATE_HZ, dpi=_DPI) if sounds else ())
    missing = {why_before: "before"} if before is None else {}
    if after is None:
        missing[why_after] = "before and after" if why_after in missing else "after"
    reasons = [f"no sound {side}: {why}" for why, side in missing.items()]
    return Clip(
        before=_sound(before),
        after=_sound(after),
        picture_before=None if before is None else next(pictures),
        picture_after=None if after is None else next(pictures),
        missing="; ".join(reasons),
    )


def _read(
    path: str, num_bytes: int | None, channel: int, start_s: float
) -> tuple[Samples | None, str]:
    """Return a few seconds of one channel at 16 kHz, or ``None`` and why not."""
    try:
        with open_regular(path) as file:
            # A recorder that numbers its files anew writes another sound under the same name.
            if num_bytes is not None and num_bytes != Path(path).stat().st_size:
                return None, "the file was changed since"
            found = _from_sndfile(file, channel, start_s) or _from_stream(path, channel, start_s)
    except (AncError, OSError):
        return None, "the file is gone or cannot be read"
    if found is None:
        return None, "the file does not reach that far"
    samples, rate = found
    return at_rate(samples, rate, RATE_HZ), ""


def _from_sndfile(file: io.FileIO, channel: int, start_s: float) -> tuple[Samples, int] | None:
    import soundfile

    try:
        with soundfile.SoundFile(file) as sound:
            rate = int(sound.samplerate)
            sound.seek(min(round(start_s * rate), sound.frames))
            block = sound.read(round(CLIP_S * rate), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, ValueError):
        return None
    return _channel_of(block, channel, rate)


def _from_stream(path: str, channel: int, start_s: float) -> tuple[Samples, int] | None:
    """Read what libsndfile cannot (m4a, video) as the pipeline does, from the beginning."""
    if start_s > _FALLBACK_START_S:
        return None
    parts, skip, wanted = [], 0, 0
    with open_reader(Path(path)) as reader:
        rate = reader.sample_rate
        skip, wanted = round(start_s * rate), round(CLIP_S * rate)
        for chunk in reader.chunks():
            kept = chunk[skip : skip + wanted]
            skip -= min(skip, len(chunk))
            wanted -= len(kept)
            parts.append(kept)
            if not wanted:
                break
    return _channel_of(np.concatenate(parts), channel, rate) if parts else None


def _channel_of(block: Samples, channel: int, rate: int) -> tuple[Samples, int] | None:
    if not len(block) or channel >= block.shape[1]:
        return None
    return np.ascontiguousarray(block[:, channel]), rate


def _sound(samples: Samples | None) -> str | None:
    if samples is None:
        return None
    import soundfile

    file = io.BytesIO()
    kind = "MP3" if "MP3" in soundfile.available_formats() else "FLAC"
    # Resampling may overshoot full scale by a little; MP3 would fold it.
    soundfile.write(file, np.clip(samples, -1.0, 1.0), RATE_HZ, format=kind)
    return data_url("audio/mpeg" if kind == "MP3" else "audio/flac", file.getvalue())
