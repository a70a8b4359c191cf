"""``anc simulate`` of one recording, in this process."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from anc_core import simulate_anc
from anc_core.jobs import simulate_inputs
from anc_core.jobs.simulate_records import SimulationReport
from anc_core.processors.simulate import ALGORITHMS
from tests.acoustics import RATE, write_duct, write_noise

Anc = Callable[..., tuple[int, str, str]]


@pytest.fixture
def anc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Anc) -> Anc:
    """Call ``anc simulate`` in a folder with noise.wav and a duct."""
    monkeypatch.chdir(tmp_path)
    write_duct(tmp_path)
    write_noise(tmp_path / "noise.wav")
    return functools.partial(run_cli, "simulate")


PATHS = ("--primary", "primary.wav", "--secondary", "secondary.wav")


def test_a_table_for_people(anc: Anc) -> None:
    code, out, err = anc("noise.wav", *PATHS, "--taps", "32")
    assert (code, err) == (0, "")
    assert "best causal filter" in out
    assert "1000" in out
    assert "nothing to do" in out


def test_json_is_the_record_with_the_figures_of_a_direct_call(anc: Anc, tmp_path: Path) -> None:
    code, out, err = anc("noise.wav", *PATHS, "--taps", "32", "--step-size", "0.2", "--json")
    assert (code, err) == (0, "")
    report = SimulationReport.from_json(out)
    noise, _ = sf.read(tmp_path / "noise.wav", dtype="float32")
    primary, _ = sf.read(tmp_path / "primary.wav")
    secondary, _ = sf.read(tmp_path / "secondary.wav")
    direct = simulate_anc(noise, RATE, primary, secondary, num_taps=32, step_size=0.2)
    assert report.figures == direct.figures
    assert (report.num_taps, report.step_size, report.algorithm) == (32, 0.2, "fxnlms")


def test_the_folder_gets_sounds_figures_and_filters(anc: Anc, tmp_path: Path) -> None:
    code, out, _ = anc(
        *("noise.wav", *PATHS, "--taps", "32", "-o", "out", "--json"),
        *(
            word
            for name in ("c", "q15", "q31", "wav", "json", "sos")
            for word in ("--export", name)
        ),
    )
    report = SimulationReport.from_json(out)
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert code == 0
    assert {
        *("disturbance.wav", "error_signal.wav", "figures.json", "control_filter.h"),
        *("control_filter_q15.h", "control_filter_q31.h", "control_filter.wav"),
        *("control_filter.json", "control_filter_sos.csv"),
    } <= written
    assert {Path(name).name for name in report.files} == written
    stored = json.loads((tmp_path / "out/figures.json").read_text())
    assert stored["figures"] == json.loads(out)["figures"]
    error, rate = sf.read(tmp_path / "out/error_signal.wav")
    assert rate == RATE
    level_dbfs = 10 * np.log10(np.mean((error - error.mean()) ** 2))
    assert level_dbfs == pytest.approx(report.figures.error_rms_dbfs, abs=0.01)


def test_sounds_too_loud_for_a_player_are_lowered_alike(anc: Anc, tmp_path: Path) -> None:
    sf.write(
        tmp_path / "loud.wav", 20 * sf.read(tmp_path / "primary.wav")[0], RATE, subtype="FLOAT"
    )
    code, out, _ = anc("noise.wav", "--primary", "loud.wav", *PATHS[2:], "-o", "out", "--json")
    report = SimulationReport.from_json(out)
    before, after = (sf.read(tmp_path / f"out/{n}.wav")[0] for n in ("disturbance", "error_signal"))
    assert code == 0
    assert report.output_gain_db < 0
    assert max(np.max(np.abs(before)), np.max(np.abs(after))) < 1.0
    # Lowered alike: their ratio is still the attenuation.
    ratio_db = 10 * np.log10(np.var(before) / np.var(after))
    assert ratio_db == pytest.approx(report.figures.cancellation_db, abs=0.01)


def test_noise_of_another_rate_is_resampled_to_the_paths(anc: Anc, tmp_path: Path) -> None:
    write_noise(tmp_path / "fast.wav", sample_rate=8_000, num_channels=2, duration_s=1.5)
    code, out, _ = anc("fast.wav", *PATHS, "--json")
    report = SimulationReport.from_json(out)
    assert (code, report.figures.sample_rate, report.source_rate) == (0, RATE, 8_000)
    assert report.figures.duration_s == pytest.approx(1.5)
    assert report.channel == 1
    assert any("resampled from 8000 Hz to 4000 Hz" in line for line in report.remarks)
    assert any("channel 1 of 2, the strongest" in line for line in report.remarks)


@pytest.mark.parametrize(("words", "rate"), [((), RATE), (("--path-rate", "2000"), 2_000)])
def test_a_path_without_a_rate_takes_the_option_or_that_of_the_noise(
    anc: Anc, tmp_path: Path, words: tuple[str, ...], rate: int
) -> None:
    for name in ("primary", "secondary"):
        np.save(tmp_path / f"{name}.npy", sf.read(tmp_path / f"{name}.wav")[0])
    code, out, _ = anc(
        "noise.wav", "--primary", "primary.npy", "--secondary", "secondary.npy", *words, "--json"
    )
    report = SimulationReport.from_json(out)
    assert (code, report.figures.sample_rate) == (0, rate)
    whose = "as given" if words else "as the noise; its file does not say (path_rate, --path-rate)"
    assert f"primary path: taken to be at {rate} Hz, {whose}" in report.remarks


def test_an_excerpt_is_cut_and_a_short_one_repeated(anc: Anc) -> None:
    _, out, _ = anc("noise.wav", *PATHS, "--start", "1", "--duration", "1.25", "--json")
    assert SimulationReport.from_json(out).figures.duration_s == 1.25
    _, out, _ = anc("noise.wav", *PATHS, "--repeat-to", "7", "--json")
    assert SimulationReport.from_json(out).figures.duration_s == 7.0


def test_every_option_reaches_the_record(anc: Anc) -> None:
    code, out, _ = anc(
        *("noise.wav", *PATHS, "--estimate", "secondary.wav", "--algorithm", "fxlog"),
        *("--taps", "16", "--step-size", "0.05", "--structure", "hybrid", "--io-delay", "3"),
        *("--saturation", "0.5", "--bits", "16", "--no-guard", "--leakage", "0.001"),
        *("--reference-noise", "-80", "--error-noise", "-70", "--seed", "5", "--json"),
    )
    report = SimulationReport.from_json(out)
    assert code == 0
    assert (report.algorithm, report.num_taps, report.step_size) == ("fxlog", 16, 0.05)
    assert (report.io_delay, report.estimate) == (3, "secondary.wav")
    assert report.settings.model_dump() == {
        "structure": "hybrid",
        "leakage": 0.001,
        "guard": False,
        "saturation": 0.5,
        "bits": 16,
        "reference_noise_db": -80.0,
        "microphone_noise_db": -70.0,
        "dtype": "float32",
        "seed": 5,
        "online_identification": False,
    }
    assert report.figures.drive_saturated_share is not None


def test_causality_adds_figures_a_line_and_a_picture(anc: Anc, tmp_path: Path) -> None:
    words = ("noise.wav", *PATHS, "--taps", "8", "--causality", "--io-delay", "2")
    code, out, _ = anc(*words, "-o", "out", "--json")
    report = SimulationReport.from_json(out)
    curve = report.causality
    assert code == 0
    # Largest taps at 8 and 2; the device's delay is part of what is there already.
    assert (curve.num_taps, curve.lead_samples) == (8, 4)
    assert curve.attenuation_db[0] == pytest.approx(report.figures.wiener_db, abs=1.0)
    assert curve.margin_s == pytest.approx(curve.margin_samples / RATE)
    stored = json.loads((tmp_path / "out/figures.json").read_text())
    assert stored["causality"] == json.loads(out)["causality"]
    assert (tmp_path / "out/causality_margin.png").stat().st_size > 1_000
    _, out, _ = anc(*words)
    assert "causality margin" in out
    assert "leads by 4" in out
    assert SimulationReport.from_json(anc("noise.wav", *PATHS, "--json")[1]).causality is None


def test_the_secondary_path_is_found_online_and_its_figures_are_shown(anc: Anc) -> None:
    words = ("noise.wav", *PATHS, "--online-identification", "--repeat-to", "8")
    code, out, _ = anc(*words, "--json")
    report = SimulationReport.from_json(out)
    assert code == 0
    assert report.settings.online_identification
    found = report.identification
    assert found is not None
    assert found.misalignment_db is not None
    assert found.misalignment_db < -20.0
    assert found.searches == 1
    # Every 12 blocks of 32 samples: 0.1 s is no whole number of them.
    assert len(found.time_s) == len(found.misalignment_course_db) == 8 * RATE // (12 * 32)
    assert [event.kind for event in report.guard_events][:2] == ["searching", "identified"]
    code, out, _ = anc(*words)
    assert code == 0
    assert "secondary path" in out
    assert "misalignment -" in out
    _, out, _ = anc("noise.wav", *PATHS, "--json")
    assert SimulationReport.from_json(out).identification is None


def test_online_identification_without_guards_is_refused(anc: Anc) -> None:
    code, out, err = anc("noise.wav", *PATHS, "--online-identification", "--no-guard")
    assert (code, out) == (2, "")
    assert "needs the guards" in err


def test_mat_variables_are_named_by_option_or_after_a_colon(anc: Anc, tmp_path: Path) -> None:
    from scipy.io import savemat

    primary, secondary = (sf.read(tmp_path / f"{n}.wav")[0] for n in ("primary", "secondary"))
    savemat(tmp_path / "duct.mat", {"P": primary, "S": secondary, "note": np.zeros(3)})
    words = ("noise.wav", "--primary", "duct.mat", "--secondary", "duct.mat:S", "--json")
    code, out, _ = anc(*words, "--variable", "P")
    assert (code, SimulationReport.from_json(out).path_taps) == (0, (24, 12))
    code, out, err = anc(*words)
    assert (code, out) == (2, "")
    assert "P" in err


def test_a_filter_that_a_format_cannot_hold_is_exit_code_1(anc: Anc, tmp_path: Path) -> None:
    write_noise(tmp_path / "two.wav", num_channels=2)
    taps = np.zeros((1, 2, 24))
    taps[:, :, 6] = 0.5
    np.save(tmp_path / "two.npy", taps)
    code, out, _ = anc(
        *("two.wav", "--primary", "two.npy", "--secondary", "secondary.wav", "--taps", "16"),
        *("--export", "sos", "--export", "json", "-o", "out", "--json"),
    )
    reasons = {line.format: line.reason for line in SimulationReport.from_json(out).exports}
    assert code == 1
    assert reasons["sos"]
    assert reasons["json"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["noise.wav"], "Missing option '--primary'"),
        (["noise.wav", *PATHS[:2]], "Missing option '--secondary'"),
        ([], "NOISE"),
        ([".", *PATHS], "'.' is a folder; try settings on all of it with --sweep"),
        (["none.wav", *PATHS], "NOT_FOUND"),
        (["noise.wav", "--primary", "none.wav", *PATHS[2:]], "NOT_FOUND"),
        (["noise.wav", *PATHS, "--algorithm", "magic"], ALGORITHMS[-1]),
        (["noise.wav", *PATHS, "--step-size", "2"], "--step-size"),
        (["noise.wav", *PATHS, "--taps", "70000"], "num_taps is 70000"),
        (["noise.wav", *PATHS, "--start", "60"], "nothing of it after 60 s"),
        (["noise.wav", *PATHS, "--channel", "1"], "channel is 1"),
        (["noise.wav", *PATHS, "--export", "c"], "needs a folder"),
        (["noise.wav", *PATHS, "--export", "mp3", "-o", "out"], "q15"),
        (["noise.wav", *PATHS, "--dry-run"], "--sweep"),
        (["noise.wav", *PATHS, "--flow"], "--sweep"),
        (["noise.wav", *PATHS, "-o", "/proc/none/out"], "NOT_WRITABLE"),
        (["noise.wav", "--primary", "wide.npy", *PATHS[2:]], "error microphones"),
        (["noise.wav", "--primary", "square.npy", *PATHS[2:]], "leaves open where the taps are"),
        (["noise.wav", "--primary", "two.npy", *PATHS[2:]], "2 references"),
    ],
)
def test_wrong_words_are_exit_code_2_and_one_sentence(
    anc: Anc, tmp_path: Path, words: list[str], said: str
) -> None:
    np.save(tmp_path / "wide.npy", np.ones((2, 1, 8)))
    np.save(tmp_path / "square.npy", np.ones((8, 8)))
    np.save(tmp_path / "two.npy", np.ones((1, 2, 8)))
    code, out, err = anc(*words, "--json")
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_what_does_not_fit_in_memory_is_refused_with_the_cure(
    anc: Anc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulate_inputs, "MAX_SAMPLES", 2 * RATE)
    code, _, err = anc("noise.wav", *PATHS)
    assert code == 2
    assert "TOO_LONG" in err
    assert "--duration" in err
    assert anc("noise.wav", *PATHS, "--duration", "1.5")[0] == 0


def test_a_rough_fit_of_the_filter_is_called_one(anc: Anc) -> None:
    # The duct's best filter is an impulse response that no few biquads can follow.
    _, out, _ = anc("noise.wav", *PATHS, "--export", "sos", "--export", "q31", "-o", "out")
    report = json.loads(Path("out/figures.json").read_text())
    error_db = {line["format"]: line["error_db"] for line in report["exports"]}
    for name, error in error_db.items():
        line = next(line for line in out.splitlines() if line.startswith(f"{name}: error"))
        assert f"{error:.1f} dB" in line
        assert ("rough" in line) == (error > -20)
    assert error_db["q31"] < -20


def test_names_cannot_act_on_the_terminal(anc: Anc, tmp_path: Path) -> None:
    write_noise(tmp_path / "a\x1b[31m.wav")
    code, out, _ = anc("a\x1b[31m.wav", *PATHS)
    assert code == 0
    assert "\x1b" not in out


# --------------------------------------------------------------------------- fixed filters


def test_a_bank_is_built_from_a_folder_and_used(anc: Anc, tmp_path: Path) -> None:
    for seed in range(3):
        write_noise(tmp_path / f"noises/{seed}.wav", seed=seed)
    words = ("noises", "--build-filter-bank", "bank.npz", *PATHS, "--taps", "8", "--filters", "2")
    code, out, err = anc(*words)
    assert (code, err) == (0, "")
    assert "3 recordings, 8 taps at 4000 Hz" in out
    code, out, _ = anc(*words, "--json")
    report = json.loads(out)
    assert (code, len(report["classes"]), report["recordings"]) == (0, 2, 3)
    assert report["classes"][0]["noise_s"] == 9.0
    # White noise: the widest band is the strongest, and white is what levels by band describe.
    assert report["classes"][0]["strongest_band"] == "1600"
    code, out, _ = anc(
        "noise.wav", *PATHS, "--algorithm", "sfanc", "--filter-bank", "bank.npz", "--json"
    )
    result = SimulationReport.from_json(out)
    assert (code, result.algorithm, result.num_taps) == (0, "sfanc", 8)
    assert result.figures.wiener_gap_db < 1.0
    assert report["classes"][0]["expected_db"] == pytest.approx(
        result.figures.steady_cancellation_db, abs=1.0
    )
    _, out, _ = anc("noise.wav", *PATHS, "--algorithm", "sfanc", "--filter-bank", "bank.npz")
    assert "sfanc, 8 taps" in out


def test_a_bad_recording_is_left_out_of_the_bank_and_named(anc: Anc, tmp_path: Path) -> None:
    write_noise(tmp_path / "noises/good.wav")
    (tmp_path / "noises/bad.wav").write_bytes(b"no sound at all" * 9)
    code, out, _ = anc("noises", "--build-filter-bank", "bank.npz", *PATHS)
    assert code == 1
    assert "NOT_AUDIO" in out
    assert (tmp_path / "bank.npz").exists()


def test_a_bank_takes_the_delay_of_the_device_and_the_estimate(anc: Anc, tmp_path: Path) -> None:
    noisy = ("noise.wav", *PATHS)
    sf.write(tmp_path / "b.wav", 0.5 * sf.read("secondary.wav")[0], RATE, subtype="FLOAT")
    more = ("--io-delay", "2", "--estimate", "b.wav")
    assert anc(*noisy, "--build-filter-bank", "bank.npz", *more)[0] == 0
    use = ("--algorithm", "sfanc", "--filter-bank", "bank.npz")
    assert anc(*noisy, *use, *more)[0] == 0
    for less in (more[:2], more[2:]):
        code, _, err = anc(*noisy, *use, *less)
        assert code == 2
        assert "another secondary path" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--build-filter-bank", "b.npz", "--algorithm", "fxnlms"], "--algorithm does not belong"),
        (["--build-filter-bank", "b.npz", "--sweep", "g.toml"], "--sweep does not belong"),
        (["--build-filter-bank", "b.npz", "--no-guard"], "--no-guard does not belong"),
        (["--build-filter-bank", "b.npz", "--export", "c"], "--export does not belong"),
        (["--build-filter-bank", "b.npz", "--duration", "0.1"], "half a second"),
        (["--build-filter-bank", "/proc/none/b.npz"], "NOT_WRITABLE"),
        (["--filters", "3"], "--filters belongs to --build-filter-bank"),
        (["--filter-bank", "none.npz", "--algorithm", "sfanc"], "NOT_FOUND"),
        (["--filter-bank", "noise.wav", "--algorithm", "sfanc"], "is no filter bank"),
    ],
)
def test_wrong_words_about_banks_are_exit_code_2(anc: Anc, words: list[str], said: str) -> None:
    code, out, err = anc("noise.wav", *PATHS, *words, "--json")
    assert (code, out) == (2, "")
    assert said in err


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom flows import cli\nsys.argv = ['anc', 'simulate', '--help']\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'pydantic', 'numba', 'matplotlib', 'jinja2', 'prefect', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "--sweep" in done.stdout
