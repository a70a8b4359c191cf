"""Records of an analysis: what a period or one session comes to. Definitions: docs/analysis.md.

Counts are events, windows only beside them. A figure that cannot be had is ``None``. Figures that
are made of sums are given to nine digits, so that the order of summation is not seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from anc_core.errors import ErrorCode, InputError
from anc_core.records import METRICS_VERSION, Event, Record, Remark, Status
from anc_core.sound_records import SoundLevels

TOO_FEW = 5
"""Below this many values a statistic is not to be read as one, and has no trend."""
BASELINE_DAYS = 28
SAFE_ATTENUATION_DB = 1.0
"""An alarm that lost more is a safety violation (docs/metrics.md)."""


class Dimension(StrEnum):
    """What sessions are filtered and grouped by."""

    DEVICE = "device"
    USER = "user"
    SITE = "site"
    PRESET = "preset"
    MODEL = "model"
    NOISE_TYPE = "noise_type"
    """A session belongs to every kind of noise that was heard in it."""
    STATUS = "status"
    BATCH = "batch"


class Period(Record):
    """Half open, [start, end), with the time zone that its days and hours are told in.

    Days of a time zone last 23 or 25 hours where the clock changes.
    """

    start: datetime
    end: datetime
    timezone: str = "UTC"

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        zone_of(value)
        return value

    @field_validator("start", "end")
    @classmethod
    def _in_utc(cls, value: datetime) -> datetime:
        if value.utcoffset() is None:
            msg = f"{value.isoformat()} has no time zone; give one, e.g. +00:00"
            raise ValueError(msg)
        return value.astimezone(UTC)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end < self.start:
            msg = f"the period ends at {self.end}, before it starts at {self.start}"
            raise ValueError(msg)
        return self

    @classmethod
    def of_day(cls, day: date, timezone: str = "UTC") -> Period:
        """Return the calendar day of a time zone.

        Examples
        --------
        >>> Period.of_day(date(2026, 3, 29), "Europe/Berlin").hours
        23.0
        """
        return cls.of_days(day, day + timedelta(days=1), timezone)

    @classmethod
    def of_days(cls, first: date, end: date, timezone: str = "UTC") -> Period:
        """Return the days from ``first`` up to and without ``end``."""
        zone = zone_of(timezone)
        start, stop = (datetime.combine(day, time(), zone) for day in (first, end))
        return cls(start=start.astimezone(UTC), end=stop.astimezone(UTC), timezone=timezone)

    @property
    def hours(self) -> float:
        """Return how long it is."""
        return (self.end - self.start).total_seconds() / 3600.0

    @property
    def num_days(self) -> float:
        """Return its length in days of the calendar: 1 for a day of 23 hours too."""
        return (self._wall(self.end) - self._wall(self.start)) / timedelta(days=1)

    def previous(self) -> Period:
        """Return the period just before, of equal length by the clock on the wall."""
        start = self._wall(self.start)
        return self._of_walls(start - (self._wall(self.end) - start), start)

    def before(self, days: int = BASELINE_DAYS) -> Period:
        """Return the ``days`` that end where this period starts."""
        start = self._wall(self.start)
        return self._of_walls(start - timedelta(days=days), start)

    def days(self) -> tuple[date, ...]:
        """Return the calendar days that it touches."""
        if self.start == self.end:
            return ()
        first = self._wall(self.start).date()
        last = self._wall(self.end - timedelta(microseconds=1)).date()
        return tuple(first + timedelta(days=n) for n in range((last - first).days + 1))

    def hour_starts(self) -> Iterator[datetime]:
        """Yield the beginning of each hour of the clock that it touches, in UTC."""
        zone = zone_of(self.timezone)
        minutes = self.start.astimezone(zone).minute
        moment = self.start.replace(second=0, microsecond=0) - timedelta(minutes=minutes)
        while moment < self.end:
            yield moment
            moment += timedelta(hours=1)

    def _wall(self, moment: datetime) -> datetime:
        return moment.astimezone(zone_of(self.timezone)).replace(tzinfo=None)

    def _of_walls(self, start: datetime, end: datetime) -> Period:
        zone = zone_of(self.timezone)
        return Period(
            start=start.replace(tzinfo=zone).astimezone(UTC),
            end=end.replace(tzinfo=zone).astimezone(UTC),
            timezone=self.timezone,
        )


class Filters(Record):
    """Only sessions with one of the values of each dimension named; empty = all."""

    device: tuple[str, ...] = ()
    user: tuple[str, ...] = ()
    site: tuple[str, ...] = ()
    preset: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    noise_type: tuple[str, ...] = ()
    """Sessions in which one of these was heard; noise figures are of these alone."""
    status: tuple[str, ...] = ()
    batch: tuple[str, ...] = ()


class Statistic(Record):
    """A figure over sessions, or over the intervals of one."""

    n: int = 0
    """Values that there are."""
    null_n: int = 0
    """Processed sessions (ok, degraded) without the figure."""
    mean: float | None = None
    """Weighted with the seconds of audio."""
    median: float | None = None
    p10: float | None = None
    """Percentiles interpolate linearly between order statistics, as numpy's default does."""
    p90: float | None = None
    min: float | None = None
    max: float | None = None
    too_few: bool = True
    """n < 5."""


