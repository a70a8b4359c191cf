"""Plan a batch: what is new, what is done, what is the same, what cannot work - before any work.

Nothing is written. Collisions and lack of space are errors here, not after hours of work.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from anc_core.audio import expected_suffix, open_reader, output_format, output_suffix
from anc_core.errors import (
    ErrorCode,
    InputError,
    RecordingError,
    SinkError,
    SourceError,
    TransientError,
)
from anc_core.files import SourceIdentity, digest_file, identify
from anc_core.jobs.manifest import ManifestRow
from anc_core.jobs.naming import (
    Where,
    check_allowed,
    check_collisions,
    existing_parent,
    inside,
    is_case_blind,
    mirrored,
    real_name,
)
from anc_core.jobs.pairs import PairRule, Pairs, pair_up
from anc_core.jobs.records import BatchPlan, Duplicate, RecordingJob, RecordingResult
from anc_core.jobs.scan import Found, Scan, scan
from anc_core.pipeline.engine import check_algorithm
from anc_core.presets import CancellationParameters, SuppressionOverrides, get_preset
from anc_core.records import Mode, Overwrite, Status
from anc_core.remote.address import Place, RemotePath, place
from anc_core.remote.objects import list_below, look_at
from anc_core.settings import Settings
from anc_core.store import (
    Database,
    FinishedSource,
    finished_sources,
    list_sessions,
    validate_session_id,
)

COST_S_PER_AUDIO_S = 1 / 150
"""CPU seconds for one second of one channel at 16 kHz, all stages; measured, see benchmarks/."""
COST_S_PER_FILE = 0.03
"""CPU seconds that every file costs whatever its length (open, claim, rename, rows)."""

_SPACE_MARGIN = 1.05  # containers and sidecars need a little more than the samples


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """The words of a user who asks for a batch."""

    inputs: Sequence[str | Path]
    output_dir: Place | None = None
    apply_anc: bool = True
    mode: Mode | str = Mode.AUTO
    preset: str = "default"
    recursive: bool = True
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    overwrite: Overwrite | str = Overwrite.SKIP
    duplicates: str = "link"
    """Same content under several names: ``link`` (processed once, every name gets its output),
    ``skip`` (processed once, one output) or ``process`` (no look at the content)."""
    suppression: SuppressionOverrides = field(default_factory=SuppressionOverrides)
    cancellation: CancellationParameters = field(default_factory=CancellationParameters)
    pair: str | None = None
    """Which file is whose reference, see :class:`~anc_core.jobs.pairs.PairRule`."""
    device_id: str | None = None
    gain_setting: str | None = None
    user_id: str | None = None
    site: str | None = None
    batch_id: str | None = None

    def __str__(self) -> str:
        """Return what a log line needs."""
        return f"{len(self.inputs)} inputs -> {self.output_dir} ({self.mode}, {self.preset})"

    def validated(self) -> BatchRequest:
        """Return the request with its words checked.

        Raises
        ------
        InputError
            Names the value and what is allowed.
        """
        get_preset(self.preset)
        check_algorithm(self.cancellation.algorithm)
        if self.pair is not None:
            PairRule.parse(self.pair)
        if self.batch_id is not None:
            validate_session_id(self.batch_id, what="batch_id")
        if self.duplicates not in {"link", "skip", "process"}:
            msg = f"duplicates is {self.duplicates!r}; choose one of link, skip, process"
            raise InputError(msg)
        try:
            return replace(self, overwrite=Overwrite(self.overwrite), mode=Mode(self.mode))
        except ValueError as err:
            known = f"mode: {', '.join(Mode)}; overwrite: {', '.join(Overwrite)}"
            msg = f"{err}; allowed are {known}"
            raise InputError(msg) from err


@dataclass(slots=True)
class _Draft:
    """A plan in the making."""

    request: BatchRequest
    settings: Settings
    batch_id: str
    pairs: Pairs
    jobs: list[RecordingJob] = field(default_factory=list)
    settled: list[RecordingResult] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)
    finished: list[tuple[RecordingJob, FinishedSource]] = field(default_factory=list)
    delivered: dict[str, int] = field(default_factory=dict)
    """Objects of an output folder that is remote, and their sizes: asked for once."""

    def fail(self, path: str | Where, code: ErrorCode, message: str) -> None:
        self.settled.append(
            RecordingResult(
                source_path=str(path), status=Status.FAILED, error_code=code, error_message=message
            )
        )


def plan_batch(
    request: BatchRequest, *, database: Database | None, settings: Settings
) -> BatchPlan:
    """Return what a batch will do; without a database nothing was done before.

    Raises
    ------
    InputError
        If a word of the request breaks its rule.
    SinkError
        COLLISION, NO_SPACE, NOT_WRITABLE or PERMISSION: nothing would be gained by starting.
    """
    request = request.validated()
    if request.output_dir is not None:
        check_allowed(request.output_dir, settings.allowed_roots)
    found = scan(
        request.inputs,
        recursive=request.recursive,
        include=request.include,
        exclude=request.exclude,
        output_dir=request.output_dir,
        roots=settings.allowed_roots,
    )
    pairs = pair_up([item.path for item in found.found], request.pair)
    draft = _Draft(request, settings, request.batch_id or new_batch_id(), pairs)
    _settle_the_unusable(draft, found)
    if isinstance(request.output_dir, RemotePath):
        listing = list_below(request.output_dir)
        draft.delivered = {str(one.place): one.size for one in listing.objects}
    known = _known_sources(database, found.found)
    for item in found.found:
        if item.path not in pairs.references:
            _draft_item(draft, item, known.get(_key(item.path), ()))
    _settle_the_finished(draft, database)
    _check_outputs(draft)
    if request.duplicates != "process":
        _set_duplicates_apart(draft)
    estimated_bytes = sum(job.identity.size for job in draft.jobs if job.identity and job.sink)
    if not isinstance(request.output_dir, RemotePath):
        _check_space(request.output_dir, estimated_bytes)
    _check_spool(draft.jobs, settings)
    return BatchPlan(
        batch_id=draft.batch_id,
        jobs=tuple(_with_estimate(job) for job in draft.jobs),
        settled=tuple(draft.settled),
        duplicates=tuple(draft.duplicates),
        ignored=found.ignored,
        output_dir=request.output_dir,
        estimated_bytes=estimated_bytes,
        parameters={
            "inputs": [str(word) for word in request.inputs],
            "preset": request.preset,
            "mode": str(request.mode),
            "apply_anc": request.apply_anc,
            "pair": request.pair,
            "suppression": request.suppression.model_dump(mode="json"),
            "cancellation": request.cancellation.model_dump(mode="json"),
        },
    )


def new_batch_id() -> str:
    """Return a fresh name for a batch."""
    return f"batch-{uuid4().hex[:12]}"


def _key(path: Where) -> str:
    return str(path.absolute())


def _settle_the_unusable(draft: _Draft, found: Scan) -> None:
    for word in found.missing:
        draft.fail(word, ErrorCode.NOT_FOUND, f"{word}: no such file, folder or pattern")
    for orphan in draft.pairs.orphans:
        reason = "a reference by its name, without the recording that it belongs to"
        line = RecordingResult(source_path=_key(orphan), status=Status.SKIPPED, reason=reason)
        draft.settled.append(line)
    for folder in found.unreadable:
        message = f"{folder}: the folder may not be searched; mend its rights or run as its owner"
        draft.fail(folder, ErrorCode.PERMISSION, message)
    for name, err in found.refused:
        code = err.code if isinstance(err, RecordingError) else ErrorCode.BAD_PARAMETER
        draft.fail(name, code, str(err))
    for error in found.row_errors:
        draft.fail(f"{error.manifest}:{error.row}", ErrorCode.BAD_PARAMETER, str(error))
    first = {real_name(item.path): item.path for item in found.found}
    for path in found.repeated:
        draft.duplicates.append(Duplicate(source=path, original=first[real_name(path)]))


def _known_sources(
    database: Database | None, found: Iterable[Found]
) -> dict[str, list[FinishedSource]]:
    if database is None:
        return {}
    with database.read() as db:
        return finished_sources(db, [_key(item.path) for item in found])


def _draft_item(draft: _Draft, item: Found, known: Sequence[FinishedSource]) -> None:
    try:
        job = _draft_job(draft, item, known)
        done = _finished(job, known, draft)
        if done is None and job.digest is not None and not isinstance(item.path, RemotePath):
            # Known, but not with these parameters: what its output is called, its header tells.
            job = _draft_job(draft, item, known, header=True)
            done = _finished(job, known, draft)
    except (RecordingError, TransientError) as err:
        draft.fail(item.path, err.code, str(err))
        return
    except InputError as err:
        draft.fail(item.path, ErrorCode.BAD_PARAMETER, str(err))
        return
    if done is None:
        draft.jobs.append(job)
    else:
        draft.finished.append((job, done))


def _settle_the_finished(draft: _Draft, database: Database | None) -> None:
    if database is None:
        return
    ids = [done.session_id for _, done in draft.finished]
    with database.read() as db:
        summaries = {s.session_id: s for s in list_sessions(db, session_ids=ids)} if ids else {}
    for job, done in draft.finished:
        if done.session_id not in summaries:  # deleted since it was looked up
            draft.jobs.append(job)
            continue
        summary = summaries[done.session_id]
        line = RecordingResult.of(summary)
        if (summary.batch_id, summary.source_path) == (draft.batch_id, _key(job.source)):
            draft.settled.append(line)  # the same batch, gone on with after it was stopped
            continue
        update = {
            "status": Status.SKIPPED,
            "source_path": _key(job.source),
            "reason": "done before with the same parameters",
        }
        draft.settled.append(line.model_copy(update=update))


def _draft_job(
    draft: _Draft, item: Found, known: Sequence[FinishedSource], *, header: bool = False
) -> RecordingJob:
    request, row = draft.request, item.row
    check_allowed(item.path, draft.settings.allowed_roots)
    identity = _identify(item)
    same = None if identity is None else _seen_before(identity, known)
    # A file that is known needs no second look at its header: a rerun of 100 000 is seconds.
    suffix: str | None
    if same is not None and not header:
        suffix = None if same.output_path is None else Path(same.output_path).suffix
        duration_s, estimate_s = same.duration_s, 0.0
    else:
        suffix, duration_s, estimate_s = _look_at(item.path, identity)
    job = RecordingJob(
        source=item.path,
        mode=Mode(request.mode),
        preset=request.preset,
        apply_anc=request.apply_anc,
        reference=draft.pairs.reference_of.get(item.path),
        suppression=request.suppression,
        cancellation=request.cancellation,
        overwrite=Overwrite(request.overwrite),
        batch_id=draft.batch_id,
        device_id=request.device_id,
        gain_setting=request.gain_setting,
        user_id=request.user_id,
        site=request.site,
        identity=identity,
        digest=same.source_digest if same is not None else None,
        duration_s=duration_s,
        estimate_s=estimate_s,
    )
    if row is not None:
        job = replace(job, **_overrides(row, request.cancellation))
    if job.session_id is not None:
        validate_session_id(job.session_id)
    if not (job.apply_anc and get_preset(job.preset).apply_anc):
        suffix = None  # the output is the input bit for bit, under its own suffix
    sink = _sink(item, request.output_dir, suffix)
    if sink is not None:
        check_allowed(sink, draft.settings.allowed_roots)
    return replace(job, sink=sink)


def _identify(item: Found) -> SourceIdentity | None:
    """Return what tells whether it is still the same; of a URL perhaps nothing does."""
    if not isinstance(item.path, RemotePath):
        return identify(item.path)
    if item.identity is not None:
        return item.identity
    found = look_at(item.path)
    if found is None:
        msg = f"{item.path}: is a folder; give the URL of an object"
        raise SourceError(ErrorCode.PERMISSION, msg)
    return found.identity


def _seen_before(
    identity: SourceIdentity, known: Iterable[FinishedSource]
) -> FinishedSource | None:
    wanted = (identity.size, identity.mtime_ns)
    return next((k for k in known if (k.source_bytes, k.source_mtime_ns) == wanted), None)


def _overrides(row: ManifestRow, cancellation: CancellationParameters) -> dict[str, Any]:
    channel = row.reference_channel
    named = {
        "reference": row.reference_path,
        "cancellation": channel and cancellation.model_copy(update={"reference_channel": channel}),
        "mode": row.mode,
        "preset": row.preset,
        "session_id": row.session_id,
        "device_id": row.device_id,
        "gain_setting": row.gain_setting,
        "user_id": row.user_id,
        "site": row.site,
        "recorded_at": row.recorded_at,
    }
    return {name: value for name, value in named.items() if value is not None}


def output_place(source: Where, output_dir: Where, *, is_copy: bool = False) -> Where:
    """Return where the output of a single recording goes in ``output_dir``.

    Its suffix is that of the format it is written in, unless it ``is_copy`` of the source.
    """
    suffix = None if is_copy else _look_at(source, None)[0]
    return mirrored(source, source.parent, output_dir, suffix)


def _look_at(
    path: Where, identity: SourceIdentity | None
) -> tuple[str | None, float | None, float]:
    """Do as :func:`_look_at_header`; an object is not fetched for it, its name and size must do."""
    if not isinstance(path, RemotePath):
        return _look_at_header(path)
    suffix = expected_suffix(path.suffix)
    # As if it were plain PCM of 16 bit at 16 kHz.
    seconds = 0.0 if identity is None else identity.size / 32_000
    estimate_s = COST_S_PER_FILE + COST_S_PER_AUDIO_S * seconds
    return None if suffix == path.suffix else suffix, None, estimate_s


def _look_at_header(path: Path) -> tuple[str | None, float | None, float]:
    """Return (suffix of the output if it differs, seconds of audio, estimated CPU seconds).

    What is wrong with a file is said when it is processed, where it becomes a session.
    """
    try:
        with open_reader(path) as reader:
            target, _ = output_format(reader.format, path.suffix)
            suffix = output_suffix(target, path.suffix)
            samples = reader.declared_num_samples or 0
            duration_s = samples / reader.sample_rate
            work = samples * reader.num_channels / 16_000
    except RecordingError:
        return None, None, COST_S_PER_FILE
    changed = None if suffix == path.suffix else suffix
    return changed, duration_s, COST_S_PER_FILE + COST_S_PER_AUDIO_S * work


def _sink(item: Found, output_dir: Where | None, suffix: str | None) -> Where | None:
    if output_dir is None:
        return None
    if item.row is not None and item.row.output is not None:
        return inside(output_dir, item.row.output)
    return mirrored(item.path, item.root, output_dir, suffix)


def _finished(
    job: RecordingJob, known: Sequence[FinishedSource], draft: _Draft
) -> FinishedSource | None:
    """Return the session that is this job, finished, with its output in place; else ``None``."""
    if job.digest is None or job.overwrite is not Overwrite.SKIP:
        return None
    if job.reference is not None:
        return None  # its content would have to be read: the worker does that
    wanted = job.request(draft.settings).fingerprint(job.digest, None)
    for candidate in known:
        if candidate.fingerprint == wanted and _output_stands(job.sink, candidate, draft):
            return candidate
    return None


def _output_stands(sink: Where | None, done: FinishedSource, draft: _Draft) -> bool:
    if sink is None or done.status is Status.SKIPPED:
        return True
    if done.output_path is None or place(done.output_path) != sink.absolute():
        return False
    if isinstance(sink, RemotePath):
        return draft.delivered.get(str(sink)) == done.output_bytes
    return sink.is_file() and sink.stat().st_size == done.output_bytes


def _check_outputs(draft: _Draft) -> None:
    output_dir = draft.request.output_dir
    if output_dir is None:
        return
    if not isinstance(output_dir, RemotePath):
        _check_folder(output_dir)
    planned = [(job.source, job.sink) for job in draft.jobs if job.sink is not None]
    done = [
        (place(result.source_path), place(result.output_path))
        for result in draft.settled
        if result.status is Status.SKIPPED and result.output_path is not None
    ]
    check_collisions(planned + done, case_blind=is_case_blind(output_dir))


def _check_folder(output_dir: Path) -> None:
    parent = existing_parent(output_dir)
    if not parent.is_dir():
        msg = f"{output_dir}: {parent} is a file; choose another output folder"
        raise SinkError(ErrorCode.NOT_WRITABLE, msg)
    if not os.access(parent, os.W_OK | os.X_OK):
        msg = f"{output_dir}: {parent} is read-only; choose another folder or mend its permissions"
        raise SinkError(ErrorCode.NOT_WRITABLE, msg)


def _set_duplicates_apart(draft: _Draft) -> None:
    """Keep one job of each content; only files of equal size are read to compare.

    What is done counts as well: a batch that goes on, or is run again, has the same duplicates.
    Objects are not fetched for it: who comes second to a content that is known by then gets a copy
    of its output.
    """
    again = {id(job) for job in draft.jobs}
    done: defaultdict[int, list[RecordingJob]] = defaultdict(list)
    for job, _ in draft.finished:
        if job.identity is not None and id(job) not in again:
            done[job.identity.size].append(job)
    by_size: defaultdict[int, list[int]] = defaultdict(list)
    for index, job in enumerate(draft.jobs):
        is_remote = isinstance(job.source, RemotePath) and job.digest is None
        if job.identity is not None and job.identity.size and not is_remote:
            by_size[job.identity.size].append(index)
    dropped: set[int] = set()
    for size, indices in by_size.items():
        if len(indices) + len(done[size]) > 1:
            dropped |= _same_content(draft, indices, done[size])
    draft.jobs = [job for index, job in enumerate(draft.jobs) if index not in dropped]


def _same_content(draft: _Draft, indices: Sequence[int], done: Iterable[RecordingJob]) -> set[int]:
    first: dict[tuple[object, ...], RecordingJob] = {}
    for job in done:
        first.setdefault(_content_key(job), job)
    dropped: set[int] = set()
    for index in indices:
        job = draft.jobs[index]
        try:
            digest = job.digest or digest_file(str(job.source))
        except (RecordingError, TransientError):
            continue  # said when it is processed
        draft.jobs[index] = job = replace(job, digest=digest)
        original = first.setdefault(_content_key(job), job)
        if original is not job:
            sink = job.sink if draft.request.duplicates == "link" else None
            draft.duplicates.append(
                Duplicate(source=job.source, original=original.source, sink=sink)
            )
            dropped.add(index)
    return dropped


def _content_key(job: RecordingJob) -> tuple[object, ...]:
    return (job.digest, job.mode, job.preset, job.reference, job.cancellation, job.session_id)


def _check_space(output_dir: Path | None, estimated_bytes: int) -> None:
    if output_dir is None:
        return
    disk = shutil.disk_usage(existing_parent(output_dir))
    free = disk.free
    # Some network and virtual file systems do not tell: all zeros.
    if disk.total and estimated_bytes * _SPACE_MARGIN > free:
        msg = (
            f"{output_dir}: about {estimated_bytes * _SPACE_MARGIN / 1e9:.2f} GB are needed, "
            f"{free / 1e9:.2f} GB are free; free some space or choose another folder"
        )
        raise SinkError(ErrorCode.NO_SPACE, msg)


def _check_spool(jobs: Iterable[RecordingJob], settings: Settings) -> None:
    """Refuse a batch of which not even one recording could be in work."""
    sizes = [
        job.identity.size
        for job in jobs
        if job.identity is not None and RemotePath in {type(job.source), type(job.sink)}
    ]
    # The recording, and its output.
    _check_space(settings.spool if sizes else None, 2 * max(sizes, default=0))


def _with_estimate(job: RecordingJob) -> RecordingJob:
    """Give known files, whose header was not read, the estimate of their known duration."""
    if job.estimate_s or job.duration_s is None:
        return job
    return replace(job, estimate_s=COST_S_PER_FILE + COST_S_PER_AUDIO_S * job.duration_s)
