"""A calibration is used for its own device, channel, gain and time, and for nothing else."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from anc_core.metrics.calibration import CalibrationBook
from anc_core.sound_records import Calibration

MAY = datetime(2026, 5, 1, tzinfo=UTC)


def calibration(name: str, **changes) -> Calibration:
    fields = {"device_id": "mic", "channel": 0, "gain_setting": "30 dB", "valid_from": MAY,
              "measured_dbfs": -26.0, "created_at": MAY}  # fmt: skip
    return Calibration(id=name, **(fields | changes))


BOOK = CalibrationBook(
    [
        calibration(
            "new", valid_from=MAY + timedelta(days=30), valid_until=MAY + timedelta(days=60)
        ),
        calibration("old"),
    ]
)


def test_the_latest_that_began_before_the_recording_holds():
    for days, name in ((0, "old"), (29, "old"), (30, "new"), (59, "new")):
        assert BOOK.find("mic", 0, "30 dB", MAY + timedelta(days=days)).calibration.id == name


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ((None, 0, "30 dB", MAY), "the device is not known"),
        (("other", 0, "30 dB", MAY), "device 'other' has no calibration"),
        (("mic", 1, "30 dB", MAY), "channel 1 of device 'mic' has no calibration"),
        (("mic", 0, "40 dB", MAY), "recorded at gain '40 dB', calibrated at '30 dB'"),
        (("mic", 0, None, MAY), r"recorded at gain \(none\), calibrated at '30 dB'"),
        (("mic", 0, "30 dB", None), "the time of recording is not known"),
        (("mic", 0, "30 dB", MAY - timedelta(seconds=1)), "before the calibration of 2026-05-01"),
        (("mic", 0, "30 dB", MAY + timedelta(days=60)), "expired on 2026-06-30"),
    ],
)
def test_nothing_else_is_ever_taken_and_the_reason_is_told(asked, reason):
    found = BOOK.find(*asked)
    assert found.calibration is None
    assert re.search(reason, found.reason)


def test_the_offset_follows_from_the_ingredients():
    assert calibration("c", reference_db=114.0, measured_dbfs=-6.0).offset_db == 120.0


def test_a_calibration_that_ends_before_it_begins_is_refused():
    with pytest.raises(ValueError, match="not after"):
        calibration("c", valid_until=MAY)
    with pytest.raises(ValueError, match="no time zone"):
        calibration("c", valid_from=datetime(2026, 5, 1))  # noqa: DTZ001
