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
    SourceError,
    StoreBusyError,
    StoreError,
    TransientError,
    WorkerDiedError,
)
from anc_core.files import SourceIdentity, digest_file, identify, temp_path
from anc_core.jobs.naming import Where, check_allowed
from anc_core.jobs.outputs import Output, output_at, placed_at
from anc_core.jobs.records import RecordingJob
from anc_core.jobs.timestamps import timestamp_remarks
from anc_core.logs import log_ids
from anc_core.pipeline import sidecar
from anc_core.pipeline.recording import run_request
from anc_core.pipeline.request import RecordingRequest, refuse_same_file
from anc_core.pipeline.stream import OnProgress
from anc_core.records import Overwrite, SessionSummary, Status
from anc_core.remote import objects
from anc_core.remote.address import RemotePath, place
from anc_core.remote.spool import Spool
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
        If another try may work: database away, file changing, bucket away, worker dead.

    Notes
    -----
    What a URL names is fetched to the spool first; a result for a URL is made there and delivered
    when it has passed all checks.
    """
    with log_ids(batch_id=job.batch_id), Spool(settings.spool) as spool:
        job = _checked(job)
        request = job.request(settings)
        try:
            request, content = _read_content(job, request, settings, spool)
        except RecordingError as err:
            # A file that cannot be read still gets its row: reports count failures by their code.
            unread = _Content(None, None, request.fingerprint(f"unread:{job.source}", None), None)
            session = _Session(job, request, unread, database, settings, spool, None)
            return session.fail_unread(err)
        return _Session(job, request, content, database, settings, spool, on_progress).run()


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
    before: SourceIdentity | None
    """Of the file that is read, which for a URL is the fetched one."""


def _read_content(
    job: RecordingJob, request: RecordingRequest, settings: Settings, spool: Spool
) -> tuple[RecordingRequest, _Content]:
    """Return the request with files of this machine in it, and what they hold."""
    check_allowed(job.source, settings.allowed_roots)
    if job.reference is not None:
        check_allowed(job.reference, settings.allowed_roots)
    if job.sink is not None:
        check_allowed(job.sink, settings.allowed_roots)
        _refuse_same(job.source, job.sink)
    source, identity = _at_hand(job.source, settings, spool)
    known = job.digest if job.identity is not None and job.identity == identity else None
    digest = known or digest_file(source)
    reference = None if job.reference is None else _at_hand(job.reference, settings, spool)[0]
    reference_digest = None if reference is None else digest_file(reference)
    local = replace(
        request,
        source=source,
        source_name=str(job.source),
        reference=reference and reference.absolute(),
        reference_name=None if job.reference is None else str(job.reference.absolute()),
        sink=spool.path(job.sink.suffix) if isinstance(job.sink, RemotePath) else job.sink,
    )
    before = identify(source) if isinstance(job.source, RemotePath) else identity
    fingerprint = request.fingerprint(digest, reference_digest)
    return local, _Content(identity, digest, fingerprint, before)


def _at_hand(where: Where, settings: Settings, spool: Spool) -> tuple[Path, SourceIdentity | None]:
    """Return a file of this machine with the content of ``where``, and the identity of the latter.

    Of some objects nothing is known that would tell whether they are still the same.
    """
    if not isinstance(where, RemotePath):
        return where, identify(where)
    found = objects.look_at(where)
    if found is None:
        msg = f"{where}: is a folder; give the URL of an object, or use a batch"
        raise SourceError(ErrorCode.PERMISSION, msg)
    if found.size > settings.max_source_bytes:
        msg = f"{where}: {found.size} bytes are more than ANC_MAX_SOURCE_BYTES"
        raise SourceError(ErrorCode.TOO_LONG, msg)
    into = spool.path(where.suffix)
    objects.fetch(found, into)
    return into, found.identity


def _refuse_same(source: Where, sink: Where) -> None:
    if isinstance(source, Path) and isinstance(sink, Path):
        refuse_same_file(source, sink)
    elif source == sink:
        msg = f"{sink}: the output is the input itself; name another output"
        raise SinkError(ErrorCode.COLLISION, msg)


class _Session:
    """One job, from its claim to its row."""

    def __init__(
        self,
        job: RecordingJob,
        request: RecordingRequest,
        content: _Content,
        database: Database,
        settings: Settings,
        spool: Spool,
        on_progress: OnProgress | None,
    ) -> None:
        self.on_progress = on_progress
        self.spool = spool
        self.session_id: str | None = None
        """Once it is claimed."""
        self.output = None if job.sink is None else self._output_at(job.sink)
        self.job, self.request, self.content = job, request, content
        self.database, self.settings = database, settings
        self.owner = Owner.current()
        self.token = own_token()
        """Nobody else's: a worker that was taken for dead may still write under its own."""
        self.last_heartbeat = time.monotonic()
        self.replaceable: Where | None = None
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
        if self.job.batch_id is None and isinstance(self.job.sink, Path):
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
        sink, grows_at = job.sink, None if job.sink is None else self.request.sink
        request = ClaimRequest(
            fingerprint=self.content.fingerprint,
            session_id=job.session_id,
            source_path=str(job.source),
            source_digest=self.content.digest,
            source_bytes=None if identity is None else identity.size,
            source_mtime_ns=None if identity is None else identity.mtime_ns,
            output_path=None if sink is None else str(sink),
            temp_path=None if grows_at is None else str(temp_path(grows_at, self.token)),
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
        self.session_id = held.session_id
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
            summary = self._described(summary, held.session_id)
            self._finish(summary)
        return summary

    def _process(self, held: Claim) -> SessionSummary:
        before, digest = self.content.before, self.content.digest
        assert before is not None  # noqa: S101 - unread files are not worked on
        assert digest is not None  # noqa: S101
        summary = run_request(
            self.request,
            before=before,
            source_digest=digest,
            fingerprint=self.content.fingerprint,
            session_id=held.session_id,
            token=self.token,
            on_progress=self._advance,
        )
        made = self.request.sink
        if self.output is None or made is None or made == self.job.sink:
            return summary
        self.output.receive(made, self._named(summary), self.token)
        return placed_at(summary, self.output.place)

    def _named(self, summary: SessionSummary) -> SessionSummary:
        """Return ``summary`` as the sidecar of an object tells it: for whom it was, too."""
        return self._described(summary, summary.session_id)

    def _output_at(self, where: Where) -> Output:
        return output_at(where, self.spool, self._still_ours)

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
        has_output = self.output is not None and summary.output_path is not None
        size = self.output.size() if has_output and self.output is not None else None
        try:
            with self.database.begin() as db:
                finish(db, summary, self.owner, output_bytes=size)
        except StoreBusyError:
            raise
        except StoreError as err:
            if self._is_ours(summary.session_id):
                raise
            raise self._taken_over() from err

    def _advance(self, num_samples: int) -> None:
        if self.on_progress is not None:
            self.on_progress(num_samples)
        self._still_ours()

    def _still_ours(self) -> None:
        """Say now and then that we live; stop where another has taken the session."""
        now = time.monotonic()
        if self.session_id is None or now - self.last_heartbeat < self.settings.heartbeat_s:
            return
        self.last_heartbeat = now
        try:
            still_ours = self._is_ours(self.session_id)
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
        sink, output = self.job.sink, self.output
        if output is None or self.job.overwrite is Overwrite.REPLACE or not output.exists():
            return
        if self.job.overwrite is Overwrite.FAIL:
            raise SinkError(ErrorCode.COLLISION, _exists(output))
        if output.size() == 0:
            return  # a placeholder holds nothing that could be lost
        if self.replaceable == sink:
            return
        with self.database.read() as db:
            ours = is_known_output(db, str(sink))
        if not ours and not output.describes():
            msg = f"{sink} exists and is not ours; move it, or use overwrite 'replace'"
            raise SinkError(ErrorCode.COLLISION, msg)

    def _adopt(self, held: Claim) -> SessionSummary | None:
        """Return the finished work of a run that died before it could say so."""
        if self.output is None or self.job.overwrite is Overwrite.REPLACE:
            return None
        if self.job.overwrite is Overwrite.FAIL and held.attempt == 1:
            return None  # an output of an earlier run, not of an earlier try of this one
        adopted = self.output.read_matching(self.content.fingerprint)
        if adopted is not None:
            _log.info("%s: finished output adopted from its sidecar", self.job.source)
        return adopted

    def _deliver(self, held: Claim) -> SessionSummary:
        """See that the output of a finished session is where it is wanted."""
        previous, output = held.previous, self.output
        assert previous is not None  # noqa: S101 - the outcome says so
        stands = output is None or output.holds(previous.output_digest)
        if stands and self._is_own(previous):
            return previous
        if self.job.overwrite is Overwrite.FAIL and output is not None and output.exists():
            return self._failed(held, ErrorCode.COLLISION, _exists(output))
        # What was skipped, for want of a sample, never had an output.
        if output is None or stands or previous.status is Status.SKIPPED:
            return self._skipped(held, _DONE_BEFORE)
        told = previous.output_path
        origin = None if told is None else self._output_at(place(told))
        if origin is None or not origin.holds(previous.output_digest):
            # The output is gone or was changed: the session is done again under its own id.
            return self._redo()
        return self._copy_from(origin, output, held)

    def _copy_from(self, origin: Output, output: Output, held: Claim) -> SessionSummary:
        previous = held.previous
        assert previous is not None  # noqa: S101 - the outcome says so
        try:
            self._refuse_foreign_output()
            output.receive(origin.content(), previous, self.token)
        except RecordingError as err:
            return self._failed(held, err.code, str(err))
        return self._skipped(held, f"done before; its output was copied from {origin.place}")

    def _redo(self) -> SessionSummary:
        held = self._claim(redo=True)
        if held.outcome is Outcome.CLAIMED:
            previous = held.previous
            if previous is not None and previous.output_path is not None:
                self.replaceable = place(previous.output_path)
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
            base = placed_at(base, self.job.sink)
        return base.model_copy(update=update)

    def _failed(self, held: Claim, code: ErrorCode, message: str) -> SessionSummary:
        status = Status.SKIPPED if code in _SKIPPED_CODES else Status.FAILED
        message = self._by_its_name(message)
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
            held.session_id,
        )

    def _by_its_name(self, message: str) -> str:
        """Return ``message`` with the names that the user gave, not those of the spool."""
        given = (
            (self.request.source, self.job.source),
            (self.request.reference, self.job.reference),
            (self.request.sink, self.job.sink),
        )
        for path, where in given:
            if isinstance(where, RemotePath):
                message = message.replace(str(path), str(where))
        return message

    def _described(self, summary: SessionSummary, session_id: str) -> SessionSummary:
        job = self.job
        suspect = timestamp_remarks(job.recorded_at, datetime.now(UTC))
        known = {remark.code for remark in summary.warnings}
        return summary.model_copy(
            update={
                "warnings": (
                    *summary.warnings,
                    *(remark for remark in suspect if remark.code not in known),
                ),
                "session_id": session_id,
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


def _exists(output: Output) -> str:
    return f"{output.place} exists; choose another output, or overwrite 'skip' or 'replace'"
