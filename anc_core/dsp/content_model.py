"""From features of content to scores, and from scores to the strength of a suppressor.

Three logistic regressions on the features that :func:`anc_core.dsp.content_kernels.describe` makes
of about 6.5 s of sound. They were fitted once, by Newton's method with an L2 penalty of 1e-3 on
standardised features, on 19 000 s of sound that may be used for that:

- LibriSpeech (CC-BY 4.0; 160 speakers, none of every fifth), dry, in rooms, faster and slower, at
  telephone bandwidth; alone and at -5 to 20 dB over the noises below, at 0 to 15 dB over the music
  and bird song below;
- ESC-10 (CC-BY 3.0), folds 1 to 4; the noises of :mod:`anc_core.audio.synth`; synthetic machines
  (drifting whine, uneven firing, revving), steady chords of hum; babble of 2 to 8 LibriSpeech
  talkers;
- synthetic music (plucked, bowed, blown, sung and struck, in chords, melodies and bands, with and
  without rooms and background) and synthetic bird song (whistles, trills, chirps, warbles).

Speech over music counts as a negative three to eight times, for cutting it loose would cost most.
What was measured, on other recordings and kinds: ``docs/harmless.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCORES = ("music", "bird_song", "clean_speech")
NUM_SCORES = len(SCORES)

FEATURES: dict[str, tuple[float, float, float]] = {
    "tonal": (3.57, 0.424, 3.08),
    "lasting_4": (-0.137, -0.409, 0.0997),
    "lasting_8": (0.0399, -0.0731, -1.2),
    "lasting_16": (0.0737, -0.235, -0.248),
    "moving": (-1.33, -0.558, -0.236),
    "new": (-1.31, -0.686, 0.757),
    "high": (-0.202, 1.9, 0.261),
    "high_tonal": (1.47, 1.31, 1.27),
    "high_lasting_8": (-0.866, -0.11, -1.25),
    "strongest_high_peak": (-0.545, -0.102, -1.73),
    "narrow_high": (0.308, 0.99, 0.731),
    "spread": (-4.18, 0.784, 0.335),
    "high_power": (-0.211, 0.448, 0.806),
    "narrow_in_high": (0.946, 4.52, -0.364),
    "high_active": (0.691, 0.458, 4.85),
    "snr": (-0.138, -0.303, 0.0327),
    "level_spread": (1.26, 1.37, 4.08),
    "high_level_spread": (-0.0797, 0.332, -0.727),
    "level_step": (-1.04, -0.596, 0.525),
    "high_level_step": (-2.43, -1.56, -1.15),
    "num_peaks": (1.54, -2.43, -1.16),
    "peaks_on_floor": (-0.491, -3.74, 3.73),
    "pitch_variety": (0.189, 1.32, -0.689),
    "num_pitches": (-0.592, -1.77, 0.464),
}
"""Weights of every feature in the scores, in the order of :data:`SCORES`.

Shares are of the amplitude of the excess over the floor, and logarithms of them: ``tonal`` in
peaks, ``lasting_N`` in peaks of N frames or more (32 ms each), ``moving`` and ``new`` in young
ones, ``high`` above 1.5 kHz. ``level_spread`` is a standard deviation over time, ``level_step`` a
mean change from frame to frame, ``pitch_variety`` how many more pitches a window has than a frame.
"""

BIAS = np.array([-0.744, 4.175, -20.6])
_WEIGHTS = np.array(list(FEATURES.values()))

UNKNOWN = np.full(NUM_SCORES, -np.inf)
"""Scores of a moment about which nothing is known."""

FULL_BELOW = np.array([-0.75, -0.5, 0.0])
"""Scores up to which the engine has its full strength: 0 would be even odds for music and bird song
if both kinds of error were as bad and all kinds of sound as frequent as in the fit."""
LEAST_ABOVE = np.array([0.5, 0.5, 1.5])
"""Scores from which it has its least strength."""
LEAST_STRENGTH = np.array([0.0, 0.0, 0.4])
"""Music and bird song pass. In clean speech faint noise may still sink by up to 4 dB; with the
spectral engine PESQ of 37 clean recordings against themselves is 4.51 instead of 4.01."""


def scores_of(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log odds of each of :data:`SCORES`, shape (3,).

    Parameters
    ----------
    features : float64, shape (len(FEATURES),)
    """
    scores: NDArray[np.float64] = features @ _WEIGHTS + BIAS
    return scores


def strength_of(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the strength, 0 to 1, that each score leaves to the engine; shape (3,).

    Examples
    --------
    >>> strength_of(np.array([3.0, -9.0, -9.0])).tolist()
    [0.0, 1.0, 1.0]
    """
    share = np.maximum(scores - FULL_BELOW, 0.0) / (LEAST_ABOVE - FULL_BELOW)
    share = np.minimum(share, 1.0)
    return np.asarray(1.0 - share * (1.0 - LEAST_STRENGTH))
