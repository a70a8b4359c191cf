"""Remove rows of marked sessions in transactions so short that no writer has to wait for them.

SQLite lets one writer in at a time; who finds the store locked sleeps, up to 100 ms, and tries
again, with no place in a queue: what makes a wait long is not how long the lock is held but how
likely it is to be held at each try. So a transaction holds it for about :data:`TARGET_S`, and a
pause of :data:`PAUSE` times that length follows. What it wrote to the log is carried over to the
database by us as well: else the next writer's commit would have to.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from anc_core.store import Database, checkpoint, child_counts, remove_marked, thin_out

TARGET_S = 0.02
"""Far below the 250 ms that a writer may be held up: on a loaded machine we may lose the processor
while we hold the lock."""

_MIN_ROWS, _MAX_ROWS = 1_000, 20_000
PAUSE = 19.0
"""The store is ours for a twentieth of the time."""
_MIN_PAUSE_S, _MAX_PAUSE_S = 0.005, 0.5


class RowRemover:
    """Removes rows and learns how many fit into a transaction.

    Attributes
    ----------
    longest_s : float
        Longest time that the store was locked for.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._budget = _MIN_ROWS
        self.longest_s = 0.0

    def remove(self, session_ids: Sequence[str]) -> dict[str, int]:
        """Remove these marked sessions with their children; return the rows removed by table."""
        gone: dict[str, int] = {}
        with self._database.read() as db:
            counts = child_counts(db, session_ids)
        for group in self._groups(counts, gone):
            _add(gone, self._timed(group))
        checkpoint(self._database)
        return gone

    def _groups(self, counts: dict[str, int], gone: dict[str, int]) -> Iterator[list[str]]:
        group: list[str] = []
        size = 0
        for session_id, num_children in counts.items():
            left = num_children
            while left > self._budget:
                thinned = self._timed_thinning(session_id)
                _add(gone, thinned)
                left -= sum(thinned.values())
                if not thinned:
                    break
            if group and size + left + 1 > self._budget:
                yield group
                group, size = [], 0
            group.append(session_id)
            size += left + 1
        if group:
            yield group

    def _timed(self, session_ids: list[str]) -> dict[str, int]:
        with self._database.begin() as db:
            db.connection()  # waits for the lock
            start = time.monotonic()
            gone = remove_marked(db, session_ids)
        self._learn(time.monotonic() - start)
        return gone

    def _timed_thinning(self, session_id: str) -> dict[str, int]:
        with self._database.begin() as db:
            db.connection()
            start = time.monotonic()
            gone = thin_out(db, session_id, self._budget // 3)  # from each of 3 tables
        self._learn(time.monotonic() - start)
        return gone

    def _learn(self, locked_s: float) -> None:
        self.longest_s = max(self.longest_s, locked_s)
        if locked_s > TARGET_S:
            self._budget = max(_MIN_ROWS, self._budget // 2)
        elif locked_s < TARGET_S / 2:
            self._budget = min(_MAX_ROWS, self._budget * 3 // 2)
        time.sleep(min(max(PAUSE * locked_s, _MIN_PAUSE_S), _MAX_PAUSE_S))


def _add(total: dict[str, int], more: dict[str, int]) -> None:
    for table, count in more.items():
        total[table] = total.get(table, 0) + count
