"""Erase a person: sessions with their files, copies, exports, mentions in reports and logs.

What is known only through the sessions (copies of outputs, exports, reports) goes before them, so
that an erasure that was killed finds all of it again. The recordings themselves belong to whoever
brought them and are only counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from pydantic import Field

from anc_core.errors import InputError
from anc_core.maintenance.cleanup import reconcile_interrupted
from anc_core.maintenance.erase_ledger import EraseLedger
from anc_core.maintenance.orphans import outputs_named_after
from anc_core.maintenance.removal import FileRemover
from anc_core.maintenance.sessions import PAGE, SessionRemover
from anc_core.records import Record, Status
from anc_core.remote.address import is_url
from anc_core.settings import Settings
from anc_core.store import (
    Database,
    Erasure,
    NotedReport,
    PersonSession,
    batches_of,
    count_rows,
    delete_deliveries,
    delete_empty_batches,
    delete_report,
    delete_requests,
    exports_of,
    mark_sessions,
    marked,
    person_sessions,
    record_audit,
    reports_until,
    scrub_audit_entries,
    scrub_audit_log,
    user_ids,
)

ERASE = "erase"
"""Action of the audit log."""

_WORD = re.compile(r"[A-Za-z0-9._-]+")
_MAX_EXAMPLES = 20


class EraseResult(Record):
    """What was erased, or would be."""

    subject: str
    """What the ledger knows the person by."""
    dry_run: bool
    complete: bool
    """Nothing of the person is left that could be erased."""
    sessions: int
    rows: dict[str, int] = Field(default_factory=dict)
    """By table."""
    files: int = 0
    bytes: int = 0
    exports: int = 0
    reports: int = 0
    audit_entries: int = 0
    """Lines of the audit log from which the names were taken."""
    skipped: dict[str, int] = Field(default_factory=dict)
    """Sessions that stay, by reason: erase again once that is over."""
    recordings: int = 0
    """Recordings (inputs) of the person; they are never touched, see to them yourself."""
    examples: tuple[str, ...] = ()


def erase_person(
    user_id: str,
    *,
    database: Database,
    settings: Settings,
    actor: str,
    dry_run: bool = True,
) -> EraseResult:
    """Erase all that is known of a person, and see that no backup brings it back.

    Parameters
    ----------
    user_id : str
        As sessions bear it.
    database, settings
        Where; which folders may be touched.
    actor : str
        Who asks, for the ledger; not the person.
    dry_run : bool
        Count only.

    Raises
    ------
    InputError
        If ``user_id`` is empty.
    StoreError
        If the ledger cannot be written: nothing was erased then.
    """
    if not user_id.strip():
        msg = "user_id is empty; name the person whose data is to be erased"
        raise InputError(msg)
    now = datetime.now(UTC)
    if dry_run:
        # Not the ledger's: that would make its key, and a dry run writes nothing.
        return _Erasure(user_id, "", now, database, settings).count()
    ledger = EraseLedger(settings)
    subject = ledger.subject(user_id)
    ledger.note(database, subject, now, actor)
    reconcile_interrupted(database, settings)
    result = _Erasure(user_id, subject, now, database, settings).erase()
    detail = result.model_dump(mode="json", exclude={"examples", "dry_run", "subject"})
    with database.begin() as db:
        record_audit(db, ERASE, f"erased {subject[:12]}", detail, actor)
    return result


def erase_again(
    database: Database, settings: Settings, ledger: EraseLedger, entries: Sequence[Erasure]
) -> list[EraseResult]:
    """Apply the ledger to a restored database: what came back of people who were erased.

    A person who came back later is known by the time: only older sessions go.

    Raises
    ------
    StoreError
        If an entry was made with another key.
    """
    ledger.check_keys(entries)
    latest: dict[str, datetime] = {}
    for entry in entries:
        latest[entry.subject] = max(entry.erased_at, latest.get(entry.subject, entry.erased_at))
    with database.read() as db:
        found = list(user_ids(db))
    subjects = {ledger.subject(user_id): user_id for user_id in found}
    return [
        _Erasure(subjects[subject], subject, until, database, settings).erase()
        for subject, until in latest.items()
        if subject in subjects
    ]


class _Erasure:
    """One person, up to one moment."""

    def __init__(
        self,
        user_id: str,
        subject: str,
        until: datetime,
        database: Database,
        settings: Settings,
    ) -> None:
        self._user_id, self._subject, self._until = user_id, subject, until
        self._database = database
        self._files = FileRemover(settings.allowed_roots)
        self._remover = SessionRemover(database, settings.allowed_roots)
        with database.read() as db:
            self._sessions = person_sessions(db, user_id, until)
        self._ids = [one.session_id for one in self._sessions]

    def count(self) -> EraseResult:
        staying = self._staying(self._sessions)
        going = [one for one in self._sessions if one.session_id not in staying]
        with self._database.read() as db:
            rows = count_rows(db, [one.session_id for one in going])
            exports = exports_of(db, self._user_id, self._ids, self._until)
            reports = reports_until(db, self._until)
        mentioned = [one for one in reports if self._is_mentioned(one)]
        outputs = [one.output_path for one in going if one.output_path is not None]
        return EraseResult(
            subject=self._subject,
            dry_run=True,
            complete=False,
            sessions=len(going),
            rows=rows,
            files=sum(_is_there(output) for output in outputs),
            exports=len(exports),
            reports=len(mentioned),
            skipped=_counts(staying.values()),
            recordings=self._num_recordings(),
            examples=tuple(f"export {one.path}" for one in exports[:_MAX_EXAMPLES]),
        )

    def erase(self) -> EraseResult:
        for output in outputs_named_after(self._database, self._ids):
            self._remover.count(self._files.remove_twin(output, self._ids))
        exports, reports = self._erase_exports(), self._erase_reports()
        recordings = self._num_recordings()
        self._erase_sessions()
        with self._database.begin() as db:
            scrubbed = scrub_audit_log(db, self._user_id, self._ids, self._subject, self._until)
        with self._database.read() as db:
            left = person_sessions(db, self._user_id, self._until)
        staying = self._staying(left)
        return EraseResult(
            subject=self._subject,
            dry_run=False,
            complete=not left and not self._remover.problems and not self._remover.kept,
            sessions=self._remover.num_sessions,
            rows=dict(self._remover.rows),
            files=self._remover.files,
            bytes=self._remover.bytes,
            exports=exports,
            reports=reports,
            audit_entries=scrubbed,
            skipped=_counts(staying.values()),
            recordings=recordings,
            examples=(*self._remover.problems.values(), *self._remover.examples),
        )

    def _erase_sessions(self) -> None:
        with self._database.read() as db:
            batches = batches_of(db, self._ids)
        for start in range(0, len(self._ids), PAGE):
            page = self._ids[start : start + PAGE]
            with self._database.begin() as db:
                self._remover.rows["api_requests"] += delete_requests(db, page)
                self._remover.rows["alert_deliveries"] += delete_deliveries(db, page)
                doomed = mark_sessions(db, page)
            self._remover.remove(doomed)
        # Those that somebody had marked before us, a cleanup that was killed for instance.
        last = ""
        ours = set(self._ids)
        while True:
            with self._database.read() as db:
                left = marked(db, PAGE, last)
            if not left:
                break
            last = left[-1].session_id
            self._remover.remove([one for one in left if one.session_id in ours])
        with self._database.begin() as db:
            self._remover.rows["batches"] += delete_empty_batches(db, batches)

    def _erase_exports(self) -> int:
        with self._database.read() as db:
            exports = exports_of(db, self._user_id, self._ids, self._until)
        gone = []
        for export in exports:
            removal = self._files.remove_written(Path(export.path), export.at)
            self._remover.count(removal)
            if not removal.kept and not removal.failed:
                gone.append(export.audit_id)
        with self._database.begin() as db:
            scrub_audit_entries(db, gone, self._subject)
        return len(gone)

    def _erase_reports(self) -> int:
        with self._database.read() as db:
            reports = reports_until(db, self._until)
        mentioned = [one for one in reports if self._is_mentioned(one)]
        for report in mentioned:
            for path in report.paths:
                self._remover.count(self._files.remove_written(Path(path), self._until))
            with self._database.begin() as db:
                delete_report(db, report.report_id)
        return len(mentioned)

    def _is_mentioned(self, report: NotedReport) -> bool:
        texts = [report.figures, *(_text_of(Path(path)) for path in report.paths)]
        return any(self._mentions(text) for text in texts)

    def _mentions(self, text: str) -> bool:
        words = {word.strip(".-_") for word in _WORD.findall(text)}
        names = {self._user_id, *(Path(one.source_path).name for one in self._sessions)}
        # As a whole word where it is one: "u1" is not meant by "u12".
        plain = {name for name in names if _WORD.fullmatch(name)}
        spelt = {form for name in names - plain for form in (name, escape(name))}
        known = {name.strip(".-_") for name in (*plain, *self._ids)}
        return not words.isdisjoint(known) or any(form in text for form in spelt)

    def _num_recordings(self) -> int:
        return sum(map(_is_there, {one.source_path for one in self._sessions}))

    @staticmethod
    def _staying(sessions: Sequence[PersonSession]) -> dict[str, str]:
        return {
            one.session_id: "running" if one.status == Status.RUNNING else "on hold"
            for one in sessions
            if one.status == Status.RUNNING or one.on_hold
        }


def _counts(reasons: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for reason in reasons:
        counts[reason] = counts.get(reason, 0) + 1
    return counts


def _is_there(path: str) -> bool:
    """Return whether a file is there; what a URL names is taken to be."""
    return is_url(path) or Path(path).is_file()


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
