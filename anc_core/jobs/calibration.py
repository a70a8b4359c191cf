"""Calibrations as an operator makes them: measured from a recording, noted in the audit log."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from anc_core.audio import open_reader
from anc_core.dsp.levels import db_to_power, level_db, power_to_db
from anc_core.errors import InputError
from anc_core.sound_records import Calibration
from anc_core.store import Database, add_calibration, end_calibration, record_audit

_SLOT_S = 0.125
_NEAR_DB = 0.5
"""Levels so near to the median are those of the tone; the others are of hands on the microphone."""
_LEAST_SLOTS = 8
_LEAST_SHARE = 0.5


def new_calibration_id(now: datetime) -> str:
    """Return a fresh id ``cal-YYYYMMDD-<8 hex>``."""
    return f"cal-{now.astimezone(UTC):%Y%m%d}-{secrets.token_hex(4)}"


def measure_calibrator(path: Path, channel: int) -> float:
    """Return the unweighted level of a calibrator's tone in a recording, dBFS.

    Parameters
    ----------
    path : Path
        Recording of a steady tone, of a second at least.
    channel : int
        From 0.

    Raises
    ------
    InputError
        If less than half of it, or less than a second, is steady to within half a decibel.
    SourceError
        If it cannot be read, or has no such channel.
    """
    powers: list[np.ndarray] = []
    with open_reader(path, channels=[channel]) as reader:
        length = round(_SLOT_S * reader.sample_rate)
        for chunk in reader.chunks(length * 8):
            exact = chunk[: len(chunk) // length * length, 0].astype(np.float64)
            slots = exact.reshape(-1, length)
            powers.append(slots.var(axis=1))
    levels = power_to_db(np.concatenate(powers))
    steady = levels[np.abs(levels - np.median(levels)) <= _NEAR_DB] if len(levels) else levels
    if len(steady) < max(_LEAST_SLOTS, _LEAST_SHARE * len(levels)):
        msg = (
            f"{path}: channel {channel} is steady for {len(steady) * _SLOT_S:.1f} s of "
            f"{len(levels) * _SLOT_S:.1f} s; record the calibrator for some seconds and cut off "
            "beginning and end"
        )
        raise InputError(msg)
    level = level_db(float(db_to_power(steady).mean()))
    if level is None or level <= float(power_to_db(0.0)):
        msg = f"{path}: channel {channel} is digital silence; no tone was recorded"
        raise InputError(msg)
    return round(level, 3)


def calibrate(database: Database, calibration: Calibration, *, actor: str) -> None:
    """Keep a calibration and note it in the audit log.

    Raises
    ------
    InputError
        If the same channel has one at the same gain from the same moment on.
    """
    with database.begin() as db:
        add_calibration(db, calibration)
        detail = calibration.model_dump(mode="json", exclude={"id", "created_at"})
        record_audit(db, "calibrate", calibration.id, detail, actor)


def end(database: Database, calibration_id: str, at: datetime | None, *, actor: str) -> Calibration:
    """End a calibration and note it; see :func:`anc_core.store.end_calibration`."""
    with database.begin() as db:
        ended = end_calibration(db, calibration_id, at=at)
        until = None if ended.valid_until is None else ended.valid_until.isoformat()
        record_audit(db, "end_calibration", calibration_id, {"valid_until": until}, actor)
    return ended
