"""An analysis as small tables of text, for the terminal and for Prefect's pages alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from anc_core.analysis_records import (
    TOO_FEW,
    EmergencyEvent,
    Failure,
    GroupAnalysis,
    Levels,
    NoiseShare,
    PeriodAnalysis,
    SessionAnalysis,
    Statistic,
)
from anc_core.sound_records import NOT_APPROVED, SoundLevels

MAX_ROWS = 40
_ARROWS = {"up": "^ up", "down": "v down", "steady": "= steady", None: "-"}
_DIGITS = {"cancellation_db": 1, "snr_improvement_db": 1, "real_time_factor": 4, "processing_s": 2}


@dataclass(frozen=True, slots=True)
class TextTable:
    """Titles and rows of text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def tables_of(analysis: PeriodAnalysis | SessionAnalysis) -> list[TextTable]:
    """Return what there is to show; a table without rows is left out."""
    made = _period(analysis) if isinstance(analysis, PeriodAnalysis) else _session(analysis)
    return [table for table in made if table.rows]


def headline(analysis: PeriodAnalysis | SessionAnalysis) -> str:
    """Return the analysis in one line."""
    if isinstance(analysis, SessionAnalysis):
        words = f"session {analysis.session_id}: {analysis.status}"
        why = analysis.error_message or analysis.reason
        return f"{words}, {why}" if why else words
    start, end = (
        _local(moment, analysis) for moment in (analysis.period.start, analysis.period.end)
    )
    span = f"{start} to {end} ({analysis.period.timezone})"
    done, heard = analysis.performance_statistics, analysis.noise_statistics
    if analysis.is_empty and not heard.undated:
        return f"{span}: no session finished and none was recorded"
    counts = ", ".join(f"{count} {status}" for status, count in done.by_status.items())
    return (
        f"{span}: {done.sessions} sessions finished ({counts or 'none'}), "
        f"{done.audio_hours:.1f} h of audio; {heard.sessions} recorded, "
        f"{heard.emergency_events} emergency events, {heard.safety_violations} safety violations"
    )


def remarks(analysis: PeriodAnalysis | SessionAnalysis) -> list[str]:
    """Return what a reader of the figures must know."""
    if isinstance(analysis, SessionAnalysis):
        return [f"{one.code}: {one.message}" for one in analysis.warnings]
    found = []
    if analysis.noise_statistics.undated:
        found.append(
            f"{analysis.noise_statistics.undated} sessions have no time of recording and are not "
            "in the noise view; --noise-by finished shows them"
        )
    if analysis.performance_statistics.sessions < TOO_FEW and not analysis.is_empty:
        found.append(
            f"fewer than {TOO_FEW} sessions: statistics are marked 'too few', trends left out"
        )
    return found


def _period(analysis: PeriodAnalysis) -> Iterator[TextTable]:
    done, heard = analysis.performance_statistics, analysis.noise_statistics
    yield _statistics(
        {
            "cancellation_db": done.cancellation_db,
            "snr_improvement_db": done.snr_improvement_db,
            "real_time_factor": done.real_time_factor,
            "processing_s": done.processing_s,
        }
        if done.sessions
        else {}
    )
    yield _groups(analysis.groups)
    yield _noises(analysis.noise_distribution)
    yield _levels({"input": heard.levels})
    yield _sound_levels(heard.sound_levels)
    yield TextTable(
        "noise sources",
        ("device", "noise", "seconds", "Leq dBFS"),
        tuple(
            (one.device_id or "-", one.noise_type, _number(one.seconds), _number(one.leq_dbfs))
            for one in heard.top_sources
        ),
    )
    yield _emergencies(analysis.emergency_events, analysis)
    yield _failures("failures", done.failures)
    yield _failures("degraded and skipped", done.degradations)
    yield TextTable(
        "silent devices",
        ("device", "sessions the week before", "last"),
        tuple(
            (one.device_id, str(one.sessions_before), _local(one.last_at, analysis))
            for one in analysis.silent_devices
        ),
        "recorded in the week before, nothing in the period",
    )
    yield TextTable(
        "comparison",
        ("figure", "now", "previous period", "", "28 days before", ""),
        tuple(
            (
                one.name,
                _number(one.value, 3),
                _number(one.previous, 3),
                _ARROWS[one.trend],
                _number(one.baseline, 3),
                _ARROWS[one.baseline_trend],
            )
            for one in analysis.comparison
        )
        if not analysis.is_empty
        else (),
        "sums of the 28 days are scaled to the length of the period",
    )


