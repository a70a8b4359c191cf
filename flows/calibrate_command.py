"""``anc calibrate``: what a calibrator read on a device, so that levels can be sound pressures."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.options import database_option, moment_option, open_store

if TYPE_CHECKING:
    from anc_core.sound_records import Calibration

_json_option = click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")


@click.group()
def calibrate() -> None:
    """Look after the calibrations of devices, without which no level is a sound pressure level."""


@calibrate.command()
@click.argument("device_id")
@click.option("--channel", type=click.IntRange(0), default=0, show_default=True, help="From 0.")
@click.option("--gain-setting", help="Gain while it was calibrated, in your own words.")
@click.option(
    "--recording", type=click.Path(path_type=Path), help="The calibrator's tone, to be measured."
)
@click.option("--measured-dbfs", type=float, help="Unweighted level, where it was read elsewhere.")
@click.option(
    "--reference-db", type=float, default=94.0, show_default=True, help="Of the calibrator, dB SPL."
)
@click.option("--reference-hz", type=float, default=1000.0, show_default=True, help="Its tone.")
@moment_option("--from", "valid_from", help="Holds from then on; default: now.")
@moment_option("--until", "valid_until", help="Not included; default: until the next one.")
@click.option("--note", help="Serial number of the calibrator, who did it.")
@database_option
@_json_option
def add(
    device_id: str,
    channel: int,
    gain_setting: str | None,
    recording: Path | None,
    measured_dbfs: float | None,
    reference_db: float,
    reference_hz: float,
    valid_from: datetime | None,
    valid_until: datetime | None,
    note: str | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Keep what a calibrator of known level reads on a channel of DEVICE_ID."""
    if (recording is None) == (measured_dbfs is None):
        msg = "say what was measured: either --recording FILE or --measured-dbfs LEVEL"
        raise click.UsageError(msg)
    from pydantic import ValidationError

    from anc_core.errors import InputError
    from anc_core.jobs.calibration import calibrate as keep
    from anc_core.jobs.calibration import measure_calibrator, new_calibration_id
    from anc_core.maintenance.jobs import current_actor
    from anc_core.sound_records import Calibration

    _, database = open_store(database_url)
    if recording is not None:
        measured_dbfs = measure_calibrator(recording, channel)
    now = datetime.now(UTC)
    try:
        calibration = Calibration.model_validate(
            {
                "id": new_calibration_id(now),
                "device_id": device_id,
                "channel": channel,
                "gain_setting": gain_setting,
                "valid_from": valid_from or now,
                "valid_until": valid_until,
                "reference_db": reference_db,
                "reference_hz": reference_hz,
                "measured_dbfs": measured_dbfs,
                "note": note,
                "created_at": now,
            }
        )
    except ValidationError as err:
        raise InputError("; ".join(str(one["msg"]) for one in err.errors())) from err
    keep(database, calibration, actor=current_actor("anc calibrate"))
    _show([calibration], as_json=as_json)


@calibrate.command("list")
@click.argument("device_id", required=False)
@database_option
@_json_option
def list_(device_id: str | None, database_url: str | None, as_json: bool) -> None:
    """Show the calibrations, or those of DEVICE_ID."""
    from anc_core.sound_records import CalibrationList
    from anc_core.store import list_calibrations
    from flows.console import print_json

    _, database = open_store(database_url)
    with database.read() as db:
        found = list_calibrations(db, device_id=device_id)
    if as_json:
        print_json(CalibrationList(calibrations=tuple(found)))
    else:
        _show(found, as_json=False)


@calibrate.command()
@click.argument("calibration_id")
@moment_option("--at", "at", help="Holds no longer than this; default: now.")
@database_option
@_json_option
def end(calibration_id: str, at: datetime | None, database_url: str | None, as_json: bool) -> None:
    """Let CALIBRATION_ID hold no longer; recordings from before keep it."""
    from anc_core.jobs.calibration import end as end_it
    from anc_core.maintenance.jobs import current_actor

    _, database = open_store(database_url)
    _show(
        [end_it(database, calibration_id, at, actor=current_actor("anc calibrate"))],
        as_json=as_json,
    )


def _show(calibrations: list[Calibration], *, as_json: bool) -> None:
    from flows.console import print_json, print_table

    if as_json:
        print_json(calibrations[0])
        return
    print_table(
        ("id", "device", "ch", "gain", "from (UTC)", "until", "reference", "read", "offset dB"),
        [
            (
                one.id,
                one.device_id,
                str(one.channel),
                one.gain_setting or "-",
                f"{one.valid_from:%Y-%m-%d %H:%M}",
                "-" if one.valid_until is None else f"{one.valid_until:%Y-%m-%d %H:%M}",
                f"{one.reference_db:g} dB @ {one.reference_hz:g} Hz",
                f"{one.measured_dbfs:.2f} dBFS",
                f"{one.offset_db:.2f}",
            )
            for one in calibrations
        ],
    )
