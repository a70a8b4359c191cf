from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from anc_core.errors import ErrorCode, GateError
from anc_core.pipeline.gate import GateInput, check
from anc_core.presets import GateParameters

LIMITS = GateParameters()
GOOD = GateInput(
    samples_in=1_000,
    samples_out=1_000,
    samples_in_file=1_000,
    length_tolerance=0,
    all_finite=True,
    residual_lag_samples=0,
    longest_new_silence_s=0.0,
    speech_level_change_db=-0.2,
    max_event_attenuation_db=0.0,
)
NAN = float("nan")


def test_good_result_passes() -> None:
    check(GOOD, LIMITS)


def test_what_could_not_be_measured_is_no_failure() -> None:
    unknown = replace(
        GOOD,
        samples_in_file=None,
        residual_lag_samples=None,
        speech_level_change_db=None,
        max_event_attenuation_db=None,
    )
    check(unknown, LIMITS)


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"samples_out": 999}, ErrorCode.LENGTH, "999 samples came out, 1000 went in"),
        ({"samples_out": 1_001}, ErrorCode.LENGTH, "1001 samples came out"),
        ({"samples_in_file": 0}, ErrorCode.LENGTH, "file has 0 samples, the input 1000"),
        ({"all_finite": False}, ErrorCode.NON_FINITE, "NaN or infinite"),
        ({"residual_lag_samples": 1}, ErrorCode.LAG, "lags by 1"),
        ({"residual_lag_samples": -160}, ErrorCode.LAG, "lags by -160"),
        ({"longest_new_silence_s": 1.01}, ErrorCode.NEW_SILENCE, r"1\.01 s .*limit 1 s"),
        ({"longest_new_silence_s": NAN}, ErrorCode.NEW_SILENCE, "nan"),
        ({"speech_level_change_db": -3.01}, ErrorCode.SPEECH_LOSS, r"-3\.0 dB"),
        ({"speech_level_change_db": 1.51}, ErrorCode.SPEECH_LOSS, r"\+1\.5 dB"),
        ({"speech_level_change_db": NAN}, ErrorCode.SPEECH_LOSS, "nan"),
        ({"max_event_attenuation_db": 1.01}, ErrorCode.SAFETY, r"lost 1\.0 dB \(limit 1 dB\)"),
        ({"max_event_attenuation_db": NAN}, ErrorCode.SAFETY, "nan"),
        ({"max_event_attenuation_db": float("inf")}, ErrorCode.SAFETY, "inf"),
    ],
)
def test_harmful_result_is_refused_with_figure_and_limit(
    fields: dict[str, Any], code: ErrorCode, words: str
) -> None:
    with pytest.raises(GateError, match=words) as caught:
        check(replace(GOOD, **fields), LIMITS)
    assert caught.value.code is code


@pytest.mark.parametrize(
    "fields",
    [
        {"longest_new_silence_s": 1.0},
        {"speech_level_change_db": -3.0},
        {"speech_level_change_db": 1.5},
        {"max_event_attenuation_db": 1.0},
        {"max_event_attenuation_db": -6.0},
    ],
)
def test_limits_themselves_are_allowed(fields: dict[str, Any]) -> None:
    check(replace(GOOD, **fields), LIMITS)


@pytest.mark.parametrize("in_file", [-1_152 + 1_000, 1_000, 1_000 + 1_152])
def test_codec_may_round_the_length_of_the_file(in_file: int) -> None:
    check(replace(GOOD, samples_in_file=in_file, length_tolerance=1_152), LIMITS)


@pytest.mark.parametrize("fields", [{"samples_out": 999}, {"samples_in_file": 1_000 + 1_153}])
def test_codec_tolerance_excuses_no_sample_that_the_stream_lost(fields: dict[str, int]) -> None:
    with pytest.raises(GateError) as caught:
        check(replace(GOOD, length_tolerance=1_152, **fields), LIMITS)
    assert caught.value.code is ErrorCode.LENGTH


def test_limits_are_those_of_the_preset() -> None:
    loud = replace(GOOD, speech_level_change_db=-5.0)
    check(loud, GateParameters(max_speech_loss_db=6.0))
    with pytest.raises(GateError):
        check(loud, LIMITS)


def test_worst_kind_of_failure_is_told_first() -> None:
    broken = replace(GOOD, samples_out=1, all_finite=False, max_event_attenuation_db=20.0)
    with pytest.raises(GateError) as caught:
        check(broken, LIMITS)
    assert caught.value.code is ErrorCode.LENGTH
