"""The noise view: what was heard in the sessions that were recorded in a period."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import fsum
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, case, func, null, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from anc_core.analysis_records import (
    EmergencyEvent,
    HeatCell,
    Levels,
    NoiseShare,
    NoiseSource,
    NoiseStatistics,
    Period,
    SilentDevice,
    is_violation,
)
from anc_core.dsp.levels import level_db
from anc_core.store.noise_totals import NUM_TENTHS, UNDATED
from anc_core.store.safety import VIOLATED
from anc_core.store.scopes import STATUS, Key, Scope, offsets_of
from anc_core.store.statistics import nine_digits
from anc_core.store.tables import (
    DELETING,
    PROCESSED,
    AudioSession,
    NoiseEvent,
    NoiseTotal,
    ProcessingMetric,
)

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session
    from sqlalchemy.sql.compiler import SQLCompiler

SILENCE = "silence"
"""Name of windows that hold no noise, as the classifier gives it."""
MAX_EMERGENCIES = 200
_NUM_SOURCES = 10
_QUARTERS_A_DAY = 96
_WEEK = timedelta(days=7)
_EVENT_FIELDS = (
    "session_id",
    "noise_type",
    "start_s",
    "end_s",
    "peak_confidence",
    "evidence",
    "max_attenuation_db",
)
_SUMS = (
    "windows",
    "seconds",
    "energy_s",
    "level_s",
    *(f"confidence_{n}" for n in range(NUM_TENTHS)),
)


@dataclass(slots=True)
class Heard:
    """Sums over one kind of noise; added to one another they stay sums."""

    sums: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_SUMS, 0))
    events: int = 0
    emergencies: int = 0
    violations: int = 0

    def add(self, values: Iterable[float]) -> None:
        """Add a row of ``_SUMS``."""
        for name, value in zip(_SUMS, values, strict=True):
            self.sums[name] += value

    def merge(self, other: Heard) -> None:
        """Add what another group heard."""
        self.add(other.sums.values())
        self.events += other.events
        self.emergencies += other.emergencies
        self.violations += other.violations

    @property
    def leq_dbfs(self) -> float | None:
        """Energy mean of the windows that have a level."""
        return _leq(self.sums["energy_s"], self.sums["level_s"])


@dataclass(frozen=True, slots=True)
class Loudness:
    """Length and energy of some sessions."""

    sessions: int = 0
    seconds: float = 0.0
    energy_s: float = 0.0

    def __add__(self, other: Loudness) -> Loudness:
        return Loudness(
            self.sessions + other.sessions,
            self.seconds + other.seconds,
            self.energy_s + other.energy_s,
        )

    @property
    def levels(self) -> Levels:
        """Energy mean over all of it."""
        return Levels(seconds=nine_digits(self.seconds), leq_dbfs=_leq(self.energy_s, self.seconds))


@dataclass(frozen=True, slots=True)
class NoiseView:
    """What a group of sessions heard."""

    distribution: tuple[NoiseShare, ...]
    statistics: NoiseStatistics


def noise_of(db: Session, scope: Scope) -> dict[Key, NoiseView]:
    """Return what was heard in all processed sessions, under the key (), and in each group."""
    heard, loudness = heard_in(db, scope), loudness_of(db, scope)
    return {key: _view(heard.get(key, {}), own) for key, own in loudness.items()}


def heard_in(db: Session, scope: Scope) -> dict[Key, dict[str, Heard]]:
    """Return what windows and events add up to, by key and kind of noise."""
    found: defaultdict[Key, defaultdict[str, Heard]]
    found = defaultdict(lambda: defaultdict(Heard))
    for key, noise_type, values in _grouped(
        db, scope, NoiseTotal, [func.sum(getattr(NoiseTotal, name)) for name in _SUMS]
    ):
        found[key][noise_type].add(values)
    counts = [
        func.count(),
        func.sum(case((NoiseEvent.is_emergency, 1), else_=0)),
        func.sum(case((VIOLATED, 1), else_=0)),
    ]
    for key, noise_type, (events, emergencies, violations) in _grouped(
        db, scope, NoiseEvent, counts
    ):
        own = found[key][noise_type]
        own.events += events
        own.emergencies += emergencies
        own.violations += violations
    if scope.overlaps:
        return {**found, **heard_in(db, scope.grouped(()))}
    total: defaultdict[str, Heard] = defaultdict(Heard)
    for kinds in found.values():
        for noise_type, own in kinds.items():
            total[noise_type].merge(own)
    return {**found, (): total}


def loudness_of(db: Session, scope: Scope) -> dict[Key, Loudness]:
    """Return length and energy of the processed sessions, of all and of each group."""
    sessions = scope.sessions(STATUS, AudioSession.duration_s, AudioSession.input_rms_dbfs)
    keys = scope.keys_of(sessions)
    length_s = func.coalesce(sessions.c.duration_s, 0.0)
    # Digital silence has no level: it adds nothing, and lasts.
    energy_s = length_s * func.power(10.0, sessions.c.input_rms_dbfs / 10.0)
    rows = db.execute(
        select(*keys, func.count(), func.sum(length_s), func.coalesce(func.sum(energy_s), 0.0))
        .where(sessions.c.status.in_(PROCESSED))
        .group_by(*keys)
    )
    found = {tuple(row[:-3]): Loudness(*row[-3:]) for row in rows if row[-3]}
    if scope.overlaps:
        return {**found, **loudness_of(db, scope.grouped(()))}
    return {**found, (): sum(found.values(), Loudness())}


def events_of(db: Session, scope: Scope) -> tuple[int, int]:
    """Return the events of all processed sessions, and how many are emergencies."""
    sessions = scope.sessions(AudioSession.id, STATUS)
    count, emergencies = db.execute(
        select(
            func.count(), func.coalesce(func.sum(case((NoiseEvent.is_emergency, 1), else_=0)), 0)
        )
        .join(sessions, sessions.c.id == NoiseEvent.session_id)
        .where(*scope.own_noises(sessions, NoiseEvent.noise_type), sessions.c.status.in_(PROCESSED))
    ).one()
    return count, emergencies


def heat_map_of(
    db: Session, scope: Scope, period: Period
) -> tuple[tuple[HeatCell, ...], tuple[NoiseSource, ...]]:
    """Return the seconds of each kind in each hour of the day, and the sources heard longest."""
    sessions = scope.sessions(AudioSession.id, AudioSession.device_id, STATUS)
    hour = _local_hour(period)
    statement = (
        select(
            sessions.c.device_id,
            NoiseTotal.noise_type,
            hour.label("hour"),
            func.sum(NoiseTotal.seconds),
            func.sum(NoiseTotal.energy_s),
            func.sum(NoiseTotal.level_s),
        )
        .join(NoiseTotal, NoiseTotal.session_id == sessions.c.id)
        .where(*scope.own_noises(sessions, NoiseTotal.noise_type))
        .group_by(sessions.c.device_id, NoiseTotal.noise_type, "hour")
    )
    cells: defaultdict[tuple[int, str], list[float]] = defaultdict(list)
    sources: defaultdict[tuple[str | None, str], list[tuple[float, float, float]]]
    sources = defaultdict(list)
    for device, noise_type, at, *sums in db.execute(statement):
        if at is not None:
            cells[at, noise_type].append(sums[0])
        if noise_type != SILENCE:
            sources[device, noise_type].append(tuple(sums))
    heat = (
        HeatCell(hour=at, noise_type=noise_type, seconds=nine_digits(fsum(seconds)))
        for (at, noise_type), seconds in sorted(cells.items())
    )
    found = [
        _source(device, noise_type, [fsum(column) for column in zip(*rows, strict=True)])
        for (device, noise_type), rows in sources.items()
    ]
    found.sort(key=lambda one: (-one.seconds, one.device_id or "", one.noise_type))
    return tuple(heat), tuple(found[:_NUM_SOURCES])


def levels_of(db: Session, scope: Scope, levels: Levels) -> Levels:
    """Return ``levels`` with the percentiles of the intervals of all sessions."""
    sessions = scope.sessions(AudioSession.id, STATUS)
    tenth = tenth_of_db(ProcessingMetric.input_rms_dbfs).label("tenth")
    rows = db.execute(
        select(tenth, func.sum(ProcessingMetric.end_s - ProcessingMetric.start_s))
        .join(sessions, sessions.c.id == ProcessingMetric.session_id)
        .where(sessions.c.status.in_(PROCESSED))
        .group_by("tenth")
    ).all()
    return levels.model_copy(update=exceeded((row[0], row[1]) for row in rows))


def emergencies_of(db: Session, scope: Scope) -> tuple[EmergencyEvent, ...]:
    """Return the emergency events, violations first, then in order of time; at most 200."""
    sessions = scope.sessions(
        AudioSession.id, AudioSession.recorded_at, AudioSession.device_id, AudioSession.site
    )
    rows = db.execute(
        select(
            *(getattr(NoiseEvent, name) for name in _EVENT_FIELDS),
            sessions.c.recorded_at,
            sessions.c.device_id,
            sessions.c.site,
        )
        .join(sessions, sessions.c.id == NoiseEvent.session_id)
        .where(NoiseEvent.is_emergency, *scope.own_noises(sessions, NoiseEvent.noise_type))
        .order_by(
            case((VIOLATED, 0), else_=1),
            sessions.c.recorded_at,
            NoiseEvent.session_id,
            NoiseEvent.position,
        )
        .limit(MAX_EMERGENCIES)
    )
    return tuple(emergency(**row) for row in rows.mappings())


def emergency(*, recorded_at: datetime | None, **fields: Any) -> EmergencyEvent:  # noqa: ANN401
    """Return the record of an emergency event, given the fields that it shares with its row."""
    start = timedelta(seconds=fields["start_s"])
    return EmergencyEvent(
        at=None if recorded_at is None else recorded_at + start,
        is_violation=is_violation(fields["max_attenuation_db"]),
        **fields,
    )


def undated_in(db: Session, scope: Scope) -> int:
    """Return how many sessions finished in the scope's period without a time of recording."""
    conditions = Scope(
        start=scope.start, end=scope.end, view="finished", filters=scope.filters
    ).conditions
    count = db.scalar(
        select(func.count())
        .select_from(AudioSession)
        .where(*conditions, AudioSession.recorded_at.is_(None))
    )
    return count or 0


