from __future__ import annotations

import numpy as np
import pytest

from anc_core.emergency.decisions import CELL_FRAMES, CellBoard, Decision, WindowLog
from anc_core.emergency.findings import GROUPS, Finding, Kind


def finding(kind: Kind, start_cell: int, stop_cell: int, score: float) -> Finding:
    return Finding(
        kind=kind,
        start=start_cell * CELL_FRAMES,
        stop=stop_cell * CELL_FRAMES,
        score=score,
        low_hz=1000.0,
        high_hz=1000.0,
    )


def protected(*findings: Finding, threshold: float = 0.5, stop: int = 30) -> list[int]:
    board = CellBoard(1, threshold)
    for one in findings:
        board.paint(0, one)
    return [d.cell for d in board.decide(stop, stop) if d.is_protected]


def test_cells_at_the_threshold_are_protected():
    assert protected(finding(Kind.SWEEP, 4, 8, 0.5)) == [4, 5, 6, 7]
    assert protected(finding(Kind.SWEEP, 4, 8, 0.49)) == []


def test_hysteresis_holds_before_and_after_a_strong_stretch():
    parts = [finding(Kind.SWEEP, a, b, s) for a, b, s in [(4, 6, 0.35), (6, 8, 0.9), (8, 10, 0.35)]]
    assert protected(*parts) == [4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize(("gap", "is_closed"), [(6, True), (7, False)])
def test_gap_of_a_siren_closes_up_to_three_seconds(gap, is_closed):
    cells = protected(finding(Kind.SWEEP, 2, 4, 0.9), finding(Kind.SWEEP, 4 + gap, 6 + gap, 0.9))
    assert (len(cells) == 4 + gap) == is_closed


def test_different_alarms_do_not_close_each_others_gaps():
    cells = protected(finding(Kind.SWEEP, 2, 4, 0.9), finding(Kind.TEMPORAL_THREE, 8, 10, 0.9))
    assert cells == [2, 3, 8, 9]


def test_decided_cells_do_not_change():
    board = CellBoard(1, 0.5)
    assert [d.is_protected for d in board.decide(4, 4)] == [False] * 4
    board.paint(0, finding(Kind.SWEEP, 2, 6, 0.9))
    assert [d.cell for d in board.decide(8, 8) if d.is_protected] == [4, 5]


def test_any_channel_protects_all():
    board = CellBoard(3, 0.5)
    board.paint(2, finding(Kind.SWEEP, 1, 2, 0.9))
    decisions = list(board.decide(3, 3))
    assert [d.is_protected for d in decisions] == [False, True, False]
    assert np.count_nonzero(decisions[1].scores) == 1


def test_threshold_zero_protects_everything():
    assert protected(threshold=0.0, stop=5) == [0, 1, 2, 3, 4]


def test_windows_are_cut_after_five_seconds_and_at_the_end():
    log = WindowLog(0.5, 100.0)
    for cell in range(24):
        scores = np.zeros((1, len(GROUPS)))
        scores[0, 2] = 0.8
        log.add(Decision(cell, True, scores), np.array([0.01]), 11.7)
    log.flush(11.7)
    spans = [(w.start_s, w.end_s) for w in log.windows]
    assert spans == [(100.0, 105.0), (105.0, 110.0), (110.0, 111.7)]
    assert {w.noise_type for w in log.windows} == {"siren"}
    assert log.windows[0].level_dbfs == pytest.approx(-20.0)
    assert log.windows[0].confidence == pytest.approx(0.8)
