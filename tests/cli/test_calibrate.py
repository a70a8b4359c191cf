"""``anc calibrate``: from the calibrator's tone to sound pressure levels, and nowhere else."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

RATE = 8_000


@pytest.fixture
def anc(tmp_path, run_cli):
    url = f"sqlite:///{tmp_path / 'anc.db'}"
    return lambda *words: run_cli(*words, "--database-url", url)


@pytest.fixture
def tone(tmp_path):
    """94 dB @ 1 kHz that reads -26 dBFS on channel 0 and -20 dBFS on channel 1."""
    time = np.arange(4 * RATE) / RATE
    wave = np.sqrt(2.0) * np.sin(2 * np.pi * 1_000.0 * time)
    audio = np.stack([wave * 10 ** (-26 / 20), wave * 10 ** (-20 / 20)], axis=1)
    soundfile.write(tmp_path / "cal.wav", audio, RATE, subtype="PCM_24")
    return tmp_path / "cal.wav"


def the(answer):
    code, out, err = answer
    assert code == 0, err
    return json.loads(out)


def levels_of(anc, session_id):
    found = the(anc("analyze", session_id, "--json"))["sound_levels"]
    return {(one["channel"], one["side"]): one for one in found}


def test_a_tone_makes_levels_sound_pressure_levels(anc, tmp_path, tone):
    made = the(
        anc("calibrate", "add", "mic-1", "--gain-setting", "30 dB", "--recording", str(tone),
            "--from", "2026-05-01", "--json")
    )  # fmt: skip
    assert made["measured_dbfs"] == pytest.approx(-26.0, abs=0.01)
    words = ("process", str(tone), "-q", "--no-output", "--analyse-only", "--json", "--device-id",
             "mic-1", "--recorded-at", "2026-05-02T10:00")  # fmt: skip
    the(anc(*words, "--session-id", "right", "--gain-setting", "30 dB"))
    found = levels_of(anc, "right")
    first = found[0, "input"]
    assert first["laeq_db"] == pytest.approx(94.0, abs=0.1)
    assert (first["unit"], first["remark"]) == ("dB(A) re 20 µPa", "not a type-approved meter")
    assert first["lden_coverage"] == "partial"
    assert found[1, "input"]["laeq_db"] is None
    assert (
        "channel 1 of device 'mic-1' has no calibration"
        in found[1, "input"]["null_reasons"]["laeq_db"]
    )
    the(anc("calibrate", "end", made["id"], "--at", "2026-05-02", "--json"))
    ended = levels_of(anc, "right")[0, "input"]
    assert (ended["laeq_db"], ended["unit"]) == (None, "dBFS (uncalibrated)")
    assert "expired on 2026-05-02" in ended["null_reasons"]["laeq_db"]
    listed = the(anc("calibrate", "list", "mic-1", "--json"))["calibrations"]
    assert [one["valid_until"] for one in listed] == ["2026-05-02T00:00:00Z"]
    code, out, _ = anc("calibrate", "list")
    assert code == 0
    assert "94 dB @ 1000 Hz" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "either --recording FILE or --measured-dbfs"),
        (("--measured-dbfs", "nan"), "measured_dbfs"),
        (("--measured-dbfs", "7"), "less than or equal to 3"),
        (("--measured-dbfs", "-26", "--from", "2026-05-02", "--until", "2026-05-01"), "not after"),
    ],
)
def test_what_is_no_calibration_is_refused(anc, words, message):
    code, _, err = anc("calibrate", "add", "mic-1", *words)
    assert code == 2
    assert message in err or message == "measured_dbfs"


def test_a_recording_that_is_no_steady_tone_is_refused(anc, tmp_path):
    ramp = np.linspace(0.001, 0.5, 4 * RATE) * np.sin(
        2 * np.pi * 1_000 * np.arange(4 * RATE) / RATE
    )
    soundfile.write(tmp_path / "ramp.wav", ramp, RATE)
    code, _, err = anc("calibrate", "add", "mic-1", "--recording", str(tmp_path / "ramp.wav"))
    assert code == 2
    assert "steady for" in err


def test_the_same_moment_twice_is_refused(anc):
    words = ("calibrate", "add", "mic-1", "--measured-dbfs", "-26", "--from", "2026-05-01")
    assert anc(*words)[0] == 0
    code, _, err = anc(*words)
    assert code == 2
    assert "begins at the same moment" in err
    code, _, err = anc("calibrate", "end", "cal-none")
    assert code == 2
    assert "not in the store" in err
