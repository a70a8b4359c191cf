"""Remove outputs that lie in buckets, by the rules for files: never what is somebody else's.

Without an answer, the rights or the extra ``remote`` nothing is known, so the session stays until
the next cleanup finds out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from anc_core.errors import AncError
from anc_core.files import printable
from anc_core.jobs.naming import Where, is_allowed
from anc_core.maintenance.removed import Kept, Removal, is_of_its_time
from anc_core.pipeline.sidecar import names_session, read_matching, sidecar_path
from anc_core.remote import objects
from anc_core.remote.address import RemotePath, place
from anc_core.remote.objects import RemoteObject
from anc_core.store import Doomed


class ObjectRemover:
    """Removes outputs of sessions from buckets.

    Parameters
    ----------
    roots : sequence of path or URL
        Below them objects may be touched; none = wherever the store names one.
    """

    def __init__(self, roots: Sequence[Where]) -> None:
        self._roots = roots

    def remove(self, session: Doomed) -> Removal:
        """Remove output and sidecar of a session whose output is a URL."""
        try:
            output = place(session.output_path)
        except AncError as err:
            return Removal(failed=(Kept(printable(str(session.output_path)), str(err)),))
        assert isinstance(output, RemotePath)  # noqa: S101 - the caller looked
        # The output first: the sidecar is what it is known by if this is cut short.
        removal = self._remove(output, lambda found: _why_not_ours(output, found, session))
        if removal.failed:
            return removal
        beside = sidecar_path(output)
        ours = (session.session_id, session.fingerprint)
        return removal + self._remove(
            beside, lambda _: None if names_session(beside) == ours else "another's"
        )

    def remove_twin(self, output: RemotePath, fingerprint: str) -> Removal:
        """Remove an output with its sidecar, which names ``fingerprint``."""
        removal = self._remove(
            output,
            lambda _: None if read_matching(output, fingerprint) else "its content has changed",
        )
        if removal.kept or removal.failed:
            return removal
        return removal + self._remove(sidecar_path(output), lambda _: None)

    def _remove(self, where: RemotePath, why_not: Callable[[RemoteObject], str | None]) -> Removal:
        if not is_allowed(where, self._roots):
            return Removal(kept=(Kept(str(where), "outside the allowed folders"),))
        try:
            found = objects.find(where)
            if found is None:
                return Removal()
            reason = why_not(found)
            if reason is not None:
                return Removal(kept=(Kept(str(where), reason),))
            objects.remove(where)
        except AncError as err:
            return Removal(failed=(Kept(str(where), str(err)),))
        return Removal(files=1, bytes=found.size)


def _why_not_ours(output: RemotePath, found: RemoteObject, session: Doomed) -> str | None:
    if str(output) in {session.source_path, session.reference_path}:
        return "the input itself"
    if session.output_digest is None:
        # Nothing was recorded as delivered: killed before it could say so, or it never was.
        ours = read_matching(output, session.fingerprint) is not None
        return None if ours else "not delivered by this session"
    if session.output_bytes not in {None, found.size}:
        return "changed since it was delivered"
    if is_of_its_time(found.modified_at, session):
        return None
    same = objects.digest(output) == session.output_digest
    return None if same else "changed since it was delivered"
