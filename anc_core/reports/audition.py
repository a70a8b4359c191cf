"""The audition page: what a comparison found, and recordings to hear and see before and after.

One HTML file without anything from elsewhere: sounds are FLAC and pictures PNG inside of it. All
text is escaped by the template.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from anc_core.files import write_text_atomic
from anc_core.reports.listening import (
    DYNAMIC_RANGE_DB,
    Samples,
    at_rate,
    data_url,
    spectrograms,
)
from anc_core.reports.page import page_environment

CLIP_S = 8.0
"""Length of a sound on the page: its loudest stretch."""
MAX_LISTENING_RATE_HZ = 48_000
MAX_PAGE_BYTES = 16_000_000
"""Mail and phones carry this much; examples beyond it are left out, and the page says how many."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a recording.

    Attributes
    ----------
    label : str
        "before", the system's name, "clean reference".
    samples : ndarray, shape (num_samples,)
        Float, full scale +-1; all versions of an example have the same length.
    figures, gains : mapping
        Figure -> value, and -> difference to the first version; ``None`` = not to be had.
    """

    label: str
    samples: Samples
    figures: Mapping[str, float | None] = field(default_factory=dict)
    gains: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Example:
    """A recording to listen to; the first version is the unprocessed one."""

    title: str
    why: str
    sample_rate: int
    versions: Sequence[Version]


@dataclass(frozen=True, slots=True)
class _Column:
    key: str
    title: str
    hint: str
    digits: int


QUALITY_COLUMNS = (
    _Column("pesq", "PESQ", "MOS-LQO, ITU-T P.862; more is better", 2),
    _Column("estoi", "ESTOI", "intelligibility, 0 to 1; more is better", 3),
    _Column("si_sdr_db", "SI-SDR dB", "closeness to the clean reference; more is better", 1),
    _Column("dnsmos_ovrl", "OVRL", "DNSMOS P.835, the whole, 1 to 5", 2),
    _Column("dnsmos_sig", "SIG", "DNSMOS P.835, the voice, 1 to 5", 2),
    _Column("dnsmos_bak", "BAK", "DNSMOS P.835, the background, 1 to 5", 2),
)


def write_audition(
    path: Path | str, comparison: Mapping[str, Any], examples: Iterable[Example]
) -> None:
    """Write the page to ``path``, complete or not at all.

    Parameters
    ----------
    path : path
        The page.
    comparison : mapping
        A comparison as plain values (``anc_core.jobs.compare.Comparison.model_dump()``).
    examples : iterable of Example
        Drawn one at a time, until the page is full.

    Raises
    ------
    SinkError
        NO_SPACE or NOT_WRITABLE.
    """
    rendered, left_out = _render_examples(examples)
    template = page_environment().get_template("audition.html")
    shown = [column for column in QUALITY_COLUMNS if _is_measured(comparison, column.key)]
    text = template.render(
        comparison=comparison,
        columns=shown,
        missing=[column for column in QUALITY_COLUMNS if column not in shown],
        examples=rendered,
        left_out=left_out,
        clip_s=CLIP_S,
        range_db=DYNAMIC_RANGE_DB,
    )
    write_text_atomic(path, text)


def _is_measured(comparison: Mapping[str, Any], key: str) -> bool:
    values = [comparison["before"].get(key)]
    values += [system["means"].get(key) for system in comparison["systems"]]
    return any(value is not None for value in values)


# --------------------------------------------------------------------------- sounds and pictures


@dataclass(frozen=True, slots=True)
class _Rendered:
    title: str
    why: str
    start_s: float
    duration_s: float
    scale_db: float | None
    """How much all versions were lowered so that none clips."""
    versions: list[dict[str, Any]]


def _render_examples(examples: Iterable[Example]) -> tuple[list[_Rendered], int]:
    """Return what fits into the page, and how many examples did not."""
    rendered: list[_Rendered] = []
    size = left_out = 0
    for example in examples:
        if left_out:
            left_out += 1
            continue
        item = _render(example)
        size += sum(len(v["sound"]) + len(v["picture"]) for v in item.versions)
        if rendered and size > MAX_PAGE_BYTES:
            left_out = 1
            continue
        rendered.append(item)
    return rendered, left_out


def _render(example: Example) -> _Rendered:
    rate = example.sample_rate
    # What is said is judged, so the clean version tells where to listen, if there is one.
    clip = loudest(example.versions[-1].samples, round(CLIP_S * rate))
    clips = [version.samples[clip].astype(np.float32) for version in example.versions]
    if rate > MAX_LISTENING_RATE_HZ:
        clips = [at_rate(samples, rate, MAX_LISTENING_RATE_HZ) for samples in clips]
        rate = MAX_LISTENING_RATE_HZ
    peak = max((float(np.max(np.abs(samples), initial=0.0)) for samples in clips), default=0.0)
    scale = 0.999 / peak if peak > 0.999 else 1.0
    clips = [samples * np.float32(scale) for samples in clips]
    pictures = spectrograms(clips, rate)
    return _Rendered(
        title=example.title,
        why=example.why,
        start_s=clip.start / example.sample_rate,
        duration_s=(clip.stop - clip.start) / example.sample_rate,
        scale_db=20.0 * float(np.log10(scale)) if scale < 1.0 else None,
        versions=[
            {
                "label": version.label,
                "figures": version.figures,
                "gains": version.gains,
                "sound": data_url(*_encoded(samples, rate)),
                "picture": picture,
            }
            for version, samples, picture in zip(example.versions, clips, pictures, strict=True)
        ],
    )


def loudest(samples: Samples, length: int) -> slice:
    """Return the stretch of ``length`` samples that holds the most energy.

    Examples
    --------
    >>> loudest(np.array([0.0, 0.1, 0.9, 0.9, 0.0], np.float32), 2)
    slice(2, 4, None)
    """
    if len(samples) <= length:
        return slice(0, len(samples))
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    start = int(np.argmax(energy[length:] - energy[:-length]))
    return slice(start, start + length)


def _encoded(samples: Samples, rate: int) -> tuple[str, bytes]:
    """Return ``samples`` as FLAC: lossless, or nobody could tell an artefact from the codec's."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="FLAC", subtype="PCM_16")
    return "audio/flac", file.getvalue()
