"""Process one recording once: claim it, do it, record it - whatever happens in between.

The order makes every moment safe to die in: the claim is committed before the first temporary file
exists, the output is renamed before the sidecar, the sidecar before the session is finished. Who
comes next finds the claim of a dead process, removes its temporary file, adopts a finished output
or does the work again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from anc_core.errors import (
    AncError,
    ErrorCode,
    InputError,
    RecordingError,
    SinkError,
    StoreBusyError,
    StoreError,
    TransientError,
    WorkerDiedError,
)
from anc_core.files import (
    SourceIdentity,
    copy_atomic,
    digest_file,
    identify,
    temp_path,
)
from anc_core.jobs.naming import check_allowed
from anc_core.jobs.records import RecordingJob
from anc_core.jobs.timestamps import timestamp_remarks
from anc_core.logs import log_ids
from anc_core.pipeline import sidecar
from anc_core.pipeline.recording import run_request
from anc_core.pipeline.request import RecordingRequest, refuse_same_file
from anc_core.pipeline.stream import OnProgress
from anc_core.records import Overwrite, SessionSummary, Status
from anc_core.settings import Settings
from anc_core.store import (
    Claim,
    ClaimRequest,
    Database,
    Outcome,
    Owner,
    claim,
    find_by_fingerprint,
    finish,
    heartbeat,
    is_known_output,
    validate_session_id,
)
from anc_core.temporaries import own_token, remove_abandoned
from anc_core.version import __version__

_log = logging.getLogger(__name__)

# Spec: a recording without a single sample is skipped, not failed.
_SKIPPED_CODES = frozenset({ErrorCode.NO_AUDIO})

_DONE_BEFORE = "done before with the same parameters"

BUSY_REASON = "another process is working on this recording"
"""Of a recording that is skipped because its end is not known yet."""

# Fingerprints that threads of this process are at, and how many; see _one_at_a_time.
_LOCKS: dict[str, tuple[threading.Lock, int]] = {}
_LOCKS_GUARD = threading.Lock()


def run_recording(
    job: RecordingJob,
    *,
    database: Database,
    settings: Settings,
    on_progress: OnProgress | None = None,
) -> SessionSummary:
    """Process ``job`` and record it; bad input becomes a ``failed`` summary, never an exception.

    Parameters
    ----------
    job : RecordingJob
        What to do.
    database : Database
        Where sessions are claimed and recorded.
    settings : Settings
        Limits and heartbeat.
    on_progress : callable, optional
        Gets the number of samples read so far.

    Returns
    -------
    SessionSummary
        ``ok``, ``degraded``, ``failed`` with ``error_code``, or ``skipped`` with ``reason``: done
        before, being done by another process, or without a single sample.

    Raises
    ------
    InputError
        If the job contradicts itself (unknown word, reference missing, bad session id).
    TransientError
        If another try may work: database away, file changing, worker dead.
    """
    with log_ids(batch_id=job.batch_id):
        job = _checked(job)
        request = job.request(settings)
        try:
            content = _read_content(job, request, settings)
        except RecordingError as err:
            # A file that cannot be read still gets its row: reports count failures by their code.
            unread = _Content(None, None, request.fingerprint(f"unread:{job.source}", None))
            return _Session(job, request, unread, database, settings, None).fail_unread(err)
        return _Session(job, request, content, database, settings, on_progress).run()


def _checked(job: RecordingJob) -> RecordingJob:
    """Return ``job`` with its words checked and its paths absolute, before any is used."""
    if job.session_id is not None:
        validate_session_id(job.session_id)
    try:
        overwrite = Overwrite(job.overwrite)
    except ValueError:
        known = ", ".join(Overwrite)
        msg = f"overwrite {str(job.overwrite)!r} is unknown; choose one of {known}"
        raise InputError(msg) from None
    return replace(
        job,
        overwrite=overwrite,
        source=job.source.absolute(),
        sink=None if job.sink is None else job.sink.absolute(),
    )


@dataclass(frozen=True, slots=True)
class _Content:
    """What identifies the recording; nothing but the fingerprint where it cannot be read."""

    identity: SourceIdentity | None
    digest: str | None
    fingerprint: str


def _read_content(job: RecordingJob, request: RecordingRequest, settings: Settings) -> _Content:
    check_allowed(job.source, settings.allowed_roots)
    if job.reference is not None:
        check_allowed(job.reference, settings.allowed_roots)
    if job.sink is not None:
        check_allowed(job.sink, settings.allowed_roots)
        refuse_same_file(job.source, job.sink)
    identity = identify(job.source)
    known = job.digest if job.identity == identity else None
    digest = known or digest_file(job.source)
    reference_digest = None if job.reference is None else digest_file(job.reference)
    return _Content(identity, digest, request.fingerprint(digest, reference_digest))


class _Session:
    """One job, from its claim to its row."""

    def __init__(
        self,
        job: RecordingJob,
        request: RecordingRequest,
        content: _Content,
        database: Database,
        settings: Settings,
        on_progress: OnProgress | None,
    ) -> None:
        self.on_progress = on_progress
        self.job, self.request, self.content = job, request, content
        self.database, self.settings = database, settings
        self.owner = Owner.current()
        self.token = own_token()
        """Nobody else's: a worker that was taken for dead may still write under its own."""
        self.last_heartbeat = time.monotonic()
        self.replaceable: Path | None = None
        """What this very session delivered before, changed since."""

    def fail_unread(self, err: RecordingError) -> SessionSummary:
        held = self._claim(redo=False)
        with self._told(held):
            summary = self._failed(held, err.code, str(err))
            if held.outcome is Outcome.CLAIMED:
                self._finish(summary)
            _tell_end(summary)
        return summary

    def run(self) -> SessionSummary:
        if self.job.batch_id is None and self.job.sink is not None:
            remove_abandoned(self.job.sink.parent)  # a batch looks once, when it begins
        with _one_at_a_time(self.content.fingerprint):
            redo = self.job.overwrite is Overwrite.REPLACE and not self._done_in_this_batch()
            held = self._claim(redo=redo)
            if self._is_left_over(held):
                held = self._claim(redo=redo)
            with self._told(held):
                summary = self._act(held)
                _tell_end(summary)
            return summary

    @contextmanager
    def _told(self, held: Claim) -> Iterator[None]:
        """Let every line from here on bear the session's id, and tell of the beginning."""
        with log_ids(session_id=held.session_id):
            _log.info("%s: %s, attempt %d", self.job.source, held.outcome, held.attempt)
            yield

    def _act(self, held: Claim) -> SessionSummary:
        if held.stale_temp_path is not None:
            sidecar.remove_leftovers(Path(held.stale_temp_path))
        match held.outcome:
            case Outcome.DONE:
                return self._deliver(held)
            case Outcome.BUSY:
                return self._skipped(held, BUSY_REASON)
            case Outcome.EXHAUSTED:
                return self._exhausted(held)
        return self._work(held)

    def _is_left_over(self, held: Claim) -> bool:
        """Return whether the claim that is in the way is of an earlier try of this very process.

        Its end could not be recorded because the database was away; nobody works on it.
        """
        if held.outcome is not Outcome.BUSY:
            return False
        ours = self._is_ours(held.session_id)
        if ours:
            message = f"{self.job.source}: its end could not be recorded, the database was away"
            self._finish(self._failed(held, ErrorCode.DB_UNAVAILABLE, message))
        return ours

    def _done_in_this_batch(self) -> bool:
        """Return whether a shard that is tried again already did this recording."""
        if self.job.batch_id is None:
            return False
        with self.database.read() as db:
            previous = find_by_fingerprint(db, self.content.fingerprint)
        return previous is not None and self._is_own(previous)

    def _is_own(self, previous: SessionSummary) -> bool:
        done = previous.status in {Status.OK, Status.DEGRADED}
        same_batch = self.job.batch_id is not None and previous.batch_id == self.job.batch_id
        return done and same_batch and previous.source_path == str(self.job.source)

    def _claim(self, *, redo: bool) -> Claim:
        job, identity = self.job, self.content.identity
        sink = job.sink
        request = ClaimRequest(
            fingerprint=self.content.fingerprint,
            session_id=job.session_id,
            source_path=str(job.source),
            source_digest=self.content.digest,
            source_bytes=None if identity is None else identity.size,
            source_mtime_ns=None if identity is None else identity.mtime_ns,
            output_path=None if sink is None else str(sink),
            temp_path=None if sink is None else str(temp_path(sink, self.token)),
            mode=self.request.mode,
            preset=self.request.preset.name,
            parameters=self.request.parameters,
            batch_id=job.batch_id,
            device_id=job.device_id,
            gain_setting=job.gain_setting,
            user_id=job.user_id,
            site=job.site,
            recorded_at=job.recorded_at,
            max_attempts=self.settings.max_attempts,
            redo=redo,
        )
        with self.database.begin() as db:
            return claim(db, request, self.owner, stale_after_s=self.settings.stale_after_s)

    def _work(self, held: Claim) -> SessionSummary:
        with self._settling(held):
            try:
                summary = self._adopt(held)
                if summary is None:
                    self._refuse_foreign_output()
                    summary = self._process(held)
            except RecordingError as err:
                summary = self._failed(held, err.code, str(err))
            except InputError as err:
                self._finish(self._failed(held, ErrorCode.BAD_PARAMETER, str(err)))
                raise
            summary = self._described(summary, held)
            self._finish(summary)
        return summary

    def _process(self, held: Claim) -> SessionSummary:
        identity, digest = self.content.identity, self.content.digest
        assert identity is not None  # noqa: S101 - unread files are not worked on
        assert digest is not None  # noqa: S101
        return run_request(
            self.request,
            before=identity,
            source_digest=digest,
            fingerprint=self.content.fingerprint,
            session_id=held.session_id,
            token=self.token,
            on_progress=lambda num_samples: self._advance(held, num_samples),
        )

    @contextmanager
    def _settling(self, held: Claim) -> Iterator[None]:
        """Leave a row that says so, whatever ends the work early."""
        try:
            yield
        except InputError:
            raise
        except TransientError as err:
            self._leave(held, err.code, str(err))
            raise
        except Exception as err:
            _log.exception("%s: unexpected %s", self.job.source, type(err).__name__)
            self._leave(held, ErrorCode.INTERNAL, f"{type(err).__name__}: {err}")
            raise
        except BaseException as err:
            self._leave(held, ErrorCode.INTERRUPTED, f"interrupted by {type(err).__name__}")
            raise

    def _leave(self, held: Claim, code: ErrorCode, message: str) -> None:
        # The database may be the very thing that failed; the claim then ends with this process.
        with suppress(AncError):
            self._finish(self._failed(held, code, message))

    def _finish(self, summary: SessionSummary) -> None:
        output = None if summary.output_path is None else Path(summary.output_path)
        size = output.stat().st_size if output is not None and output.is_file() else None
        try:
            with self.database.begin() as db:
                finish(db, summary, self.owner, output_bytes=size)
        except StoreBusyError:
            raise
        except StoreError as err:
            if self._is_ours(summary.session_id):
                raise
            raise self._taken_over() from err

    def _advance(self, held: Claim, num_samples: int) -> None:
        if self.on_progress is not None:
            self.on_progress(num_samples)
        now = time.monotonic()
        if now - self.last_heartbeat < self.settings.heartbeat_s:
            return
        self.last_heartbeat = now
        try:
            still_ours = self._is_ours(held.session_id)
        except StoreBusyError as err:
            # A database that restarts must not cost hours of work: it is asked again, at the latest
            # when the session ends.
            _log.warning("%s: no heartbeat: %s", self.job.source, err)
            return
        if not still_ours:
            raise self._taken_over()

    def _is_ours(self, session_id: str) -> bool:
        """Say that we live; return whether the session is still this worker's."""
        with self.database.begin() as db:
            return heartbeat(db, session_id, self.owner)

    def _taken_over(self) -> WorkerDiedError:
        # Worth another try, which finds what the other has made of it.
        return WorkerDiedError(f"{self.job.source}: the session was taken over by another process")

    def _refuse_foreign_output(self) -> None:
        """Refuse to overwrite a file that we did not write, unless that was asked for."""
        sink = self.job.sink
        if sink is None or not sink.exists() or self.job.overwrite is Overwrite.REPLACE:
            return
        if self.job.overwrite is Overwrite.FAIL:
            raise SinkError(ErrorCode.COLLISION, _exists(sink))
        if sink.is_file() and sink.stat().st_size == 0:
            return  # a placeholder holds nothing that could be lost
        if self.replaceable == sink:
            return
        with self.database.read() as db:
            ours = is_known_output(db, str(sink))
        if not ours and not sidecar.describes(sink):
            msg = f"{sink} exists and is not ours; move it, or use overwrite 'replace'"
            raise SinkError(ErrorCode.COLLISION, msg)

    def _adopt(self, held: Claim) -> SessionSummary | None:
        """Return the finished work of a run that died before it could say so."""
        if self.job.sink is None or self.job.overwrite is Overwrite.REPLACE:
            return None
        if self.job.overwrite is Overwrite.FAIL and held.attempt == 1:
            return None  # an output of an earlier run, not of an earlier try of this one
        adopted = sidecar.read_matching(self.job.sink, self.content.fingerprint)
        if adopted is not None:
            _log.info("%s: finished output adopted from its sidecar", self.job.source)
        return adopted

    def _deliver(self, held: Claim) -> SessionSummary:
        """See that the output of a finished session is where it is wanted."""
        previous, sink = held.previous, self.job.sink
        assert previous is not None  # noqa: S101 - the outcome says so
        stands = sink is None or _holds(sink, previous.output_digest)
        if stands and self._is_own(previous):
            return previous
        if self.job.overwrite is Overwrite.FAIL and sink is not None and sink.exists():
            return self._failed(held, ErrorCode.COLLISION, _exists(sink))
        # What was skipped, for want of a sample, never had an output.
        if sink is None or stands or previous.status is Status.SKIPPED:
            return self._skipped(held, _DONE_BEFORE)
        origin = None if previous.output_path is None else Path(previous.output_path)
        if origin is None or not _holds(origin, previous.output_digest):
            # The output is gone or was changed: the session is done again under its own id.
            return self._redo()
        return self._copy_from(origin, sink, held)

    def _copy_from(self, origin: Path, sink: Path, held: Claim) -> SessionSummary:
        previous = held.previous
        assert previous is not None  # noqa: S101 - the outcome says so
        try:
            self._refuse_foreign_output()
            path = sidecar.sidecar_path(sink)
            placed = {"output_path": str(sink), "sidecar_path": str(path)}
            with sidecar.announced(previous.model_copy(update=placed), token=self.token):
                copy_atomic(origin, sink, token=self.token)
        except RecordingError as err:
            return self._failed(held, err.code, str(err))
        return self._skipped(held, f"done before; its output was copied from {origin}")

    def _redo(self) -> SessionSummary:
        held = self._claim(redo=True)
        if held.outcome is Outcome.CLAIMED:
            previous = held.previous
            if previous is not None and previous.output_path is not None:
                self.replaceable = Path(previous.output_path)
            return self._work(held)
        return self._skipped(held, "another process is doing it again")

    def _exhausted(self, held: Claim) -> SessionSummary:
        message = (
            f"{self.job.source}: its worker died {held.attempt} times (out of memory, or a crash "
            "on this file); use overwrite 'replace' to try again"
        )
        return self._failed(held, ErrorCode.INTERRUPTED, message)

    def _skipped(self, held: Claim, reason: str) -> SessionSummary:
        base = held.previous or self._blank(held)
        update: dict[str, object] = {"status": Status.SKIPPED, "reason": reason}
        update["source_path"] = str(self.job.source)
        if self.job.sink is not None and base.output_digest is not None:
            update["output_path"] = str(self.job.sink)
            update["sidecar_path"] = str(sidecar.sidecar_path(self.job.sink))
        return base.model_copy(update=update)

    def _failed(self, held: Claim, code: ErrorCode, message: str) -> SessionSummary:
        status = Status.SKIPPED if code in _SKIPPED_CODES else Status.FAILED
        return self._blank(held).model_copy(
            update={"status": status, "error_code": code, "error_message": message}
        )

    def _blank(self, held: Claim) -> SessionSummary:
        now, identity = datetime.now(UTC), self.content.identity
        return self._described(
            SessionSummary(
                status=Status.FAILED,
                session_id=held.session_id,
                fingerprint=self.content.fingerprint,
                source_path=str(self.job.source),
                source_digest=self.content.digest,
                source_bytes=None if identity is None else identity.size,
                mode=self.request.mode,
                preset=self.request.preset.name,
                apply_anc=self.request.apply_anc,
                parameters=self.request.parameters,
                core_version=__version__,
                started_at=now,
                finished_at=now,
            ),
            held,
        )

    def _described(self, summary: SessionSummary, held: Claim) -> SessionSummary:
        job = self.job
        suspect = timestamp_remarks(job.recorded_at, datetime.now(UTC))
        known = {remark.code for remark in summary.warnings}
        return summary.model_copy(
            update={
                "warnings": (
                    *summary.warnings,
                    *(remark for remark in suspect if remark.code not in known),
                ),
                "session_id": held.session_id,
                "source_path": str(job.source),
                "batch_id": job.batch_id,
                "device_id": job.device_id,
                "gain_setting": job.gain_setting,
                "user_id": job.user_id,
                "site": job.site,
                "recorded_at": job.recorded_at,
            }
        )


