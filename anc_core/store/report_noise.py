"""What a daily report asks the store about what was heard: the noise view.

A recording belongs to the day it was *made* (``recorded_at``); where nobody knows that, to the day
it was processed. Class mix and hours come from the sums of windows (``noise_totals``), levels from
the stretches of every session (``processing_metrics``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, and_, func, or_, select

from anc_core.store.noise_totals import NUM_TENTHS, QUARTER_S, UNDATED
from anc_core.store.tables import DELETING, RUNNING, AudioSession, NoiseTotal, ProcessingMetric

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_PAGE = 10_000


class NoiseFacts(NamedTuple):
    """What the recordings of a stretch of time heard."""

    seconds: dict[str, float]
    """Class -> seconds."""
    recordings: int
    """With at least one named window."""
    undated: int
    """Of these, recordings without a time of recording."""


class ConfidenceFacts(NamedTuple):
    """How sure a model was of the windows of its recordings."""

    model_id: str | None
    recordings: int
    mean: float
    sd: float | None
    """Between recordings."""


def noise_facts(db: Session, start: datetime, end: datetime) -> NoiseFacts:
    """Return the seconds of each class in recordings made in [start, end)."""
    rows = db.execute(
        select(NoiseTotal.noise_type, func.sum(NoiseTotal.seconds))
        .join(AudioSession, AudioSession.id == NoiseTotal.session_id)
        .where(_made(start, end))
        .group_by(NoiseTotal.noise_type)
    )
    seconds = {name: float(value) for name, value in rows}
    heard = select(NoiseTotal.session_id).where(NoiseTotal.session_id == AudioSession.id).exists()
    counts = db.execute(
        select(func.count(), func.count(AudioSession.recorded_at)).where(_made(start, end), heard)
    ).one()
    return NoiseFacts(seconds, int(counts[0]), int(counts[0] - counts[1]))


def noise_totals_between(
    db: Session, start: datetime, end: datetime
) -> list[tuple[str, float, float]]:
    """Return (class, when, seconds) by quarter of an hour for recordings made in [start, end).

    ``when`` is the quarter's beginning in seconds since 1970; of undated recordings it is when they
    were processed.
    """
    dated = db.execute(
        select(NoiseTotal.noise_type, NoiseTotal.quarter, func.sum(NoiseTotal.seconds))
        .join(AudioSession, AudioSession.id == NoiseTotal.session_id)
        .where(_made(start, end), NoiseTotal.quarter != UNDATED)
        .group_by(NoiseTotal.noise_type, NoiseTotal.quarter)
    )
    found = [(name, float(quarter * QUARTER_S), float(seconds)) for name, quarter, seconds in dated]
    undated = db.execute(
        select(NoiseTotal.noise_type, AudioSession.finished_at, NoiseTotal.seconds)
        .join(AudioSession, AudioSession.id == NoiseTotal.session_id)
        .where(_made(start, end), NoiseTotal.quarter == UNDATED)
    )
    found += [(name, at.timestamp(), float(seconds)) for name, at, seconds in undated if at]
    return found


def confidence_facts(db: Session, start: datetime, end: datetime) -> list[ConfidenceFacts]:
    """Return the confidence by model over recordings made in [start, end), the most used first."""
    tenths = [getattr(NoiseTotal, f"confidence_{tenth}") for tenth in range(NUM_TENTHS)]
    # The middle of a tenth stands for what is in it.
    sure: Any = sum(((tenth + 0.5) / NUM_TENTHS) * column for tenth, column in enumerate(tenths))
    mean = func.sum(sure) / func.sum(NoiseTotal.windows)
    each = (
        select(AudioSession.model_id.label("model_id"), mean.label("mean"))
        .join(AudioSession, AudioSession.id == NoiseTotal.session_id)
        .where(_made(start, end), NoiseTotal.windows > 0)
        .group_by(AudioSession.id, AudioSession.model_id)
        .subquery()
    )
    rows = db.execute(
        select(
            each.c.model_id,
            func.count().label("recordings"),
            func.avg(each.c.mean),
            func.avg(each.c.mean * each.c.mean),
        ).group_by(each.c.model_id)
    ).all()
    facts = []
    for model_id, count, average, squares in rows:
        variance = max(float(squares) - float(average) ** 2, 0.0) * count / max(count - 1, 1)
        sd = variance**0.5 if count > 1 else None
        facts.append(ConfidenceFacts(model_id, int(count), float(average), sd))
    return sorted(facts, key=lambda fact: (-fact.recordings, fact.model_id or ""))


def level_facts(
    db: Session, start: datetime, end: datetime
) -> Iterator[tuple[Sequence[float], Sequence[float], Sequence[float]]]:
    """Yield columns (when, length in s, input level in dBFS) of the stretches of recordings.

    ``when`` is in seconds since 1970; a few thousand stretches at a time are in memory.
    """
    rows = db.execute(
        select(
            AudioSession.recorded_at,
            AudioSession.finished_at,
            ProcessingMetric.start_s,
            ProcessingMetric.end_s,
            ProcessingMetric.input_rms_dbfs,
        )
        .join(AudioSession, AudioSession.id == ProcessingMetric.session_id)
        .where(_made(start, end), ProcessingMetric.input_rms_dbfs.is_not(None)),
        execution_options={"yield_per": _PAGE},
    )
    for page in rows.partitions():
        recorded, finished, begin, stop, level = zip(*page, strict=True)
        moments = [
            done.timestamp() if made is None else made.timestamp() + offset
            for made, done, offset in zip(recorded, finished, begin, strict=True)
        ]
        yield moments, [b - a for a, b in zip(begin, stop, strict=True)], level


def _made(start: datetime, end: datetime) -> ColumnElement[bool]:
    made, done = AudioSession.recorded_at, AudioSession.finished_at
    return and_(
        or_(
            and_(made >= start, made < end),
            and_(made.is_(None), done >= start, done < end),
        ),
        AudioSession.status.not_in((RUNNING, DELETING)),
    )
