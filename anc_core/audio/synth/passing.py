"""A source that drives past: what the listener hears was sent a moment ago, from elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anc_core.errors import InputError

if TYPE_CHECKING:
    from anc_core.audio.synth.signals import Samples

SPEED_OF_SOUND_M_S = 343.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PassBy:
    """A straight drive past the microphone at constant speed.

    Parameters
    ----------
    closest_s : float
        When the source is nearest, in s from the beginning of the recording (source's clock).
    speed_m_s : float
        Above 0 and at most 100 m/s; 20 m/s = 72 km/h.
    distance_m : float
        Distance at the nearest point, above 0.

    Raises
    ------
    InputError
        If speed or distance is out of range.
    """

    closest_s: float
    speed_m_s: float = 20.0
    distance_m: float = 10.0

    def __post_init__(self) -> None:
        if not 0.0 < self.speed_m_s <= 100.0:
            msg = f"speed_m_s is {self.speed_m_s}; it must be above 0 and at most 100 m/s"
            raise InputError(msg)
        if not (self.distance_m > 0.0 and math.isfinite(self.closest_s)):
            msg = f"distance_m {self.distance_m} must be above 0 and closest_s finite"
            raise InputError(msg)

    def emission_time(self, time_s: Samples) -> Samples:
        """Return when that which is heard at ``time_s`` left the source.

        Notes
        -----
        With c the speed of sound, v that of the source, d the nearest distance and times counted
        from the nearest point: t = u + sqrt(d^2 + v^2 u^2) / c, solved for u. The received pitch
        is the sent one times du/dt: from c/(c - v) on approach to c/(c + v) on departure.
        """
        speed_ratio = (self.speed_m_s / SPEED_OF_SOUND_M_S) ** 2
        delay_s = self.distance_m / SPEED_OF_SOUND_M_S
        heard = time_s - self.closest_s
        root = np.sqrt(speed_ratio * heard**2 + delay_s**2 * (1.0 - speed_ratio))
        return self.closest_s + (heard - root) / (1.0 - speed_ratio)

    def loudness(self, emission_s: Samples) -> Samples:
        """Return the amplitude by 1/r relative to that at the nearest point, in (0, 1]."""
        along_m = self.speed_m_s * (emission_s - self.closest_s)
        return self.distance_m / np.hypot(self.distance_m, along_m)
