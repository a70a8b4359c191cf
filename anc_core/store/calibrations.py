"""Calibrations of devices: added, ended, looked up; never changed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from anc_core.errors import InputError
from anc_core.sound_records import Calibration
from anc_core.store.tables import Calibration as Row

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_FIELDS = tuple(Calibration.model_fields)


def add_calibration(db: Session, calibration: Calibration) -> None:
    """Keep a calibration.

    Raises
    ------
    InputError
        If the same channel has one at the same gain from the same moment on.
    """
    same = [
        one
        for one in list_calibrations(db, device_id=calibration.device_id)
        if (one.channel, one.gain_setting, one.valid_from)
        == (calibration.channel, calibration.gain_setting, calibration.valid_from)
    ]
    if same:
        msg = (
            f"calibration {same[0].id} of channel {calibration.channel} of device "
            f"{calibration.device_id!r} begins at the same moment; end it, or let this one begin "
            "later"
        )
        raise InputError(msg)
    db.execute(insert(Row), [vars(calibration)])


def list_calibrations(db: Session, *, device_id: str | None = None) -> list[Calibration]:
    """Return the calibrations, or those of one device, by device, channel and time."""
    statement = select(*(getattr(Row, name) for name in _FIELDS))
    if device_id is not None:
        statement = statement.where(Row.device_id == device_id)
    rows = db.execute(statement.order_by(Row.device_id, Row.channel, Row.valid_from, Row.id))
    return [Calibration(**row) for row in rows.mappings()]


def end_calibration(db: Session, calibration_id: str, *, at: datetime | None = None) -> Calibration:
    """Let a calibration hold no longer than ``at`` (by default now); recordings before keep it.

    Raises
    ------
    InputError
        If there is none of that id, or ``at`` is not after its beginning.
    """
    row = db.execute(
        select(*(getattr(Row, name) for name in _FIELDS)).where(Row.id == calibration_id)
    ).mappings()
    found = row.one_or_none()
    if found is None:
        msg = f"calibration {calibration_id!r} is not in the store; `anc calibrate list` shows all"
        raise InputError(msg)
    moment = (at or datetime.now(UTC)).astimezone(UTC)
    if moment <= found["valid_from"]:
        msg = (
            f"calibration {calibration_id} is valid from {found['valid_from'].isoformat()}; it "
            f"cannot end at {moment.isoformat()}"
        )
        raise InputError(msg)
    db.execute(
        update(Row).where(Row.id == calibration_id).values(valid_until=moment),
        execution_options={"synchronize_session": False},
    )
    return Calibration(**{**found, "valid_until": moment})
