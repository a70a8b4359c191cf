"""Orphans both ways: sessions whose output is gone, files of ours that belong to no session.

Looked for in the folders that outputs were delivered to, not in buckets; nothing is removed. After
a restore of an older backup every newer output is an orphan, and the only copy of somebody's work.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from anc_core.files import printable
from anc_core.pipeline.sidecar import SUFFIX, names_session
from anc_core.remote.address import RemotePath, is_url, place
from anc_core.remote.objects import list_below
from anc_core.store import (
    Database,
    delivered_outputs,
    known_outputs,
    known_sessions,
    known_temporaries,
)

MAX_EXAMPLES = 20

_TEMPORARY = re.compile(r"\.anc-[A-Za-z0-9_-]{1,64}\.part")
_PAGE = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphans:
    """What does not fit together."""

    rows: int
    files: int
    examples: tuple[str, ...]


def find_orphans(database: Database, more_folders: Iterable[str] = ()) -> Orphans:
    """Compare the store with the disk.

    Parameters
    ----------
    database : Database
        Read only.
    more_folders : iterable of str
        Folders to look into besides those of the sessions that there are.
    """
    folders = set(more_folders)
    rows, examples = 0, []
    with database.read() as db:
        for session_id, output in delivered_outputs(db):
            if is_url(output):
                continue
            folders.add(os.path.dirname(output))  # noqa: PTH120 - a million times
            if not os.path.lexists(output):
                rows += 1
                if rows <= MAX_EXAMPLES:
                    examples.append(f"session {session_id}: output {printable(output)} is missing")
    files = 0
    for path in _files_without_session(database, sorted(folders)):
        files += 1
        if files <= MAX_EXAMPLES:
            examples.append(f"{printable(path)}: belongs to no session")
    return Orphans(rows=rows, files=files, examples=tuple(examples))


def outputs_named_after(
    database: Database, session_ids: Collection[str]
) -> Iterator[Path | RemotePath]:
    """Yield outputs that are in no row and whose sidecar names one of ``session_ids``.

    Duplicates of a batch have their output from another's session.

    Raises
    ------
    SourceError, RemoteUnreachableError, InputError
        If a bucket that outputs went to cannot be searched: what is not found is not gone.
    """
    wanted = set(session_ids)
    with database.read() as db:
        folders = {os.path.dirname(output) for _, output in delivered_outputs(db)}  # noqa: PTH120
    for folder in sorted(folders):
        for page in _pages(path for path in _sidecars(folder) if path.endswith(SUFFIX)):
            with database.read() as db:
                known = known_outputs(db, [path.removesuffix(SUFFIX) for path in page])
            for path in page:
                output = path.removesuffix(SUFFIX)
                named = None if output in known else names_session(place(path))
                if named is not None and named[0] in wanted:
                    yield place(output)


def _files_without_session(database: Database, folders: Iterable[str]) -> Iterator[str]:
    for folder in folders:
        for page in _pages(_ours(folder)):
            yield from _unknown(database, page)


def _sidecars(folder: str) -> Iterator[str]:
    if not is_url(folder):
        yield from _ours(folder)
        return
    where = place(folder)
    assert isinstance(where, RemotePath)  # noqa: S101 - is_url() says so
    yield from (str(one.place) for one in list_below(where, recursive=False).objects)


def _ours(folder: str) -> Iterator[str]:
    """Yield what has the name of a sidecar or of a temporary file of ours."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX) or _TEMPORARY.fullmatch(entry.name):
                    yield entry.path
    except (OSError, ValueError):
        return


def _unknown(database: Database, paths: list[str]) -> Iterator[str]:
    temporary = [path for path in paths if not path.endswith(SUFFIX)]
    outputs = {path.removesuffix(SUFFIX): path for path in paths if path.endswith(SUFFIX)}
    with database.read() as db:
        in_work = known_temporaries(db, temporary)
        known = known_outputs(db, list(outputs))
    yield from (path for path in temporary if path not in in_work)
    # A duplicate's output has another's sidecar: it belongs to the session that the sidecar names.
    named = {
        path: session[0]
        for output, path in outputs.items()
        if output not in known and (session := names_session(Path(path))) is not None
    }
    with database.read() as db:
        sessions = known_sessions(db, list(named.values()))
    yield from (path for path, session_id in named.items() if session_id not in sessions)


def _pages(paths: Iterator[str]) -> Iterator[list[str]]:
    while page := list(islice(paths, _PAGE)):
        yield page