def silent_devices_of(db: Session, period: Period) -> tuple[SilentDevice, ...]:
    """Return devices that sent nothing in the period, but did in the seven days before it.

    By the time of recording; a session without one counts when it finished.
    """
    before = _last_of_devices(db, period.before(7))
    now = {device for device, _, _ in _last_of_devices(db, period)}
    silent = (row for row in before if row[0] not in now)
    return tuple(
        SilentDevice(device_id=device, sessions_before=count, last_at=last)
        for device, count, last in sorted(silent)
    )


def exceeded(rows: Iterable[tuple[int | None, float]]) -> dict[str, float | None]:
    """Return L10, L50 and L90 of (tenths of a decibel, seconds); no level = digital silence."""
    ordered = sorted(rows, key=lambda row: (row[0] is None, -(row[0] or 0)))
    total = fsum(seconds for _, seconds in ordered)
    found: dict[str, float | None] = {}
    for percent in (10, 50, 90):
        # The highest level that is reached at least this long; the tolerance is for the summation.
        wanted, so_far = total * percent / 100 - 1e-6, 0.0
        for tenth, seconds in ordered:
            so_far += seconds
            if so_far >= wanted:
                found[f"l{percent}_dbfs"] = None if tenth is None else tenth / 10
                break
    return found


class tenth_of_db(FunctionElement[int]):  # noqa: N801 - reads as the SQL function that it is
    """A level rounded to a tenth of a decibel, in tenths."""

    type = BigInteger()
    inherit_cache = True
    name = "tenth_of_db"


