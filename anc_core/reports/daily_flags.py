"""What is out of the ordinary in a report: one small rule each, and the verdict.

A rule says nothing where it has too little to go by, and nothing that chance explains: a share of
three recordings is no trend, and a device that was heard five times has no level yet. Limits are
those of docs/report.md, which lists every rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import chain

from anc_core.reports.daily_figures import (
    FEW,
    AbsentDevice,
    Counts,
    DayFigures,
    DeviceFigures,
    Flag,
    ModelFigures,
    ReportFigures,
    ScheduleLine,
    Verdict,
)
from anc_core.reports.wording import count_of, duration, listed, percent, times_of

MIN_SESSIONS = 20
"""Fewer sessions tell nothing about a share or a percentile."""
MIN_CASES = 3
"""One or two failures are two files; three are a pattern."""
MIN_DAYS = 5
"""A baseline of fewer days is none."""

FAILED_SHARE = 0.05
MANY_SESSIONS = 100
"""From here on 5 % failed is 5 %; of fewer sessions so many must fail that it is no chance."""
CHANCE = 0.01
"""What chance brings once in a hundred days is no flag; one of many devices: in a thousand."""
DEVICE_CHANCE = 0.001
FAILED_SHARE_RED = 0.25
SIGMAS = 3.0
BEYOND_SIGMAS = 0.00135
"""Share of a normal distribution above three sigmas."""
SLOWER = 1.5
NEGATIVE_SHARE = 0.02
PSI = 0.2
PSI_CHANCE = 0.001
LEVEL_SHIFT_DB = 6.0
MIN_ACTIVE_DAYS = 4
"""A device that sends on fewer days of a week may stay away for one."""
DEVICE_GONE_CHANCE = 1.0 / 8_000.0
"""What chance (Poisson) brings more often is no absence: none where nine were due."""
CONFIDENCE_DROP = 0.1
DAYS_TO_FULL = 7.0
DAYS_TO_FULL_RED = 2.0
USUAL_SHARE_OF_WEEKDAYS = 0.5

_LEAST_SHARE = 1e-4
"""Stands for a class that was not heard at all; a logarithm needs something."""


def judge(figures: ReportFigures) -> tuple[Verdict, tuple[str, ...], tuple[Flag, ...]]:
    """Return the verdict, its reasons in words, and the flags, the gravest first."""
    flags = tuple(
        sorted(
            chain.from_iterable(rule(figures) for rule in RULES),
            key=lambda flag: _GRAVITY[flag.verdict],
        )
    )
    if flags:
        return flags[0].verdict, tuple(flag.title for flag in flags), flags
    if not figures.sessions.total:
        return _verdict_on_nothing(figures)
    known = sum(day.counts.total > 0 for day in figures.baseline)
    compared = (
        f"compared with {count_of(known, 'day')} before"
        if known >= MIN_DAYS
        else f"only {count_of(known, 'day')} before to compare with: no trends are judged yet"
    )
    return Verdict.GREEN, (f"Nothing out of the ordinary; {compared}",), ()


def _verdict_on_nothing(
    figures: ReportFigures,
) -> tuple[Verdict, tuple[str, ...], tuple[Flag, ...]]:
    if any(day.counts.total for day in figures.baseline):
        return Verdict.GREEN, ("Nothing was processed, as is usual for such a day",), ()
    # Nobody who reads GREEN thinks of an empty database.
    words = "No data: nothing was processed, nor in the 28 days before"
    return Verdict.AMBER, (words,), ()


_GRAVITY = {Verdict.RED: 0, Verdict.AMBER: 1, Verdict.GREEN: 2}


# --------------------------------------------------------------------------- safety


def safety_violation(figures: ReportFigures) -> Iterator[Flag]:
    """Flag emergency sounds that were made quieter by more than 1 dB: always RED."""
    count, refused = figures.events.violations, figures.refused_sessions
    if not count:
        return
    lines = [line for line in figures.event_lines if line.violation]
    worst = max((line.max_attenuation_db or 0.0 for line in lines), default=None)
    parts = []
    if worst is not None:
        kinds = times_of(line.noise_type.replace("_", " ") for line in lines)
        where = times_of(line.device or "no device named" for line in lines)
        parts.append(
            f"{kinds}, worst {worst:.1f} dB quieter; {where}. The inputs are untouched: listen to "
            "both below, and use --analyse-only there until the cause is known."
        )
    if refused:
        sessions = count_of(len(refused), "session")
        parts.append(
            f"The quality gate refused {sessions} (SAFETY) and delivered a gentler preset or "
            f"the original: {listed(refused[:3])}."
        )
    yield Flag(
        rule="safety_violation",
        verdict=Verdict.RED,
        title=f"{count_of(count, 'emergency sound')} made quieter by more than 1 dB",
        cause=" ".join(parts),
        value=worst,
        limit=1.0,
        unit="dB",
        n=figures.events.total,
        subjects=(*dict.fromkeys(line.session_id for line in lines), *refused),
    )


def more_events(figures: ReportFigures) -> Iterator[Flag]:
    """Flag more emergency events than the days before explain."""
    days = _active(figures)
    total = figures.events.total
    if len(days) < MIN_DAYS or total < MIN_CASES:
        return
    expected, spread = _expected_events(days, max(_active_days(figures), 1))
    limit = expected + SIGMAS * spread
    # Few events scatter more to the right than three sigmas say.
    if total <= limit or _chance_of_events(total, expected) > BEYOND_SIGMAS:
        return
    kinds = times_of(line.noise_type.replace("_", " ") for line in figures.event_lines)
    where = times_of(line.device or "no device named" for line in figures.event_lines)
    yield Flag(
        rule="events",
        verdict=Verdict.AMBER,
        title=f"{count_of(total, 'emergency event')}, {expected:.1f} expected",
        cause=f"{kinds}; {where}.",
        value=total,
        limit=round(limit, 2),
        baseline=round(expected, 2),
        unit="events",
        n=len(days),
    )


def expected_events(baseline: Sequence[DayFigures], days: Sequence[DayFigures]) -> float | None:
    """Return how many emergency events the days before lead to expect; ``None`` = too few days."""
    before = [day for day in baseline if day.counts.total]
    if len(before) < MIN_DAYS:
        return None
    active = max(sum(day.counts.total > 0 for day in days), 1)
    return _expected_events(before, active)[0]


def _expected_events(days: list[DayFigures], num_days: int) -> tuple[float, float]:
    """Return how many events ``num_days`` bring and how far chance takes that."""
    counts = [day.emergency_events for day in days]
    mean = math.fsum(counts) / len(counts)
    variance = math.fsum((count - mean) ** 2 for count in counts) / (len(counts) - 1)
    # Counts scatter at least as Poisson's; a quiet month would else make any event a flag.
    return mean * num_days, math.sqrt(max(variance, mean, 1 / len(counts)) * num_days)


def _chance_of_events(count: int, expected: float) -> float:
    """Return how likely so many events or more are where ``expected`` are usual (Poisson)."""
    from scipy.special import pdtrc

    return float(pdtrc(count - 1, expected))


# --------------------------------------------------------------------------- failures and speed


def failures(figures: ReportFigures) -> Iterator[Flag]:
    """Flag failures above 5 %, or above the usual share by three standard deviations."""
    counts = figures.sessions
    share = counts.failed_share
    if share is None or counts.total < FEW or counts.failed < MIN_CASES:
        return
    usual, spread = _usual_failures(_active(figures), counts)
    limit = FAILED_SHARE
    if usual is not None:
        limit = min(limit, usual + SIGMAS * spread)
    if share <= limit or _is_chance(counts, usual):
        return
    red = share > FAILED_SHARE_RED and counts.total >= MIN_SESSIONS
    yield Flag(
        rule="failures",
        verdict=Verdict.RED if red else Verdict.AMBER,
        title=f"{percent(share)} of the sessions failed ({counts.failed} of {counts.total})",
        cause=f"{_main_failures(figures)} {_usually(usual)}",
        value=round(share, 4),
        limit=round(limit, 4),
        baseline=None if usual is None else round(usual, 4),
        unit="share",
        n=counts.total,
        subjects=tuple(group.code for group in figures.failures[:3]),
    )


def _usual_failures(days: list[DayFigures], today: Counts) -> tuple[float | None, float]:
    """Return the usual share of failures and the standard deviation of one day's."""
    if len(days) < MIN_DAYS:
        return None, 0.0
    total = sum(day.counts.total for day in days)
    usual = sum(day.counts.failed for day in days) / total
    shares = [day.counts.failed_share or 0.0 for day in days]
    between = math.fsum((share - usual) ** 2 for share in shares) / (len(shares) - 1)
    # So few sessions scatter by chance alone, even where no day before had a failure.
    chance = max(usual, 1.0 / total) * (1.0 - usual) / today.total
    return usual, math.sqrt(max(between, chance))


