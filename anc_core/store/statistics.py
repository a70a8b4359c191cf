"""Statistics over sessions, equal to the last digit whatever database the sessions are in.

Context: SQLite has no percentile, and a window function that ranks 100,000 sessions takes it 0.2 s
for each figure and grouping; sums of floats depend on the order in which a database adds them.
Decision: counts are the database's; of figures it sends the bare columns, a page at a time, and
numpy takes the percentiles (linear interpolation, its default) and ``fsum`` the sums, which rounds
once and so knows no order.
Consequence: 50 bytes a session for as long as it takes, 0.4 s for 100,000.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from math import fsum
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.analysis_records import TOO_FEW, Statistic

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy import Select
    from sqlalchemy.orm import Session

    from anc_core.store.scopes import Key

_PAGE = 5_000


@dataclass(frozen=True, slots=True)
class Columns:
    """Figures of some sessions: one row each, NaN where there is none."""

    values: NDArray[np.float64]
    """Shape (sessions, figures)."""
    names: tuple[str, ...]
    """Of the figures."""

    def column(self, name: str) -> NDArray[np.float64]:
        """Return one figure, NaN included."""
        values: NDArray[np.float64] = self.values[:, self.names.index(name)]
        return values

    def total(self, name: str) -> float:
        """Return the sum of a figure; those that are missing add nothing."""
        values = self.column(name)
        return fsum(values[~np.isnan(values)])

    def statistic(self, name: str, weight: str) -> Statistic:
        """Return the statistic of a figure, its mean weighted with another one."""
        return statistic(self.column(name), self.column(weight))

    def percentile(self, name: str, percent: float) -> float | None:
        """Return a percentile of a figure; ``None`` where no session has it."""
        values = self.column(name)
        values = values[~np.isnan(values)]
        return float(np.percentile(values, percent)) if len(values) else None


def fetch(
    db: Session, statement: Select[Any], num_keys: int, names: Sequence[str]
) -> dict[Key, Columns]:
    """Return the rows of ``statement`` by its first ``num_keys`` columns; the rest are figures."""
    places: dict[Key, int] = {}
    codes: list[NDArray[np.int64]] = []
    pages: list[NDArray[np.float64]] = []
    # The connection, not the session: twice as fast without the ORM's bookkeeping for each row.
    result = db.connection().execute(statement, execution_options={"yield_per": _PAGE})
    for rows in result.partitions():
        columns = list(zip(*rows, strict=True))
        keys = zip(*columns[:num_keys], strict=True) if num_keys else repeat((), len(rows))
        codes.append(np.array([places.setdefault(key, len(places)) for key in keys]))
        # None becomes NaN.
        pages.append(np.array(columns[num_keys:], dtype=np.float64).T)
    if not pages:
        return {}
    code, values = np.concatenate(codes), np.concatenate(pages)
    order = np.argsort(code, kind="stable")
    ends = np.bincount(code).cumsum()[:-1]
    parts = np.split(values[order], ends)
    return {key: Columns(parts[place], tuple(names)) for key, place in places.items()}


def merged(parts: Sequence[Columns], names: Sequence[str]) -> Columns:
    """Return the figures of all ``parts`` as one."""
    values = [part.values for part in parts] or [np.empty((0, len(names)))]
    return Columns(np.concatenate(values), tuple(names))


def statistic(values: NDArray[np.float64], weights: NDArray[np.float64]) -> Statistic:
    """Return the statistic of ``values``, NaN being none; the mean is weighted."""
    there = ~np.isnan(values)
    null_n = int(len(values) - there.sum())
    values, weights = values[there], np.nan_to_num(weights[there])
    if not len(values):
        return Statistic(null_n=null_n)
    low, median, high = np.percentile(values, (10, 50, 90)).tolist()
    weight = fsum(weights)
    return Statistic(
        n=len(values),
        null_n=null_n,
        mean=fsum(values * weights) / weight if weight > 0 else None,
        median=median,
        p10=low,
        p90=high,
        min=float(values.min()),
        max=float(values.max()),
        too_few=len(values) < TOO_FEW,
    )


def nine_digits(value: float) -> float:
    """Return a sum that a database made without the digits that its order of summation decides."""
    return float(f"{value:.9g}")
