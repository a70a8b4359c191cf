"""The audition page: whole, escaped, playable, and small enough to send."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from anc_core.jobs.compare_records import Comparison, FileComparison, SystemSummary
from anc_core.metrics.quality import QUALITY_FIGURES
from anc_core.records import Status
from anc_core.reports import audition
from anc_core.reports.audition import CLIP_S, Example, Version, loudest, write_audition

RATE = 16_000
HOSTILE = "<script>alert(1)</script> & \"quoted\" '녹음'"


def comparison(*systems: SystemSummary, **more: object) -> dict:
    figures = dict.fromkeys(QUALITY_FIGURES) | {"pesq": 1.5, "si_sdr_db": -3.25}
    values = {
        "folder": "in",
        "clean": "clean",
        "created_at": datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        "planned": 2,
        "ok": 2,
        "failed": 0,
        "max_seconds": 60.0,
        "before": figures,
        "null_reasons": {"estoi": "pystoi is not installed"},
        "systems": systems or (line("spectral"),),
    }
    return Comparison(**(values | more)).model_dump()


def line(name: str, **more: object) -> SystemSummary:
    gains = dict.fromkeys(QUALITY_FIGURES) | {"pesq": 0.25, "si_sdr_db": -0.5}
    values = {
        "system": name,
        "status": Status.OK,
        "files": 2,
        "gains": gains,
        "means": gains,
        "pesq_fell_share": 0.5,
        "speech_level_change_db": -0.25,
        "worst_speech_level_change_db": -1.5,
        "largest_lag_samples": 3,
        "speed_x": 512.0,
    }
    return SystemSummary(**(values | more))


def example(title: str = "a.wav", *, seconds: float = 1.0, rate: int = RATE) -> Example:
    tone = np.sin(2 * np.pi * 300 * np.arange(round(seconds * rate)) / rate).astype(np.float32)
    return Example(
        title,
        "because",
        rate,
        [
            Version("before", 0.5 * tone, {"pesq": 1.5}),
            Version("spectral", 0.1 * tone, {"pesq": 1.75}, {"pesq": 0.25}),
            Version("clean reference", 0.4 * tone),
        ],
    )


def page(tmp_path: Path, *examples: Example, **more: object) -> str:
    write_audition(tmp_path / "p.html", comparison(**more), examples)
    return (tmp_path / "p.html").read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Collects tags with their attributes, and fails on what is not closed."""

    VOID = frozenset({"meta", "img", "link", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.found if name == tag]


def test_the_template_is_part_of_the_package() -> None:
    assert (files("anc_core.reports") / "templates" / "audition.html").is_file()


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    text = page(tmp_path, example(), example("b.wav"))
    tags = Tags(text)
    addresses = [a.get(key) for _, a in tags.found for key in ("src", "href") if a.get(key)]
    assert addresses
    assert all(address.startswith("data:") for address in addresses)
    assert "http" not in re.sub(r"data:[^\"]+", "", text)
    assert tags.of("meta")[1]["name"] == "viewport"
    assert "prefers-color-scheme: dark" in text
    assert all(attrs["aria-label"] for attrs in tags.of("audio"))


def test_text_from_outside_is_inert(tmp_path: Path) -> None:
    failed = FileComparison(
        name=HOSTILE, source_path="x", status=Status.FAILED, error_code="NOT_AUDIO", reason=HOSTILE
    )
    text = page(
        tmp_path,
        example(HOSTILE),
        systems=(line(HOSTILE), line("gone", files=0, status=Status.SKIPPED, reason=HOSTILE)),
        files=(failed,),
        folder=HOSTILE,
    )
    assert "<script>alert" not in text
    assert text.count("&lt;script&gt;alert(1)") >= 6
    assert len(Tags(text).of("script")) == 1


def test_sounds_are_lossless_and_loud_as_they_were(tmp_path: Path) -> None:
    sounds = Tags(page(tmp_path, example())).of("audio")
    decoded = [
        sf.read(io.BytesIO(base64.b64decode(str(attrs["src"]).partition(",")[2])))
        for attrs in sounds
    ]
    for (samples, rate), version in zip(decoded, example().versions, strict=True):
        assert rate == RATE
        assert np.abs(samples - version.samples).max() <= 1 / 32_768  # one step of 16 bit


def test_a_version_that_would_clip_lowers_all_alike(tmp_path: Path) -> None:
    loud = Example("x", "", RATE, [Version(v.label, v.samples * 4.0) for v in example().versions])
    text = page(tmp_path, loud)
    peaks = [
        np.abs(sf.read(io.BytesIO(base64.b64decode(str(a["src"]).partition(",")[2])))[0]).max()
        for a in Tags(text).of("audio")
    ]
    assert peaks[0] <= 1.0
    assert peaks[0] / peaks[1] == pytest.approx(5.0, rel=1e-3)
    assert "lowered by 6.0 dB" in text


def test_long_recordings_are_heard_at_their_loudest(tmp_path: Path) -> None:
    quiet = np.full(30 * RATE, 0.001, np.float32)
    quiet[15 * RATE : 20 * RATE] = 0.5
    clip = loudest(quiet, round(CLIP_S * RATE))
    assert clip.stop - clip.start == CLIP_S * RATE
    assert clip.start <= 15 * RATE
    assert clip.stop >= 20 * RATE
    text = page(tmp_path, Example("x", "", RATE, [Version("before", quiet)]))
    assert "8.0 s" in text


def test_rates_beyond_hearing_are_lowered(tmp_path: Path) -> None:
    text = page(tmp_path, example(rate=192_000, seconds=0.5))
    content = base64.b64decode(str(Tags(text).of("audio")[0]["src"]).partition(",")[2])
    assert sf.info(io.BytesIO(content)).samplerate == 48_000


def test_the_page_stops_at_its_size_and_says_what_is_missing(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(audition, "MAX_PAGE_BYTES", 1)
    asked: list[int] = []

    def examples() -> Iterator[Example]:
        for index in range(4):
            asked.append(index)
            yield example(f"{index}.wav")

    write_audition(tmp_path / "p.html", comparison(), examples())
    text = (tmp_path / "p.html").read_text()
    assert text.count('class="example"') == 1
    assert "3 more recordings did not fit" in text


def test_pictures_share_one_colour_scale(tmp_path: Path) -> None:
    from PIL import Image

    pictures = [
        Image.open(io.BytesIO(base64.b64decode(str(attrs["src"]).partition(",")[2])))
        for attrs in Tags(page(tmp_path, example())).of("img")
    ]
    assert len(pictures) == 3
    brightest = [np.asarray(p.convert("L"), float)[20:-40, 60:-20].max() for p in pictures]
    # The second is 14 dB quieter than the first: on a scale of its own it would be as bright.
    assert brightest[1] < brightest[0] - 20
    assert pictures[0].mode == "RGBA"
    assert pictures[0].getpixel((1, 1))[3] == 0  # readable on any background


def test_figures_that_nobody_has_are_no_column_but_a_reason(tmp_path: Path) -> None:
    text = page(tmp_path)
    head = text[text.index("<thead>") : text.index("</thead>")]
    assert "PESQ" in head
    assert "ESTOI" not in head
    assert "<b>ESTOI</b>: pystoi is not installed" in text
    assert "nothing to hear" in text


def test_numbers_have_a_sign_and_a_real_minus(tmp_path: Path) -> None:
    text = page(tmp_path)
    for shown in ("+0.25", "−0.5", "−3.2", "50 %", "512 ×", "−1.5"):
        assert shown in text, shown


@pytest.mark.parametrize("length", [0, 1, 100])
def test_recordings_of_next_to_nothing_have_a_page_too(tmp_path: Path, length: int) -> None:
    short = np.full(length, 0.1, np.float32)
    text = page(tmp_path, Example("x", "", RATE, [Version("before", short)]))
    assert text.count("<audio") == 1
