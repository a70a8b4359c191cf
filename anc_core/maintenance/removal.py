"""Remove the files of a session that goes, and never anybody else's.

A path in the store is a claim, not a proof: the user may have put another file there since. So a
file goes only if it lies inside the allowed folders, is a regular file under its own name (no
symbolic link is followed or removed), is nobody's input and no other session's output, and is known
to be what the session delivered: by size and time, in doubt by the digest of its content. Outputs
in buckets go by the same rules, in :mod:`anc_core.maintenance.object_removal`.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from anc_core.errors import SourceError
from anc_core.files import digest_file, printable
from anc_core.jobs.naming import Where
from anc_core.maintenance.object_removal import ObjectRemover
from anc_core.maintenance.removed import CLOCK_TOLERANCE, Kept, Removal, is_of_its_time
from anc_core.pipeline.sidecar import names_session, read_matching, sidecar_path, temp_paths
from anc_core.remote.address import RemotePath, is_url
from anc_core.store import Doomed

_TEMP_NAME = re.compile(r"\.anc-[A-Za-z0-9_-]{1,64}\.part")


class FileRemover:
    """Removes files of sessions.

    Parameters
    ----------
    roots : sequence of path or URL
        Folders that may be touched; none = those named by the store.
    keep_audio : bool
        Outputs and their sidecars stay; only temporary files go.
    """

    def __init__(self, roots: Sequence[Where], *, keep_audio: bool = False) -> None:
        folders = [root.expanduser() for root in roots if isinstance(root, Path)]
        self._roots = [Path(os.path.realpath(folder)) for folder in folders]
        self._is_confined = bool(roots)
        self._objects = ObjectRemover(roots)
        self._keep_audio = keep_audio

    def remove(self, session: Doomed, in_use: Iterable[str] = ()) -> Removal:
        """Remove output, sidecar and what a killed worker left of ``session``.

        Parameters
        ----------
        session : Doomed
            Marked, so that nobody writes these files anew meanwhile.
        in_use : iterable of str
            Paths that belong to others: inputs, outputs of sessions that stay.
        """
        removal = self.remove_temporary(session.temp_path)
        if self._keep_audio or session.output_path is None:
            return removal
        if session.output_path in set(in_use):
            reason = "in use by another session"
            return removal + Removal(kept=(Kept(printable(session.output_path), reason),))
        if is_url(session.output_path):
            return removal + self._objects.remove(session)
        output = Path(session.output_path)
        # The output first: the sidecar is what it is known by if this is cut short.
        removal += self._remove(output, lambda found: _why_not_ours(output, found, session))
        if removal.failed:
            return removal
        return removal + self._remove_sidecar(session, output)

    def remove_temporary(self, temp: str | None) -> Removal:
        """Remove the temporary files of a worker that is gone; ``temp`` is that of the output."""
        removal = Removal()
        if temp is None or not _TEMP_NAME.fullmatch(Path(temp).name):
            return removal
        for path in temp_paths(Path(temp)):
            removal += self._remove(path, lambda _: None)
        return removal

    def remove_twin(self, output: Where, session_ids: Iterable[str]) -> Removal:
        """Remove an output with its sidecar, if the sidecar names one of ``session_ids``.

        Duplicates in a batch get a copy or a second name of the output and no session of their own.
        """
        named = names_session(sidecar_path(output))
        if named is None or named[0] not in set(session_ids):
            return Removal()

        if isinstance(output, RemotePath):
            return self._objects.remove_twin(output, named[1])

        def why_not(_: os.stat_result) -> str | None:
            return None if read_matching(output, named[1]) else "its content has changed"

        removal = self._remove(output, why_not)
        if removal.kept or removal.failed:
            return removal
        return removal + self._remove(sidecar_path(output), lambda _: None)

    def remove_written(self, path: Path, until: datetime) -> Removal:
        """Remove an export or a report, unless it was written to after ``until``."""

        def why_not(found: os.stat_result) -> str | None:
            written = datetime.fromtimestamp(found.st_mtime, UTC)
            late = written > until + CLOCK_TOLERANCE
            return "written to since" if late else None

        return self._remove(path, why_not)

    def _remove_sidecar(self, session: Doomed, output: Path) -> Removal:
        path = Path(session.sidecar_path or sidecar_path(output))

        def why_not(_: os.stat_result) -> str | None:
            named = names_session(path)
            return None if named == (session.session_id, session.fingerprint) else "another's"

        return self._remove(path, why_not)

    def _remove(self, path: Path, why_not: Callable[[os.stat_result], str | None]) -> Removal:
        try:
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return Removal()
        except (OSError, ValueError) as err:
            return Removal(failed=(_kept(path, str(err)),))
        try:
            return self._remove_from(folder, path, why_not)
        except FileNotFoundError:
            return Removal()
        except (OSError, SourceError) as err:
            return Removal(failed=(_kept(path, str(err)),))
        finally:
            os.close(folder)

    def _remove_from(
        self, folder: int, path: Path, why_not: Callable[[os.stat_result], str | None]
    ) -> Removal:
        # The folder is held open: what was checked is what is acted on, whatever is renamed.
        found = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
        reason = self._why_forbidden(folder, path, found) or why_not(found)
        if reason is not None:
            return Removal(kept=(_kept(path, reason),))
        os.unlink(path.name, dir_fd=folder)
        return Removal(files=1, bytes=found.st_size if found.st_nlink == 1 else 0)

    def _why_forbidden(self, folder: int, path: Path, found: os.stat_result) -> str | None:
        if stat.S_ISLNK(found.st_mode):
            return "a symbolic link"
        if not stat.S_ISREG(found.st_mode):
            return "no regular file"
        real = Path(os.path.realpath(path.parent))
        if not os.path.samestat(os.fstat(folder), real.stat()):
            return "its folder was replaced meanwhile"
        if self._is_confined and not any(real.is_relative_to(root) for root in self._roots):
            return "outside the allowed folders"
        return None


def _why_not_ours(output: Path, found: os.stat_result, session: Doomed) -> str | None:
    for path in (session.source_path, session.reference_path):
        if path is not None and _is_same_file(path, found):
            return "the input itself"
    if session.output_digest is None:
        # Nothing was recorded as delivered: killed before it could say so, or it never was.
        ours = read_matching(output, session.fingerprint) is not None
        return None if ours else "not delivered by this session"
    if session.output_bytes not in {None, found.st_size}:
        return "changed since it was delivered"
    written = datetime.fromtimestamp(found.st_mtime, UTC)
    if not is_of_its_time(written, session) and digest_file(output) != session.output_digest:
        return "changed since it was delivered"
    return None


def _is_same_file(path: str, found: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), found)  # noqa: PTH116 - compares with a stat
    except (OSError, ValueError):
        return False


def _kept(path: Path, reason: str) -> Kept:
    return Kept(printable(path), reason)
