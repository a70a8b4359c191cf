"""What a rule reports, and what each kind of alarm is called, merged and counted by.

The table repeats specification 1, "Emergency event". ISO 8201 fixes the rhythm of an evacuation
signal and leaves the pitch free: rhythm decides, the carrier is only reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a stretch was recognised."""

    TEMPORAL_THREE = "T3 rhythm"
    TEMPORAL_FOUR = "T4 rhythm"
    SWEEP = "sweep"
    FAST_SWEEP = "fast sweep"
    TWO_TONE = "two tones"
    PULSES = "regular pulses"
    STEADY = "steady tone"


@dataclass(frozen=True, slots=True)
class Group:
    """Kinds that make up one event when they follow each other (a siren wails, then yelps).

    Attributes
    ----------
    noise_type : str
        What the windows are called.
    kinds : tuple of Kind
    merge_gap_s : float
        Stretches no further apart are one event.
    min_event_s : float
        Shorter ones are no event.
    """

    noise_type: str
    kinds: tuple[Kind, ...]
    merge_gap_s: float
    min_event_s: float


_STRUCK_DB_S = 10.0
"""What falls faster was struck: a bell falls by 20 dB a second and more, a sounder holds."""
_QUICKEST_CYCLE_S = 0.44
"""The quickest alternations of a standard take 0.5 s (BS 5839-1 2 Hz, NF S 32-001), less 10 %."""
SOUNDER_HZ = (941.0, 999.0)
"""BS 5839-1: 970 Hz +-3 %."""
GROUPS = (
    # Three pulses of T3 sound for 2.5 s of a cycle of 4 s; that it was whole, ``counting`` asks.
    Group("smoke_alarm", (Kind.TEMPORAL_THREE,), 5.0, 2.5),
    Group("co_alarm", (Kind.TEMPORAL_FOUR,), 8.0, 0.5),
    Group("siren", (Kind.SWEEP, Kind.FAST_SWEEP, Kind.TWO_TONE), 3.0, 1.5),
    Group("alarm_tone", (Kind.PULSES, Kind.STEADY), 5.0, 3.0),
)
MAX_EVENT_S = 600.0
"""A longer event is cut, so that a report can count and memory stays bounded."""
GROUP_OF = {kind: group for group in GROUPS for kind in group.kinds}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One recognised stretch of one channel.

    Attributes
    ----------
    kind : Kind
    start, stop : int
        Frames from the start of the stream, half open.
    score : float
        0 to 1; 0.5 = as likely as not.
    low_hz, high_hz : float
        The carrier, or the reach of the sweep, or the two tones.
    on_s, cycle_s : float
        Length of a pulse or a note, and of a cycle; 0 where there is none.
    onsets : tuple of int
        Frames at which cycles begin.
    upward : float
        Share of the movement that goes up, 0 to 1; 0.5 where that means nothing.
    fall_db_s : float
        dB a second that the pulses or notes of a rhythm lose while they sound; 0 for other kinds.
    is_traced : bool
        Whether the path of every cycle was found (:mod:`anc_core.emergency.yelps`).
    """

    kind: Kind
    start: int
    stop: int
    score: float
    low_hz: float
    high_hz: float
    on_s: float = 0.0
    cycle_s: float = 0.0
    onsets: tuple[int, ...] = ()
    upward: float = 0.5
    fall_db_s: float = 0.0
    is_traced: bool = False

    @property
    def is_standard(self) -> bool:
        """Whether it is a signal that hardly anything else makes: its rule protects alone.

        Two tones in turn, and a sounder's tone held: together 0.25 % of the time of other sounds on
        the half of the recordings that was tuned on, all of it car horns. And yelps whose path was
        traced, of which other sounds have about as many.
        """
        is_sounder = self.kind is Kind.STEADY and SOUNDER_HZ[0] <= self.low_hz <= SOUNDER_HZ[1]
        return self.kind is Kind.TWO_TONE or is_sounder or self.is_traced

    @property
    def holds_level(self) -> bool:
        """Whether the pulses or notes are a sounder's, and not a struck bell's."""
        return self.fall_db_s < _STRUCK_DB_S

    @property
    def counts_alone(self) -> bool:
        """Whether such a signal counts though the head doubts it.

        Two tones must hold (two bells in turn do not) and be no quicker than a standard's: a warble
        is as often two overtones of a horn that flutter.
        """
        if self.kind is Kind.TWO_TONE:
            return self.holds_level and self.cycle_s >= _QUICKEST_CYCLE_S
        return self.is_standard
