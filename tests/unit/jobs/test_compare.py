"""A comparison end to end, on synthetic recordings whose truth is known."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from anc_core.audio.synth import mix, noise, voice
from anc_core.errors import InputError, SinkError
from anc_core.jobs.compare import Comparer, compare_folder, plan_comparison
from anc_core.jobs.compare_records import CompareRequest, Comparison
from anc_core.metrics.quality import Dnsmos, FigureUnavailableError
from anc_core.processors import FixedIntervals
from anc_core.records import Status
from anc_core.settings import Settings
from tests import onnx_models

RATE = 16_000


def write_pair(folder: Path, name: str, *, snr_db: float = 5.0, seed: int = 1) -> None:
    """Write noisy/NAME and clean/NAME below ``folder``."""
    speech = voice(3.0, RATE, seed=seed)
    mixture, _ = mix(speech, noise("fan", 3.0, RATE, seed=seed + 1), snr_db)
    for kind, audio in (("noisy", mixture), ("clean", speech)):
        path = folder / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        sf.write(path, audio, RATE, subtype="PCM_16")


@pytest.fixture(autouse=True)
def _without_dnsmos(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the slowest figure; tests/unit/metrics/test_quality.py has it."""

    def left_out(_: object) -> None:
        raise FigureUnavailableError("left out")

    monkeypatch.setattr(Dnsmos, "__init__", left_out)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    for index in range(2):
        write_pair(tmp_path, f"{index}.wav", seed=10 * index + 1)
    return tmp_path


def request(folder: Path, *systems: str, **more: object) -> CompareRequest:
    return CompareRequest(
        folder=folder / "noisy",
        clean=folder / "clean",
        output_dir=folder / "out",
        systems=systems or ("spectral",),
        **{"examples": 0, **more},
    )


def compared(asked: CompareRequest) -> Comparison:
    return compare_folder(asked, Settings.load())


def test_what_a_system_gains_is_after_minus_before(pairs: Path) -> None:
    half = onnx_models.gain(pairs / "half.onnx", 0.5, sample_rate=RATE, block_length=512)
    result = compared(request(pairs, "spectral", f"onnx:{half}"))
    assert (result.planned, result.ok, result.failed, result.with_reference) == (2, 2, 0, 2)
    spectral, halved = result.systems
    # Synthetic voices hum in the band of the fan: little is gained, but surely something.
    assert spectral.gains["si_sdr_db"] > 0.5
    assert spectral.speed_x > 1.0
    assert spectral.largest_lag_samples == 0
    assert spectral.cancellation_db > 6.0
    # Half the level changes nothing but the level.
    assert halved.gains["si_sdr_db"] == pytest.approx(0.0, abs=1e-4)
    assert halved.speech_level_change_db == pytest.approx(-6.02, abs=0.01)
    assert {line.speech_level_kind for file in result.files for line in file.systems} == {
        "measured"
    }
    for file in result.files:
        for line in file.systems:
            for name, gain in line.gains.items():
                if gain is not None:
                    assert gain == pytest.approx(line.figures[name] - file.before[name])


def test_a_late_output_is_judged_in_its_place_and_its_lag_is_harm(pairs: Path) -> None:
    # It hides its delay: the contract says 0.
    late = onnx_models.delay(pairs / "late.onnx", 128, 200, sample_rate=RATE)
    result = compared(request(pairs, f"onnx:{late}"))
    assert result.systems[0].largest_lag_samples == 200
    assert result.systems[0].gains["si_sdr_db"] == pytest.approx(0.0, abs=0.2)


def test_without_references_there_are_levels_and_reasons(pairs: Path) -> None:
    result = compared(request(pairs).model_copy(update={"clean": None}))
    system = result.systems[0]
    assert result.with_reference == 0
    assert system.gains["pesq"] is None
    assert result.null_reasons["pesq"] == "no folder of clean references was given"
    assert system.cancellation_db > 6.0
    assert system.pesq_fell_share is None
    assert {line.speech_level_kind for file in result.files for line in file.systems} == {
        "estimated"
    }


def test_references_are_found_by_path_by_path_without_suffix_and_by_stem(pairs: Path) -> None:
    write_pair(pairs, "sub/deep.wav", seed=31)
    audio, rate = sf.read(pairs / "clean" / "1.wav")
    sf.write(pairs / "clean" / "1.flac", audio, rate)
    (pairs / "clean" / "1.wav").unlink()
    (pairs / "clean" / "sub" / "deep.wav").rename(pairs / "clean" / "deep.wav")
    plan = plan_comparison(request(pairs), Settings.load())
    found = {pair.name: pair.clean.relative_to(pairs / "clean") for pair in plan.pairs}
    assert found == {
        "0.wav": Path("0.wav"),
        "1.wav": Path("1.flac"),
        "sub/deep.wav": Path("deep.wav"),
    }


