"""Records of calibrated sound levels; definitions: docs/levels.md."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from anc_core.record import Record

CALIBRATED_UNIT = "dB(A) re 20 µPa"
UNCALIBRATED_UNIT = "dBFS (uncalibrated)"
NOT_APPROVED = "not a type-approved meter"


class Calibration(Record):
    """What a calibrator of known level read on one channel of a device at one gain.

    The ingredients are kept, never a baked offset: who doubts a level can follow it up.
    """

    id: str
    device_id: str = Field(min_length=1)
    channel: int = Field(ge=0)
    """From 0, as windows and levels number them."""
    gain_setting: str | None = None
    """``None`` where the device has no gain to set."""
    valid_from: datetime
    valid_until: datetime | None = None
    """Not included; ``None`` = until the next one."""
    reference_db: float = Field(default=94.0, ge=0.0, le=200.0)
    """Sound pressure level of the calibrator, dB re 20 µPa."""
    reference_hz: float = Field(default=1_000.0, gt=0.0)
    measured_dbfs: float = Field(ge=-200.0, le=3.0)
    """Unweighted level of its recording; a full-scale square wave is 0, a sine -3.01."""
    note: str | None = None
    created_at: datetime

    @field_validator("valid_from", "valid_until", "created_at")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        if value is None:
            return None
        if value.utcoffset() is None:
            msg = f"{value.isoformat()} has no time zone; give one, e.g. +00:00"
            raise ValueError(msg)
        return value.astimezone(UTC)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.valid_until is not None and self.valid_until <= self.valid_from:
            msg = f"valid until {self.valid_until}, which is not after {self.valid_from}"
            raise ValueError(msg)
        return self

    @property
    def offset_db(self) -> float:
        """Return what makes dBFS sound pressure levels."""
        return self.reference_db - self.measured_dbfs


class CalibrationList(Record):
    """Calibrations by device, channel, gain and time."""

    calibrations: tuple[Calibration, ...] = ()


class SoundLevels(Record):
    """A-weighted sound levels of one channel of a device; ``None`` = see ``null_reasons``.

    Sound pressure levels, Lden and doses need a calibration that was valid all the time.
    """

    device_id: str | None = None
    channel: int = 0
    side: Literal["input", "output"] = "input"
    """Before or after the suppression."""
    unit: str = UNCALIBRATED_UNIT
    remark: str = NOT_APPROVED
    sessions: int = 0
    seconds: float = 0.0
    """Of audio; what was recorded twice counts once."""
    overlapping_s: float = 0.0
    """Left out because another session has the same time."""
    laeq_dbfs: float | None = None
    """Energy mean, with or without calibration."""
    laeq_db: float | None = None
    la10_db: float | None = None
    """Level that is exceeded 10 % of the time, from levels of 125 ms."""
    la50_db: float | None = None
    la90_db: float | None = None
    lafmax_db: float | None = None
    lasmax_db: float | None = None
    lden_db: float | None = None
    """Day 7-19 h, evening 19-23 h + 5 dB, night 23-7 h + 10 dB, local time."""
    lden_coverage: Literal["complete", "partial"] | None = None
    covered_share: float | None = None
    """Of the whole days of the period that there is audio of."""
    niosh_dose_percent: float | None = None
    """85 dB(A) for 8 hours, half as long for each 3 dB more; no threshold."""
    who_dose_percent: float | None = None
    """ITU-T H.870: 80 dB(A) for 40 hours a week, by energy."""
    osha_dose_percent: float | None = None
    """90 dB(A) for 8 hours, half as long for each 5 dB more; from 80 dB(A)."""
    calibration_ids: tuple[str, ...] = ()
    null_reasons: dict[str, str] = Field(default_factory=dict)
