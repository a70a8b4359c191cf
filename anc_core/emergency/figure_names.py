"""The names of the figures that the learned head is given, and the shape of what they come from.

No kernels here: who only asks whether a model fits need not load them.
"""

from __future__ import annotations

import hashlib
import json

from anc_core.emergency.findings import GROUPS

FRAMES_PER_S = 64
"""So that half a second is a whole number of frames."""
NUM_BANDS = 12
"""Bands of the analysed spectrum, about equal in Hz."""

CELL_FRAMES = FRAMES_PER_S // 2
CONTEXT_FRAMES = 4 * FRAMES_PER_S
"""Frames (4 s) around a cell."""
CELL_START = 96
"""Frame of the context at which its cell begins."""
BAND_ROW = 14
TOTAL_ROW = 16
NUM_ROWS = 17
"""Rows of what is kept of a frame, see :func:`cell_figures`."""
LAGS = (4, 8, 16, 24, 32, 48, 64, 96, 128)
"""Frames: the contour is compared with itself that much later."""
RATES = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 8), (9, 12), (13, 18), (19, 27), (28, 40))
"""Bins of 0.25 Hz: bands of the movement of the contour, 0.25 to 10 Hz."""


CONTOUR_FIGURES = (
    "voiced",
    "near_voiced",
    "prominence",
    "near_prominence",
    "dominance",
    "dominance_spread",
    "level_spread",
    "level_change",
    "jumps",
    "longest",
    "mean_length",
    "low",
    "middle",
    "high",
    "range",
    "near_range",
    "step_still",
    "step_slow",
    "step_medium",
    "step_fast",
    "roughness",
    "near_roughness",
    "upward",
    "reversals",
    "pile_one",
    "pile_two",
    "pile_interval",
    "runs",
    "run_length",
    "run_spread",
    "gap_length",
    "octave",
    "twelfth",
    "below",
    "third",
    "fifth",
    *(f"agrees_{lag}" for lag in LAGS),
    "repeats",
    "repeat_lag",
    *(f"moves_{low}" for low, _ in RATES),
    "moves_peak",
    "moves_total",
)
RUN_FIGURES = (
    "length",
    "span",
    "rise",
    "roughness",
    "prominence",
    "crowd",
    "moving",
    "middle",
    "below_top",
    "dominance",
)
PEAK_FIGURES = (
    "peaks",
    "peaks_14",
    "peaks_20",
    "top",
    "top_spread",
    "stack",
    "stack_hz",
    "smooth",
    "smooth_moving",
    "steady",
)
CELL_FIGURES: tuple[str, ...] = (
    *(f"slow_{name}" for name in CONTOUR_FIGURES),
    *(f"fast_{name}" for name in CONTOUR_FIGURES),
    *(f"{which}_{name}" for which in ("run", "second", "long") for name in RUN_FIGURES),
    "steady_length",
    "steady_pitch",
    "steady_prominence",
    *(f"near_{name}" for name in PEAK_FIGURES),
    *(f"wide_{name}" for name in PEAK_FIGURES),
    *(f"band_{band}" for band in range(NUM_BANDS)),
    *(f"band_spread_{band}" for band in range(0, NUM_BANDS, 2)),
    *(f"band_flutter_{band}" for band in range(0, NUM_BANDS, 3)),
    "total_spread",
    "total_flutter",
    "onsets",
)
NUM_CELL_FIGURES = len(CELL_FIGURES)

RULE_REACH = 2
"""Cells on either side from which the best score of a rule is taken."""
HEAD_FIGURES: tuple[str, ...] = (
    *CELL_FIGURES,
    *(f"rule_{group.noise_type}" for group in GROUPS),
    *(f"rule_near_{group.noise_type}" for group in GROUPS),
)
NUM_HEAD_FIGURES = len(HEAD_FIGURES)

_REVISION = 1
"""To be raised with any change that changes a figure and no name."""


def _schema() -> str:
    said = {
        "revision": _REVISION,
        "names": HEAD_FIGURES,
        "frames_per_s": FRAMES_PER_S,
        "context": [CONTEXT_FRAMES, CELL_START],
        "lags": LAGS,
        "rates": RATES,
    }
    digest = hashlib.sha256(json.dumps(said).encode()).hexdigest()
    return f"cells-{NUM_HEAD_FIGURES}/{_REVISION}/{digest[:16]}"


HEAD_SCHEMA = _schema()
"""Name of this set of figures: a model of another one is refused."""
