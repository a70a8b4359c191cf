"""The error tree: what went wrong, and what the caller should do about it.

::

    AncError
    ├── InputError (ValueError)            a parameter or array breaks a rule: fix the call
    │   └── SettingsError                  an ``ANC_*`` variable is unknown or out of range
    ├── RecordingError (OSError)           one recording fails: once, never retried
    │   ├── SourceError                    the input is at fault (EMPTY_FILE, NOT_AUDIO, ...)
    │   ├── SinkError                      the output is at fault (NO_SPACE, COLLISION, ...)
    │   └── GateError                      the result is at fault (LENGTH, LAG, SPEECH_LOSS, ...)
    ├── ModelBundleError                   a model is missing, changed or not for this program
    ├── StoreError                         the database is at fault
    │   ├── SessionNotFoundError (LookupError)
    │   └── SchemaError                    newer schema than this code, or a damaged one
    └── TransientError                     may work in a moment: the only thing a flow retries
        ├── StoreBusyError                 the database was locked or away (DB_UNAVAILABLE)
        ├── SourceChangedError             the input changed while it was read (CHANGED_DURING_READ)
        ├── RemoteUnreachableError         a bucket gave no answer (TIMEOUT)
        └── WorkerDiedError                a worker process died

Every error that ends a session carries a stable ``code`` (:class:`ErrorCode`): reports group by it.
"""

from __future__ import annotations

from enum import StrEnum


class ErrorCode(StrEnum):
    """Stable reasons why a session failed or was degraded; documented in docs/errors.md."""

    # input
    EMPTY_FILE = "EMPTY_FILE"
    NO_AUDIO = "NO_AUDIO"
    NO_AUDIO_STREAM = "NO_AUDIO_STREAM"
    NO_DATA_CHUNK = "NO_DATA_CHUNK"
    NOT_AUDIO = "NOT_AUDIO"
    UNSUPPORTED = "UNSUPPORTED"
    BAD_SAMPLE_RATE = "BAD_SAMPLE_RATE"
    BAD_CHANNELS = "BAD_CHANNELS"
    NON_FINITE = "NON_FINITE"
    TOO_LONG = "TOO_LONG"
    CHANGED_DURING_READ = "CHANGED_DURING_READ"
    PERMISSION = "PERMISSION"
    NOT_FOUND = "NOT_FOUND"
    BAD_PARAMETER = "BAD_PARAMETER"
    # output
    NO_SPACE = "NO_SPACE"
    NOT_WRITABLE = "NOT_WRITABLE"
    COLLISION = "COLLISION"
    # run
    TIMEOUT = "TIMEOUT"
    INTERRUPTED = "INTERRUPTED"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    MODEL_MISSING = "MODEL_MISSING"
    MODEL_HASH = "MODEL_HASH"
    MODEL_UNTRUSTED = "MODEL_UNTRUSTED"
    FEATURE_SCHEMA = "FEATURE_SCHEMA"
    DB_UNAVAILABLE = "DB_UNAVAILABLE"
    INTERNAL = "INTERNAL"
    # quality gate
    LENGTH = "LENGTH"
    LAG = "LAG"
    NEW_SILENCE = "NEW_SILENCE"
    SPEECH_LOSS = "SPEECH_LOSS"
    SAFETY = "SAFETY"


class WarningCode(StrEnum):
    """Stable remarks on a session that was processed all the same."""

    TRUNCATED = "TRUNCATED"
    CLIPPED = "CLIPPED"
    DC_OFFSET = "DC_OFFSET"
    DEAD_CHANNEL = "DEAD_CHANNEL"
    TIMESTAMP_SUSPECT = "TIMESTAMP_SUSPECT"
    CODEC_MISMATCH = "CODEC_MISMATCH"
    NARROWBAND = "NARROWBAND"
    NON_FINITE_REPAIRED = "NON_FINITE_REPAIRED"
    TAGS_DROPPED = "TAGS_DROPPED"
    HEADER_REPAIRED = "HEADER_REPAIRED"
    SEVERAL_TRACKS = "SEVERAL_TRACKS"
    MODEL_UNAVAILABLE = "MODEL_UNAVAILABLE"
    REFERENCE_MOVED = "REFERENCE_MOVED"
    REFERENCE_UNRELATED = "REFERENCE_UNRELATED"
    REFERENCE_SHORT = "REFERENCE_SHORT"
    FILTER_MUTED = "FILTER_MUTED"


class AncError(Exception):
    """Base of every error that this project raises on purpose."""


class InputError(AncError, ValueError):
    """A parameter or an array breaks a rule; the message names the value, the rule and the cure."""


class SettingsError(InputError):
    """An environment variable is unknown, misspelt or out of range."""


class RecordingError(AncError, OSError):
    """One recording cannot be processed; trying again would fail again.

    Parameters
    ----------
    code : ErrorCode
        The stable reason.
    message : str
        Names the file, the value and, where known, the cure.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type[RecordingError], tuple[ErrorCode, str]]:
        # OSError pickles its own arguments; without this the code is lost between processes.
        return type(self), (self.code, str(self))


class SourceError(RecordingError):
    """The input file is at fault."""


class SinkError(RecordingError):
    """The output file or folder is at fault."""


class GateError(RecordingError):
    """The result did not pass the quality gate."""


class ModelBundleError(AncError):
    """A model is missing (MODEL_MISSING) or not what it should be; nothing of it was executed.

    MODEL_HASH: changed, damaged or of another kind. FEATURE_SCHEMA: trained on other features.
    MODEL_UNTRUSTED: a pickle, which could execute anything, that nobody here vouched for.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type[ModelBundleError], tuple[ErrorCode, str]]:
        return type(self), (self.code, str(self))


class StoreError(AncError):
    """The database is at fault."""


class SessionNotFoundError(StoreError, LookupError):
    """No session has that id."""


class SchemaError(StoreError):
    """The database has a newer schema than this code, or a damaged one."""


class TransientError(AncError):
    """May work in a moment: the only kind of error that a flow retries."""

    code: ErrorCode = ErrorCode.INTERNAL


class StoreBusyError(TransientError, StoreError):
    """The database was locked or could not be reached."""

    code = ErrorCode.DB_UNAVAILABLE


class SourceChangedError(TransientError):
    """The input changed while it was read."""

    code = ErrorCode.CHANGED_DURING_READ


class RemoteUnreachableError(TransientError):
    """A bucket or another machine gave no answer, or one that was cut short."""

    code = ErrorCode.TIMEOUT


class WorkerDiedError(TransientError):
    """A worker process ended without an answer (killed, out of memory, crashed)."""

    code = ErrorCode.INTERRUPTED
