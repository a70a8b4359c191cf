"""How the online identification of the secondary path went: figures and their course."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from anc_core.records import Record

if TYPE_CHECKING:
    from anc_core.dsp.adaptive_guard import GuardEvent
    from anc_core.dsp.online_identification import IdentificationPoint


class IdentificationFigures(Record):
    """The figures of one run. ``None`` = not to be had."""

    misalignment_db: float | None = None
    """Energy of the estimate's error over that of the true path, at the end; the less the better.
    ``None`` = there is no path, no error, or less than 0.1 s."""
    auxiliary_db: float | None = None
    """Auxiliary noise at the error microphones over what else is heard there, as powers, mean of
    the last quarter; ``None`` = no noise."""
    auxiliary_cost_db: float = 0.0
    """What that noise takes off the attenuation."""
    identified_s: float | None = None
    """When the controller could begin; ``None`` = never."""
    searches: int = 0
    """How often the path had to be searched for, the controller being mute: 1 = at the start."""
    time_s: tuple[float, ...] = ()
    """Of the courses, which follow; about every 0.1 s."""
    misalignment_course_db: tuple[float | None, ...] = Field(default=(), repr=False)
    auxiliary_course_db: tuple[float | None, ...] = Field(default=(), repr=False)


def identification_figures(
    trace: Sequence[IdentificationPoint], events: Sequence[GuardEvent]
) -> IdentificationFigures:
    """Return the figures of a run.

    Parameters
    ----------
    trace : sequence of IdentificationPoint
        In order.
    events : sequence of GuardEvent
        Of the same run.
    """
    last = [point.auxiliary_db for point in trace[3 * len(trace) // 4 :]]
    powers = [0.0 if level is None else 10.0 ** (level / 10.0) for level in last]
    share = math.fsum(powers) / len(powers) if powers else 0.0
    begun = [event.time_s for event in events if event.kind.value == "identified"]
    return IdentificationFigures(
        misalignment_db=trace[-1].misalignment_db if trace else None,
        auxiliary_db=10.0 * math.log10(share) if share > 0.0 else None,
        auxiliary_cost_db=10.0 * math.log10(1.0 + share),
        identified_s=begun[0] if begun else None,
        searches=sum(event.kind.value == "searching" for event in events),
        time_s=tuple(point.time_s for point in trace),
        misalignment_course_db=tuple(point.misalignment_db for point in trace),
        auxiliary_course_db=tuple(point.auxiliary_db for point in trace),
    )
