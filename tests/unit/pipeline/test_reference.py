"""Cancelling from files: where the reference is, when it came, what is said about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from anc_core.errors import ErrorCode, InputError, SourceError, WarningCode
from anc_core.pipeline import process_recording
from anc_core.presets import CancellationParameters
from anc_core.records import Mode, SessionSummary, Status
from tests.recordings import two_microphones

RATE = 16_000


def written(path: Path, *columns: np.ndarray, sample_rate: int = RATE) -> Path:
    sf.write(path, np.stack(columns, axis=1), sample_rate, subtype="FLOAT")
    return path


def error_db(output: np.ndarray, speech: np.ndarray) -> float:
    """Return the power of all that is not the voice, over the voice's, after the first second."""
    error, wanted = (output - speech)[RATE:], speech[RATE:]
    return float(10 * np.log10(np.mean(error**2) / np.mean(wanted**2)))


def said(summary: SessionSummary) -> set[str]:
    return {remark.code for remark in summary.warnings}


def test_a_channel_of_the_recording_can_be_its_reference(tmp_path: Path) -> None:
    primary, reference, speech = two_microphones()
    source = written(tmp_path / "in.wav", reference, primary, -primary)
    summary = process_recording(
        source, tmp_path / "out.wav", cancellation=CancellationParameters(reference_channel=1)
    )
    output, rate = sf.read(tmp_path / "out.wav")
    assert (summary.status, summary.mode, summary.num_channels) == (Status.OK, Mode.CANCEL, 2)
    assert (output.shape, rate) == ((len(speech), 2), RATE)
    # 5 dB before.
    assert error_db(output[:, 0], speech) < -20.0
    assert error_db(-output[:, 1], speech) < -20.0
    assert said(summary) == set()


def test_a_channel_and_a_file_of_its_own_give_the_same(tmp_path: Path) -> None:
    primary, reference, _ = two_microphones()
    both = written(tmp_path / "both.wav", primary, reference)
    alone = written(tmp_path / "alone.wav", primary)
    other = written(tmp_path / "reference.wav", 0 * reference, reference)
    how = CancellationParameters(reference_channel=2)
    process_recording(both, tmp_path / "a.wav", cancellation=how)
    process_recording(alone, tmp_path / "b.wav", reference=other, cancellation=how)
    one, two = (sf.read(tmp_path / name)[0].reshape(-1) for name in ("a.wav", "b.wav"))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("delay_s", [0.7, -0.7])
def test_a_reference_from_another_time_is_moved_and_the_record_says_so(
    tmp_path: Path, delay_s: float
) -> None:
    primary, reference, speech = two_microphones(8.0, delay_s=-delay_s)
    summary = process_recording(
        written(tmp_path / "in.wav", primary),
        tmp_path / "out.wav",
        reference=written(tmp_path / "ref.wav", reference),
    )
    # Where it was moved beyond its own ends there is nothing to cancel with.
    inner = slice(0, len(speech) - RATE) if delay_s > 0 else slice(RATE, None)
    assert error_db(sf.read(tmp_path / "out.wav")[0][inner], speech[inner]) < -15.0
    assert WarningCode.REFERENCE_MOVED in said(summary)


def test_without_align_it_stays_where_it_is(tmp_path: Path) -> None:
    primary, reference, speech = two_microphones(delay_s=-0.7)
    summary = process_recording(
        written(tmp_path / "in.wav", primary),
        tmp_path / "out.wav",
        reference=written(tmp_path / "ref.wav", reference),
        cancellation=CancellationParameters(align=False),
    )
    assert said(summary) == set()
    assert error_db(sf.read(tmp_path / "out.wav")[0], speech) > -8.0