# Shifted above zero, since SQLite cuts off towards it; levels are stored down to -200 dBFS.
@compiles(tenth_of_db, "sqlite")
def _tenth_on_sqlite(element: tenth_of_db, compiler: SQLCompiler, **words: Any) -> str:  # noqa: ANN401
    level = compiler.process(element.clauses, **words)
    return f"(CAST({level} * 10 + 10000.5 AS INTEGER) - 10000)"


@compiles(tenth_of_db, "postgresql")
def _tenth_on_postgresql(element: tenth_of_db, compiler: SQLCompiler, **words: Any) -> str:  # noqa: ANN401
    level = compiler.process(element.clauses, **words)
    return f"(CAST(floor({level} * 10 + 10000.5) AS BIGINT) - 10000)"


def _view(heard: dict[str, Heard], loudness: Loudness) -> NoiseView:
    seconds = {name: nine_digits(own.sums["seconds"]) for name, own in heard.items()}
    total_s = fsum(seconds.values())
    shares = [
        NoiseShare(
            noise_type=name,
            seconds=seconds[name],
            share=seconds[name] / total_s if total_s > 0 else 0.0,
            windows=int(own.sums["windows"]),
            events=own.events,
            emergency_events=own.emergencies,
            leq_dbfs=own.leq_dbfs,
        )
        for name, own in heard.items()
    ]
    shares.sort(key=lambda one: (-one.seconds, one.noise_type))
    tenths = (f"confidence_{n}" for n in range(NUM_TENTHS))
    statistics = NoiseStatistics(
        sessions=loudness.sessions,
        audio_s=nine_digits(loudness.seconds),
        windows=sum(one.windows for one in shares),
        events=sum(one.events for one in shares),
        emergency_events=sum(one.emergency_events for one in shares),
        safety_violations=sum(own.violations for own in heard.values()),
        confidence_histogram=tuple(
            int(sum(own.sums[tenth] for own in heard.values())) for tenth in tenths
        ),
        levels=loudness.levels,
    )
    return NoiseView(tuple(shares), statistics)


