"""Figures of quality, against the packages they come from and against hand-made signals."""

from __future__ import annotations

import builtins
from importlib.util import find_spec

import numpy as np
import pytest

from anc_core.audio.synth import voice
from anc_core.errors import InputError
from anc_core.metrics import quality
from anc_core.metrics.quality import (
    BLIND_FIGURES,
    QUALITY_FIGURES,
    REFERENCE_FIGURES,
    Dnsmos,
    FigureUnavailableError,
    QualityMeter,
    estoi,
    lag_samples,
    pesq_mos,
    segments,
    speech_gain_db,
    without_lag,
    zero_mean_si_sdr_db,
)

RATE = 16_000

needs_pesq = pytest.mark.skipif(find_spec("pesq") is None, reason="needs pesq (extra: compare)")
needs_stoi = pytest.mark.skipif(find_spec("pystoi") is None, reason="needs pystoi (extra: compare)")
needs_dnsmos = pytest.mark.skipif(
    find_spec("speechmos") is None, reason="needs speechmos (extra: compare)"
)


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    return voice(4.0, RATE, seed=5).astype(np.float32)


@pytest.fixture(scope="module")
def noisy(clean: np.ndarray) -> np.ndarray:
    hiss = np.random.default_rng(6).normal(0, 0.02, len(clean))
    return (clean + hiss).astype(np.float32)


# ------------------------------------------------------------------ the same as the packages


@needs_pesq
@pytest.mark.parametrize(("rate", "mode"), [(16_000, "wb"), (8_000, "nb")])
def test_pesq_is_that_of_the_package(clean, noisy, rate: int, mode: str) -> None:
    from pesq import pesq

    expected = pesq(rate, clean.astype(np.float64), noisy.astype(np.float64), mode)
    assert pesq_mos(noisy, clean, rate) == pytest.approx(expected, abs=1e-6)


@needs_pesq
def test_pesq_at_another_rate_is_that_at_16_khz(clean, noisy) -> None:
    import soxr

    up = [soxr.resample(x, RATE, 48_000, quality="VHQ") for x in (noisy, clean)]
    # 48 kHz and back: the band above 7.2 kHz is lost, which PESQ barely hears.
    assert pesq_mos(*up, 48_000) == pytest.approx(pesq_mos(noisy, clean, RATE), abs=0.05)


@needs_stoi
@pytest.mark.filterwarnings("default")
def test_estoi_is_that_of_the_package(clean, noisy) -> None:
    from pystoi import stoi

    expected = stoi(clean.astype(np.float64), noisy.astype(np.float64), RATE, extended=True)
    assert estoi(noisy, clean, RATE) == pytest.approx(expected, abs=1e-6)


@needs_dnsmos
def test_dnsmos_is_the_model_of_the_package_with_its_polynomials(clean, noisy) -> None:
    import onnxruntime
    import speechmos

    path = f"{speechmos.__path__[0]}/dnsmos_models/sig_bak_ovr.onnx"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    window = np.resize(noisy, int(9.01 * RATE))[np.newaxis]
    sig, bak, ovrl = session.run(None, {"input_1": window})[0][0]
    scores = Dnsmos()(noisy, RATE)
    assert scores["dnsmos_ovrl"] == pytest.approx(
        -0.06766283 * ovrl**2 + 1.11546468 * ovrl + 0.04602535, rel=1e-5
    )
    assert scores["dnsmos_sig"] == pytest.approx(
        -0.08397278 * sig**2 + 1.22083953 * sig + 0.0052439, rel=1e-5
    )
    assert scores["dnsmos_bak"] == pytest.approx(
        -0.13166888 * bak**2 + 1.60915514 * bak - 0.39604546, rel=1e-5
    )
    assert scores["dnsmos_bak"] < Dnsmos()(clean, RATE)["dnsmos_bak"]


@needs_dnsmos
def test_dnsmos_of_a_long_signal_is_the_mean_over_windows_of_a_second_apart(clean, noisy) -> None:
    model = Dnsmos()
    long = np.concatenate([noisy, clean, noisy])[: int(11.5 * RATE)]
    windows = [model(long[at * RATE :][: int(9.01 * RATE)], RATE) for at in range(3)]
    expected = np.mean([window["dnsmos_ovrl"] for window in windows])
    assert model(long, RATE)["dnsmos_ovrl"] == pytest.approx(expected, rel=1e-5)


# ------------------------------------------------------------------ hand-made


