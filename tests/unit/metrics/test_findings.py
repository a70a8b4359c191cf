import numpy as np
import pytest

from anc_core.errors import WarningCode
from anc_core.metrics import SessionMeter
from anc_core.metrics.findings import bandwidth_hz, dc_remark, dead_channel_remark

soxr = pytest.importorskip("soxr")


def codes(samples, rate):
    meter = SessionMeter(rate, 1)
    meter.update(np.asarray(samples, dtype=np.float32)[:, np.newaxis], None)
    return [remark.code for remark in meter.compute().remarks]


@pytest.mark.parametrize(("low", "high"), [(8_000, 16_000), (8_000, 48_000), (16_000, 48_000)])
def test_upsampled_sound_is_narrowband(low, high, talk, hiss):
    voice, _ = talk(8, rate=low)
    upsampled = soxr.resample(voice + hiss(len(voice)), low, high)
    assert codes(upsampled, high) == [WarningCode.NARROWBAND]
    sixteen_bits = np.round(upsampled * 32_768) / 32_768
    assert codes(sixteen_bits, high) == [WarningCode.NARROWBAND]


def test_sound_that_only_falls_off_is_not_narrowband(hiss):
    brown = np.cumsum(hiss(80_000, 0.01))
    assert codes(brown - brown.mean(), 16_000) == []


def test_a_tone_in_16_bits_is_not_narrowband(hiss):
    tone = 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(80_000) / 16_000)
    dithered = np.round(tone * 32_768 + 32_768 * hiss(80_000, 1 / 65_536)) / 32_768
    assert codes(dithered, 16_000) == []


def test_the_edge_is_where_the_cliff_is():
    spectrum = np.where(np.arange(201) < 100, 1.0, 1e-9)
    assert bandwidth_hz(spectrum, 16_000) == pytest.approx(4_000, abs=40)
    assert bandwidth_hz(np.ones(201), 16_000) is None
    assert bandwidth_hz(np.zeros(201), 16_000) is None


def test_dc_is_remarked_on_from_one_percent_and_half_a_second():
    assert dc_remark(np.array([0.0, -0.011]), 1.0).code is WarningCode.DC_OFFSET
    assert dc_remark(np.array([0.0, -0.009]), 1.0) is None
    assert dc_remark(np.array([0.3]), 0.1) is None


def test_a_quiet_pair_has_no_dead_channel():
    assert dead_channel_remark(np.array([1e-10, 1e-8])) is None
    assert "channels 0" in dead_channel_remark(np.array([1e-10, 1e-4])).message
