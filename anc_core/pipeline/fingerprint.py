"""The identity of a session: the same content, parameters, model and core give the same result."""

from __future__ import annotations

import hashlib
import json
from typing import Any

_SCHEME = 1  # raised when what goes into the digest changes


def fingerprint(
    *,
    source_digest: str,
    reference_digest: str | None,
    parameters: dict[str, Any],
    model_id: str | None,
    core_version: str,
) -> str:
    """Return the BLAKE2b-128 digest (32 hex digits) that identifies a session.

    Parameters
    ----------
    source_digest, reference_digest : str
        Digests of the files' bytes; names and times do not matter.
    parameters : dict
        All that shapes the result, JSON types only. The chunk size is left out: any split of the
        stream gives the same output.
    model_id, core_version : str
        What computed it.
    """
    canonical = json.dumps(
        [_SCHEME, source_digest, reference_digest, parameters, model_id, core_version],
        sort_keys=True,
        separators=(",", ":"),
        allow_nan=False,
    )
    return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()