def _is_chance(counts: Counts, usual: float | None) -> bool:
    """Return whether so few sessions may fail so often by chance alone."""
    share = min(FAILED_SHARE / 2 if usual is None else usual, FAILED_SHARE)
    few = counts.total < MANY_SESSIONS
    return few and chance_of(counts.failed, counts.total, share) > CHANCE


def chance_of(cases: int, count: int, share: float) -> float:
    """Return how likely ``count`` tries have ``cases`` or more cases of that ``share`` (binomial).

    Examples
    --------
    >>> round(chance_of(3, 10, 0.5), 3)
    0.945
    """
    from scipy.special import bdtrc

    return float(bdtrc(cases - 1, count, share)) if cases > 0 else 1.0


def _main_failures(figures: ReportFigures) -> str:
    parts = []
    for group in figures.failures[:3]:
        devices = f" ({listed(group.devices[:3])})" if group.devices else ""
        parts.append(f"{group.code} {group.count}{devices}")
    first = figures.failures[0] if figures.failures else None
    example = ""
    if first is not None and first.message:
        example = f"; for example: {first.message.removeprefix(first.source_path + ': ')}"
    return f"{', '.join(parts)}{example.rstrip('.')}."


def _usually(share: float | None) -> str:
    return "" if share is None else f"Usual are {percent(share, 1)}."


