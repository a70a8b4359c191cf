"""Where the output of a recording goes: a file, or an object of a bucket, by the same words."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from anc_core.errors import AncError, ErrorCode, SourceError
from anc_core.files import copy_atomic, digest_file
from anc_core.jobs.naming import Where
from anc_core.pipeline import sidecar
from anc_core.records import SessionSummary
from anc_core.remote import objects
from anc_core.remote.address import RemotePath
from anc_core.remote.spool import Spool


class Output(Protocol):
    """A place for an output, and what is there."""

    @property
    def place(self) -> Where:
        """Its name."""

    def size(self) -> int | None:
        """Return the bytes that are there, ``None`` where nothing is."""

    def exists(self) -> bool:
        """Return whether anything is there that would be overwritten."""

    def holds(self, digest: str | None) -> bool:
        """Return whether the content that is there has this digest."""

    def describes(self) -> bool:
        """Return whether the sidecar beside it is that of the content that is there."""

    def read_matching(self, fingerprint: str) -> SessionSummary | None:
        """Return the sidecar's record if it and the content belong to ``fingerprint``."""

    def content(self) -> Path:
        """Return a local file that holds what is there."""

    def receive(self, source: Path, summary: SessionSummary, token: str) -> None:
        """Put the local file ``source`` there, and ``summary`` beside it."""


def output_at(where: Where, spool: Spool, on_bytes: Callable[[], None]) -> Output:
    """Return the output that ``where`` names.

    Parameters
    ----------
    where : path or URL
        Its name.
    spool : Spool
        For copies of what is in a bucket.
    on_bytes : callable
        Called now and then while it is delivered to a bucket; may raise to stop that.
    """
    if isinstance(where, RemotePath):
        return RemoteOutput(where, spool, on_bytes)
    return LocalOutput(where)


def placed_at(summary: SessionSummary, where: Where) -> SessionSummary:
    """Return ``summary`` with its output and sidecar at ``where``."""
    beside = sidecar.sidecar_path(where)
    return summary.model_copy(update={"output_path": str(where), "sidecar_path": str(beside)})


@dataclass(frozen=True, slots=True)
class LocalOutput:
    """A file; see :class:`Output`."""

    place: Path

    def size(self) -> int | None:
        """See :meth:`Output.size`."""
        return self.place.stat().st_size if self.place.is_file() else None

    def exists(self) -> bool:
        """See :meth:`Output.exists`."""
        return self.place.exists()

    def holds(self, digest: str | None) -> bool:
        """See :meth:`Output.holds`."""
        is_there = digest is not None and self.place.is_file()
        return is_there and digest_file(self.place) == digest

    def describes(self) -> bool:
        """See :meth:`Output.describes`."""
        return sidecar.describes(self.place)

    def read_matching(self, fingerprint: str) -> SessionSummary | None:
        """See :meth:`Output.read_matching`."""
        return sidecar.read_matching(self.place, fingerprint)

    def content(self) -> Path:
        """See :meth:`Output.content`."""
        return self.place

    def receive(self, source: Path, summary: SessionSummary, token: str) -> None:
        """See :meth:`Output.receive`."""
        with sidecar.announced(placed_at(summary, self.place), token=token):
            copy_atomic(source, self.place, token=token)


class RemoteOutput:
    """An object; see :class:`Output`. It is fetched where its content matters."""

    def __init__(self, place: RemotePath, spool: Spool, on_bytes: Callable[[], None]) -> None:
        self.place = place
        self._spool, self._on_bytes = spool, on_bytes

    def size(self) -> int | None:
        """See :meth:`Output.size`."""
        found = objects.find(self.place)
        return None if found is None else found.size

    def exists(self) -> bool:
        """See :meth:`Output.exists`."""
        return objects.find(self.place) is not None

    def holds(self, digest: str | None) -> bool:
        """See :meth:`Output.holds`."""
        found = None if digest is None else objects.find(self.place)
        return found is not None and objects.digest(self.place) == digest

    def describes(self) -> bool:
        """See :meth:`Output.describes`."""
        return sidecar.describes(self.place)

    def read_matching(self, fingerprint: str) -> SessionSummary | None:
        """See :meth:`Output.read_matching`."""
        return sidecar.read_matching(self.place, fingerprint)

    def content(self) -> Path:
        """See :meth:`Output.content`."""
        found = objects.find(self.place)
        if found is None:
            raise SourceError(ErrorCode.NOT_FOUND, f"{self.place}: no such object")
        into = self._spool.path(self.place.suffix)
        objects.fetch(found, into)
        return into

    def receive(self, source: Path, summary: SessionSummary, token: str) -> None:
        """See :meth:`Output.receive`."""
        # The record first: whoever is killed in between leaves no output without one.
        beside = sidecar.sidecar_path(self.place)
        record = self._spool.path(sidecar.SUFFIX)
        sidecar.write_to(record, placed_at(summary, self.place), token)
        before = objects.find(self.place)
        objects.deliver(record, beside, on_bytes=self._on_bytes)
        try:
            objects.deliver(source, self.place, on_bytes=self._on_bytes)
        except Exception:
            # Not after Ctrl-C: then the output may arrive yet, and must find its record.
            if before is None:
                with suppress(AncError):
                    objects.remove(beside)
            raise
