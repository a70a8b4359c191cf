"""The sidecar ``<output>.json``: what was done to a recording, beside it, readable without us.

It repeats the session's record. It is there before the output gets its name, and the database
comes last: a run that was killed in between is finished from it (:func:`read_matching`) and not
computed again, and an output of ours is never taken for somebody else's file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import overload

from anc_core.files import atomic_path, digest_file, temp_path
from anc_core.records import SessionSummary
from anc_core.remote import objects
from anc_core.remote.address import RemotePath

_MAX_NAME_BYTES = 255  # of one path component on every common file system
SUFFIX = ".json"
_TOKEN_SUFFIX = "-json"  # noqa: S105 - the output's own temporary file lies beside it


@overload
def sidecar_path(output: Path) -> Path: ...
@overload
def sidecar_path(output: RemotePath) -> RemotePath: ...
def sidecar_path(output: Path | RemotePath) -> Path | RemotePath:
    """Return ``<output>.json``; a name at the file system's limit is shortened by a digest."""
    name = output.name + SUFFIX
    encoded = name.encode(errors="surrogateescape")
    if len(encoded) > _MAX_NAME_BYTES:
        digest = hashlib.blake2b(encoded, digest_size=8).hexdigest()
        keep = _MAX_NAME_BYTES - len(digest) - len(SUFFIX) - 1
        name = f"{encoded[:keep].decode(errors='ignore')}~{digest}{SUFFIX}"
    return output.with_name(name)


def write(summary: SessionSummary, token: str) -> None:
    """Write ``summary`` to its ``sidecar_path``, atomically; the output may still be growing."""
    if summary.sidecar_path is not None:
        write_to(Path(summary.sidecar_path), summary, token)


def write_to(path: Path, summary: SessionSummary, token: str) -> None:
    """Write ``summary`` to ``path``, atomically, whatever its ``sidecar_path`` says."""
    text = summary.to_json(indent=2, exclude={"batch_id", "windows"})
    with (
        atomic_path(path, token=token + _TOKEN_SUFFIX) as temp,
        temp.open("w", encoding="utf-8", newline="\n") as file,
    ):
        # A day has 172 800 windows a channel: a line each, and never all of them in memory.
        file.write(text.removesuffix("\n}") + ',\n  "windows": [')
        for number, window in enumerate(summary.windows):
            file.write(("," if number else "") + "\n    " + window.to_json())
        file.write("\n  ]\n}\n")


@contextmanager
def announced(summary: SessionSummary, token: str) -> Iterator[None]:
    """Write ``summary``; take it back if the block, which delivers the output, fails."""
    write(summary, token)
    written = _inode(summary)
    try:
        yield
    except BaseException:
        # Ctrl-C may come after the rename: what is delivered keeps its record; so does what another
        # process is about to deliver, which took this one for dead.
        if (
            summary.output_path is not None
            and _inode(summary) == written
            and not describes(Path(summary.output_path))
        ):
            with suppress(OSError):
                sidecar_path(Path(summary.output_path)).unlink(missing_ok=True)
        raise


def _inode(summary: SessionSummary) -> int | None:
    try:
        return None if summary.sidecar_path is None else Path(summary.sidecar_path).stat().st_ino
    except OSError:
        return None


def remove_leftovers(temp: Path) -> None:
    """Remove the temporary file ``temp`` of a dead process, and that of the sidecar beside it."""
    for path in temp_paths(temp):
        with suppress(OSError):  # the folder may be gone as well
            path.unlink(missing_ok=True)


def temp_paths(temp: Path) -> tuple[Path, Path]:
    """Return the temporary file ``temp`` of an output, and that of the sidecar beside it."""
    token = temp.name.removeprefix(".anc-").removesuffix(".part")
    return temp, temp_path(temp, token + _TOKEN_SUFFIX)


def describes(output: Path | RemotePath) -> bool:
    """Return whether the sidecar beside ``output`` is that of the bytes that are there."""
    summary = _read(output)
    return summary is not None and _holds(output, summary.output_digest)


def names_session(path: Path | RemotePath) -> tuple[str, str] | None:
    """Return session id and fingerprint that the sidecar ``path`` names, ``None`` if it is none.

    Sidecars of every version are understood: only these two fields are looked at.
    """
    try:
        content = json.loads(_bytes_of(path))
        return str(content["session_id"]), str(content["fingerprint"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def read_matching(output: Path | RemotePath, fingerprint: str) -> SessionSummary | None:
    """Return the sidecar's record if it and the output belong to ``fingerprint``, else ``None``.

    The output's bytes are compared with the digest in the record: a file that somebody else put
    there is never adopted.
    """
    summary = _read(output)
    if summary is None or summary.fingerprint != fingerprint:
        return None
    return summary if _holds(output, summary.output_digest) else None


def _read(output: Path | RemotePath) -> SessionSummary | None:
    try:
        return SessionSummary.from_json(_bytes_of(sidecar_path(output)))
    except (OSError, ValueError):
        return None


def _bytes_of(path: Path | RemotePath) -> bytes:
    return objects.read(path) if isinstance(path, RemotePath) else path.read_bytes()


def _holds(output: Path | RemotePath, digest: str | None) -> bool:
    if digest is None:
        return False
    try:
        if isinstance(output, RemotePath):
            return objects.digest(output) == digest
        return digest_file(output) == digest
    except OSError:
        return False