def test_si_sdr_does_not_mind_gain_and_dc(clean) -> None:
    rng = np.random.default_rng(7)
    error = rng.normal(0, 1, len(clean))
    zero_mean = clean - clean.mean()
    error -= error.mean() + zero_mean * (error @ zero_mean) / (zero_mean @ zero_mean)
    error *= np.sqrt((zero_mean @ zero_mean) / (error @ error)) / 10.0  # 20 dB below
    assert zero_mean_si_sdr_db(3.0 * (clean + error) + 0.1, clean) == pytest.approx(20.0, abs=1e-3)


def test_the_level_of_the_voice_is_that_of_its_projection(clean, noisy) -> None:
    noise = noisy - clean
    noise = noise - clean * (noise @ clean) / (clean @ clean)  # no voice in it
    before, after = clean + noise, 0.5 * clean + 0.01 * noise
    assert speech_gain_db(after, before, clean) == pytest.approx(-6.02, abs=0.01)
    with pytest.raises(FigureUnavailableError, match="nothing of the reference"):
        speech_gain_db(-clean, before, clean)


@pytest.mark.parametrize("lag", [0, 1, -1, 320, -320, 1_500])
def test_a_lag_is_found_and_taken_away(noisy, lag: int) -> None:
    moved = np.roll(noisy, lag)
    assert lag_samples(moved, noisy, RATE) == lag
    restored = without_lag(moved, lag)
    inner = slice(2_000, -2_000)
    np.testing.assert_array_equal(restored[inner], noisy[inner])


@pytest.mark.parametrize("length", [0, 1, 2, 100])
def test_nothing_to_correlate_is_no_lag(length: int) -> None:
    silence = np.zeros(length, np.float32)
    assert lag_samples(silence, silence, RATE) == 0


def test_segments_cover_everything_and_none_is_too_long() -> None:
    for length in (0, 1, 320_000, 320_001, 5_000_001):
        parts = list(segments(length, RATE))
        assert sum(part.stop - part.start for part in parts) == length
        assert all(part.stop - part.start <= 320_001 for part in parts)
        assert [p.start for p in parts[1:]] == [p.stop for p in parts[:-1]]


# ------------------------------------------------------------------ what cannot be had


def test_without_a_reference_its_figures_are_null_with_the_reason(noisy) -> None:
    found = QualityMeter().measure(noisy, RATE)
    assert set(found.figures) == set(QUALITY_FIGURES)
    for name in REFERENCE_FIGURES:
        assert found.figures[name] is None
        assert found.null_reasons[name] == "no clean reference"


def test_every_figure_is_finite_or_null_with_a_reason_whatever_comes_in(clean, noisy) -> None:
    meter = QualityMeter()
    hostile = {
        "silence": np.zeros_like(clean),
        "one sample": clean[:1],
        "nothing": clean[:0],
        "NaN": np.full_like(clean, np.nan),
        "infinite": np.full_like(clean, np.inf),
        "huge": clean * np.float32(1e30),
        "short": clean[:800],
        "the same": clean,
        "DC": np.full_like(clean, 0.5),
    }
    for name, signal in hostile.items():
        for target in (clean[: len(signal)], np.zeros_like(signal), None):
            found = meter.measure(signal, RATE, target=target)
            for figure, value in found.figures.items():
                known = value is not None and np.isfinite(value)
                assert known != (figure in found.null_reasons), (name, figure, value)


@pytest.mark.parametrize("package", ["pesq", "pystoi"])
def test_a_missing_package_is_a_reason_and_no_crash(
    package: str, clean, noisy, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name == package:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    found = QualityMeter().measure(noisy, RATE, target=clean)
    figure = {"pesq": "pesq", "pystoi": "estoi"}[package]
    assert found.figures[figure] is None
    assert found.null_reasons[figure] == (
        f"{package} is not installed; pip install 'anc-platform[compare]'"
    )
    assert found.figures["si_sdr_db"] is not None


def test_a_missing_model_is_a_reason_and_looked_for_once(noisy, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(quality, "find_spec", asked.append)
    meter = QualityMeter()
    for _ in range(2):
        found = meter.measure(noisy, RATE)
        assert all("speechmos" in found.null_reasons[name] for name in BLIND_FIGURES)
    assert asked == ["speechmos"]


def test_shapes_that_differ_are_an_error_of_the_caller(clean) -> None:
    with pytest.raises(InputError, match="both must be"):
        zero_mean_si_sdr_db(clean, clean[1:])
