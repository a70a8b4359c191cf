"""From findings to decisions: half-second cells, hysteresis, closed gaps, windows.

A finding paints its score over the cells that it covers, also over those already past; a cell is
decided :data:`LOOKAHEAD_CELLS` after it was heard and then never changes. Protection asks for less
than an event does: to protect too much costs a little noise, to count too much costs trust.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.jit import jit
from anc_core.emergency.figure_names import CELL_FRAMES, FRAMES_PER_S
from anc_core.emergency.findings import GROUP_OF, GROUPS, Finding, Kind
from anc_core.records import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from anc_core.emergency.choice import Thresholds

CELLS_PER_S = FRAMES_PER_S // CELL_FRAMES
LOOKAHEAD_CELLS = 8 * CELLS_PER_S
"""8 s: two cycles of T3, or the group of T4 that follows the one to be protected."""
_RING_CELLS = 64
_HOLD_SHARE = 0.6
"""A protected stretch goes on while the score is above this share of the threshold."""
_MAX_WINDOW_CELLS = 5 * CELLS_PER_S
"""A window is cut there, so that an alarm of an hour is 720 rows and not one."""
LEARNED_GAP_S = 2.0
_STANDARD_GAP_S = 3.0
_GAPS_S = (*(group.merge_gap_s for group in GROUPS), LEARNED_GAP_S, _STANDARD_GAP_S)
_GAP_CELLS = np.array([round(gap_s * CELLS_PER_S) for gap_s in _GAPS_S])
SURE_OF_THEMSELVES = ("smoke_alarm", "co_alarm")
"""Groups that protect and count whatever the head says: an average over seconds blurs a rhythm."""
EVENT_THRESHOLD = 0.6
"""Score that an event must reach somewhere; protection begins below it."""
_IS_WATCHED = np.array([group.noise_type not in SURE_OF_THEMSELVES for group in GROUPS])
_SWEEPS = GROUPS.index(GROUP_OF[Kind.FAST_SWEEP])
_MIN_COVER_FRAMES = CELL_FRAMES // 4


@dataclass(slots=True)
class _OpenWindow:
    start: int
    stop: int
    score: float
    power: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one cell.

    Attributes
    ----------
    cell : int
        Number from the start of the stream.
    is_protected : bool
    scores : ndarray of float64, shape (num_channels, num_groups)
        As in :data:`anc_core.emergency.findings.GROUPS`.
    """

    cell: int
    is_protected: bool
    scores: NDArray[np.float64]


