"""Windows of a stream: the same in any split, by channel, silence and unknown in their place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc_core.audio.synth import noise
from anc_core.classifier.model import load_noise_model
from anc_core.classifier.stream import NoiseClassifier
from anc_core.errors import InputError
from anc_core.records import Window
from anc_core.windows import SILENCE, UNKNOWN
from tests.noise_bundles import RATE, make_bundle
from tests.strategies import splits


def names(windows: list[Window], channel: int = 0) -> list[str]:
    return [w.noise_type for w in windows if w.channel == channel]


def test_windows_of_a_second_come_every_half_second(classifier: NoiseClassifier) -> None:
    windows = classifier.predict(noise("fan", 3.0, RATE, seed=40), RATE)
    starts = [w.start_s for w in windows]
    assert starts[:4] == [0.0, 0.5, 1.0, 1.5]
    assert all(w.end_s - w.start_s == pytest.approx(1.0) for w in windows)
    assert windows[-1].end_s == pytest.approx(3.0, abs=0.05)
    assert set(names(windows)) == {"fan"}


def test_noise_that_follows_noise_is_named_as_it_comes(classifier: NoiseClassifier) -> None:
    audio = np.concatenate([noise(kind, 4.0, RATE, seed=41) for kind in ("fan", "rain")])
    windows = classifier.predict(audio, RATE)
    assert {w.noise_type for w in windows if w.end_s <= 4.0} == {"fan"}
    assert {w.noise_type for w in windows if w.start_s >= 4.0} == {"rain"}


def test_channels_are_named_apart_and_in_order(classifier: NoiseClassifier) -> None:
    both = np.stack([noise(kind, 3.0, RATE, seed=42) for kind in ("fan", "rain")], axis=1)
    windows = classifier.predict(both, RATE)
    assert set(names(windows, 0)) == {"fan"}
    assert set(names(windows, 1)) == {"rain"}
    assert [w.channel for w in windows[:4]] == [0, 1, 0, 1]
    alone = classifier.predict(both[:, 1], RATE)
    assert names(alone) == names(windows, 1)
    # Sums of one column and of one of two differ in their last bits.
    levels = [w.level_dbfs for w in windows if w.channel == 1]
    assert [w.level_dbfs for w in alone] == pytest.approx(levels, abs=1e-6)


def test_levels_are_those_of_the_input(classifier: NoiseClassifier) -> None:
    """Also of what lies above the analysis: 15 kHz at 48 kHz, full scale 0.1."""
    tone = 0.1 * np.sin(2 * np.pi * 15_000 / 48_000 * np.arange(96_000)).astype(np.float32)
    levels = [w.level_dbfs for w in classifier.predict(tone, 48_000)]
    assert levels == pytest.approx([20 * np.log10(0.1 / np.sqrt(2))] * len(levels), abs=0.01)


@pytest.mark.parametrize(("level_dbfs", "is_silent"), [(-69.5, False), (-70.5, True)])
def test_silence_is_named_without_the_model(
    classifier: NoiseClassifier, level_dbfs: float, is_silent: bool
) -> None:
    audio = noise("fan", 2.0, RATE, seed=43)
    audio = audio * np.float32(10 ** (level_dbfs / 20) / np.sqrt(np.mean(audio[:RATE] ** 2)))
    first = classifier.predict(audio[:RATE], RATE)[0]
    assert (first.noise_type == SILENCE) is is_silent
    assert first.level_dbfs == pytest.approx(level_dbfs, abs=0.1)


def test_digital_silence_has_no_level(classifier: NoiseClassifier) -> None:
    for window in classifier.predict(np.zeros(2 * RATE, np.float32), RATE):
        assert (window.noise_type, window.confidence, window.level_dbfs) == (SILENCE, 1.0, None)


def test_what_is_like_nothing_it_learned_is_unknown(tmp_path_factory, classifier) -> None:
    model = classifier._model
    fan = noise("fan", 2.0, RATE, seed=44)
    known = max(float(model.novelty(batch.vectors[:, 0]).max()) for batch in _batches(fan))
    folder = tmp_path_factory.mktemp("strict") / "b"
    strict = NoiseClassifier(load_noise_model(make_bundle(folder, novelty_threshold=1.05 * known)))
    assert set(names(strict.predict(fan, RATE))) == {"fan"}
    tone = np.sin(2 * np.pi * 0.1 * np.arange(2 * RATE)).astype(np.float32)
    windows = strict.predict(tone, RATE)
    assert set(names(windows)) == {UNKNOWN}
    assert all(0.5 <= w.confidence <= 1.0 for w in windows)


def _batches(audio: np.ndarray):
    from anc_core.features import WindowFeatures

    stream = WindowFeatures(RATE)
    return [*stream.process(audio[:, np.newaxis]), *stream.flush()]


@pytest.mark.parametrize(
    ("num_samples", "expected"),
    [(0, []), (1, [UNKNOWN]), (RATE // 2 - 1, [UNKNOWN]), (RATE // 2, ["fan"]), (RATE, ["fan"])],
)
def test_a_short_stream_is_one_window_and_too_short_a_one_has_no_name(
    classifier: NoiseClassifier, num_samples: int, expected: list[str]
) -> None:
    windows = classifier.predict(noise("fan", 1.0, RATE, seed=45)[:num_samples], RATE)
    assert names(windows) == expected
    assert [w.end_s for w in windows] == [num_samples / RATE] * len(expected)
    if expected == [UNKNOWN]:
        assert windows[0].confidence == 0.0


@settings(max_examples=12, deadline=None)
@given(
    data=st.data(),
    length=st.integers(0, 70_000),
    rate=st.sampled_from([1_102, 8_000, 44_100]),
    num_channels=st.integers(1, 3),
)
def test_any_split_gives_the_same_windows(
    classifier: NoiseClassifier, data: st.DataObject, length: int, rate: int, num_channels: int
) -> None:
    """70 000 samples at 1102 Hz are 63 s: four batches of windows."""
    draw = np.random.default_rng(length)
    audio = draw.normal(0, 0.1, (length, num_channels)).astype(np.float32)
    audio[length // 3 : length // 2] *= 1e-5
    stream = classifier.stream(rate, num_channels)
    whole = [*stream.process(audio), *stream.flush()]
    parts = [w for chunk in data.draw(splits(audio)) for w in stream.process(chunk)]
    assert [*parts, *stream.flush()] == whole


def test_after_a_reset_the_same_is_heard_again(classifier: NoiseClassifier) -> None:
    audio = noise("rain", 2.3, RATE, seed=46)[:, np.newaxis]
    stream = classifier.stream(RATE)
    first = [*stream.process(audio), *stream.flush()]
    stream.process(audio[:5_000])
    stream.reset()
    assert [*stream.process(audio), *stream.flush()] == first
    assert stream.flush() == []


def test_nan_infinities_and_huge_samples_are_survived(classifier: NoiseClassifier) -> None:
    audio = noise("fan", 2.0, RATE, seed=47).astype(np.float64)
    audio[[0, 5_000, 9_000, 20_000]] = [np.nan, np.inf, -np.inf, 1e300]
    for window in classifier.predict(audio, RATE):
        assert 0.0 <= window.confidence <= 1.0


def test_samples_that_are_no_audio_are_refused(classifier: NoiseClassifier) -> None:
    with pytest.raises(InputError, match="floating point"):
        classifier.predict(np.zeros(RATE, np.int16), RATE)
    with pytest.raises(InputError, match="sample_rate"):
        classifier.predict(np.zeros(RATE, np.float32), 7)