def _session(analysis: SessionAnalysis) -> Iterator[TextTable]:
    figures, gate = analysis.performance_statistics, analysis.quality_gate
    ranks = {
        "cancels more than": figures.cancellation_rank,
        "is faster than": figures.speed_rank,
    }
    facts = {
        "recording": analysis.source_path,
        "device": analysis.device_id,
        "seconds": _number(analysis.duration_s, 2),
        "loudness LUFS": None
        if analysis.input_loudness_lufs is None
        else f"{_number(analysis.input_loudness_lufs)} -> {_number(analysis.output_loudness_lufs)}",
        "cancellation dB": _number(figures.cancellation_db),
        "SNR gain dB": _number(figures.snr_improvement_db),
        "real-time factor": _number(figures.real_time_factor, 4),
        **{
            words: f"{rank:.0%} of {figures.peers} peers"
            for words, rank in ranks.items()
            if rank is not None
        },
        "quality gate": "passed" if gate.passed else (gate.reason or str(gate.error_code or "-")),
        "preset": f"{gate.preset} -> {gate.preset_used or '-'}",
        "worst alarm loss dB": _number(gate.worst_alarm_attenuation_db)
        if gate.worst_alarm_attenuation_db is not None
        else None,
    }
    yield TextTable(
        "session", ("", ""), tuple((name, text) for name, text in facts.items() if text)
    )
    yield _statistics(
        {"attenuation_db": figures.attenuation_db} if figures.attenuation_db.n else {}
    )
    yield TextTable(
        "stages",
        ("stage", "seconds"),
        tuple((name, _number(seconds, 3)) for name, seconds in figures.stages_s.items()),
    )
    yield _noises(analysis.noise_distribution)
    yield _levels({"input": analysis.input_levels, "output": analysis.output_levels})
    yield _sound_levels(analysis.sound_levels)
    yield _emergencies(analysis.emergency_events, None)
    rows = tuple(
        (
            _number(one.start_s),
            _number(one.end_s),
            str(one.channel),
            one.noise_type,
            f"{one.mean_confidence:.2f}",
            _number(one.leq_dbfs),
        )
        for one in analysis.timeline
    )
    yield TextTable(
        "timeline",
        ("from s", "to s", "channel", "noise", "confidence", "Leq dBFS"),
        rows[:MAX_ROWS],
        _left_out(len(rows)),
    )


def _statistics(figures: dict[str, Statistic]) -> TextTable:
    rows = []
    for name, one in figures.items():
        digits = _DIGITS.get(name, 1)
        values = (one.mean, one.median, one.p10, one.p90, one.min, one.max)
        rows.append(
            (
                name,
                str(one.n),
                str(one.null_n),
                *(_number(value, digits) for value in values),
                "too few" if one.too_few else "",
            )
        )
    columns = ("figure", "n", "null", "mean", "median", "p10", "p90", "min", "max", "")
    return TextTable("statistics", columns, tuple(rows), "means are weighted with the audio")