class CellBoard:
    """Scores per channel, group and cell; turns them into decisions in order.

    Parameters
    ----------
    num_channels : int
    threshold : float
        Score from which a cell is protected.
    thresholds : Thresholds, optional
        Of the learned head, where one listens: it then decides, and of the rules only those that
        are sure of themselves protect beside it (T3, T4, two tones in turn, 970 Hz held).
    """

    def __init__(
        self, num_channels: int, threshold: float, thresholds: Thresholds | None = None
    ) -> None:
        self._thresholds = thresholds
        self._scores = np.zeros((num_channels, len(GROUPS), _RING_CELLS))
        self._learned = np.zeros(_RING_CELLS)
        self._standard = np.zeros(_RING_CELLS)
        # Apart from the other rules: the head is asked with what those say, and it was trained so.
        self._traced = np.zeros((num_channels, _RING_CELLS))
        self._counts_alone = np.zeros(_RING_CELLS, np.bool_)
        hold_share, acts = _HOLD_SHARE, [*[True] * len(GROUPS), False, False]
        if thresholds is not None:
            sure = [group.noise_type in SURE_OF_THEMSELVES for group in GROUPS]
            acts = [*sure, True, True]
            hold_share = 2.0 * _logistic(thresholds.hold - thresholds.protect)
            self._count = _logistic(thresholds.count - thresholds.protect)
        self._acts = np.array(acts)
        self._on = np.full(len(acts), threshold, np.float64)
        self._hold = threshold * np.array([*[_HOLD_SHARE] * len(GROUPS), hold_share, _HOLD_SHARE])
        self._next = 0
        self._last_on = np.full(len(acts), -(10**9))

    @property
    def num_decided(self) -> int:
        """Cells decided so far."""
        return self._next

    def paint(self, channel: int, finding: Finding) -> None:
        """Raise the scores of the cells that ``finding`` covers and that are still open."""
        first = max(self._next, (finding.start + CELL_FRAMES - _MIN_COVER_FRAMES) // CELL_FRAMES)
        last = (finding.stop - _MIN_COVER_FRAMES) // CELL_FRAMES
        cells = np.arange(first, last + 1) % _RING_CELLS
        row = self._scores[channel, GROUPS.index(GROUP_OF[finding.kind])]
        if finding.is_traced:
            row = self._traced[channel]
        row[cells] = np.maximum(row[cells], finding.score)
        if finding.is_standard:
            self._standard[cells] = np.maximum(self._standard[cells], finding.score)
            self._counts_alone[cells] |= finding.counts_alone

    def learn(self, cell: int, log_odds: float) -> None:
        """Take what the head says of an undecided cell; what is no number counts as an alarm."""
        assert self._thresholds is not None  # noqa: S101 - who has a head has thresholds
        off = log_odds - self._thresholds.protect
        self._learned[cell % _RING_CELLS] = 1.0 if off != off else _logistic(off)  # noqa: PLR0124

    def rule_scores(self, channel: int, start: int, stop: int, reach: int) -> NDArray[np.float64]:
        """Return what the rules say so far of undecided cells, and the most within ``reach``.

        Returns
        -------
        ndarray of float64, shape (stop - start, 2 * num_groups)
        """
        first = max(self._next, start - reach)
        row = self._scores[channel][:, np.arange(first, stop + reach) % _RING_CELLS]
        scores = np.empty((stop - start, 2, len(GROUPS)))
        for cell in range(start, stop):
            here = cell - first
            scores[cell - start, 0] = row[:, here]
            row[:, max(0, here - reach) : here + reach + 1].max(axis=1, out=scores[cell - start, 1])
        return scores.reshape(stop - start, -1)

    def decide(self, stop: int, horizon: int) -> Iterator[Decision]:
        """Decide the cells before ``stop``, knowing the scores before ``horizon``."""
        while self._next < stop:
            cell = self._next
            scores = self._scores[:, :, cell % _RING_CELLS].copy()
            traced = self._traced[:, cell % _RING_CELLS]
            scores[:, _SWEEPS] = np.maximum(scores[:, _SWEEPS], traced)
            is_protected = _is_protected(
                self._scores,
                self._learned,
                self._standard,
                cell,
                max(cell + 1, horizon),
                self._on,
                self._hold,
                self._acts,
                self._last_on,
            )
            if self._thresholds is not None:
                self._fuse(
                    scores,
                    float(self._learned[cell % _RING_CELLS]),
                    is_protected=is_protected,
                    counts_alone=bool(self._counts_alone[cell % _RING_CELLS]),
                )
            self._scores[:, :, cell % _RING_CELLS] = 0.0
            self._learned[cell % _RING_CELLS] = 0.0
            self._standard[cell % _RING_CELLS] = 0.0
            self._traced[:, cell % _RING_CELLS] = 0.0
            self._counts_alone[cell % _RING_CELLS] = False
            self._next += 1
            yield Decision(cell, is_protected, scores)

    def _fuse(
        self,
        scores: NDArray[np.float64],
        learned: float,
        *,
        is_protected: bool,
        counts_alone: bool,
    ) -> None:
        """Bring the rules that the head watches over into line with it, **changing** ``scores``.

        What is not protected is not reported; what the head doubts stays below what counts as an
        event. On the head's word alone a stretch is protected and not named.
        """
        if not is_protected:
            scores[:, _IS_WATCHED] = 0.0
        elif learned < self._count and not counts_alone:
            uncounted = EVENT_THRESHOLD - 0.01
            np.minimum(scores, uncounted, out=scores, where=_IS_WATCHED)


@jit(
    "boolean(float64[:, :, ::1], float64[::1], float64[::1], int64, int64, float64[::1],"
    " float64[::1], boolean[::1], int64[::1])"
)
def _is_protected(
    rules: NDArray[np.float64],
    learned: NDArray[np.float64],
    standard: NDArray[np.float64],
    cell: int,
    horizon: int,
    on: NDArray[np.float64],
    hold: NDArray[np.float64],
    acts: NDArray[np.bool_],
    last_on: NDArray[np.int64],
) -> bool:
    """Apply threshold, hysteresis and gap closing to a cell, **changing** ``last_on``.

    Scores are known before ``horizon``; the last three arrays have a place for each group, then for
    the head and for the standard signals.
    """
    num_channels, num_groups, num_cells = rules.shape
    is_protected = False
    for g in range(len(on)):
        next_on = 10**9
        is_held, reaches, is_on, holds = True, False, False, False
        for ahead in range(cell, horizon):
            place = ahead % num_cells
            if g < num_groups:
                score = rules[0, g, place]
                for channel in range(1, num_channels):
                    score = max(score, rules[channel, g, place])
            else:
                score = learned[place] if g == num_groups else standard[place]
            if ahead == cell:
                is_on, holds = score >= on[g], score >= hold[g]
            is_held = is_held and score >= hold[g]
            if score >= on[g]:
                next_on = ahead
                # Hysteresis works from both ends: a score that swells is held back to where it
                # began.
                reaches = is_held
                break
        was_on = last_on[g] == cell - 1
        in_gap = next_on - last_on[g] - 1 <= _GAP_CELLS[g]
        on_now = is_on or (holds and (was_on or reaches))
        if on_now:
            last_on[g] = cell
        is_protected = is_protected or (acts[g] and (on_now or in_gap))
    return is_protected


def _logistic(log_odds: float) -> float:
    return float(1.0 / (1.0 + np.exp(-min(max(log_odds, -60.0), 60.0))))


class WindowLog:
    """Collects the decisions of each channel and group as windows of up to 5 s."""

    def __init__(self, threshold: float, start_s: float) -> None:
        self._threshold = max(threshold, 1e-6)
        self._start_s = start_s
        self._open: dict[tuple[int, int], _OpenWindow] = {}
        self.windows: list[Window] = []

    def add(self, decision: Decision, power: NDArray[np.float64], end_s: float) -> None:
        """Take one decision with the mean power of its cell per channel.

        Parameters
        ----------
        decision : Decision
        power : ndarray of float64, shape (num_channels,)
        end_s : float
            End of what was heard: no window reaches beyond it.
        """
        for key in [key for key in self._open if self._is_over(key, decision)]:
            self._close(key, end_s)
        is_heard = decision.scores >= self._threshold
        if not is_heard.any():
            return
        for channel, group in np.argwhere(is_heard):
            key = (int(channel), int(group))
            score = float(decision.scores[key])
            window = self._open.setdefault(key, _OpenWindow(decision.cell, decision.cell, 0.0, 0.0))
            window.stop = decision.cell + 1
            window.score = max(window.score, score)
            window.power += float(power[channel])

    def flush(self, end_s: float) -> None:
        """Close what is open."""
        for key in list(self._open):
            self._close(key, end_s)

    def _is_over(self, key: tuple[int, int], decision: Decision) -> bool:
        window = self._open[key]
        is_long = window.stop - window.start >= _MAX_WINDOW_CELLS
        return is_long or bool(decision.scores[key] < self._threshold)

    def _close(self, key: tuple[int, int], end_s: float) -> None:
        window = self._open.pop(key)
        mean_power = window.power / (window.stop - window.start)
        self.windows.append(
            Window(
                start_s=self._start_s + window.start / CELLS_PER_S,
                end_s=self._start_s + min(window.stop / CELLS_PER_S, end_s),
                channel=key[0],
                noise_type=GROUPS[key[1]].noise_type,
                confidence=window.score,
                level_dbfs=10.0 * float(np.log10(mean_power)) if mean_power > 0 else None,
            )
        )
