"""The figures of a report: what its page, its JSON twin and its Markdown all show.

Everything is counted by when a recording was *processed* (``finished_at``), but for what is named
``noise``: class mix, hours, levels are those of the recordings *made* in the period.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from anc_core.records import Record
from anc_core.reports.period import ReportPeriod
from anc_core.sound_records import UNCALIBRATED_UNIT, SoundLevels

REPORT_VERSION = "1"
"""Of the JSON twin; changes when a field changes its meaning or goes away."""
BASELINE_DAYS = 28
RECENT_DAYS = 7
FEW = 5
"""A statistic of fewer values is not shown as one."""


class Verdict(StrEnum):
    """The report in one word, the worst of its flags."""

    GREEN = "GREEN"
    AMBER = "AMBER"
    RED = "RED"


class Flag(Record):
    """Something out of the ordinary, in words and numbers."""

    rule: str
    """Stable name of the rule (docs/report.md)."""
    verdict: Verdict
    title: str
    """What is the matter."""
    cause: str
    """What it comes from, as far as the records tell."""
    value: float | None = None
    limit: float | None = None
    baseline: float | None = None
    unit: str = ""
    n: int
    """How many values the rule looked at."""
    subjects: tuple[str, ...] = ()
    """Devices, sessions or jobs that are concerned."""


class Counts(Record):
    """Sessions by what became of them."""

    ok: int = 0
    degraded: int = 0
    skipped: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.ok + self.degraded + self.skipped + self.failed

    @property
    def failed_share(self) -> float | None:
        """Failed of all; ``None`` where there are none."""
        return self.failed / self.total if self.total else None


class MeanCounts(Record):
    """Sessions a day, mean over the days before."""

    days: int
    """Days with at least one session, which the means are over."""
    ok: float | None = None
    degraded: float | None = None
    failed: float | None = None
    audio_s: float | None = None


class Spread(Record):
    """A figure over sessions; ``None`` where there are fewer than :data:`FEW` values."""

    n: int = 0
    null_n: int = 0
    """Sessions that have no such figure."""
    minimum: float | None = None
    p10: float | None = None
    p25: float | None = None
    median: float | None = None
    p75: float | None = None
    p90: float | None = None
    p95: float | None = None
    maximum: float | None = None


class DayFigures(Record):
    """One day of the history; also a day of the baseline."""

    day: str
    """ISO date."""
    counts: Counts = Counts()
    audio_s: float = 0.0
    wall_s: float = 0.0
    rtf: Spread = Spread()
    negative: int = 0
    """Sessions that became louder."""
    cancellation_n: int = 0
    emergency_events: int = 0
    output_bytes: int = 0
    noise_s: dict[str, float] = Field(default_factory=dict)
    """Class -> seconds heard in recordings made that day."""
    noise_sessions: int = 0
    """Recordings that ``noise_s`` is from."""


class HourFigures(Record):
    """Sessions of one hour (of a day's report) or day (of a longer one)."""

    label: str
    start: datetime
    counts: Counts


class DeviceFigures(Record):
    """One recorder; ``None`` stands for recordings that name none."""

    device: str | None
    sessions: int = 0
    analysed: int = 0
    """Sessions that did not fail."""
    measured: int = 0
    """Sessions with an input level."""
    silent: int = 0
    clipped: int = 0
    negative: int = 0
    cancellation_n: int = 0
    level_dbfs: float | None = None
    """Median input level of the sessions that are not silent."""
    baseline_analysed: int = 0
    baseline_silent: int = 0
    baseline_clipped: int = 0
    baseline_negative: int = 0
    baseline_cancellation_n: int = 0
    baseline_measured: int = 0
    baseline_level_dbfs: float | None = None
    baseline_level_sd_db: float | None = None


class PresetFigures(Record):
    """Cancellation of one preset, in dB."""

    preset: str
    cancellation_db: Spread


class ModelFigures(Record):
    """How sure one model was."""

    model: str | None
    sessions: int
    mean_confidence: float
    sd_confidence: float | None = None
    """Between sessions."""


class EventLine(Record):
    """An emergency event."""

    event_id: str
    """``session:position``."""
    session_id: str
    device: str | None
    site: str | None
    noise_type: str
    at: datetime | None
    """When it sounded; ``None`` where the time of recording is unknown."""
    start_s: float
    end_s: float
    channel: int
    """The first one that it was heard on."""
    peak_confidence: float
    evidence: str
    max_attenuation_db: float | None
    violation: bool
    first_at_device: bool
    """No such sound at this device in the 28 days before."""
    acknowledged: bool
    source_path: str
    source_bytes: int | None
    output_path: str | None
    output_bytes: int | None
    imported: bool = False
    """The session came from elsewhere: its paths are text, no file of this machine is meant."""


class FailureGroup(Record):
    """Failures of one code, with one example."""

    code: str
    count: int
    session_id: str
    source_path: str
    message: str
    devices: tuple[str, ...] = ()


class QualityLine(Record):
    """A session to look at."""

    session_id: str
    source_path: str
    device: str | None
    preset: str
    status: str
    cancellation_db: float | None
    speech_level_change_db: float | None
    reason: str | None


class AbsentDevice(Record):
    """A device that was heard of in the week before and not, or hardly, in this period."""

    device: str
    now: int
    """Sessions in this period; stragglers of days before may be among them."""
    last_at: datetime
    days: int
    """Of the last seven."""
    sessions: int
    """On these."""
    expected: float
    """Its share of the last seven days' sessions, of those of the period."""
    fewest: int
    """On any day like this (weekday or weekend) of the baseline."""
    days_alike: int


class ScheduleLine(Record):
    """A job that runs by the clock, judged by the runs that it notes in the store."""

    name: str
    every: str
    runs: int
    """That ended well, in the period."""
    failed: int
    """That did not."""
    last_at: datetime | None
    """End of the last one that ended well, before the end of the period."""
    longest_gap_s: float | None
    """Longest time without one; ``None`` where it never ran here."""
    limit_s: float
    """Its cycle and how late it may be."""

    @property
    def missed(self) -> bool:
        """Whether it should have run and did not."""
        return self.longest_gap_s is not None and self.longest_gap_s > self.limit_s


class MissedRun(Record):
    """A scheduled run that Prefect never started (Late) or lost (Crashed)."""

    name: str
    state: str
    expected_at: datetime


class LateSession(Record):
    """A recording of this period that came after the report before this one was made."""

    session_id: str
    source_path: str
    device: str | None
    status: str
    recorded_at: datetime | None
    finished_at: datetime


class Late(Record):
    """What came after the previous revision."""

    since: datetime
    """When the previous revision was made."""
    before: Counts
    """What it counted."""
    count: int = 0
    sessions: tuple[LateSession, ...] = ()


class Backlog(Record):
    """Work that was begun and not finished at the end of the period."""

    sessions: int = 0
    batches: int = 0
    oldest_at: datetime | None = None
    age_s: float | None = None


class EventCounts(Record):
    """Emergency events."""

    total: int = 0
    first_at_device: int = 0
    unacknowledged: int = 0
    violations: int = 0
    """Delivered more than 1 dB quieter, or refused by the gate for that."""
    expected: float | None = None
    """From the days before, for a period of this length."""


class EndpointFigures(Record):
    """Requests to one endpoint; latency in ms."""

    endpoint: str
    requests: int
    errors: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class ApiFigures(Record):
    """All requests to the service."""

    requests: int = 0
    errors: int = 0
    """Answers of 500 and above."""
    error_share: float | None = None
    p95_ms: float | None = None
    endpoints: tuple[EndpointFigures, ...] = ()


class DiskFigures(Record):
    """The disk that outputs are written to, as it was when the report was made."""

    path: str
    free_bytes: int
    total_bytes: int
    database_bytes: int | None = None
    growth_bytes_per_day: float | None = None
    days_to_full: float | None = None


class LevelHour(Record):
    """Input level of the recordings of one hour."""

    label: str
    n: int
    leq_dbfs: float | None
    l10_dbfs: float | None
    l90_dbfs: float | None
    laeq_db: float | None = None
    """A-weighted sound pressure, where every recording of the period is calibrated."""
    la10_db: float | None = None
    la90_db: float | None = None


class SizePoint(Record):
    """What an earlier report saw of disk and database."""

    day: str
    free_bytes: int
    database_bytes: int | None


class ReportFigures(Record):
    """All numbers of a report."""

    period: ReportPeriod
    sessions: Counts = Counts()
    failed_share: float | None = None
    recent: MeanCounts = MeanCounts(days=0)
    """Mean of the seven days before, for a period of this length."""
    audio_s: float = 0.0
    wall_s: float = 0.0
    speed_x: float | None = None
    """Seconds of audio for each second of work."""
    rtf: Spread = Spread()
    backlog: Backlog = Backlog()
    events: EventCounts = EventCounts()
    cancellation_db: Spread = Spread()
    negative: int = 0
    """Sessions that became louder."""
    api: ApiFigures = ApiFigures()
    disk: DiskFigures | None = None
    model_id: str | None = None
    """The model in use at the end of the period."""
    baseline: tuple[DayFigures, ...] = ()
    """The 28 days before, oldest first."""
    days: tuple[DayFigures, ...] = ()
    """The period, by days."""
    hours: tuple[HourFigures, ...] = ()
    presets: tuple[PresetFigures, ...] = ()
    devices: tuple[DeviceFigures, ...] = ()
    models: tuple[ModelFigures, ...] = ()
    baseline_models: tuple[ModelFigures, ...] = ()
    noise_hours: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    """Class -> seconds by hour of the day, 0 to 23."""
    unplaced_recordings: int = 0
    """Recordings without a time of recording: placed by when they were processed."""
    levels: tuple[LevelHour, ...] = ()
    level_unit: str = UNCALIBRATED_UNIT
    """Of what is drawn of ``levels``."""
    sound_levels: tuple[SoundLevels, ...] = ()
    """A-weighted, of each channel of each device."""
    event_lines: tuple[EventLine, ...] = ()
    refused_sessions: tuple[str, ...] = ()
    """Sessions that the gate refused as unsafe (SAFETY): it delivered less or nothing."""
    failures: tuple[FailureGroup, ...] = ()
    worst: tuple[QualityLine, ...] = ()
    absent_devices: tuple[AbsentDevice, ...] = ()
    schedules: tuple[ScheduleLine, ...] = ()
    missed_runs: tuple[MissedRun, ...] | None = None
    """``None`` = Prefect was not asked, or did not answer."""
    sizes: tuple[SizePoint, ...] = ()


class DailyReport(Record):
    """A report: figures, what is out of the ordinary, the verdict; the JSON twin of the page."""

    report_version: str = REPORT_VERSION
    verdict: Verdict
    reasons: tuple[str, ...]
    """Why, in words; what GREEN rests on, too."""
    flags: tuple[Flag, ...]
    figures: ReportFigures
    revision: int = 1
    late: Late | None = None
    created_at: datetime
    core_version: str