@contextmanager
def _one_at_a_time(fingerprint: str) -> Iterator[None]:
    """Let threads of this process do ``fingerprint`` one after the other.

    The store cannot tell them apart; and a claim of this process that is found while no other
    thread holds this lock is certainly left over.
    """
    with _LOCKS_GUARD:
        lock, users = _LOCKS.get(fingerprint, (threading.Lock(), 0))
        _LOCKS[fingerprint] = (lock, users + 1)
    try:
        with lock:
            yield
    finally:
        with _LOCKS_GUARD:
            lock, users = _LOCKS.pop(fingerprint)
            if users > 1:
                _LOCKS[fingerprint] = (lock, users - 1)


def _tell_end(summary: SessionSummary) -> None:
    facts = {
        "status": summary.status.value,
        "error_code": summary.error_code,
        "duration_s": summary.duration_s,
        "wall_s": summary.metrics.wall_s,
        "reason": summary.error_message or summary.reason,
    }
    known = {name: value for name, value in facts.items() if value is not None}
    words = " ".join(f"{name}={value}" for name, value in known.items())
    # INFO, failed or not: who called tells of failures in his own way, as a table or as errors.
    _log.info("%s: %s", summary.source_path, words, extra={"facts": known})


def _exists(sink: Path) -> str:
    return f"{sink} exists; choose another output, or overwrite 'skip' or 'replace'"


def _holds(path: Path, digest: str | None) -> bool:
    return digest is not None and path.is_file() and digest_file(path) == digest
