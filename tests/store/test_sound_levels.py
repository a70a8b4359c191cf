"""Calibrations in the store, and what levels of sessions and periods come to under them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from store_samples import request, result

from anc_core.analysis_records import Period
from anc_core.errors import InputError
from anc_core.exchange.export import export_sessions
from anc_core.exchange.load import import_sessions
from anc_core.exchange.records import ExportRequest, Format
from anc_core.records import LevelSpan
from anc_core.settings import Settings
from anc_core.sound_records import CALIBRATED_UNIT, UNCALIBRATED_UNIT, Calibration
from anc_core.store import (
    Owner,
    add_calibration,
    analyse_period,
    analyse_session,
    claim,
    end_calibration,
    finish,
    get_session,
    list_calibrations,
    list_sessions,
    open_database,
    sound_levels_between,
)

DAY = datetime(2026, 5, 4, tzinfo=UTC)
PERIOD = Period(start=DAY, end=DAY + timedelta(days=1))


def span(level: float, start: float = 0.0, length: float = 60.0, channel: int = 0) -> LevelSpan:
    low = round(level * 2)
    return LevelSpan(
        channel=channel,
        start_s=start,
        end_s=start + length,
        input_laeq_dbfs=level,
        output_laeq_dbfs=level - 10,
        input_lafmax_dbfs=level + 5,
        output_lafmax_dbfs=level - 5,
        input_lasmax_dbfs=level + 2,
        output_lasmax_dbfs=level - 8,
        input_levels=(low, round(length * 8)),
        output_levels=(low - 20, round(length * 8)),
    )


def session(database, name, *spans, hours=10.0, device="mic", gain="30 dB", recorded=True):
    with database.begin() as db:
        at = DAY + timedelta(hours=hours)
        asked = request(
            name,
            session_id=name,
            device_id=device,
            gain_setting=gain,
            recorded_at=at if recorded else None,
        )
        claim(db, asked, Owner.current())
        finish(db, result(name, name, level_spans=spans, finished_at=at), Owner.current())


def calibration(name="c1", **changes) -> Calibration:
    fields = {"device_id": "mic", "channel": 0, "gain_setting": "30 dB", "created_at": DAY,
              "valid_from": DAY - timedelta(days=30), "measured_dbfs": -26.0}  # fmt: skip
    return Calibration(id=name, **(fields | changes))


def calibrated(database, *calibrations):
    with database.begin() as db:
        for one in calibrations or (calibration(),):
            add_calibration(db, one)


def levels(database):
    with database.read() as db:
        found = analyse_period(db, PERIOD, compare=False).noise_statistics.sound_levels
    return {(one.device_id, one.channel): one for one in found}


def test_calibrations_come_back_and_end_once(database):
    first, second = calibration(note="Ω"), calibration("c2", channel=1, gain_setting=None)
    calibrated(database, first, second)
    with database.begin() as db:
        assert list_calibrations(db) == [first, second]
        assert list_calibrations(db, device_id="other") == []
        ended = end_calibration(db, "c1", at=DAY)
        assert list_calibrations(db) == [ended, second]
        assert ended == first.model_copy(update={"valid_until": DAY})
        with pytest.raises(InputError, match="cannot end at"):
            end_calibration(db, "c2", at=first.valid_from)
        with pytest.raises(InputError, match="not in the store"):
            end_calibration(db, "c3", at=DAY)
        with pytest.raises(InputError, match=r"c1 of channel 0 .* begins at the same moment"):
            add_calibration(db, calibration("c4"))


def test_a_session_is_told_in_sound_pressure_before_and_after(database):
    session(database, "one", span(-60.0), span(-50.0, channel=1))
    calibrated(database)
    with database.read() as db:
        before, after, *other = analyse_session(db, "one").sound_levels
    assert (before.laeq_db, after.laeq_db, before.unit) == (60.0, 50.0, CALIBRATED_UNIT)
    assert (before.lafmax_db, before.lasmax_db, before.calibration_ids) == (65.0, 62.0, ("c1",))
    assert {(one.channel, one.laeq_db, one.unit) for one in other} == {(1, None, UNCALIBRATED_UNIT)}


def test_the_channels_of_a_period_stand_each_for_itself(database):
    session(database, "one", span(-60.0), span(-50.0, channel=1))
    session(database, "two", span(-50.0), hours=11)
    session(database, "three", span(-40.0), device="other")
    session(database, "four", span(-40.0), device=None)
    calibrated(database)
    found = levels(database)
    assert found["mic", 0].sessions == 2
    # The mean of a million and of ten millions.
    assert found["mic", 0].laeq_db == pytest.approx(67.40, abs=0.01)
    assert (found["mic", 1].laeq_db, found["mic", 1].laeq_dbfs) == (None, -50.0)
    assert found["other", 0].laeq_dbfs == -40.0
    assert found["other", 0].null_reasons["laeq_db"] == "device 'other' has no calibration"
    assert found[None, 0].null_reasons["lden_db"] == "the device is not known"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"gain_setting": "40 dB"}, "recorded at gain '30 dB', calibrated at '40 dB'"),
        ({"channel": 1}, "channel 0 of device 'mic' has no calibration"),
        ({"valid_from": DAY + timedelta(days=1)}, "before the calibration of 2026-05-05"),
        ({"valid_until": DAY}, "the calibration expired on 2026-05-04"),
    ],
)
def test_a_calibration_of_something_else_is_never_used(database, changes, reason):
    session(database, "one", span(-60.0))
    calibrated(database, calibration(**changes))
    found = levels(database)["mic", 0]
    assert (found.laeq_db, found.niosh_dose_percent, found.laeq_dbfs) == (None, None, -60.0)
    assert reason in found.null_reasons["laeq_db"]


def test_a_period_that_is_calibrated_in_part_has_no_sound_pressure(database):
    session(database, "one", span(-60.0))
    session(database, "two", span(-60.0), hours=12)
    calibrated(database, calibration(valid_until=DAY + timedelta(hours=11)))
    found = levels(database)["mic", 0]
    assert found.laeq_db is None
    assert "levels mix: 60 s of 120 s" in found.null_reasons["laeq_db"]


def test_the_same_recording_processed_twice_counts_once(database):
    session(database, "default", span(-60.0), span(-60.0, 60.0))
    session(database, "strong", span(-60.0), span(-60.0, 60.0))
    calibrated(database)
    found = levels(database)["mic", 0]
    assert (found.seconds, found.overlapping_s, found.sessions) == (120.0, 120.0, 2)


def test_a_recording_without_a_time_has_no_sound_pressure(database):
    session(database, "one", span(-60.0), recorded=False)
    calibrated(database)
    with database.read() as db:
        found = analyse_session(db, "one").sound_levels[0]
    assert found.laeq_db is None
    assert "time of recording is not known" in found.null_reasons["laeq_db"]


def test_levels_and_calibrations_travel_with_an_export(database, tmp_path):
    session(database, "one", span(-60.0))
    session(database, "two", span(-60.0), device="other")
    calibrated(
        database,
        calibration("c2", channel=1),
        calibration("c1"),
        calibration("c3", device_id="none"),
    )
    here = Settings.load(database_url=database.url, home=tmp_path)
    there = Settings.load(database_url=f"sqlite:///{tmp_path / 'there.db'}", home=tmp_path / "b")
    file = tmp_path / "out.jsonl"
    done = export_sessions(here, ExportRequest(output_path=file, format=Format.JSONL), actor="test")
    assert (done.row_counts["calibrations"], done.row_counts["level_spans"]) == (2, 2)
    for _ in range(2):  # again is the same
        import_sessions(there, file, actor="test")
    other = open_database(there.database_url)
    assert levels(other)["mic", 0] == levels(database)["mic", 0]
    assert levels(other)["mic", 0].laeq_db == 60.0
    with database.begin() as db:
        end_calibration(db, "c1", at=DAY)
    changed = tmp_path / "changed.jsonl"
    export_sessions(here, ExportRequest(output_path=changed, format=Format.JSONL), actor="test")
    with pytest.raises(InputError, match="calibrations are here already and not the same"):
        import_sessions(there, changed, actor="test")
    import_sessions(there, changed, replace=True, actor="test")
    assert levels(other)["mic", 0].laeq_db is None
    other.dispose()


def test_a_day_that_is_calibrated_is_drawn_in_sound_pressure(database):
    starts = [DAY + timedelta(hours=hour) for hour in range(24)]
    session(database, "one", span(-60.0), span(-50.0, 60.0), hours=10)
    session(database, "two", span(-40.0), hours=11)
    calibrated(database)
    with database.read() as db:
        by_channel, by_hour = sound_levels_between(db, PERIOD, starts)
    assert [one.seconds for one in by_hour[9:13]] == [0.0, 120.0, 60.0, 0.0]
    assert by_hour[10].laeq_db == pytest.approx(67.40, abs=0.01)
    assert (by_hour[11].laeq_db, by_hour[12].laeq_db) == (80.0, None)
    assert [one.device_id for one in by_channel] == ["mic"]
    session(database, "three", span(-40.0), hours=13, device="other")
    with database.read() as db:
        assert sound_levels_between(db, PERIOD, starts)[1] == ()


def test_an_export_from_before_there_were_levels_is_imported_without_them(database, tmp_path):
    """The file was written by the revision before this table, from one session of the samples."""
    file = Path(__file__).parents[1] / "golden" / "exchange" / "before_sound_levels.jsonl"
    there = Settings.load(database_url=database.url, home=tmp_path)
    assert import_sessions(there, file, actor="test").added == 1
    with database.read() as db:
        (found,) = list_sessions(db)
        assert get_session(db, found.session_id).level_spans == ()
        assert analyse_session(db, found.session_id).sound_levels == ()
