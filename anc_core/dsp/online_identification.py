"""Identification of the secondary path while the controller works, with auxiliary noise.

White noise v that nobody else knows is added to what the loudspeakers are sent, and the estimate
ŝ adapts on it (Eriksson & Allie 1989). Three filters learn at the same time (Zhang, Lan & Ser
2001): the control filter w from the error *without* the noise's part, e - ŝ*v; the estimate and a
predictor h of the disturbance, both from one remainder,

    g(n) = e(n) - ŝ*y(n) - ŝ*v(n) - h*x(n).

What h foresees does not disturb ŝ, and since y through the estimate is taken away too, h does not
have to follow the control filter. v is independent of x, so whatever h still gets wrong makes ŝ
slower, never wrong.

The step of ŝ is that of a Kalman filter with one variance for all taps (Paleologu, Ciochină &
Benesty's jointly optimised NLMS): P, how far a tap is believed to be off, and r = E[g²] give

    ŝ += P·g·v / (P·|v|² + r),    P *= 1 - P·|v|² / (L·(P·|v|² + r)).

It begins at one half, falls as 1/n and is never a matter of taste; and P says how good the estimate
is, which steers everything else: the level of the noise, and whether the controller may work (see
:mod:`anc_core.dsp.identification_phases`). Chosen over the step of Akhtar, Abe & Kawamata (2006),
which takes a ratio of powers for the misalignment, and thus needs a controller that already
cancels: with a wrong estimate it is mute. Chosen over the delay coefficients of Carini & Malatini
(2008), whose schedule of the noise this is, because those go blind when the path changes.

References
----------
L. J. Eriksson & M. C. Allie, Use of random noise for on-line transducer modeling in an adaptive
active attenuation system, J. Acoust. Soc. Am. 85 (1989) 797.
M. Zhang, H. Lan & W. Ser, Cross-updated active noise control system with online secondary path
modeling, IEEE Trans. Speech Audio Process. 9 (2001) 598; A robust online secondary path modeling
method with auxiliary noise power scheduling strategy, ibid. 11 (2003) 45.
M. T. Akhtar, M. Abe & M. Kawamata, A new variable step size LMS algorithm-based method for improved
online secondary path modeling, IEEE Trans. Audio Speech Lang. Process. 14 (2006) 720.
A. Carini & S. Malatini, Optimal variable step-size NLMS algorithms with auxiliary noise power
scheduling for feedforward active noise control, ibid. 16 (2008) 1383.
S. Ciochină, C. Paleologu & J. Benesty, An optimized NLMS algorithm for system identification,
Signal Process. 118 (2016) 115.
"""

from __future__ import annotations

from dataclasses import dataclass

from anc_core.dsp.paths import check_num_taps
from anc_core.errors import InputError

LEAST_LEAKAGE = 1e-6
"""Of the control filter. In the notches of the path the phase of an estimate is anything, and what
is learnt there in the wrong direction has to be forgotten; costs 0.1 dB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineIdentification:
    """How the secondary path is identified while the controller works.

    Attributes
    ----------
    loud_db : float, default -3
        Auxiliary noise at the error microphones over the residual there while the path is not
        known, dB, -40 to 10. More is found sooner.
    floor_db : float, default -25
        The same once it is known, -80 dB to ``loud_db``: it costs 10·log10(1 + 10^(floor/10)) dB of
        attenuation, 0.014 dB at -25. With less, a change of the path is noticed later.
    num_taps : int, optional
        Of the estimate, 1 to 65 536; by default as many as the estimate given at the start has, or
        the path.
    """

    loud_db: float = -3.0
    floor_db: float = -25.0
    num_taps: int | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not -40.0 <= self.loud_db <= 10.0:
            raise InputError(f"loud_db is {self.loud_db}; it must be from -40 to 10 dB")
        if not -80.0 <= self.floor_db <= self.loud_db:
            msg = f"floor_db is {self.floor_db}; it must be from -80 dB to loud_db, {self.loud_db}"
            raise InputError(msg)
        if self.num_taps is not None:
            check_num_taps(self.num_taps)


def chosen_identification(
    choice: OnlineIdentification | bool | None,
) -> OnlineIdentification | None:
    """Return the settings that ``choice`` stands for: True for the defaults, False for none."""
    if isinstance(choice, bool):
        return OnlineIdentification() if choice else None
    return choice


@dataclass(frozen=True, slots=True)
class IdentificationPoint:
    """Where the identification stood at one moment.

    Attributes
    ----------
    time_s : float
    misalignment_db : float or None
        Energy of the estimate's error over that of the true path; None = no error, or no path.
    auxiliary_db : float or None
        Power of the auxiliary noise at the error microphones, through the true path, over the
        residual's; None while there is none.
    """

    time_s: float
    misalignment_db: float | None
    auxiliary_db: float | None