def slower(figures: ReportFigures) -> Iterator[Flag]:
    """Flag a 95th percentile of the real-time factor of more than 1.5 times the usual."""
    days = [day for day in _active(figures) if day.rtf.p95 is not None]
    value = figures.rtf.p95
    if value is None or figures.rtf.n < MIN_SESSIONS or len(days) < MIN_DAYS:
        return
    usual = _median([day.rtf.p95 for day in days if day.rtf.p95 is not None])
    if value <= SLOWER * usual:
        return
    median, before = figures.rtf.median, _median([d.rtf.median for d in days if d.rtf.median])
    whole = median is not None and median > SLOWER * before
    what = (
        "All sessions are slower, which points at the machine (load, other processes, throttling)"
        if whole
        else "Only the slowest sessions are, which points at some recordings or one worker"
    )
    yield Flag(
        rule="slower",
        verdict=Verdict.AMBER,
        title=f"The slowest sessions take {value / usual:.1f} times as long as usual",
        cause=f"{what}: real-time factor p95 {value:.3g} against {usual:.3g}, "
        f"median {median or 0.0:.3g} against {before:.3g}.",
        value=value,
        limit=SLOWER * usual,
        baseline=usual,
        unit="s per s of audio",
        n=figures.rtf.n,
    )


# --------------------------------------------------------------------------- harm and devices


