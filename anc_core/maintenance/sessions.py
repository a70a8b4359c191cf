"""Remove marked sessions: their files, then their rows.

The order is what makes a kill harmless: a row stays as long as one of its files does, and who comes
next finds it still marked.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence

from anc_core.jobs.naming import Where
from anc_core.maintenance.removal import FileRemover
from anc_core.maintenance.removed import Removal
from anc_core.maintenance.rows import RowRemover
from anc_core.remote.address import is_url
from anc_core.store import Database, Doomed, claimed_paths, marked

_log = logging.getLogger(__name__)

PAGE = 500
"""Sessions marked at a time: so many, at most, are found half removed after a kill."""

_MAX_EXAMPLES = 20


class SessionRemover:
    """Removes marked sessions and counts.

    Parameters
    ----------
    database : Database
        Where they are.
    roots : sequence of Path
        Folders that may be touched; none = those named by the store.
    keep_audio : bool
        Outputs and sidecars stay.

    Attributes
    ----------
    rows : Counter
        Removed, by table.
    files, bytes : int
        Removed, freed.
    kept : Counter
        Files that stayed though their session went, by reason.
    examples : list of str
        The first of them, in words.
    problems : dict
        Sessions that stay because a file could not be removed: id to reason.
    folders : set of str
        Where outputs lay.
    """

    def __init__(
        self, database: Database, roots: Sequence[Where], *, keep_audio: bool = False
    ) -> None:
        self._database = database
        self._files = FileRemover(roots, keep_audio=keep_audio)
        self._rows = RowRemover(database)
        self.rows: Counter[str] = Counter()
        self.files = 0
        self.bytes = 0
        self.kept: Counter[str] = Counter()
        self.examples: list[str] = []
        self.problems: dict[str, str] = {}
        self.folders: set[str] = set()

    @property
    def num_sessions(self) -> int:
        """Sessions that are gone."""
        return self.rows["audio_sessions"]

    @property
    def longest_lock_s(self) -> float:
        """Longest time that the store was locked for others."""
        return self._rows.longest_s

    def finish_marked(self) -> None:
        """Remove what a killed process left marked."""
        last = ""
        while True:
            with self._database.read() as db:
                left = marked(db, PAGE, last)
            if not left:
                return
            last = left[-1].session_id
            self.remove(left)

    def remove(self, doomed: Sequence[Doomed]) -> None:
        """Remove these sessions; one whose file resists stays marked."""
        outputs = [one.output_path for one in doomed if one.output_path is not None]
        with self._database.read() as db:
            in_use = claimed_paths(db, outputs)
        fileless = [one.session_id for one in doomed if self._without_files(one, in_use)]
        self.rows.update(self._rows.remove(fileless))

    def count(self, removal: Removal) -> None:
        """Add what became of files."""
        self.files += removal.files
        self.bytes += removal.bytes
        self.kept.update(kept.reason for kept in removal.kept)
        room = _MAX_EXAMPLES - len(self.examples)
        self.examples += [f"{one.path}: stays, {one.reason}" for one in removal.kept[:room]]

    def _without_files(self, session: Doomed, in_use: set[str]) -> bool:
        removal = self._files.remove(session, in_use)
        self.count(removal)
        if session.output_path is not None and not is_url(session.output_path):
            self.folders.add(os.path.dirname(session.output_path))  # noqa: PTH120 - text to text
        if not removal.failed:
            self.problems.pop(session.session_id, None)
            return True
        why = f"{removal.failed[0].path}: {removal.failed[0].reason}"
        self.problems[session.session_id] = f"session {session.session_id} stays: {why}"
        _log.error("session %s stays: %s", session.session_id, why)
        return False