def test_a_reference_that_is_missing_or_ambiguous_is_a_reason(pairs: Path) -> None:
    for folder in ("a", "b"):
        (pairs / "clean" / folder).mkdir()
        (pairs / "clean" / folder / "0.wav").write_bytes((pairs / "clean/0.wav").read_bytes())
    (pairs / "clean" / "0.wav").unlink()
    (pairs / "clean" / "1.wav").unlink()
    plan = plan_comparison(request(pairs), Settings.load())
    assert [pair.clean for pair in plan.pairs] == [None, None]
    assert "2 clean references are named '0'" in (plan.pairs[0].no_clean or "")
    assert "no clean reference is named '1'" in (plan.pairs[1].no_clean or "")
    result = compared(request(pairs, max_files=1))
    reasons = result.files[0].null_reasons
    assert "clean reference" in reasons["si_sdr_db"]
    assert "named" in reasons["si_sdr_db"]


def test_references_and_outputs_below_the_folder_are_no_recordings(pairs: Path) -> None:
    (pairs / "out").mkdir()
    (pairs / "out" / "old.wav").write_bytes((pairs / "noisy/0.wav").read_bytes())
    asked = request(pairs).model_copy(update={"folder": pairs})
    plan = plan_comparison(asked, Settings.load())
    assert [pair.name for pair in plan.pairs] == ["noisy/0.wav", "noisy/1.wav"]


def test_one_bad_recording_never_stops_the_rest(pairs: Path) -> None:
    (pairs / "noisy" / "bad.wav").write_bytes(b"RIFF\0\0not audio" * 9)
    (pairs / "noisy" / "empty.wav").touch()
    result = compared(request(pairs))
    assert (result.planned, result.ok, result.failed) == (4, 2, 2)
    codes = {file.name: file.error_code for file in result.files}
    assert codes == {
        "0.wav": None,
        "1.wav": None,
        "bad.wav": "NOT_AUDIO",
        "empty.wav": "EMPTY_FILE",
    }
    assert result.systems[0].files == 2


def test_a_bad_reference_fails_its_recording_only(pairs: Path) -> None:
    (pairs / "clean" / "0.wav").write_bytes(b"no sound")
    result = compared(request(pairs))
    assert [(file.name, file.status) for file in result.files] == [
        ("0.wav", "failed"),
        ("1.wav", "ok"),
    ]


def test_a_system_that_cannot_be_had_or_fails_is_a_line_with_its_reason(pairs: Path) -> None:
    broken = onnx_models.twice_as_long(pairs / "b.onnx", sample_rate=RATE, block_length=99)
    mute = onnx_models.gain(pairs / "mute.onnx", 0.0, sample_rate=RATE)
    result = compared(
        request(pairs, "spectral", f"onnx:{broken}", f"onnx:{mute}", "onnx:/none.onnx")
    )
    lines = {line.system: line for line in result.systems}
    assert lines["spectral"].status is Status.OK
    assert lines["onnx:b.onnx"].status is Status.FAILED
    assert "returned 198 samples for 99" in lines["onnx:b.onnx"].reason
    # Silence would have no figures, and so be the better the more it ruins.
    assert (lines["onnx:mute.onnx"].status, lines["onnx:mute.onnx"].failed) == ("failed", 2)
    assert "silent" in lines["onnx:mute.onnx"].reason
    assert lines["onnx:none.onnx"].status is Status.SKIPPED
    assert {file.status for file in result.files} == {"degraded"}


def test_a_fault_of_ours_in_one_system_is_a_line_too(pairs: Path, monkeypatch) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("x")

    monkeypatch.setattr(Comparer, "_judge", broken)
    result = compared(request(pairs, max_files=1))
    assert result.systems[0].reason == "ZeroDivisionError: x"


def test_only_the_beginning_of_a_long_recording_is_held_and_judged(pairs: Path) -> None:
    result = compared(request(pairs, max_seconds=1.0, max_files=1))
    assert result.left_out == 1
    assert (result.files[0].measured_s, result.files[0].is_excerpt) == (1.0, True)
    plan = plan_comparison(request(pairs, max_seconds=1.0), Settings.load())
    loaded = Comparer(plan).load(plan.pairs[0])
    assert len(loaded.noisy) == RATE