def louder(figures: ReportFigures) -> Iterator[Flag]:
    """Flag noise that became louder in more than 2 % of the sessions, or of one device's."""
    measured = figures.cancellation_db.n
    usual = min(_usual_negative(figures), NEGATIVE_SHARE)
    blamed = [device for device in figures.devices if _is_louder(device, usual)]
    everywhere = (
        measured >= MIN_SESSIONS
        and figures.negative >= MIN_CASES
        and figures.negative / measured > NEGATIVE_SHARE
        and chance_of(figures.negative, measured, usual) <= CHANCE
    )
    if not everywhere and not blamed:
        return
    share = figures.negative / max(measured, 1)
    blamed.sort(key=lambda device: -device.negative)
    if everywhere and 2 * sum(device.negative for device in blamed) < figures.negative:
        blamed = []  # where all are louder, some device always is the worst
    if blamed:
        cause = "; ".join(
            f"{_name(d)}: {d.negative} of {d.cancellation_n} became louder" for d in blamed[:3]
        )
        rest = figures.negative - sum(device.negative for device in blamed)
        cause += f"; on all other devices {rest}." if len(figures.devices) > len(blamed) else "."
        cause += " Check the reference channel, the preset and the gain there."
    else:
        cause = "It is spread over the devices: check preset and model."
    yield Flag(
        rule="negative_cancellation",
        verdict=Verdict.AMBER,
        title=f"Noise became louder in {percent(share)} of the sessions"
        + (f", on {listed([_name(d) for d in blamed[:3]])}" if blamed else ""),
        cause=cause,
        value=round(share, 4),
        limit=NEGATIVE_SHARE,
        unit="share",
        n=measured,
        subjects=tuple(_name(device) for device in blamed),
    )


def _usual_negative(figures: ReportFigures) -> float:
    measured = sum(day.cancellation_n for day in figures.baseline)
    if measured < MIN_SESSIONS:
        return NEGATIVE_SHARE / 2
    return sum(day.negative for day in figures.baseline) / measured


def _is_louder(device: DeviceFigures, usual: float) -> bool:
    # What a device has done for weeks is no news of the day; the share of all sessions counts it.
    if device.baseline_cancellation_n >= MIN_SESSIONS:
        usual = max(usual, device.baseline_negative / device.baseline_cancellation_n)
    return (
        device.cancellation_n >= FEW
        and device.negative >= MIN_CASES
        and device.negative / device.cancellation_n > NEGATIVE_SHARE
        and chance_of(device.negative, device.cancellation_n, usual) <= DEVICE_CHANCE
    )


def level_shift(figures: ReportFigures) -> Iterator[Flag]:
    """Flag a device whose median input level moved by more than 6 dB, and by more than chance."""
    for device in figures.devices:
        today, before = device.level_dbfs, device.baseline_level_dbfs
        spread = device.baseline_level_sd_db
        few = min(device.measured, device.baseline_measured) < FEW
        if few or today is None or before is None or spread is None:
            continue
        # A median scatters 1.25 times as much as a mean.
        few_of_both = 1 / device.measured + 1 / device.baseline_measured
        chance = 1.25 * spread * math.sqrt(few_of_both)
        shift = today - before
        if abs(shift) <= max(LEVEL_SHIFT_DB, SIGMAS * chance):
            continue
        way = "louder" if shift > 0 else "quieter"
        guess = (
            "gain raised or source nearer" if shift > 0 else "gain lowered, mic covered or moved"
        )
        yield Flag(
            rule="level_shift",
            verdict=Verdict.AMBER,
            title=f"{_name(device)} is {abs(shift):.0f} dB {way} than usual",
            cause=f"Median input level {_db(today)} against {_db(before)} dBFS over "
            f"{device.baseline_measured} sessions before: {guess}?",
            value=round(shift, 2),
            limit=LEVEL_SHIFT_DB,
            baseline=round(before, 2),
            unit="dB",
            n=device.measured,
            subjects=(_name(device),),
        )


