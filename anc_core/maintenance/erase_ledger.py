"""The erase ledger: it survives a restore, and does not itself keep who was erased.

Context: a backup brings back what was erased since it was made. So the ledger has to outlive both
the data and the database, and would be the one place where the erased names stay for ever.
Decision: it holds HMAC-SHA256 of the user id, in the database and in a file beside it. User ids
are short and guessable, so a plain hash could be undone by trying; the key lies in a file of its
own (``erase.key`` in ANC_HOME, mode 0600), in no backup and in no table.
Consequence: without the key the ledger matches nobody. A restore that finds entries of another key
is refused; hosts that share a database share the key file.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from anc_core.errors import StoreError
from anc_core.settings import Settings
from anc_core.store import Database, Erasure, add_erasures

_KEY_BYTES = 32
_KEY_FILE, _LEDGER_FILE = "erase.key", "erase-ledger.jsonl"


class EraseLedger:
    """The ledger of an installation: key and file lie in its home.

    Parameters
    ----------
    settings : Settings
        Names the home.

    Raises
    ------
    StoreError
        If the key cannot be read or made.
    """

    def __init__(self, settings: Settings) -> None:
        home = settings.home.expanduser().absolute()
        self._file = home / _LEDGER_FILE
        self._key = _read_or_make_key(home / _KEY_FILE)
        self.key_id = hashlib.sha256(b"key id" + self._key).hexdigest()[:16]

    def subject(self, user_id: str) -> str:
        """Return what the ledger knows a user by."""
        name = user_id.encode("utf-8", "surrogatepass")
        return hmac.new(self._key, name, hashlib.sha256).hexdigest()

    def note(self, database: Database, subject: str, now: datetime, actor: str) -> None:
        """Add an entry to the file, then to the database: before anything is erased."""
        entry = Erasure(subject=subject, key_id=self.key_id, erased_at=now, actor=actor)
        self.append([entry])
        with database.begin() as db:
            add_erasures(db, [entry])

    def read(self) -> list[Erasure]:
        """Return the entries of the file.

        Raises
        ------
        StoreError
            If a line cannot be understood: no line may be lost.
        """
        if not self._file.is_file():
            return []
        lines = self._file.read_text(encoding="utf-8").splitlines()
        return [self._parsed(line, number) for number, line in enumerate(lines, 1) if line.strip()]

    def append(self, entries: Iterable[Erasure]) -> None:
        """Add those of ``entries`` to the file that it does not have."""
        known = {(one.subject, one.erased_at) for one in self.read()}
        lines = "".join(
            json.dumps(
                {
                    "subject": one.subject,
                    "key_id": one.key_id,
                    "erased_at": one.erased_at.isoformat(),
                    "actor": one.actor,
                }
            )
            + "\n"
            for one in entries
            if (one.subject, one.erased_at) not in known
        )
        if not lines:
            return
        with self._file.open("a", encoding="utf-8") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())

    def check_keys(self, entries: Iterable[Erasure]) -> None:
        """Refuse entries of another key: they would match nobody, and data would come back.

        Raises
        ------
        StoreError
            Says what to do.
        """
        foreign = sum(one.key_id != self.key_id for one in entries)
        if foreign:
            msg = (
                f"{foreign} entries of the erase ledger were made with another key; put the "
                f"{_KEY_FILE} of that installation into {self._file.parent}"
            )
            raise StoreError(msg)

    def _parsed(self, line: str, number: int) -> Erasure:
        try:
            fields = json.loads(line)
            return Erasure(
                subject=fields["subject"],
                key_id=fields["key_id"],
                erased_at=datetime.fromisoformat(fields["erased_at"]),
                actor=fields["actor"],
            )
        except (ValueError, LookupError, TypeError) as err:
            msg = f"{self._file}, line {number}: no entry of the erase ledger; mend it by hand"
            raise StoreError(msg) from err


def _read_or_make_key(file: Path) -> bytes:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(file, "x", encoding="ascii", opener=_private) as new:
                new.write(secrets.token_hex(_KEY_BYTES))
        except FileExistsError:
            pass
        key = bytes.fromhex(file.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as err:
        msg = f"{file}: the key of the erase ledger cannot be read or made: {err}"
        raise StoreError(msg) from err
    if len(key) != _KEY_BYTES:
        msg = f"{file}: not a key of {_KEY_BYTES} bytes; restore it, nothing was erased"
        raise StoreError(msg)
    return key


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
