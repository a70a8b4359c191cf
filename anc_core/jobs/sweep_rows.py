"""Rows of a sweep on disk: each is kept the moment it is known, and none is believed half.

Context: a sweep of hours may be killed at any moment, and its cells take 0.05 s and more: a file
for each would be more work for the disk than for the processor.
Decision: every process appends lines of JSON to a file of its own; a line counts if it is whole.
Consequence: nothing is locked, nothing that was finished is done again, and a line that was cut off
by a kill is the one cell that is.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.errors import AncError, ErrorCode, InputError
from anc_core.files import printable, sink_error
from anc_core.jobs.simulate_inputs import Acoustics
from anc_core.jobs.sweep_grid import SweepCell, SweepGrid
from anc_core.jobs.sweep_records import SweepRow
from anc_core.records import METRICS_VERSION, Status

if TYPE_CHECKING:
    from numpy.typing import NDArray

_log = logging.getLogger(__name__)

_SCHEME = 2
"""Raised when what goes into a key changes."""

_TOKENS: dict[int, str] = {}
"""Process id -> its file: a copy of this process must not write to the same one."""


def append_row(folder: Path, row: SweepRow) -> None:
    """Keep ``row``: one line, written at once and brought to the disk.

    Raises
    ------
    SinkError
        NO_SPACE or NOT_WRITABLE.
    """
    token = _TOKENS.setdefault(os.getpid(), secrets.token_hex(8))
    path = folder / f"{token}.jsonl"
    # A line cut off by a full disk must not take the next one with it, so each begins anew.
    line = f"\n{row.to_json()}\n".encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            if file.write(line) != len(line):
                raise OSError(28, "the line was cut off")
            os.fsync(file.fileno())
    except OSError as err:
        raise sink_error(path, err) from err


def failed_row(key: str, name: str, err: Exception, cell: SweepCell | None = None) -> SweepRow:
    """Return the row that says why there are no figures."""
    return SweepRow(
        key=key,
        recording=name,
        status=Status.FAILED,
        error_code=_code_of(err),
        # Messages of the system name files as they are: bytes that no table could hold.
        reason=printable(str(err) if isinstance(err, AncError) else f"{type(err).__name__}: {err}"),
        cell=cell,
    )


def _code_of(err: Exception) -> ErrorCode:
    if isinstance(err, InputError):
        return ErrorCode.BAD_PARAMETER
    if isinstance(err, MemoryError):
        return ErrorCode.OUT_OF_MEMORY
    code = getattr(err, "code", None)
    return code if isinstance(code, ErrorCode) else ErrorCode.INTERNAL


def load_rows(folder: Path) -> dict[str, SweepRow]:
    """Return the rows that are kept in ``folder``, by key; a line that was cut off is none."""
    rows: dict[str, SweepRow] = {}
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                if line.strip() and line.endswith(b"\n"):
                    row = _parsed(line, path)
                    if row is not None:
                        rows[row.key] = row
    return rows


def _parsed(line: bytes, path: Path) -> SweepRow | None:
    try:
        return SweepRow.from_json(line)
    except ValueError as err:
        _log.debug("%s: a row was left out: %s", path.name, err)
        return None


def sweep_base(acoustics: Acoustics, grid: SweepGrid, core_version: str) -> str:
    """Return the digest of all that shapes the results, recording and cell apart."""
    paths = {
        name: _array_digest(getattr(acoustics, name))
        for name in ("primary", "secondary", "estimate")
    }
    bank = acoustics.filter_bank
    return _digest(
        {
            "scheme": _SCHEME,
            "metrics": METRICS_VERSION,
            "core": core_version,
            "sample_rate": acoustics.sample_rate,
            "paths": paths,
            "filter_bank": None if bank is None else _array_digest(bank.filters),
            "recording": grid.recording.model_dump(),
            "run": grid.run.model_dump(),
        }
    )


def row_key(base: str, recording_digest: str, cell: SweepCell | None) -> str:
    """Return what identifies a row; ``None`` = the recording as such."""
    content = None if cell is None else cell.model_dump()
    return _digest({"base": base, "recording": recording_digest, "cell": content})


def _array_digest(array: NDArray[np.float64] | None) -> str | None:
    if array is None:
        return None
    content = np.ascontiguousarray(array)
    return _digest({"shape": content.shape}, content.tobytes())


def _digest(content: Mapping[str, Any], more: bytes = b"") -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.blake2b(text.encode() + more, digest_size=16).hexdigest()