def silent_or_clipped(figures: ReportFigures) -> Iterator[Flag]:
    """Flag a device whose every recording is silent, or clipped."""
    for device in figures.devices:
        if device.analysed < MIN_CASES or device.device is None:
            continue
        for count, usual, word, guess in (
            (device.silent, device.baseline_silent, "silent", "microphone, cable or mute switch"),
            (device.clipped, device.baseline_clipped, "clipped", "input gain too high"),
        ):
            if count == device.analysed and not _is_usual(device, usual):
                yield Flag(
                    rule=f"{word}_device",
                    verdict=Verdict.AMBER,
                    title=f"{_name(device)} delivers nothing but {word} recordings",
                    cause=f"All {device.analysed} recordings are {word}: {guess}?",
                    value=1.0,
                    limit=1.0,
                    unit="share",
                    n=device.analysed,
                    subjects=(_name(device),),
                )


def _is_usual(device: DeviceFigures, usual: int) -> bool:
    """Return whether a device is often like that, so that a few more in a row say nothing."""
    if device.baseline_analysed < FEW:
        return device.analysed < FEW
    share = usual / device.baseline_analysed
    return share**device.analysed > DEVICE_CHANCE


def absent_devices(figures: ReportFigures) -> Iterator[Flag]:
    """Flag devices that sent nothing, or next to nothing, though more was due than chance loses."""
    gone = [device for device in figures.absent_devices if _is_missed(device)]
    if not gone or not figures.sessions.total:  # where nothing came at all, that is the flag
        return
    names = [device.device for device in gone]
    yield Flag(
        rule="absent_device",
        verdict=Verdict.AMBER,
        title=f"{'Hardly anything' if any(d.now for d in gone) else 'Nothing'} came from "
        + listed(names[:3])
        + (f" and {len(names) - 3} more devices" if len(names) > 3 else ""),
        cause="; ".join(
            f"{device.device}: {count_of(device.now, 'session')}, about {device.expected:.0f} were "
            f"due after {device.sessions} in the week before"
            for device in gone[:5]
        )
        + ". Check power, network and upload.",
        value=float(len(gone)),
        limit=0.0,
        unit="devices",
        n=len({device.device for device in figures.devices} | set(names)),
        subjects=tuple(names),
    )


def _is_missed(device: AbsentDevice) -> bool:
    if device.days < MIN_ACTIVE_DAYS:
        return False
    # Of a day that is not over, or on which little came from anywhere, less is due.
    usual = device.days_alike >= MIN_DAYS and device.fewest >= MIN_CASES
    if usual and not device.now and device.expected >= MIN_CASES:
        return True
    from scipy.special import pdtr

    known = not device.now or device.days_alike >= MIN_DAYS
    return known and float(pdtr(device.now, device.expected)) <= DEVICE_GONE_CHANCE


# --------------------------------------------------------------------------- what is heard


def class_shift(figures: ReportFigures) -> Iterator[Flag]:
    """Flag a changed mix of noises: stability index above 0.2, and above chance."""
    now, recordings = _mix(figures.days)
    before, recordings_before = _mix(figures.baseline)
    days = sum(day.noise_sessions > 0 for day in figures.baseline)
    if min(recordings, recordings_before) < MIN_SESSIONS or days < MIN_DAYS:
        return
    index = stability_index(now, before)
    # Windows of one recording are alike, so recordings count, not windows; under no change
    # index / (1/n + 1/m) follows chi-square (Yurdakul 2018, "Statistical properties of PSI").
    chance = _chi_square_quantile(len(before | now) - 1) * (1 / recordings + 1 / recordings_before)
    if index <= max(PSI, chance):
        return
    moved = sorted(now | before, key=lambda name: -abs(_part(now, name) - _part(before, name)))
    yield Flag(
        rule="class_shift",
        verdict=Verdict.AMBER,
        title="The mix of noises changed",
        cause="; ".join(
            f"{name.replace('_', ' ')} {percent(_part(before, name))} before, "
            f"{percent(_part(now, name))} now"
            for name in moved[:3]
        )
        + f" (stability index {index:.2f}).",
        value=round(index, 4),
        limit=PSI,
        unit="PSI",
        n=recordings,
    )


