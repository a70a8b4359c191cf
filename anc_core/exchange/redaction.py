"""What an export for strangers says instead of people, devices and places on a disk.

Names become pseudonyms: the same name is the same pseudonym in every export of an installation, and
nobody without its key can tell whose, nor try out names. Sentences, which may quote a name, are
left out. Ids of sessions and batches stay: they are what the rows are joined by.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from anc_core.errors import SettingsError
from anc_core.store.plain_rows import (
    BATCHES,
    CALIBRATIONS,
    SESSIONS,
    Cell,
    PlainRow,
    TableShape,
    compact_json,
)

KEY_NAME = "redaction.key"
_KEY_BYTES = 32
_T = TypeVar("_T")
_PSEUDONYM_BYTES = 12

# Column -> the word that its pseudonym begins with.
PSEUDONYMS: Mapping[str, Mapping[str, str]] = {
    SESSIONS: {
        "user_id": "user",
        "device_id": "device",
        "site": "site",
        "source_path": "path",
        "reference_path": "path",
        "output_path": "path",
        "sidecar_path": "path",
        # Who has the recording could find its row by these.
        "fingerprint": "content",
        "source_digest": "content",
        "output_digest": "content",
    },
    CALIBRATIONS: {"device_id": "device"},
}
REMOVED: Mapping[str, Mapping[str, Cell]] = {
    SESSIONS: {
        "source_mtime_ns": None,
        "error_message": None,
        "reason": None,
        "parameters": "{}",
    },
    BATCHES: {"parameters": "{}"},
    CALIBRATIONS: {"note": None},
}
"""Column -> what stands in its place."""


class Redaction:
    """Replaces cells of rows.

    Parameters
    ----------
    key : bytes
        Whoever has it can tell whether a pseudonym is of a name that he knows.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._pseudonym = lru_cache(maxsize=4_096)(self._make)

    @classmethod
    def of_home(cls, home: Path) -> Redaction:
        """Return that of an installation, whose key is made on first use.

        Raises
        ------
        SettingsError
            If the key is not 32 bytes, or can be neither read nor made.
        """
        file = home.expanduser() / KEY_NAME
        try:
            key = _key_of(file)
        except OSError as err:
            msg = f"{file}: the key of the pseudonyms cannot be read or made ({err.strerror})"
            raise SettingsError(msg) from err
        if len(key) != _KEY_BYTES:
            msg = f"{file}: has {len(key)} bytes, a key has {_KEY_BYTES}; restore it from a backup"
            raise SettingsError(msg)
        return cls(key)

    def apply(self, shape: TableShape, rows: list[PlainRow]) -> list[PlainRow]:
        """Return ``rows`` without what tells of a person."""
        words = _by_index(shape, PSEUDONYMS.get(shape.name, {}))
        removed = _by_index(shape, REMOVED.get(shape.name, {}))
        if not words and not removed:
            return rows
        remarks = shape.index("warnings") if shape.name == SESSIONS else None
        return [self._redacted(row, words, removed, remarks) for row in rows]

    def _redacted(
        self,
        row: PlainRow,
        words: Mapping[int, str],
        removed: Mapping[int, Cell],
        remarks: int | None,
    ) -> PlainRow:
        cells = list(row)
        for i, word in words.items():
            if cells[i] is not None:
                cells[i] = self._pseudonym(word, str(cells[i]))
        for i, instead in removed.items():
            cells[i] = instead
        if remarks is not None:
            cells[remarks] = _codes_only(str(cells[remarks]))
        return tuple(cells)

    def _make(self, word: str, name: str) -> str:
        mac = hmac.new(self._key, f"{word}\0{name}".encode(), hashlib.sha256)
        return f"{word}-{mac.digest()[:_PSEUDONYM_BYTES].hex()}"


def _by_index(shape: TableShape, instead: Mapping[str, _T]) -> dict[int, _T]:
    return {shape.index(name): value for name, value in instead.items()}


def _key_of(file: Path) -> bytes:
    file.parent.mkdir(parents=True, exist_ok=True)
    # Written beside and linked: of two that make one at once, both end with the first.
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    if not file.exists():
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as sink:
                sink.write(secrets.token_bytes(_KEY_BYTES))
                sink.flush()
                os.fsync(sink.fileno())
            if not file.exists():
                _publish(draft, file)
        finally:
            draft.unlink(missing_ok=True)
    return file.read_bytes()


def _publish(draft: Path, file: Path) -> None:
    try:
        os.link(draft, file)
    except FileExistsError:
        return
    except OSError:  # no hard links here
        draft.replace(file)


@lru_cache(maxsize=1_024)
def _codes_only(remarks: str) -> str:
    codes = [{"code": remark["code"], "message": ""} for remark in json.loads(remarks)]
    return compact_json(json.dumps(codes))
