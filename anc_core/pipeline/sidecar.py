"""The sidecar ``<output>.json``: what was done to a recording, beside it, readable without us.

It repeats the session's record. It is written after the output and before the database, so a run
that was killed in between is finished from it (:func:`read_matching`) and not computed again.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from anc_core.files import digest_file, write_text_atomic
from anc_core.records import SessionSummary

_MAX_NAME_BYTES = 255  # of one path component on every common file system
SUFFIX = ".json"


def sidecar_path(output: Path) -> Path:
    """Return ``<output>.json``; a name at the file system's limit is shortened by a digest."""
    name = output.name + SUFFIX
    encoded = name.encode(errors="surrogateescape")
    if len(encoded) > _MAX_NAME_BYTES:
        digest = hashlib.blake2b(encoded, digest_size=8).hexdigest()
        keep = _MAX_NAME_BYTES - len(digest) - len(SUFFIX) - 1
        name = f"{encoded[:keep].decode(errors='ignore')}~{digest}{SUFFIX}"
    return output.with_name(name)


def write(summary: SessionSummary, token: str) -> None:
    """Write ``summary`` to its ``sidecar_path``, atomically."""
    if summary.sidecar_path is None:
        return
    text = summary.to_json(indent=2, exclude={"batch_id"})
    write_text_atomic(Path(summary.sidecar_path), text + "\n", token=token)


def read_matching(output: Path, fingerprint: str) -> SessionSummary | None:
    """Return the sidecar's record if it and the output belong to ``fingerprint``, else ``None``.

    The output's bytes are compared with the digest in the record: a file that somebody else put
    there is never adopted.
    """
    path = sidecar_path(output)
    try:
        summary = SessionSummary.from_json(path.read_bytes())
        if summary.fingerprint != fingerprint or summary.output_digest is None:
            return None
        return summary if digest_file(output) == summary.output_digest else None
    except (OSError, ValueError):
        return None