def stability_index(now: Mapping[str, float], before: Mapping[str, float]) -> float:
    """Return the population stability index of two distributions; 0 = the same.

    Parameters
    ----------
    now, before : mapping
        Class -> amount, of any unit; both hold something.

    Notes
    -----
    ``sum((p - q) ln(p / q))`` over the shares p and q of all classes of both.

    Examples
    --------
    >>> stability_index({"speech": 1, "traffic": 1}, {"speech": 10, "traffic": 10})
    0.0
    >>> round(stability_index({"speech": 3, "traffic": 1}, {"speech": 1, "traffic": 1}), 3)
    0.275
    """
    pairs = [
        (max(_part(now, name), _LEAST_SHARE), max(_part(before, name), _LEAST_SHARE))
        for name in sorted(set(now) | set(before))
    ]
    return math.fsum((p - q) * math.log(p / q) for p, q in pairs)


def less_sure(figures: ReportFigures) -> Iterator[Flag]:
    """Flag a new model that is less sure than the one before it was."""
    known = {model.model for model in figures.baseline_models}
    old = _most_used(figures.baseline_models)
    new = _most_used(model for model in figures.models if model.model not in known)
    if old is None or new is None or min(old.sessions, new.sessions) < MIN_SESSIONS:
        return
    drop = old.mean_confidence - new.mean_confidence
    spread = max(old.sd_confidence or 0.0, new.sd_confidence or 0.0)
    chance = SIGMAS * spread * math.sqrt(1 / old.sessions + 1 / new.sessions)
    if drop <= max(CONFIDENCE_DROP, chance):
        return
    yield Flag(
        rule="confidence_drop",
        verdict=Verdict.AMBER,
        title=f"The new model {new.model} is less sure",
        cause=f"Mean confidence {new.mean_confidence:.2f} over {new.sessions} recordings, "
        f"{old.mean_confidence:.2f} with {old.model} before. Compare both with anc validate; "
        "the old one can be promoted again.",
        value=round(new.mean_confidence, 4),
        limit=round(old.mean_confidence - CONFIDENCE_DROP, 4),
        baseline=round(old.mean_confidence, 4),
        unit="confidence",
        n=new.sessions,
        subjects=(new.model or "",),
    )


# --------------------------------------------------------------------------- what did not happen


def idle_weekday(figures: ReportFigures) -> Iterator[Flag]:
    """Flag weekdays without a session where weekdays usually have some."""
    idle = [day for day in figures.days if not day.counts.total and _is_weekday(day)]
    usual = [day for day in figures.baseline if _is_weekday(day)]
    active = sum(day.counts.total > 0 for day in usual)
    if not idle or not usual or active < USUAL_SHARE_OF_WEEKDAYS * len(usual) or active < FEW:
        return
    mean = sum(day.counts.total for day in usual) / active
    backlog = figures.backlog.sessions + figures.backlog.batches
    waiting = (
        f"{count_of(backlog, 'unfinished session or batch', 'unfinished sessions or batches')} "
        "were waiting: is the worker running?"
        if backlog
        else "Nothing was waiting either: did no recordings arrive, or did no job look for them?"
    )
    names = [day.day for day in idle]
    yield Flag(
        rule="idle_weekday",
        verdict=Verdict.AMBER,
        title=f"Nothing was processed on {listed(names)}"
        if len(figures.days) > 1
        else "Nothing was processed, on a weekday",
        cause=f"Usual are {mean:.0f} sessions ({active} of {len(usual)} weekdays before had some). "
        f"{waiting}",
        value=0.0,
        limit=0.0,
        baseline=round(mean, 1),
        unit="sessions",
        n=active,
    )


