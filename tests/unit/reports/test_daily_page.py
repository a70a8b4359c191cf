"""The page: the numbers of its JSON twin, inert text, no request, and nothing where nothing is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import pytest

from anc_core.reports.daily_charts import Chart, charts
from anc_core.reports.daily_figures import (
    Counts,
    DailyReport,
    EventCounts,
    FailureGroup,
    HourFigures,
    Late,
    LevelHour,
    PresetFigures,
    QualityLine,
    ReportFigures,
    Spread,
)
from anc_core.reports.daily_markdown import report_markdown, report_title
from anc_core.reports.daily_page import daily_page, shown
from anc_core.reports.event_clips import Clip
from tests.reports import NOW, baseline, day, device, event, figures, period, report

HOSTILE = "<script>alert(1)</script>\"'&<img src=//x.example onerror=alert(2)>"
FORMULA = '=HYPERLINK("http://x.example","sum")'
_KINDS = {
    "sessions.ok": "count", "sessions.degraded": "count", "sessions.skipped": "count",
    "sessions.failed": "count", "failed_share": "share", "recent.ok": "mean",
    "recent.degraded": "mean", "recent.failed": "mean", "audio_s": "audio",
    "recent.audio_s": "audio", "speed_x": "speed", "rtf.p95": "ratio",
    "backlog.age_s": "duration", "backlog.sessions": "count", "backlog.batches": "count",
    "events.total": "count", "events.violations": "count", "events.first_at_device": "count",
    "events.unacknowledged": "count", "cancellation_db.median": "db", "cancellation_db.p10": "db",
    "cancellation_db.n": "count", "api.p95_ms": "ms", "api.error_share": "share",
    "api.requests": "count", "disk.free_bytes": "size", "disk.days_to_full": "days",
}  # fmt: skip


class Page(HTMLParser):
    """What a browser would find: tags, the data elements with their text, all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.data: dict[str, tuple[str, str]] = {}
        self.words: list[str] = []
        self._open: tuple[str, str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "data":
            found = dict(attrs)
            self._open = (found["data-figure"] or "", found["value"] or "")

    def handle_data(self, text: str) -> None:
        self.words.append(text)
        if self._open is not None:
            name, value = self._open
            self.data[name] = (value, text)
            self._open = None


def page_of(shown_report: DailyReport, drawings: list[Chart] | None = None, **clips: Clip) -> str:
    return daily_page(shown_report, drawings or [], clips, clips_left_out=0)


def busy(**changes: Any) -> ReportFigures:
    """Return figures with something in every chart and table."""
    spread = Spread(
        n=40, minimum=-2.0, p10=1.0, p25=5.0, median=9.0, p75=11.0, p90=14.0, p95=15.0, maximum=20.0
    )
    hours = period().hour_spans()
    values: dict[str, Any] = {
        "events": EventCounts(total=2, violations=1, first_at_device=1, unacknowledged=2),
        "event_lines": (
            event(violation=True, max_attenuation_db=3.0, device=HOSTILE, source_path=HOSTILE),
            event(1, noise_type="siren", device=FORMULA, at=None),
        ),
        "hours": tuple(
            HourFigures(label=span.label, start=span.start, counts=Counts(ok=3, failed=n % 3))
            for n, span in enumerate(hours)
        ),
        "presets": (PresetFigures(preset="$x^2$", cancellation_db=spread),),
        "noise_hours": {HOSTILE: (60.0,) * 24},
        "levels": tuple(
            LevelHour(label=span.label, n=9, leq_dbfs=-30.0, l10_dbfs=-25.0, l90_dbfs=-45.0)
            for span in hours
        ),
        "failures": (
            FailureGroup(code="NOT_AUDIO", count=9, session_id="s", source_path=f"/in/{HOSTILE}",
                         message=HOSTILE, devices=(HOSTILE, FORMULA)),
        ),
        "worst": (
            QualityLine(session_id="q", source_path=FORMULA, device=HOSTILE, preset=HOSTILE,
                        status="ok", cancellation_db=-2.0, speech_level_change_db=-3.0,
                        reason=None),
        ),
        "devices": (device(HOSTILE, silent=20, measured=0, level_dbfs=None),),
        "days": (day(noise_s={HOSTILE: 5.0, "rain": 5.0}, output_bytes=10**9),),
        "baseline": baseline(output_bytes=10**9),
        "model_id": HOSTILE,
    }  # fmt: skip
    return figures(**(values | changes))


def lookup(twin: Mapping[str, Any], path: str) -> Any:
    found: Any = twin["figures"]
    for name in path.split("."):
        found = None if found is None else found[name]
    return found


@pytest.fixture(scope="module")
def drawn() -> list[Chart]:
    """Return the charts of busy figures: drawing them is what takes time here."""
    return charts(busy())


@pytest.mark.parametrize(
    "shown_report", [report(), report(busy()), report(ReportFigures(period=period()))]
)
def test_every_number_of_the_first_screen_is_that_of_the_json_twin(
    shown_report: DailyReport,
) -> None:
    twin = json.loads(shown_report.to_json())
    page = Page(page_of(shown_report))
    assert {"sessions.ok", "sessions.failed", "audio_s", "speed_x", "events.total"} <= set(
        page.data
    )
    for path, (value, text) in page.data.items():
        expected = lookup(twin, path)
        assert value == ("" if expected is None else str(expected)), path
        if path in _KINDS:
            assert text == shown(expected, _KINDS[path]), path


def test_a_golden_first_screen() -> None:
    data = Page(page_of(report())).data
    golden = {
        "sessions.ok": "97", "sessions.failed": "1", "failed_share": "1.0 %", "audio_s": "10.0 h",
        "speed_x": "90", "rtf.p95": "0.02", "cancellation_db.median": "12.0",
        "cancellation_db.p10": "7.0", "cancellation_db.n": "90", "events.total": "0",
    }  # fmt: skip
    assert {name: data[name][1] for name in golden} == golden


def test_text_from_outside_is_inert_in_page_charts_and_markdown(drawn: list[Chart]) -> None:
    shown_report = report(busy())
    text = page_of(shown_report, drawn)
    page = Page(text)
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object", "link-"}
    assert not [a for tag, a in page.tags if tag == "img" and "data:" not in (a.get("src") or "")]
    assert not [a for _, a in page.tags if any(name.startswith("on") for name in a)]
    assert "".join(page.words).count("<script>alert(1)</script>") >= 8  # shown, as text
    assert FORMULA in "".join(page.words)
    markdown = report_markdown(shown_report)
    assert "<script" not in markdown
    assert "<img" not in markdown


def test_the_page_asks_for_nothing_from_elsewhere(drawn: list[Chart]) -> None:
    shown_report = report(busy())
    clip = Clip("data:audio/mpeg;base64,AA==", None, "data:image/png;base64,AA==", None, "")
    text = page_of(shown_report, drawn, **{"s1:0": clip})
    page = Page(text)
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
    assert not re.findall(r"@import|url\((?!#)", text)
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_identifiers_are_unique_and_links_lead_to_them(drawn: list[Chart]) -> None:
    shown_report = report(busy())
    text = page_of(shown_report, drawn)
    names = re.findall(r'\bid="([^"]+)"', text)
    assert len(names) == len(set(names))
    for link in re.findall(r'(?:href="#|url\(#)([^")]+)', text):
        assert link in names


def test_the_page_of_no_data_says_so() -> None:
    shown_report = report(ReportFigures(period=period()))
    drawings = charts(shown_report.figures)
    assert {drawing.svg for drawing in drawings} == {None}
    text = page_of(shown_report, drawings)
    assert "No data: nothing was processed" in text
    assert "AMBER" in report_title(shown_report)
    assert "None: every device" in text


def test_a_revision_lists_what_came_late() -> None:
    late = Late(since=NOW, before=Counts(ok=90, failed=1), count=3)
    text = page_of(report(revision=2, late=late))
    assert "revision 2" in text
    assert "counted 91 sessions" in text
    assert "3 recordings came late" in text


def test_undecodable_names_do_not_stop_the_page() -> None:
    lines = (event(source_path="/in/caf\udce9.wav"),)
    text = page_of(report(figures(event_lines=lines, events=EventCounts(total=1))))
    assert "caf?.wav" in text
    text.encode()


def test_more_than_four_flags_are_counted_on_the_first_screen() -> None:
    devices = tuple(device(f"d{n}", silent=20, measured=0, level_dbfs=None) for n in range(6))
    page = "".join(Page(page_of(report(figures(devices=devices)))).words)
    assert "and 2 more below" in page


# --------------------------------------------------------------------------- charts


def test_charts_take_their_colours_from_the_page_and_keep_text_as_text(drawn: list[Chart]) -> None:
    assert all(chart.svg for chart in drawn)
    for chart in drawn:
        svg = chart.svg or ""
        assert "var(--" in svg
        assert not re.findall(r"#0a0[01]", svg)
        assert "<metadata" not in svg
        assert "DejaVu" not in svg
        assert "http://" not in svg.replace("http://www.w3.org/", "")
        assert svg.startswith("<svg")
        assert len(svg) < 60_000
    by_title = {chart.title: chart.svg or "" for chart in drawn}
    assert ">failed<" in by_title["Sessions per hour"]
    assert "$x^2$" in by_title["Cancellation by preset"]
    assert "NOT_AUDIO" in by_title["Failures by cause"]


def test_the_same_figures_give_the_same_drawing(drawn: list[Chart]) -> None:
    assert charts(busy())[0].svg == drawn[0].svg
