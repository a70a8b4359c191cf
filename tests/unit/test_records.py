from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from anc_core.errors import ErrorCode, WarningCode
from anc_core.records import Event, Metrics, Mode, Remark, SessionSummary, Status, Window

SUMMARY = SessionSummary(
    status=Status.OK,
    session_id="s-1",
    source_path="/in/x.wav",
    mode=Mode.SUPPRESS,
    events=(
        Event(
            noise_type="fire_alarm",
            start_s=1.0,
            end_s=5.0,
            is_emergency=True,
            channels=(0, 1),
            peak_confidence=1.0,
            mean_confidence=0.75,
            window_count=4,
        ),
    ),
    protected=((0.5, 5.5),),
    warnings=(Remark(code=WarningCode.CLIPPED, message="12 samples"),),
    error_code=ErrorCode.SPEECH_LOSS,
    metrics=Metrics(cancellation_db=-3.2, null_reasons={"snr_in_db": "no speech"}),
    recorded_at="2024-03-31T02:30:00+01:00",
)


def test_record_reads_like_the_dict_it_becomes() -> None:
    assert SUMMARY["status"] == SUMMARY.status == "ok"
    assert SUMMARY["metrics"]["cancellation_db"] == -3.2
    assert SUMMARY.model_dump()["metrics"]["cancellation_db"] == -3.2


@pytest.mark.parametrize("name", ["nothing", "model_dump", "__class__", "to_json"])
def test_only_fields_can_be_looked_up(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        SUMMARY[name]


def test_record_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        SUMMARY.status = Status.FAILED


def test_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        Metrics(canceled_db=1.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_figures_are_finite_or_absent(value: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        Metrics(cancellation_db=value)
    with pytest.raises(ValidationError, match="finite"):
        Metrics(cancellation_third_octave_db={"1000": value})


@pytest.mark.parametrize("confidence", [-0.01, 1.01])
def test_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(ValidationError, match="confidence"):
        Window(start_s=0, end_s=1, channel=0, noise_type="siren", confidence=confidence)


def test_json_round_trip_changes_nothing() -> None:
    assert SessionSummary.from_json(SUMMARY.to_json()) == SUMMARY
    assert SessionSummary.from_json(SUMMARY.to_json(indent=2).encode()) == SUMMARY


def test_null_stays_null_in_json() -> None:
    assert json.loads(SUMMARY.to_json())["metrics"]["snr_in_db"] is None


def test_excluded_fields_are_left_out() -> None:
    assert "batch_id" not in json.loads(SUMMARY.to_json(exclude={"batch_id"}))


@pytest.mark.parametrize(
    "name", ["caf\udce9.wav", "녹음.wav", "😀\u202e.wav", 'a"b\n.wav', "\x1b[31m.wav"]
)
def test_any_file_name_survives_json(name: str) -> None:
    summary = SUMMARY.model_copy(update={"source_path": name, "error_message": f"{name}: bad"})
    for indent in (None, 2):
        text = summary.to_json(indent=indent)
        text.encode("utf-8")  # what goes to a file or a pipe
        assert SessionSummary.from_json(text) == summary


def test_undecodable_name_is_escaped_also_where_fields_are_left_out() -> None:
    summary = SUMMARY.model_copy(update={"source_path": "\udce9", "batch_id": "b"})
    loaded = json.loads(summary.to_json(exclude={"batch_id"}))
    assert loaded["source_path"] == "\udce9"
    assert "batch_id" not in loaded


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense", '{"status": "ok"}'])
def test_what_is_no_record_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - JSON's and pydantic's differ, both are meant
        SessionSummary.from_json(text)


def test_long_lists_stay_out_of_the_representation() -> None:
    assert "windows" not in repr(SUMMARY)