class Failure(Record):
    """Sessions with one error code, and the latest of them."""

    status: Status
    error_code: str
    """One of ``ErrorCode``; "none" where a session failed without one."""
    count: int
    session_id: str
    source_path: str
    message: str | None = None
    at: datetime | None = None


class HourCounts(Record):
    """Sessions that finished in one hour, by status."""

    start: datetime
    counts: dict[str, int]


class DayCounts(Record):
    """Sessions that finished on one calendar day, by status."""

    day: date
    counts: dict[str, int]


class PerformanceStatistics(Record):
    """The processing view: sessions that *finished* in the period."""

    sessions: int = 0
    by_status: dict[str, int] = Field(default_factory=dict)
    audio_s: float = 0.0
    """Of processed sessions (ok, degraded)."""
    wall_s: float = 0.0
    """Processing time of the same."""
    speed_x: float | None = None
    """audio_s / wall_s."""
    cancellation_db: Statistic = Statistic()
    snr_improvement_db: Statistic = Statistic()
    real_time_factor: Statistic = Statistic()
    processing_s: Statistic = Statistic()
    """``wall_s`` of a session: how long it took."""
    became_noisier: int = 0
    """Sessions with a negative cancellation."""
    failures: tuple[Failure, ...] = ()
    """Failed sessions by error code, the most frequent first; empty in groups."""
    degradations: tuple[Failure, ...] = ()
    """Degraded and skipped ones, likewise."""
    by_hour: tuple[HourCounts, ...] = ()
    """Every hour of a period of up to eight days; empty in groups."""
    by_day: tuple[DayCounts, ...] = ()
    """Every day; empty in groups."""

    @property
    def audio_hours(self) -> float:
        """Return ``audio_s`` in hours."""
        return self.audio_s / 3600.0

    @property
    def failure_rate(self) -> float | None:
        """Return the share of sessions that failed."""
        failed = self.by_status.get("failed", 0)
        return failed / self.sessions if self.sessions else None


class NoiseShare(Record):
    """How much of one kind of noise was heard."""

    noise_type: str
    seconds: float = 0.0
    """Union of its windows on any channel."""
    share: float = 0.0
    """Of the seconds of all kinds; kinds may sound at once."""
    windows: int = 0
    events: int = 0
    emergency_events: int = 0
    leq_dbfs: float | None = None
    """Energy mean of its windows."""


class HeatCell(Record):
    """Seconds of one kind of noise in one hour of the day."""

    hour: int = Field(ge=0, le=23)
    """By the clock of the period's time zone."""
    noise_type: str
    seconds: float


class NoiseSource(Record):
    """Seconds of one kind of noise at one device."""

    device_id: str | None
    noise_type: str
    seconds: float
    leq_dbfs: float | None = None


class Levels(Record):
    """Levels of the input, dBFS (uncalibrated); decibels are never averaged."""

    seconds: float = 0.0
    leq_dbfs: float | None = None
    """Energy mean over all audio; digital silence has no energy but lasts."""
    l10_dbfs: float | None = None
    """Level that intervals (a second; longer in recordings of over ten minutes) reach 10 % of the
    time, to 0.1 dB; null where that is digital silence."""
    l50_dbfs: float | None = None
    l90_dbfs: float | None = None