def missed_schedules(figures: ReportFigures) -> Iterator[Flag]:
    """Flag jobs that run by the clock and left no trace when they should have."""
    missed = [line for line in figures.schedules if line.missed]
    if missed:
        yield Flag(
            rule="missed_schedule",
            verdict=Verdict.AMBER,
            title=f"{listed([line.name for line in missed])} did not run as planned",
            cause="; ".join(map(_missed, missed)) + ". Is anc serve (or the worker) running?",
            value=round(max(line.longest_gap_s or 0.0 for line in missed) / 3600, 1),
            limit=round(min(line.limit_s for line in missed) / 3600, 1),
            unit="h without a run",
            n=len(figures.schedules),
            subjects=tuple(line.name for line in missed),
        )
    runs = figures.missed_runs or ()
    if runs:
        yield Flag(
            rule="missed_schedule",
            verdict=Verdict.AMBER,
            title=f"Prefect missed {count_of(len(runs), 'scheduled run')}",
            cause="; ".join(
                f"{run.name}: {run.state}, due {run.expected_at:%Y-%m-%d %H:%M} UTC"
                for run in runs[:5]
            )
            + ". Is a worker running?",
            value=float(len(runs)),
            limit=0.0,
            unit="runs",
            n=len(runs),
            subjects=tuple(run.name for run in runs),
        )


def _missed(line: ScheduleLine) -> str:
    gap = duration(line.longest_gap_s or 0.0)
    failed = f", {count_of(line.failed, 'run')} failed" if line.failed else ""
    last = "none ended well yet"
    if line.last_at is not None:
        last = f"last good run {line.last_at:%Y-%m-%d %H:%M} UTC"
    return f"{line.name} ({line.every}): {gap} without one{failed}, {last}"


def disk_full(figures: ReportFigures) -> Iterator[Flag]:
    """Flag a disk of the outputs that is full within a week."""
    disk = figures.disk
    if disk is None or disk.days_to_full is None or disk.days_to_full > DAYS_TO_FULL:
        return
    red = disk.days_to_full <= DAYS_TO_FULL_RED
    yield Flag(
        rule="disk_full",
        verdict=Verdict.RED if red else Verdict.AMBER,
        title=f"The disk is full in {disk.days_to_full:.1f} days",
        cause=f"{disk.free_bytes / 1e9:.1f} GB free at {disk.path}, "
        f"{(disk.growth_bytes_per_day or 0.0) / 1e9:.2f} GB of outputs a day. "
        "Free some with anc cleanup.",
        value=round(disk.days_to_full, 2),
        limit=DAYS_TO_FULL,
        unit="days",
        n=sum(day.output_bytes > 0 for day in figures.baseline),
    )


RULES: tuple[Callable[[ReportFigures], Iterator[Flag]], ...] = (
    safety_violation,
    failures,
    idle_weekday,
    missed_schedules,
    louder,
    silent_or_clipped,
    absent_devices,
    slower,
    more_events,
    level_shift,
    class_shift,
    less_sure,
    disk_full,
)
"""In the order in which a reader wants them, within one gravity."""


# --------------------------------------------------------------------------- small things


def _active(figures: ReportFigures) -> list[DayFigures]:
    """Return the days of the baseline on which anything was processed."""
    return [day for day in figures.baseline if day.counts.total]


def _active_days(figures: ReportFigures) -> int:
    return sum(day.counts.total > 0 for day in figures.days)


def _is_weekday(day: DayFigures) -> bool:
    return date.fromisoformat(day.day).weekday() < 5


def _mix(days: Iterable[DayFigures]) -> tuple[dict[str, float], int]:
    """Return the seconds of each class and the number of recordings they are from."""
    seconds: dict[str, float] = {}
    recordings = 0
    for day in days:
        recordings += day.noise_sessions
        for name, value in day.noise_s.items():
            seconds[name] = seconds.get(name, 0.0) + value
    return seconds, recordings


def _part(amounts: Mapping[str, float], name: str) -> float:
    total = math.fsum(amounts.values())
    return amounts.get(name, 0.0) / total if total else 0.0


def _chi_square_quantile(freedom: int) -> float:
    from scipy.special import chdtri

    return float(chdtri(max(freedom, 1), PSI_CHANCE))


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    if not ordered:
        return 0.0
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _most_used(models: Iterable[ModelFigures]) -> ModelFigures | None:
    return max(models, key=lambda model: model.sessions, default=None)


def _name(device: DeviceFigures) -> str:
    return device.device or "recordings without a device"


def _db(value: float) -> str:
    return f"{value:.1f}".replace("-", "−")
