from __future__ import annotations

import copy
import pickle

import pytest

from anc_core import errors
from anc_core.errors import (
    AncError,
    ErrorCode,
    GateError,
    InputError,
    ModelBundleError,
    RecordingError,
    SessionNotFoundError,
    SettingsError,
    SinkError,
    SourceChangedError,
    SourceError,
    StoreBusyError,
    StoreError,
    TransientError,
    WarningCode,
    WorkerDiedError,
)

ALL_ERRORS = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, Exception)
]


def make(kind: type[AncError]) -> AncError:
    if issubclass(kind, RecordingError | ModelBundleError):
        return kind(ErrorCode.NO_SPACE, "x.wav: the disk is full")
    return kind("x.wav: the disk is full")


@pytest.mark.parametrize("kind", ALL_ERRORS)
def test_every_error_is_an_anc_error(kind: type[AncError]) -> None:
    assert issubclass(kind, AncError)


@pytest.mark.parametrize("kind", ALL_ERRORS)
@pytest.mark.parametrize("travel", [copy.copy, lambda err: pickle.loads(pickle.dumps(err))])
def test_error_keeps_type_message_and_code_on_its_way(kind: type[AncError], travel) -> None:
    sent = make(kind)
    arrived = travel(sent)
    assert type(arrived) is kind
    assert str(arrived) == str(sent) == "x.wav: the disk is full"
    assert getattr(arrived, "code", None) == getattr(sent, "code", None)


@pytest.mark.parametrize("kind", [RecordingError, SourceError, SinkError, GateError])
def test_os_error_does_not_take_the_code_for_an_errno(kind: type[RecordingError]) -> None:
    # OSError(2, "text") would become FileNotFoundError with str "[Errno 2] text".
    err = kind(ErrorCode.NOT_AUDIO, "text")
    assert type(err) is kind
    assert err.errno is None
    assert str(err) == "text"


def test_code_that_was_set_on_one_error_travels_with_it() -> None:
    err = WorkerDiedError("killed")
    err.code = ErrorCode.OUT_OF_MEMORY
    assert pickle.loads(pickle.dumps(err)).code is ErrorCode.OUT_OF_MEMORY
    assert WorkerDiedError("another").code is ErrorCode.INTERRUPTED


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (InputError, ValueError),
        (SettingsError, ValueError),
        (RecordingError, OSError),
        (SessionNotFoundError, LookupError),
        (StoreBusyError, StoreError),
        (StoreBusyError, TransientError),
        (SourceChangedError, TransientError),
        (WorkerDiedError, TransientError),
    ],
)
def test_error_can_be_caught_as_what_it_also_is(
    kind: type[Exception], builtin: type[Exception]
) -> None:
    assert issubclass(kind, builtin)


@pytest.mark.parametrize("kind", [InputError, RecordingError, StoreError, SessionNotFoundError])
def test_lasting_errors_are_not_transient(kind: type[Exception]) -> None:
    assert not issubclass(kind, TransientError)


def test_transient_errors_carry_their_codes() -> None:
    assert StoreBusyError("x").code is ErrorCode.DB_UNAVAILABLE
    assert SourceChangedError("x").code is ErrorCode.CHANGED_DURING_READ


@pytest.mark.parametrize("codes", [ErrorCode, WarningCode])
def test_codes_are_their_own_names(codes: type[ErrorCode | WarningCode]) -> None:
    assert [code.value for code in codes] == [code.name for code in codes]


def test_codes_of_the_specification_are_all_there() -> None:
    wanted = """
    EMPTY_FILE NO_AUDIO NO_AUDIO_STREAM NO_DATA_CHUNK NOT_AUDIO UNSUPPORTED BAD_SAMPLE_RATE
    BAD_CHANNELS NON_FINITE TOO_LONG CHANGED_DURING_READ PERMISSION NO_SPACE NOT_WRITABLE COLLISION
    TIMEOUT INTERRUPTED OUT_OF_MEMORY MODEL_MISSING MODEL_HASH DB_UNAVAILABLE LENGTH LAG NEW_SILENCE
    SPEECH_LOSS SAFETY
    """
    assert set(wanted.split()) <= set(ErrorCode)
    warnings = "TRUNCATED CLIPPED DC_OFFSET DEAD_CHANNEL TIMESTAMP_SUSPECT CODEC_MISMATCH"
    assert {*warnings.split(), "NARROWBAND"} <= set(WarningCode)