class EmergencyEvent(Record):
    """An alarm, siren or other emergency sound in a session."""

    session_id: str
    noise_type: str
    start_s: float
    end_s: float
    at: datetime | None = None
    """When it began, where the time of recording is known."""
    device_id: str | None = None
    site: str | None = None
    peak_confidence: float
    evidence: str = ""
    max_attenuation_db: float | None = None
    is_violation: bool = False
    """It lost more than 1 dB."""


class NoiseStatistics(Record):
    """The noise view: sessions that were *recorded* in the period."""

    sessions: int = 0
    audio_s: float = 0.0
    undated: int = 0
    """Sessions that finished in the period and have no time of recording: they are not in this
    view. Analyse with ``noise_by="finished"`` to see them."""
    windows: int = 0
    events: int = 0
    emergency_events: int = 0
    safety_violations: int = 0
    confidence_histogram: tuple[int, ...] = ()
    """Windows by confidence, in ten bins of 0.1."""
    levels: Levels = Levels()
    sound_levels: tuple[SoundLevels, ...] = ()
    """A-weighted, of each channel of each device, at most 200; empty in groups."""
    heat_map: tuple[HeatCell, ...] = ()
    """Empty in groups."""
    top_sources: tuple[NoiseSource, ...] = ()
    """The ten with the most seconds, silence apart; empty in groups."""


class GroupAnalysis(Record):
    """The sessions that share a value of each dimension grouped by."""

    key: dict[str, str | None]
    """Dimension to value."""
    performance_statistics: PerformanceStatistics
    noise_distribution: tuple[NoiseShare, ...] = ()
    noise_statistics: NoiseStatistics = NoiseStatistics()


class Comparison(Record):
    """One figure beside that of the previous equal period and of the 28 days before."""

    name: str
    value: float | None
    previous: float | None
    baseline: float | None
    """Counts and sums are those of 28 days, scaled to the length of the period."""
    n: int = 0
    """Sessions behind the smallest of the three."""
    trend: Literal["up", "down", "steady"] | None = None
    """Against the previous period; within 5 % (levels and other dB: 0.5 dB) is steady,
    None where n < 5."""
    baseline_trend: Literal["up", "down", "steady"] | None = None


class SilentDevice(Record):
    """A device that recorded nothing in the period, but did in the week before."""

    device_id: str
    sessions_before: int
    last_at: datetime


