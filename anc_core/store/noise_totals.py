"""What the windows of a session add up to, per kind of noise and quarter of an hour.

Context: a window is a second long every half second of every channel, so neither their number nor
the sum of their lengths is a time; and an analysis over months would read millions of them.
Decision: their union is taken once, when a session is written, cut at the quarters of the clock:
every time zone differs from UTC by whole quarters of an hour.
Consequence: class mix, confidence, levels and hours of any period are sums over a few rows a
session, exact for any grouping; the windows themselves stay for the analysis of one session.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Protocol

QUARTER_S = 900
NUM_TENTHS = 10
"""Bins of the confidence histogram; the last one includes 1."""
_LONGEST_WINDOW_S = 86_400.0
_LATEST_S = 1e9
_LOUDEST_DBFS = 400.0
"""A window or level beyond these is stored as it is and adds to no sum: what made it is damaged."""
UNDATED = -1
"""``quarter`` of a session that nobody knows the time of recording of."""


class _WindowRow(Protocol):
    @property
    def start_s(self) -> float: ...
    @property
    def end_s(self) -> float: ...
    @property
    def noise_type(self) -> str: ...
    @property
    def confidence(self) -> float: ...
    @property
    def level_dbfs(self) -> float | None: ...


def totals_of(windows: Iterable[_WindowRow], recorded_at: datetime | None) -> list[dict[str, Any]]:
    """Return the rows of ``noise_totals`` for the windows of one session, without its id.

    Parameters
    ----------
    windows : iterable
        In any order; channels are told apart by nobody here: a noise that two channels hear at
        once lasts as long as one that one hears.
    recorded_at : datetime, optional
        When the recording began, aware.

    Returns
    -------
    list of dict
        ``windows`` and the histogram count windows, by the quarter that each begins in.
        ``seconds`` is the length of their union. ``energy_s`` is the sum of length x power of those
        with a level, full scale = 1, ``level_s`` their length: 10 lg(energy_s / level_s) is the
        energy mean, Leq.
    """
    origin_s = None if recorded_at is None else recorded_at.timestamp()
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    spans: dict[str, list[tuple[float, float]]] = {}
    for window in windows:
        name, length_s = window.noise_type, window.end_s - window.start_s
        if not (0.0 <= window.start_s <= _LATEST_S and 0.0 <= length_s <= _LONGEST_WINDOW_S):
            continue
        row = _row_of(rows, name, _quarter(origin_s, window.start_s))
        row["windows"] += 1
        row[f"confidence_{min(int(window.confidence * NUM_TENTHS), NUM_TENTHS - 1)}"] += 1
        if window.level_dbfs is not None and abs(window.level_dbfs) <= _LOUDEST_DBFS:
            row["energy_s"] += length_s * 10.0 ** (window.level_dbfs / 10.0)
            row["level_s"] += length_s
        spans.setdefault(name, []).append((window.start_s, window.end_s))
    for name, stretches in spans.items():
        for start_s, end_s in _union(stretches):
            for quarter, seconds in _cut(origin_s, start_s, end_s):
                _row_of(rows, name, quarter)["seconds"] += seconds
    return list(rows.values())


def _row_of(
    rows: dict[tuple[str, int], dict[str, Any]], noise_type: str, quarter: int
) -> dict[str, Any]:
    row = rows.get((noise_type, quarter))
    if row is None:
        row = rows[noise_type, quarter] = {
            "noise_type": noise_type,
            "quarter": quarter,
            "windows": 0,
            "seconds": 0.0,
            "energy_s": 0.0,
            "level_s": 0.0,
            **{f"confidence_{tenth}": 0 for tenth in range(NUM_TENTHS)},
        }
    return row


def _quarter(origin_s: float | None, offset_s: float) -> int:
    return UNDATED if origin_s is None else int((origin_s + offset_s) // QUARTER_S)


def _union(stretches: list[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    stretches.sort()
    begin_s, stop_s = stretches[0]
    for start_s, end_s in stretches[1:]:
        if start_s > stop_s:
            yield begin_s, stop_s
            begin_s, stop_s = start_s, end_s
        elif end_s > stop_s:
            stop_s = end_s
    yield begin_s, stop_s


def _cut(origin_s: float | None, start_s: float, end_s: float) -> Iterator[tuple[int, float]]:
    """Yield a stretch in parts, none of which crosses a quarter of an hour."""
    if origin_s is None:
        yield UNDATED, end_s - start_s
        return
    while True:
        quarter = _quarter(origin_s, start_s)
        border_s = (quarter + 1) * QUARTER_S - origin_s
        if end_s <= border_s:
            yield quarter, end_s - start_s
            return
        yield quarter, border_s - start_s
        start_s = border_s
