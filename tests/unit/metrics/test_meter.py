import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc_core.arrays import as_columns
from anc_core.dsp.levels import level_db
from anc_core.errors import InputError, WarningCode
from anc_core.metrics import MeterResult, SessionMeter
from anc_core.records import Metrics

RATE = 16_000


def measure(samples_in, samples_out=None, *, rate=RATE, protected=(), splits=()) -> MeterResult:
    columns_in = as_columns(samples_in)
    columns_out = None if samples_out is None else as_columns(samples_out)
    meter = SessionMeter(rate, columns_in.shape[1])
    borders = [0, *sorted(splits), len(columns_in)]
    for start, stop in itertools.pairwise(borders):
        meter.update(
            columns_in[start:stop],
            None if columns_out is None else columns_out[start:stop],
            protected,
        )
    result = meter.compute()
    Metrics(**result.figures)  # refuses NaN, infinities and unknown names
    return result


def codes(result):
    return [remark.code for remark in result.remarks]


# ---------------------------------------------------------------------------- levels


def test_levels_are_those_of_the_samples(hiss):
    noise = hiss(RATE, 0.1)
    figures = measure(noise, noise / 4).figures
    assert figures["input_rms_dbfs"] == pytest.approx(level_db(float(np.mean(noise**2.0))))
    assert figures["output_rms_dbfs"] == pytest.approx(figures["input_rms_dbfs"] - 12.041, abs=1e-3)
    assert figures["input_peak_dbfs"] == pytest.approx(20 * math.log10(np.abs(noise).max()))
    assert figures["dc_offset"] == pytest.approx((noise.mean(dtype=float),), abs=1e-9)


