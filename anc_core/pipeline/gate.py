"""The quality gate: a result that harms the recording is not delivered.

Each check names its code; the first that fails raises :class:`GateError` while the output is still
a temporary file. The caller then tries the gentler preset and at last the untouched original.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from anc_core.errors import ErrorCode, GateError
from anc_core.presets import GateParameters


@dataclass(frozen=True, slots=True, kw_only=True)
class GateInput:
    """What the gate looks at; ``None`` = could not be measured, which is no failure."""

    samples_in: int
    samples_out: int
    samples_in_file: int | None
    """Re-read from the finished temporary file; ``None`` where nothing is written."""
    length_tolerance: int
    """Samples that the output's codec may add or lose."""
    all_finite: bool
    residual_lag_samples: int | None
    longest_new_silence_s: float
    speech_level_change_db: float | None
    max_event_attenuation_db: float | None


def check(result: GateInput, limits: GateParameters) -> None:
    """Raise the first failure found.

    Raises
    ------
    GateError
        With code LENGTH, NON_FINITE, LAG, NEW_SILENCE, SPEECH_LOSS or SAFETY; the message gives
        the figure and the limit.
    """
    for rule in (_length, _finite, _lag, _silence, _speech, _safety):
        for failure in rule(result, limits):
            raise failure


_Rule = Callable[[GateInput, GateParameters], Iterator[GateError]]


def _length(result: GateInput, _: GateParameters) -> Iterator[GateError]:
    wanted, in_file = result.samples_in, result.samples_in_file
    # The codec may round what is written; the stream itself may not lose a single sample.
    if result.samples_out != wanted:
        yield GateError(
            ErrorCode.LENGTH, f"{result.samples_out} samples came out, {wanted} went in"
        )
    if in_file is not None and abs(in_file - wanted) > result.length_tolerance:
        yield GateError(
            ErrorCode.LENGTH,
            f"the output file has {in_file} samples, the input {wanted} "
            f"(tolerance {result.length_tolerance})",
        )


def _finite(result: GateInput, _: GateParameters) -> Iterator[GateError]:
    if not result.all_finite:
        yield GateError(ErrorCode.NON_FINITE, "the output holds NaN or infinite samples")


def _lag(result: GateInput, _: GateParameters) -> Iterator[GateError]:
    if result.residual_lag_samples:
        yield GateError(
            ErrorCode.LAG, f"the output lags by {result.residual_lag_samples} samples; 0 is allowed"
        )


def _silence(result: GateInput, limits: GateParameters) -> Iterator[GateError]:
    if not result.longest_new_silence_s <= limits.max_new_silence_s:  # NaN fails, too
        yield GateError(
            ErrorCode.NEW_SILENCE,
            f"{result.longest_new_silence_s:.2f} s went silent where the input was active "
            f"(limit {limits.max_new_silence_s:g} s)",
        )


def _speech(result: GateInput, limits: GateParameters) -> Iterator[GateError]:
    change = result.speech_level_change_db
    if change is not None and not -limits.max_speech_loss_db <= change <= limits.max_speech_gain_db:
        yield GateError(
            ErrorCode.SPEECH_LOSS,
            f"speech level changed by {change:+.1f} dB "
            f"(allowed -{limits.max_speech_loss_db:g} to +{limits.max_speech_gain_db:g} dB)",
        )


def _safety(result: GateInput, limits: GateParameters) -> Iterator[GateError]:
    loss = result.max_event_attenuation_db
    if loss is not None and not loss <= limits.max_event_attenuation_db:  # NaN fails, too
        yield GateError(
            ErrorCode.SAFETY,
            f"an emergency sound lost {loss:.1f} dB (limit {limits.max_event_attenuation_db:g} dB)",
        )
