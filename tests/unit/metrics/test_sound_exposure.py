"""Levels of a period from spans: LAeq, percentiles, Lden and doses by their formulas."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from anc_core.metrics.sound_exposure import DayParts, Exposure, SpanLevels
from anc_core.sound_records import CALIBRATED_UNIT, NOT_APPROVED, UNCALIBRATED_UNIT, Calibration

MIDNIGHT = datetime(2026, 6, 1, tzinfo=UTC)
CALIBRATION = Calibration(
    id="c1",
    device_id="mic",
    channel=0,
    valid_from=MIDNIGHT - timedelta(days=1),
    measured_dbfs=-26.0,
    created_at=MIDNIGHT,
)
"""94 dB read -26 dBFS: the offset is 120 dB."""


def steady(level_db: float, seconds: float = 60.0) -> SpanLevels:
    """Return a span of one sound pressure level."""
    dbfs = level_db - 120.0
    return SpanLevels(seconds, dbfs, dbfs, dbfs, (math.floor(dbfs * 2), round(seconds / 0.125)))


def of_day(levels_by_hour, *, timezone="UTC", start=MIDNIGHT, calibration=CALIBRATION):
    exposure = Exposure(DayParts.of(MIDNIGHT, MIDNIGHT + timedelta(days=1), timezone))
    for hour, level in enumerate(levels_by_hour):
        for minute in range(0, 60, 15):
            at = start + timedelta(hours=hour, minutes=minute)
            exposure.add(steady(level, 900.0), at.timestamp(), calibration, "expired")
    return exposure.levels()


def test_a_steady_sound_has_its_level_in_every_figure():
    levels = of_day([60.2] * 24)
    assert levels.laeq_db == pytest.approx(60.2, abs=0.01)
    assert levels.laeq_dbfs == pytest.approx(-59.8, abs=0.01)
    for name in ("la10_db", "la50_db", "la90_db"):  # to half a step
        assert levels[name] == pytest.approx(60.2, abs=0.25)
    assert levels.lafmax_db == levels.lasmax_db == pytest.approx(60.2)
    # 10 lg((12 + 4*10^0.5 + 8*10)/24) = 6.40
    assert levels.lden_db == pytest.approx(60.2 + 6.40, abs=0.01)
    assert (levels.lden_coverage, levels.covered_share) == ("complete", 1.0)
    assert (levels.unit, levels.remark, levels.null_reasons) == (CALIBRATED_UNIT, NOT_APPROVED, {})


def test_l10_is_exceeded_a_tenth_of_the_time_and_leq_is_an_energy_mean():
    exposure = Exposure(DayParts.of(MIDNIGHT, MIDNIGHT + timedelta(hours=1), "UTC"))
    for minute in range(60):
        at = MIDNIGHT + timedelta(minutes=minute)
        exposure.add(steady(80.2 if minute < 9 else 50.2), at.timestamp(), CALIBRATION, "")
    levels = exposure.levels()
    assert levels.la10_db == pytest.approx(80.2, abs=0.5)
    assert levels.la50_db == pytest.approx(50.2, abs=0.5)
    assert levels.laeq_db == pytest.approx(
        10 * np.log10(0.15 * 10**8.02 + 0.85 * 10**5.02), abs=0.01
    )


def test_the_evening_costs_five_and_the_night_ten_decibels():
    quiet = [40.0] * 24
    evening, night = quiet.copy(), quiet.copy()
    evening[20] = night[2] = 80.0
    # One loud hour: of 4 h of evening with 5 dB, of 8 h of night with 10 dB, over 24 h.
    assert of_day(evening).lden_db == pytest.approx(10 * np.log10(10**8.5 / 24), abs=0.05)
    assert of_day(night).lden_db == pytest.approx(10 * np.log10(10**9 / 24), abs=0.05)


def test_day_and_night_are_those_of_the_local_clock():
    loud_at_2000_utc = [80.0 if hour == 20 else 40.0 for hour in range(24)]
    # 20 h UTC is 5 h of the next morning in Tokyo: night, and 13 h in Los Angeles: day.
    start = MIDNIGHT - timedelta(hours=9)
    tokyo = of_day(
        loud_at_2000_utc[15:] + loud_at_2000_utc[:15], timezone="Asia/Tokyo", start=start
    )
    assert tokyo.lden_db == pytest.approx(10 * np.log10(10**9 / 24), abs=0.05)


def test_less_than_a_day_is_a_partial_lden():
    levels = of_day([60.0] * 10)
    assert levels.lden_coverage == "partial"
    assert levels.covered_share == pytest.approx(10 / 24, abs=1e-4)
    assert levels.lden_db is not None


def test_a_day_of_23_hours_is_complete():
    parts = DayParts.of(
        datetime(2026, 3, 28, 23, tzinfo=UTC),
        datetime(2026, 3, 29, 22, tzinfo=UTC),
        "Europe/Berlin",
    )
    assert parts.nominal_s == (12 * 3600, 4 * 3600, 7 * 3600)


@pytest.mark.parametrize(
    ("level", "hours", "niosh", "who", "osha"),
    [
        (85.2, 8, 2 ** (0.2 / 3) * 100, 10**0.52 * 20, 2 ** (-4.8 / 5) * 100),
        (100.2, 1, 2 ** (15.2 / 3) * 12.5, 10**2.02 * 2.5, 2 ** (10.2 / 5) * 12.5),
        (70.2, 8, 2 ** (-14.8 / 3) * 100, 10**-0.98 * 20, 0.0),
    ],
)
def test_doses_follow_their_formulas(level, hours, niosh, who, osha):
    levels = of_day([level] * hours)
    # A level is known to half a step of 0.5 dB: 6 % of a NIOSH dose, 3.5 % of an OSHA one.
    assert levels.niosh_dose_percent == pytest.approx(niosh, rel=0.06)
    assert levels.who_dose_percent == pytest.approx(who, rel=0.001, abs=0.006)  # two decimals
    assert levels.osha_dose_percent == pytest.approx(osha, rel=0.06)


def test_without_a_calibration_every_sound_pressure_figure_is_null_with_the_reason():
    levels = of_day([60.0] * 24, calibration=None)
    assert levels.unit == UNCALIBRATED_UNIT
    assert levels.laeq_dbfs == pytest.approx(-60.0, abs=0.01)
    for name in ("laeq_db", "la10_db", "lden_db", "niosh_dose_percent", "who_dose_percent"):
        assert levels[name] is None
        assert levels.null_reasons[name] == "expired"


def test_calibrated_and_uncalibrated_levels_are_never_mixed():
    exposure = Exposure(DayParts.of(MIDNIGHT, MIDNIGHT + timedelta(days=1), "UTC"))
    exposure.add(steady(60.0), MIDNIGHT.timestamp(), CALIBRATION, "")
    exposure.add(steady(60.0, 30.0), MIDNIGHT.timestamp() + 60, None, "the calibration expired")
    levels = exposure.levels()
    assert levels.laeq_db is None
    assert levels.null_reasons["laeq_db"].startswith("levels mix: 30 s of 90 s")


def test_two_calibrations_are_told_each_with_its_own_offset():
    other = CALIBRATION.model_copy(update={"id": "c2", "measured_dbfs": -16.0})  # offset 110 dB
    exposure = Exposure(DayParts.of(MIDNIGHT, MIDNIGHT + timedelta(days=1), "UTC"))
    exposure.add(steady(60.2), MIDNIGHT.timestamp(), CALIBRATION, "")
    exposure.add(steady(70.2), MIDNIGHT.timestamp() + 60, other, "")
    levels = exposure.levels()
    assert levels.calibration_ids == ("c1", "c2")
    assert levels.laeq_db == pytest.approx(60.2, abs=0.01)
    assert levels.la10_db == pytest.approx(60.2, abs=0.25)


def test_silence_is_below_every_level():
    exposure = Exposure(DayParts.of(MIDNIGHT, MIDNIGHT + timedelta(days=1), "UTC"))
    exposure.add(steady(60.0, 6.0), MIDNIGHT.timestamp(), CALIBRATION, "")
    exposure.add(SpanLevels(54.0, None, None, None, ()), MIDNIGHT.timestamp() + 6, CALIBRATION, "")
    levels = exposure.levels()
    assert levels.laeq_db == pytest.approx(50.0, abs=0.01)
    assert levels.la50_db is None
    assert "silence" in levels.null_reasons["la50_db"]