def test_a_reference_of_another_rate_and_clock_is_followed(tmp_path: Path) -> None:
    import soxr

    primary, reference, speech = two_microphones(30.0)
    fast = soxr.resample(reference.astype(np.float64), RATE, 44_100 * (1 + 50e-6), quality="VHQ")
    summary = process_recording(
        written(tmp_path / "in.wav", primary),
        tmp_path / "out.wav",
        reference=written(tmp_path / "ref.wav", fast, sample_rate=44_100),
    )
    assert error_db(sf.read(tmp_path / "out.wav")[0], speech) < -15.0
    moved = next(r for r in summary.warnings if r.code == WarningCode.REFERENCE_MOVED)
    assert "ppm" in moved.message


def test_a_short_or_unrelated_reference_is_named(tmp_path: Path) -> None:
    primary, reference, _ = two_microphones()
    source = written(tmp_path / "in.wav", primary)
    short = written(tmp_path / "short.wav", reference[: 4 * RATE])
    other = written(tmp_path / "other.wav", reference[::-1])
    assert WarningCode.REFERENCE_SHORT in said(process_recording(source, reference=short))
    assert WarningCode.REFERENCE_UNRELATED in said(process_recording(source, reference=other))


def test_a_voice_without_noise_is_left_alone(tmp_path: Path) -> None:
    _, reference, speech = two_microphones(8.0)
    process_recording(
        written(tmp_path / "in.wav", speech),
        tmp_path / "out.wav",
        reference=written(tmp_path / "ref.wav", reference),
    )
    output = sf.read(tmp_path / "out.wav")[0]
    change_db = 10 * np.log10(np.mean(output**2) / np.mean(speech.astype(float) ** 2))
    assert abs(change_db) < 0.5


def test_the_chunk_size_changes_no_bit(tmp_path: Path) -> None:
    primary, reference, _ = two_microphones()
    source = written(tmp_path / "in.wav", primary, reference)
    how = CancellationParameters(reference_channel=2)
    for size in (8_000, 12_345, 80_000):
        process_recording(source, tmp_path / f"{size}.wav", cancellation=how, chunk_size=size)
    first, *others = (sf.read(tmp_path / f"{n}.wav")[0] for n in (8_000, 12_345, 80_000))
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_analysis_alone_keeps_the_channels(tmp_path: Path) -> None:
    primary, reference, _ = two_microphones()
    source = written(tmp_path / "in.wav", primary, reference)
    how = CancellationParameters(reference_channel=2)
    process_recording(source, tmp_path / "out.wav", cancellation=how, apply_anc=False)
    assert (tmp_path / "out.wav").read_bytes() == source.read_bytes()


def test_a_channel_that_is_not_there_is_the_recordings_fault(tmp_path: Path) -> None:
    primary, reference, _ = two_microphones()
    how = CancellationParameters(reference_channel=3)
    with pytest.raises(SourceError, match="channel 3") as caught:
        process_recording(written(tmp_path / "in.wav", primary, reference), cancellation=how)
    assert caught.value.code is ErrorCode.BAD_CHANNELS


def test_a_recording_of_one_channel_cannot_be_its_own_reference(tmp_path: Path) -> None:
    how = CancellationParameters(reference_channel=1)
    with pytest.raises(SourceError, match="nothing would be left") as caught:
        process_recording(written(tmp_path / "in.wav", two_microphones()[0]), cancellation=how)
    assert caught.value.code is ErrorCode.BAD_CHANNELS


def test_an_unknown_algorithm_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    how = CancellationParameters(reference_channel=2, algorithm="magic")
    with pytest.raises(InputError, match="'magic' is unknown"):
        process_recording(tmp_path / "gone.wav", cancellation=how)


def test_how_it_was_cancelled_makes_another_session_only_where_it_is_cancelled(
    tmp_path: Path,
) -> None:
    primary, reference, _ = two_microphones(1.0)
    source = written(tmp_path / "in.wav", primary, reference)
    how = [CancellationParameters(num_taps=taps, reference_channel=2) for taps in (64, 128)]
    prints = {process_recording(source, cancellation=one).fingerprint for one in how}
    assert len(prints) == 2
    suppressed = [
        process_recording(source, mode="suppress", cancellation=CancellationParameters(num_taps=n))
        for n in (64, 128)
    ]
    assert len({summary.fingerprint for summary in suppressed}) == 1
