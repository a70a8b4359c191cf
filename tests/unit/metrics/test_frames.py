import numpy as np
import pytest

from anc_core.metrics.frames import FRAMES_PER_SLOT, FrameGrid, Transform


@pytest.mark.parametrize("rate", [1_000, 7_999, 11_025, 44_100, 48_000, 768_000])
def test_frames_are_25_ms_and_slots_five_of_them(rate):
    grid = FrameGrid(rate, 1)
    assert grid.frame_length / rate == pytest.approx(0.025, rel=0.01)
    assert grid.slot_length == FRAMES_PER_SLOT * grid.frame_length
    assert grid.frames_per_block % FRAMES_PER_SLOT == 0


def test_blocks_shrink_where_memory_would_grow():
    grid = FrameGrid(384_000, 64)
    assert grid.frames_per_block * grid.frame_length * 64 < 2**22


def test_moments_are_sums_in_float64():
    samples = np.random.default_rng(0).normal(size=(2, 8_000)).astype(np.float32)
    moments = FrameGrid(16_000, 2).moments(samples)
    frames = samples.astype(np.float64).reshape(2, 20, 400)
    np.testing.assert_allclose(moments.sums, frames.sum(axis=2).T, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(moments.squares, (frames**2).sum(axis=2).T, rtol=1e-12)
    np.testing.assert_array_equal(moments.peak, np.abs(samples).max(axis=1))


@pytest.mark.parametrize("length", [400, 1_103, 200])
def test_the_bins_of_a_spectrum_add_up_to_the_mean_square(length):
    noise = np.random.default_rng(1).normal(0, 0.1, (2, 50 * length)).astype(np.float32)
    total = Transform(length, 16_000).powers(noise).sum(axis=1).mean()
    # 100 windowed stretches: the estimate spreads by sqrt(2 / (100 * length * 0.5)), 1 %.
    assert total == pytest.approx(2 * 0.01, rel=0.04)


def test_inverted_channels_do_not_cancel():
    noise = np.random.default_rng(1).normal(0, 0.1, 4_000).astype(np.float32)
    transform = Transform(400, 16_000)
    both, one = transform.powers(np.stack([noise, -noise])), transform.powers(noise[np.newaxis])
    np.testing.assert_allclose(both, 2 * one, rtol=1e-6)


def test_dc_does_not_leak():
    powers = Transform(1_103, 44_100).powers(np.full((1, 2_206), 0.5, dtype=np.float32))
    # What float32 leaves of the mean: 0.5 * 2**-24, squared, is -156 dB.
    assert powers.max() < 1e-14


def test_slots_have_third_octaves_then_a_weighting_then_the_speech_band():
    grid = FrameGrid(16_000, 1)
    tone = np.sin(2 * np.pi * 125 * np.arange(16_000) / 16_000).astype(np.float32)
    slot = grid.slot_powers(tone[np.newaxis])[3]
    labels = grid.third_octaves.labels
    assert labels[int(np.argmax(slot[:-2]))] == "125"
    assert 10 * np.log10(slot[-2] / 0.5) == pytest.approx(-16.1, abs=0.3)  # A-weighting at 125 Hz
    assert slot[-1] < 1e-4  # below the speech band
