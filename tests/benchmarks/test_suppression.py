"""The benchmark runs end to end, and what it prints tells no place of this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from benchmarks import suppression
from benchmarks.mixtures import SNRS_DB, active_rms, build_set, read_set
from benchmarks.suppression import _without_places, main


@pytest.fixture(autouse=True)
def _one_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anc_core.audio.synth.NOISE_KINDS", ("fan",))


@pytest.fixture
def small_set(tmp_path: Path) -> Path:
    """Build a synthetic set and keep its first two clips."""
    folder = tmp_path / "SECRET PLACE"
    build_set(folder, None)
    recipe = folder / "recipe.csv"
    recipe.write_text("".join(recipe.read_text().splitlines(keepends=True)[:3]))
    return folder


def test_mixtures_have_their_ratio_and_are_the_same_every_time(tmp_path: Path) -> None:
    first, again = (build_set(tmp_path / name, None) for name in "ab")
    assert len(first) % len(SNRS_DB) == 0
    for mixture, twin in zip(first, again, strict=True):
        noisy, rate = sf.read(mixture.noisy)
        clean, _ = sf.read(mixture.clean)
        np.testing.assert_array_equal(noisy, sf.read(twin.noisy)[0])
        noise_rms = np.sqrt(np.mean((noisy - clean) ** 2))
        ratio_db = 20 * np.log10(active_rms(clean) / noise_rms)
        assert ratio_db == pytest.approx(mixture.snr_db, abs=0.1)
        assert rate == 16_000
    assert read_set(tmp_path / "a") == first


def test_one_command_measures_and_a_missing_system_is_a_line(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "results" / "table.txt"
    monkeypatch.setattr(suppression, "LONG_S", 1.0)
    words = ["--set", str(small_set), "--systems", "spectral,copy,onnx:/some/where/m.onnx"]
    monkeypatch.setattr(sys, "argv", ["x", *words, "--out", str(out), "--repeats", "1"])
    main()
    text = out.read_text()
    rows = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert "m.onnx: there is no such model file" in text
    assert str(tmp_path) not in text
    assert "/some/where" not in text
    assert "--set 'SECRET PLACE'" in rows["command"]
    copied = next(line for line in text.splitlines() if line.startswith("copy")).split()
    assert float(copied[3]) == 0.0  # SI-SDR gained by a copy
    assert "spectral minus each of the others" in text


def test_a_set_that_is_built_on_the_way_lives_until_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "table.txt"
    monkeypatch.setattr(suppression, "_judge", lambda mixtures, _: [{} for _ in mixtures])
    monkeypatch.setattr(suppression, "_main_table", lambda before, _: [f"{len(before)} clips"])
    words = ["--systems", "onnx:none.onnx", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["x", *words])
    main()
    assert f"{len(SNRS_DB)} clips" in out.read_text()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("no model in /srv/x y/models; train", "no model in x y/models; train"),
        ("/a/b.so: cannot open", "b.so: cannot open"),
        ("pip install 'anc-platform[compare]'", "pip install 'anc-platform[compare]'"),
        ("1/2 and http://x/y", "1/2 and http://x/y"),
        (r"C:\Users\me\m.onnx is gone", "m.onnx is gone"),
    ],
)
def test_places_of_the_machine_are_left_out(text: str, kept: str) -> None:
    assert _without_places(text) == kept