class PeriodAnalysis(Record):
    """What a period comes to; see :func:`anc_core.store.analyse_period`."""

    metrics_version: str = METRICS_VERSION
    period: Period
    filters: Filters = Filters()
    noise_by: Literal["recorded", "finished"] = "recorded"
    group_by: tuple[Dimension, ...] = ()
    performance_statistics: PerformanceStatistics
    noise_distribution: tuple[NoiseShare, ...] = ()
    """The longest first."""
    noise_statistics: NoiseStatistics
    emergency_events: tuple[EmergencyEvent, ...] = ()
    """In order of time, violations first, at most 200; all are counted."""
    silent_devices: tuple[SilentDevice, ...] = ()
    comparison: tuple[Comparison, ...] = ()
    groups: tuple[GroupAnalysis, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Return whether nothing finished and nothing was recorded in the period."""
        return not (self.performance_statistics.sessions or self.noise_statistics.sessions)


class Stretch(Record):
    """Consecutive windows of one kind on one channel."""

    start_s: float
    end_s: float
    channel: int
    noise_type: str
    windows: int
    mean_confidence: float
    leq_dbfs: float | None = None


class QualityGate(Record):
    """What the gate made of a session."""

    passed: bool
    """The result of the preset that was asked for was delivered."""
    preset: str
    preset_used: str | None = None
    reason: str | None = None
    error_code: ErrorCode | None = None
    speech_level_change_db: float | None = None
    residual_lag_samples: int | None = None
    worst_alarm_attenuation_db: float | None = None


class SessionPerformance(Record):
    """Figures of one session."""

    cancellation_db: float | None = None
    snr_improvement_db: float | None = None
    attenuation_db: Statistic = Statistic()
    """Over the intervals, noise and voice together; the mean weighted with their length."""
    wall_s: float | None = None
    real_time_factor: float | None = None
    speed_x: float | None = None
    stages_s: dict[str, float] = Field(default_factory=dict)
    """Seconds of decoding, classifying, suppressing, measuring, encoding, waiting."""
    cancellation_rank: float | None = None
    """Share of its peers, 0 to 1, that it is better than; peers are the other processed sessions of
    the same preset in the 28 days up to its end. None where there are fewer than 5."""
    speed_rank: float | None = None
    peers: int = 0


class SessionAnalysis(Record):
    """What one session comes to; see :func:`anc_core.store.analyse_session`."""

    metrics_version: str = METRICS_VERSION
    session_id: str
    status: Status
    source_path: str
    device_id: str | None = None
    user_id: str | None = None
    site: str | None = None
    batch_id: str | None = None
    model_id: str | None = None
    recorded_at: datetime | None = None
    finished_at: datetime | None = None
    duration_s: float | None = None
    error_code: ErrorCode | None = None
    error_message: str | None = None
    reason: str | None = None
    warnings: tuple[Remark, ...] = ()
    noise_distribution: tuple[NoiseShare, ...] = ()
    confidence_histogram: tuple[int, ...] = ()
    emergency_events: tuple[EmergencyEvent, ...] = ()
    performance_statistics: SessionPerformance
    input_levels: Levels = Levels()
    output_levels: Levels = Levels()
    sound_levels: tuple[SoundLevels, ...] = ()
    """A-weighted, of each channel before and after."""
    input_loudness_lufs: float | None = None
    output_loudness_lufs: float | None = None
    quality_gate: QualityGate
    timeline: tuple[Stretch, ...] = Field(default=(), repr=False)
    """In order of time."""
    events: tuple[Event, ...] = ()


class NoiseDay(Record):
    """The noise view of a day in a trend."""

    sessions: int = 0
    audio_s: float = 0.0
    class_seconds: dict[str, float] = Field(default_factory=dict)
    class_events: dict[str, int] = Field(default_factory=dict)
    emergency_events: int = 0
    safety_violations: int = 0
    confidence_histogram: tuple[int, ...] = ()
    levels: Levels = Levels()
    device_leq_dbfs: dict[str, float] = Field(default_factory=dict)


class ProcessingDay(Record):
    """The processing view of a day in a trend."""

    sessions: int = 0
    by_status: dict[str, int] = Field(default_factory=dict)
    audio_s: float = 0.0
    wall_s: float = 0.0
    real_time_factor: Statistic = Statistic()
    real_time_factor_p95: float | None = None
    cancellation_db: Statistic = Statistic()
    cancellation_by_preset: dict[str, Statistic] = Field(default_factory=dict)
    became_noisier: int = 0
    failures_by_code: dict[str, int] = Field(default_factory=dict)
    sessions_by_model: dict[str, int] = Field(default_factory=dict)
    emergencies_by_type: dict[str, int] = Field(default_factory=dict)
    """Emergency events of the sessions that finished that day."""
    safety_violations: int = 0
    """Of them, those that lost more than 1 dB."""


class DailyFigures(Record):
    """A day of a time zone as it was rolled up; it outlives the sessions it is made of."""

    day: date
    timezone: str = "UTC"
    processing: ProcessingDay = ProcessingDay()
    noise: NoiseDay = NoiseDay()
    database_bytes: int | None = None
    """Size when it was rolled up."""
    metrics_version: str = METRICS_VERSION
    rolled_up_at: datetime


def is_violation(lost_db: float | None) -> bool:
    """Return whether an alarm that lost so much is a safety violation; not measured is none."""
    return lost_db is not None and lost_db > SAFE_ATTENUATION_DB


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone of that name.

    Raises
    ------
    InputError
        If it is not known; names are those of the IANA database.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        msg = f"time zone {name!r} is not known; name one of the IANA database, e.g. Europe/Berlin"
        raise InputError(msg) from None