def _grouped(
    db: Session, scope: Scope, table: type[NoiseTotal | NoiseEvent], columns: list[Any]
) -> Iterator[tuple[Key, str, list[Any]]]:
    """Yield key, kind of noise and sums of a child table."""
    sessions = scope.sessions(AudioSession.id, STATUS)
    keys = scope.keys_of(sessions)
    rows = db.execute(
        select(*keys, table.noise_type, *columns)
        .join(sessions, sessions.c.id == table.session_id)
        .where(*scope.own_noises(sessions, table.noise_type), sessions.c.status.in_(PROCESSED))
        .group_by(*keys, table.noise_type)
    )
    for row in rows:
        yield tuple(row[: len(keys)]), row[len(keys)], list(row[len(keys) + 1 :])


def _source(device: str | None, noise_type: str, sums: list[float]) -> NoiseSource:
    seconds, energy_s, level_s = sums
    return NoiseSource(
        device_id=device,
        noise_type=noise_type,
        seconds=nine_digits(seconds),
        leq_dbfs=_leq(energy_s, level_s),
    )


def _leq(energy_s: float, level_s: float) -> float | None:
    level = level_db(energy_s / level_s) if level_s > 0 else None
    return None if level is None else nine_digits(level)


def _local_hour(period: Period) -> ColumnElement[int]:
    """Return the hour of the day, by the clock of the period, of a row of ``noise_totals``."""
    offsets = offsets_of(period)
    ahead: Any = offsets[0][1]
    if len(offsets) > 1:
        later = [(NoiseTotal.quarter >= first, quarters) for first, quarters in offsets[:0:-1]]
        ahead = case(*later, else_=ahead)
    hour = (NoiseTotal.quarter + ahead) % _QUARTERS_A_DAY // 4
    return case((NoiseTotal.quarter == UNDATED, null()), else_=hour)


def _last_of_devices(db: Session, period: Period) -> list[tuple[str, int, datetime]]:
    moments: list[tuple[Any, tuple[Any, ...]]] = [
        (AudioSession.recorded_at, ()),
        (AudioSession.finished_at, (AudioSession.recorded_at.is_(None),)),
    ]
    found: dict[str, tuple[str, int, datetime]] = {}
    for moment, conditions in moments:
        rows = db.execute(
            select(AudioSession.device_id, func.count(), func.max(moment))
            .where(
                moment >= period.start,
                moment < period.end,
                AudioSession.device_id.is_not(None),
                AudioSession.status != DELETING,
                *conditions,
            )
            .group_by(AudioSession.device_id)
        )
        for device, count, last in rows:
            _, other, latest = found.get(device, (device, 0, last))
            found[device] = (device, count + other, max(last, latest))
    return list(found.values())