def _groups(groups: Sequence[GroupAnalysis]) -> TextTable:
    names = tuple(groups[0].key) if groups else ()
    rows = []
    for group in groups:
        done, heard = group.performance_statistics, group.noise_statistics
        longest = next(iter(group.noise_distribution), None)
        rows.append(
            (
                *(value or "-" for value in group.key.values()),
                str(done.sessions),
                str(done.by_status.get("failed", 0)),
                _number(done.audio_hours, 2),
                _statistic(done.cancellation_db, 1),
                _statistic(done.real_time_factor, 4),
                _number(heard.levels.leq_dbfs),
                str(heard.emergency_events),
                longest.noise_type if longest else "-",
            )
        )
    columns = ("sessions", "failed", "audio h", "cancellation dB", "RTF", "Leq dBFS", "alarms")
    return TextTable(
        "groups",
        (*names, *columns, "longest noise"),
        tuple(rows[:MAX_ROWS]),
        "medians; " + _left_out(len(rows)) if len(rows) > MAX_ROWS else "medians",
    )


def _noises(shares: Sequence[NoiseShare]) -> TextTable:
    return TextTable(
        "noises",
        ("noise", "seconds", "share", "events", "emergencies", "(windows)", "Leq dBFS"),
        tuple(
            (
                one.noise_type,
                _number(one.seconds),
                f"{one.share:.1%}",
                str(one.events),
                str(one.emergency_events),
                f"({one.windows})",
                _number(one.leq_dbfs),
            )
            for one in shares
        ),
    )


def _levels(levels: dict[str, Levels]) -> TextTable:
    rows = tuple(
        (name, *(_number(v) for v in (one.leq_dbfs, one.l10_dbfs, one.l50_dbfs, one.l90_dbfs)))
        for name, one in levels.items()
        if one.seconds
    )
    return TextTable("levels, dBFS (uncalibrated)", ("", "Leq", "L10", "L50", "L90"), rows)


def _sound_levels(levels: Sequence[SoundLevels]) -> TextTable:
    rows = tuple(
        (
            f"{one.device_id or '-'} / {one.channel}",
            one.side,
            one.unit,
            _number(one.laeq_dbfs if one.laeq_db is None else one.laeq_db),
            *(_number(v) for v in (one.la10_db, one.la50_db, one.la90_db, one.lafmax_db)),
            f"{_number(one.lden_db)} {one.lden_coverage or ''}".rstrip(),
            *(_number(v) for v in (one.niosh_dose_percent, one.who_dose_percent)),
            one.null_reasons.get("laeq_db", ""),
        )
        for one in levels
    )
    return TextTable(
        "A-weighted sound levels",
        (
            *("device / channel", "", "unit", "LAeq", "LA10", "LA50", "LA90", "LAFmax", "Lden"),
            *("NIOSH %", "WHO %", "why not"),
        ),
        rows[:MAX_ROWS],
        f"{NOT_APPROVED}; {_left_out(len(rows))}".rstrip("; "),
    )


def _emergencies(events: Sequence[EmergencyEvent], analysis: PeriodAnalysis | None) -> TextTable:
    rows = tuple(
        (
            one.session_id,
            _local(one.at, analysis) if one.at else "-",
            f"{one.start_s:.1f}-{one.end_s:.1f}",
            one.noise_type,
            one.device_id or "-",
            f"{_number(one.max_attenuation_db)}{' VIOLATION' if one.is_violation else ''}",
            one.evidence,
        )
        for one in events
    )
    columns = ("session", "began", "s", "sound", "device", "loss dB", "evidence")
    return TextTable("emergency events", columns, rows[:MAX_ROWS], _left_out(len(rows)))


def _failures(title: str, failures: Sequence[Failure]) -> TextTable:
    return TextTable(
        title,
        ("code", "sessions", "latest", "what happened"),
        tuple(
            (one.error_code, str(one.count), one.session_id, one.message or one.source_path)
            for one in failures
        ),
    )


def _statistic(one: Statistic, digits: int) -> str:
    return f"{_number(one.median, digits)}{' (too few)' if one.too_few and one.n else ''}"


def _number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _left_out(count: int) -> str:
    return f"{count - MAX_ROWS} more rows are in the JSON" if count > MAX_ROWS else ""


def _local(moment: datetime, analysis: PeriodAnalysis | None) -> str:
    zone = ZoneInfo(analysis.period.timezone if analysis else "UTC")
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