def test_the_strongest_channel_is_judged_with_its_own_reference(tmp_path: Path) -> None:
    write_pair(tmp_path, "x.wav")
    for kind in ("noisy", "clean"):
        audio, _ = sf.read(tmp_path / kind / "x.wav")
        both = np.stack([0.1 * np.roll(audio, 999), audio], axis=1)
        sf.write(tmp_path / kind / "x.wav", both, RATE, subtype="FLOAT")
    result = compared(request(tmp_path))
    assert result.files[0].num_channels == 2
    assert result.files[0].before["si_sdr_db"] == pytest.approx(5.0, abs=2.0)
    # A reference of one channel belongs to the strongest.
    sf.write(tmp_path / "clean" / "x.wav", sf.read(tmp_path / "clean" / "x.wav")[0][:, 1], RATE)
    again = compared(request(tmp_path))
    assert again.files[0].before["si_sdr_db"] == pytest.approx(
        result.files[0].before["si_sdr_db"], abs=0.01
    )


def test_a_reference_at_another_rate_and_length_is_brought_to_the_recordings(pairs: Path) -> None:
    import soxr

    expected = compared(request(pairs, max_files=1)).files[0]
    path = pairs / "clean" / expected.name
    clean, _ = sf.read(path)
    sf.write(path, soxr.resample(clean[: 2 * RATE], RATE, 48_000), 48_000, subtype="FLOAT")
    found = compared(request(pairs, max_files=1)).files[0]
    assert found.measured_s == pytest.approx(2.0, abs=1e-3)
    assert found.before["si_sdr_db"] == pytest.approx(expected.before["si_sdr_db"], abs=2.0)


def test_guarded_systems_let_an_alarm_pass(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alarm = (RATE, 2 * RATE)
    monkeypatch.setattr(
        "anc_core.emergency.AlarmDetector", lambda rate, width, **_: FixedIntervals([alarm])
    )
    plan = plan_comparison(request(pairs, protect=True), Settings.load())
    comparer = Comparer(plan)
    loaded = comparer.load(plan.pairs[0])
    output, _ = comparer.run(comparer.systems[0], loaded)
    same = (output == loaded.noisy)[:, 0]
    assert same[slice(*alarm)].all()
    assert not same[: RATE // 2].any()


def test_the_record_and_the_table_say_the_same(pairs: Path) -> None:
    (pairs / "noisy" / "=1+1.wav").touch()
    result = compared(request(pairs, "spectral", "preset:gentle"))
    assert Comparison.from_json(Path(result.json_path).read_text()) == result
    text = Path(result.csv_path).read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [(row["file"], row["system"]) for row in rows] == [
        ("0.wav", "unprocessed"),
        ("0.wav", "spectral"),
        ("0.wav", "preset:gentle"),
        ("1.wav", "unprocessed"),
        ("1.wav", "spectral"),
        ("1.wav", "preset:gentle"),
        ("'=1+1.wav", ""),
    ]
    line = result.files[0].systems[0]
    assert float(rows[1]["si_sdr_db_gain"]) == pytest.approx(line.gains["si_sdr_db"], rel=1e-4)
    assert "EMPTY" in rows[-1]["reason"] or "0 bytes" in rows[-1]["reason"]
    assert "NaN" not in Path(result.json_path).read_text()


def test_an_empty_folder_is_nothing_to_do_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "noisy").mkdir()
    (tmp_path / "clean").mkdir()
    result = compared(request(tmp_path))
    assert result.nothing_to_do
    assert not (tmp_path / "out").exists()


def test_what_cannot_begin_says_so_before_any_work(pairs: Path) -> None:
    with pytest.raises(InputError, match="is no folder"):
        compared(request(pairs / "none"))
    with pytest.raises(InputError, match="unknown"):
        compared(request(pairs, "magic"))
    settings = Settings.load().model_copy(update={"allowed_roots": (pairs / "elsewhere",)})
    with pytest.raises(SinkError, match="ANC_ALLOWED_ROOTS"):
        compare_folder(request(pairs), settings)
    assert not (pairs / "out").exists()


def test_the_page_is_written_and_its_path_stands_in_the_record(pairs: Path) -> None:
    result = compared(request(pairs, examples=1))
    page = Path(result.page_path).read_text()
    assert page.count("<audio") == 3  # before, spectral, clean reference
    assert json.loads(Path(result.json_path).read_text())["page_path"] == result.page_path


def test_a_sample_of_the_recordings_is_the_same_every_time(pairs: Path) -> None:
    for index in range(2, 9):
        (pairs / "noisy" / f"{index}.wav").touch()
    chosen = [
        [pair.name for pair in plan_comparison(request(pairs, max_files=4), Settings.load()).pairs]
        for _ in range(2)
    ]
    assert chosen[0] == chosen[1] == sorted(chosen[0])
    assert len(set(chosen[0])) == 4
