"""Which sessions an analysis is of: a period of one of the two views, filters, keys to group by.

A session belongs to the day that it finished (processing) and to the day that it was recorded
(noise); a scope is of one of them, and the two are never mixed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sqlalchemy import BigInteger, ColumnElement, Text, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from anc_core.analysis_records import Dimension, Filters, Period, zone_of
from anc_core.store.noise_totals import QUARTER_S
from anc_core.store.tables import DELETING, AudioSession, NoiseEvent, NoiseTotal

if TYPE_CHECKING:
    from sqlalchemy import CTE, Select
    from sqlalchemy.sql.compiler import SQLCompiler

View: TypeAlias = Literal["finished", "recorded"]
Key: TypeAlias = tuple[str | None, ...]
"""The values of the dimensions grouped by; () = all sessions."""

STATUS = AudioSession.status.concat("").label("status")
"""The status, so written that no index is used to find it: SQLite, which keeps no statistics,
would rather read all sessions that are ok than those of a day."""

_ALL = Filters()

_COLUMNS: dict[Dimension, Any] = {
    Dimension.DEVICE: AudioSession.device_id,
    Dimension.USER: AudioSession.user_id,
    Dimension.SITE: AudioSession.site,
    Dimension.PRESET: AudioSession.preset,
    Dimension.MODEL: AudioSession.model_id,
    Dimension.STATUS: STATUS,
    Dimension.BATCH: AudioSession.batch_id,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The sessions of one view."""

    start: datetime
    end: datetime
    view: View
    filters: Filters = _ALL
    group_by: tuple[Dimension, ...] = ()

    @classmethod
    def of(cls, period: Period, view: View, filters: Filters | None = None) -> Scope:
        """Return the sessions of ``period``, ungrouped."""
        return cls(start=period.start, end=period.end, view=view, filters=filters or Filters())

    def grouped(self, group_by: tuple[Dimension, ...]) -> Scope:
        """Return the same sessions, grouped."""
        return replace(self, group_by=group_by)

    @property
    def overlaps(self) -> bool:
        """Return whether a session may be in several groups, so that groups do not add up."""
        return Dimension.NOISE_TYPE in self.group_by

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what a row of ``audio_sessions`` must fulfil."""
        moment = getattr(AudioSession, f"{self.view}_at")
        found = [moment >= self.start, moment < self.end, AudioSession.status != DELETING]
        for dimension, column in _COLUMNS.items():
            wanted = getattr(self.filters, dimension.value)
            if wanted:
                found.append(column.in_(wanted))
        if self.filters.noise_type:
            # Events too: one of sweeps may be an evacuation tone while its windows say siren.
            tables = (NoiseTotal, NoiseEvent)
            found.append(or_(*(self._heard_in(table) for table in tables)))
        return found

    def sessions(self, *columns: Any) -> CTE:  # noqa: ANN401 - columns of any type
        """Return the sessions as a table: keys ``key_0`` ..., then ``columns``."""
        heard = self._heard()
        sources = _COLUMNS | {Dimension.NOISE_TYPE: heard.c.noise_type}
        keys = [sources[d].label(f"key_{n}") for n, d in enumerate(self.group_by)]
        statement: Select[Any] = select(*keys, *columns).where(*self.conditions)
        if self.overlaps:
            statement = statement.join(heard, heard.c.session_id == AudioSession.id)
        return statement.cte("sessions")

    def keys_of(self, table: CTE) -> list[ColumnElement[Any]]:
        """Return the columns of :meth:`sessions` that hold the keys."""
        return [table.c[f"key_{n}"] for n in range(len(self.group_by))]

    def own_noises(self, table: CTE, noise_type: Any) -> list[ColumnElement[bool]]:  # noqa: ANN401
        """Return what windows or events must fulfil to count for their session's group."""
        found: list[ColumnElement[bool]] = []
        if self.filters.noise_type:
            found.append(noise_type.in_(self.filters.noise_type))
        if self.overlaps:
            key = self.keys_of(table)[self.group_by.index(Dimension.NOISE_TYPE)]
            found.append(noise_type == key)
        return found

    def _heard(self) -> CTE:
        statement = select(NoiseTotal.session_id, NoiseTotal.noise_type).distinct()
        if self.filters.noise_type:
            statement = statement.where(NoiseTotal.noise_type.in_(self.filters.noise_type))
        return statement.cte("heard")

    def _heard_in(self, table: type[NoiseTotal | NoiseEvent]) -> ColumnElement[bool]:
        own = select(table.session_id).where(
            table.session_id == AudioSession.id, table.noise_type.in_(self.filters.noise_type)
        )
        return own.exists()


class quarter_of(FunctionElement[int]):  # noqa: N801 - reads as the SQL function that it is
    """Quarters of an hour since 1970 (UTC) of a moment."""

    type = BigInteger()
    inherit_cache = True
    name = "quarter_of"


@compiles(quarter_of, "sqlite")
def _quarter_on_sqlite(element: quarter_of, compiler: SQLCompiler, **words: Any) -> str:  # noqa: ANN401
    return f"(CAST(strftime('%s', {compiler.process(element.clauses, **words)}) AS INTEGER) / 900)"


@compiles(quarter_of, "postgresql")
def _quarter_on_postgresql(element: quarter_of, compiler: SQLCompiler, **words: Any) -> str:  # noqa: ANN401
    moment = compiler.process(element.clauses, **words)
    return f"CAST(floor(extract(epoch FROM {moment}) / 900) AS BIGINT)"


class day_of(FunctionElement[str]):  # noqa: N801 - reads as the SQL function that it is
    """The day (UTC) of a moment, as ISO 8601 writes it."""

    type = Text()
    inherit_cache = True
    name = "day_of"


@compiles(day_of, "sqlite")
def _day_on_sqlite(element: day_of, compiler: SQLCompiler, **words: Any) -> str:  # noqa: ANN401
    return f"substr({compiler.process(element.clauses, **words)}, 1, 10)"


@compiles(day_of, "postgresql")
def _day_on_postgresql(element: day_of, compiler: SQLCompiler, **words: Any) -> str:  # noqa: ANN401
    moment = compiler.process(element.clauses, **words)
    return f"to_char({moment} AT TIME ZONE 'UTC', 'YYYY-MM-DD')"


def offsets_of(period: Period) -> list[tuple[int, int]]:
    """Return (first quarter, quarters ahead of UTC) of each stretch without a clock change."""
    zone = zone_of(period.timezone)
    found: list[tuple[int, int]] = []
    first, last = (int(moment.timestamp() // QUARTER_S) for moment in (period.start, period.end))
    # Clocks change on whole hours of UTC or halves of one; a session may have begun the day before.
    for quarter in range(first - 96, last + 97, 2):
        moment = datetime.fromtimestamp(quarter * QUARTER_S, zone)
        offset = moment.utcoffset()
        quarters = 0 if offset is None else int(offset.total_seconds() // QUARTER_S)
        if not found or found[-1][1] != quarters:
            found.append((quarter, quarters))
    return found
