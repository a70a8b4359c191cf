"""Which calibration a level may be told with; where there is none, why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anc_core.sound_records import Calibration

UNDATED = "the time of recording is not known, so no calibration can be chosen"


@dataclass(frozen=True, slots=True)
class Found:
    """A calibration, or the reason why none holds."""

    calibration: Calibration | None
    reason: str = ""


class CalibrationBook:
    """Calibrations looked up by device, channel, gain and time; nothing is ever guessed.

    The latest that began before the recording holds, unless it was ended: an older one never comes
    back, since the device was calibrated anew for a reason.
    """

    def __init__(self, calibrations: Iterable[Calibration]) -> None:
        self._of: defaultdict[str, list[Calibration]] = defaultdict(list)
        for one in sorted(calibrations, key=lambda one: (one.valid_from, one.created_at, one.id)):
            self._of[one.device_id].append(one)

    @property
    def devices(self) -> tuple[str, ...]:
        """Return the devices that have calibrations."""
        return tuple(self._of)

    def find(
        self,
        device_id: str | None,
        channel: int,
        gain_setting: str | None,
        at: datetime | None,
    ) -> Found:
        """Return the calibration for a moment of a recording."""
        own = self._of.get(device_id, []) if device_id is not None else []
        of_channel = [one for one in own if one.channel == channel]
        of_gain = [one for one in of_channel if one.gain_setting == gain_setting]
        if not of_gain:
            return Found(None, _nothing(device_id, channel, gain_setting, own, of_channel))
        if at is None:
            return Found(None, UNDATED)
        begun = [one for one in of_gain if one.valid_from <= at]
        if not begun:
            return Found(
                None, f"recorded before the calibration of {of_gain[0].valid_from:%Y-%m-%d}"
            )
        last = begun[-1]
        if last.valid_until is not None and at >= last.valid_until:
            return Found(None, f"the calibration expired on {last.valid_until:%Y-%m-%d}")
        return Found(last)


def _nothing(
    device_id: str | None,
    channel: int,
    gain_setting: str | None,
    own: Sequence[Calibration],
    of_channel: Sequence[Calibration],
) -> str:
    """Return why no calibration is of this device, channel and gain."""
    if device_id is None:
        return "the device is not known"
    if not own:
        return f"device {device_id!r} has no calibration"
    if not of_channel:
        return f"channel {channel} of device {device_id!r} has no calibration"
    gains = ", ".join(sorted({_shown(one.gain_setting) for one in of_channel}))
    return f"recorded at gain {_shown(gain_setting)}, calibrated at {gains}"


def _shown(gain_setting: str | None) -> str:
    return "(none)" if gain_setting is None else repr(gain_setting)