def test_l10_is_exceeded_a_tenth_of_the_time():
    # 20 % of the slots at -20 dB, 80 % at -40 dB: L10 is the loud part, L50 and L90 the quiet one.
    levels = np.repeat([0.1] * 2 + [0.01] * 8, RATE // 8)
    figures = measure(
        np.tile(levels, 4).astype(np.float32) * np.resize([1, -1], 4 * 20_000)
    ).figures
    assert figures["input_l10_dbfs"] == pytest.approx(-20.0, abs=0.1)  # a bin is 0.1 dB wide
    assert figures["input_l50_dbfs"] == pytest.approx(-40.0, abs=0.1)
    assert figures["input_l90_dbfs"] == pytest.approx(-40.0, abs=0.1)


@pytest.mark.parametrize("num_samples", [0, 1, 399, 2_000])
def test_short_recordings_have_reasons_instead_of_figures(num_samples, hiss):
    result = measure(hiss(num_samples))
    for name in ("cancellation_db", "snr_in_db", "speech_level_change_db"):
        assert result.figures[name] is None
        assert result.figures["null_reasons"][name]


def test_every_null_has_its_reason_and_every_reason_its_null(hiss):
    for result in (
        measure(np.zeros(RATE, np.float32)),
        measure(hiss(RATE), 0 * hiss(RATE)),
        measure(hiss(0)),
    ):
        missing = {name for name, value in result.figures.items() if value in (None, {})}
        assert missing == set(result.figures["null_reasons"])


def test_digital_silence_has_no_level():
    figures = measure(np.zeros(2 * RATE, np.float32)).figures
    for name in ("input_rms_dbfs", "input_peak_dbfs", "input_l10_dbfs", "input_l90_dbfs"):
        assert figures[name] is None


# ---------------------------------------------------------------------------- cancellation


def test_half_the_amplitude_is_6_02_db_in_every_band(hiss):
    noise = hiss(3 * RATE)
    figures = measure(noise, noise / 2).figures
    expected = pytest.approx(20 * math.log10(2), abs=1e-9)
    assert figures["cancellation_db"] == expected
    # Spectra are formed in float32; halving is exact there too.
    assert figures["cancellation_a_weighted_db"] == expected
    assert set(figures["cancellation_third_octave_db"]) >= {"63", "125", "1000", "6300"}
    assert all(value == expected for value in figures["cancellation_third_octave_db"].values())


def test_louder_output_is_negative_cancellation(hiss):
    noise = hiss(3 * RATE)
    assert measure(noise, 2 * noise).figures["cancellation_db"] == pytest.approx(-6.02, abs=0.01)


def test_the_same_output_changes_exactly_nothing(talk, hiss):
    voice, _ = talk()
    mixture = voice + hiss(len(voice))
    for output in (None, mixture.copy()):
        result = measure(mixture, output, protected=[(100, 9_000)])
        assert result.figures["cancellation_db"] == 0.0
        assert result.figures["speech_level_change_db"] == 0.0
        assert result.figures["snr_improvement_db"] == 0.0
        assert set(result.figures["cancellation_third_octave_db"].values()) == {0.0}
        assert result.stretch_attenuation == (((100, 9_000), 0.0),)
        assert result.gate.residual_lag_samples == 0


def test_cancellation_counts_noise_and_not_the_voice(talk, hiss):
    voice, _ = talk()
    noise = hiss(len(voice))
    figures = measure(voice + noise, voice + noise / 4).figures
    # A leak of voice 26 dB below the noise would read 10 lg((1 + 1/400) / (1/16 + 1/400)) = 11.88.
    assert figures["cancellation_db"] == pytest.approx(12.04, abs=0.2)
    # Noise 20 dB below the voice's RMS: taking it away costs 10 lg(1 + 0.01) = 0.04 dB of level,
    # a little more in syllables' edges.
    assert figures["speech_level_change_db"] == pytest.approx(0.0, abs=0.15)
    assert figures["snr_improvement_db"] == pytest.approx(12.04, abs=0.2)
    # Half of the voice's 150 ms of 200 ms falls into pauses between syllables, called active.
    assert figures["snr_in_db"] == pytest.approx(19.0, abs=1.5)


def test_a_band_that_was_cancelled_shows_in_its_third_octave_only(hiss):
    noise = hiss(8 * RATE)
    spectrum = np.fft.rfft(noise)
    frequency = np.fft.rfftfreq(len(noise), 1 / RATE)
    spectrum[(frequency > 794) & (frequency < 1_259)] /= 10
    quieter = np.fft.irfft(spectrum).astype(np.float32)
    bands = measure(noise, quieter).figures["cancellation_third_octave_db"]
    # A third of an octave more on either side, so no neighbour leaks in.
    assert bands["1000"] == pytest.approx(20.0, abs=0.1)
    assert bands["500"] == pytest.approx(0.0, abs=0.1)
    assert bands["2000"] == pytest.approx(0.0, abs=0.1)


def test_an_output_below_minus_90_dbfs_is_floor_limited_and_not_clamped(hiss):
    noise = hiss(3 * RATE)
    figures = measure(noise, noise * np.float32(1e-5)).figures
    assert figures["floor_limited"]
    assert figures["cancellation_db"] == pytest.approx(100.0, abs=0.01)


def test_silence_as_output_has_no_cancellation_but_a_reason(hiss):
    noise = hiss(3 * RATE)
    figures = measure(noise, 0 * noise).figures
    assert figures["floor_limited"]
    assert figures["cancellation_db"] is None
    assert "output is digital silence" in figures["null_reasons"]["cancellation_db"]


def test_protected_stretches_do_not_count(hiss):
    noise = hiss(4 * RATE)
    output = noise / 2
    output[RATE : 2 * RATE] = noise[RATE : 2 * RATE]
    figures = measure(noise, output, protected=[(RATE, 2 * RATE)]).figures
    assert figures["cancellation_db"] == pytest.approx(6.02, abs=0.01)
    assert figures["protected_s"] == 1.0
    assert figures["noise_only_s"] == pytest.approx(3.0, abs=0.026)


def test_all_protected_leaves_nothing_to_measure(hiss):
    noise = hiss(2 * RATE)
    figures = measure(noise, noise, protected=[(0, 2 * RATE)]).figures
    assert figures["cancellation_db"] is None
    assert "unprotected" in figures["null_reasons"]["cancellation_db"]


def test_a_dc_offset_hides_no_cancellation(hiss):
    noise = hiss(3 * RATE)
    figures = measure(noise + np.float32(0.5), noise / 2).figures
    assert figures["cancellation_db"] == pytest.approx(6.02, abs=0.01)


def test_phase_inverted_stereo_counts_like_any_other(talk, hiss):
    voice, _ = talk()
    mixture, output = voice + hiss(len(voice)), voice + hiss(len(voice)) / 4
    mono = measure(mixture, output).figures
    stereo = measure(np.stack([mixture, -mixture], 1), np.stack([output, -output], 1)).figures
    assert stereo["cancellation_db"] == pytest.approx(mono["cancellation_db"], abs=0.05)
    assert stereo["speech_s"] == pytest.approx(mono["speech_s"], rel=0.05)


@pytest.mark.parametrize("rate", [1_000, 7_999, 8_000, 11_025, 22_050, 44_100, 384_000])
def test_any_rate_measures_the_same(rate, hiss):
    noise = hiss(2 * rate)
    figures = measure(noise, noise / 2, rate=rate).figures
    assert figures["cancellation_db"] == pytest.approx(6.02, abs=0.001)
    assert figures["noise_only_s"] == pytest.approx(2.0, abs=0.05)


# ---------------------------------------------------------------------------- gate


@pytest.mark.parametrize("lag", [-5, -1, 0, 1, 37, 1_600])
def test_the_lag_of_the_output_is_found(lag, talk, hiss):
    voice, _ = talk(8)
    mixture = voice + hiss(len(voice))
    result = measure(mixture, np.roll(voice + hiss(len(voice)) / 8, lag))
    assert result.gate.residual_lag_samples == lag


def test_silence_and_strangers_have_no_lag(hiss):
    noise = hiss(3 * RATE)
    assert measure(noise, 0 * noise).gate.residual_lag_samples is None
    assert measure(noise, hiss(3 * RATE, seed=9)).gate.residual_lag_samples is None


def test_lost_speech_is_new_silence(talk, hiss):
    voice, voiced = talk()
    mixture = voice + hiss(len(voice), 0.001)
    output = mixture.copy()
    output[5 * RATE : 10 * RATE] = 0.0
    lost_s = measure(mixture, output).gate.longest_new_silence_s
    # The active seconds in the gap; frames at the edges of syllables count as active, too.
    voiced_s = voiced[5 * RATE : 10 * RATE].sum() / RATE
    assert voiced_s <= lost_s <= 1.5 * voiced_s
    assert measure(mixture, mixture).gate.longest_new_silence_s == 0.0


def test_noise_that_went_is_no_new_silence(hiss):
    noise = hiss(5 * RATE)
    assert measure(noise, 0 * noise).gate.longest_new_silence_s == 0.0


def test_one_lost_channel_is_new_silence(talk, hiss):
    voice, _ = talk()
    mixture = np.stack([voice + hiss(len(voice), 0.001)] * 2, 1)
    output = mixture.copy()
    output[:, 1] = 0.0
    assert measure(mixture, output).gate.longest_new_silence_s > 3.0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_bad_sample_in_the_output_is_seen_and_poisons_nothing(value, hiss):
    noise = hiss(3 * RATE)
    output = noise / 2
    output[1_234] = value
    result = measure(noise, output)
    assert not result.gate.all_finite
    assert result.figures["cancellation_db"] == pytest.approx(6.02, abs=0.01)


def test_speech_that_became_quieter_is_negative(talk, hiss):
    voice, _ = talk()
    mixture = voice + hiss(len(voice), 0.001)
    result = measure(mixture, mixture / 2)
    assert result.gate.speech_level_change_db == pytest.approx(-6.02, abs=0.01)


def test_rumble_that_went_is_no_loss_of_speech(talk, hiss):
    voice, _ = talk()
    rumble = 0.3 * np.sin(2 * np.pi * 40 * np.arange(len(voice)) / RATE).astype(np.float32)
    noise = hiss(len(voice), 0.001)
    result = measure(voice + rumble + noise, voice + noise)
    assert abs(result.gate.speech_level_change_db) < 0.5


# ---------------------------------------------------------------------------- remarks


def test_remarks_on_a_clipped_recording_with_dc(hiss):
    loud = np.clip(hiss(2 * RATE, 2.0) + 0.3, -1, 1).astype(np.float32)
    result = measure(loud)
    assert codes(result) == [WarningCode.CLIPPED, WarningCode.DC_OFFSET]
    assert result.figures["clipped_samples_in"] > 1_000


def test_a_silent_channel_beside_a_live_one_is_dead(hiss):
    noise = hiss(RATE)
    assert codes(measure(np.stack([noise, 0 * noise], 1))) == [WarningCode.DEAD_CHANNEL]
    assert codes(measure(np.stack([0 * noise, 0 * noise], 1))) == []


def test_nothing_to_remark_on_an_ordinary_recording(talk, hiss):
    voice, _ = talk()
    assert codes(measure(voice + hiss(len(voice)))) == []


# ---------------------------------------------------------------------------- stream


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_split_gives_the_same_result(data):
    rate = data.draw(st.sampled_from([1_000, 8_000]))
    num_samples = data.draw(st.integers(0, 12 * rate))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    samples_in = rng.normal(0, 0.1, (num_samples, 2)).astype(np.float32)
    samples_in[: num_samples // 3] *= data.draw(st.sampled_from([0.0, 1.0, 1e-4, 30.0]))
    samples_out = samples_in * np.float32(data.draw(st.sampled_from([0.0, 0.3, 1.0])))
    cuts = st.lists(st.integers(0, num_samples), max_size=12)
    protected = [
        (start, start + 1_500) for start in data.draw(st.lists(st.integers(0, 9_000), max_size=3))
    ]
    one, other = (
        measure(samples_in, samples_out, rate=rate, protected=protected, splits=data.draw(cuts))
        for _ in range(2)
    )
    assert one == other


HOSTILE = {
    "denormal": np.full(RATE, 1e-40),
    "tiny": np.full(RATE, 1e-30),
    "dc": np.full(RATE, 0.5),
    "largest": np.full(RATE, np.finfo(np.float32).max),
    "square": np.sign(np.sin(np.arange(2 * RATE) / 20)),
    "impulses": (np.arange(2 * RATE) % 5_000 == 0) * 1e4,
    "tone": np.sin(0.3 * np.arange(2 * RATE)),
    "sweep": np.sin(1e-5 * np.arange(4 * RATE) ** 2),
    "nan": np.full(RATE, np.nan),
    "huge noise": 1e30 * np.random.default_rng(0).normal(size=2 * RATE),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_signals_give_finite_figures_or_none(name):
    signal = HOSTILE[name].astype(np.float32)
    measure(signal, -signal)  # Metrics() inside refuses what is not finite


def test_memory_and_rows_stay_bounded_over_hours():
    meter = SessionMeter(1_000, 1)
    chunk = np.random.default_rng(0).normal(0, 0.1, (600_000, 1)).astype(np.float32)
    for index in range(9):  # 1.5 hours
        start = index * len(chunk)
        meter.update(chunk, chunk, [(start + 5, start + 50_000)])
    held = sum(len(part.counts) for part in meter._pending)
    assert held < 2_000  # frames: decisions come 500 at a time, 150 frames late
    result = meter.compute()
    assert 300 <= len(result.intervals) <= 600
    assert result.intervals[-1].end_s == pytest.approx(5_400)
    assert len(result.stretch_attenuation) == 9


def test_wrong_shapes_are_refused(hiss):
    meter = SessionMeter(RATE, 1)
    noise = hiss(100)[:, np.newaxis]
    with pytest.raises(InputError, match="100 samples and output 99"):
        meter.update(noise, noise[1:])
    with pytest.raises(InputError, match="shape"):
        meter.update(noise[:, 0], None)


def test_a_meter_that_was_read_is_closed(hiss):
    meter = SessionMeter(RATE, 1)
    meter.update(hiss(100)[:, np.newaxis], None)
    assert meter.compute() is meter.compute()
    with pytest.raises(InputError, match="new one"):
        meter.update(hiss(100)[:, np.newaxis], None)
