"""List, fetch, deliver and remove objects; an output is whole under its name or not there.

Stores of objects show nothing until all of it has arrived. Elsewhere (SFTP, SMB, HDFS) an output
grows beside its name and is renamed, as on a disk.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anc_core.errors import (
    ErrorCode,
    InputError,
    SinkError,
    SourceChangedError,
    SourceError,
)
from anc_core.files import DIGEST_BYTES, SourceIdentity, sink_error
from anc_core.remote.access import open_filesystem, told
from anc_core.remote.address import RemotePath
from anc_core.temporaries import own_token

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

OnBytes = Callable[[], object]
"""Called now and then while bytes travel; may raise to stop them."""

_WHOLE_OR_ABSENT = frozenset({"s3", "gs", "az", "abfs", "adl", "oss", "oci", "tos", "hf", "memory"})
"""Protocols whose objects appear when they are complete."""

_TIMES = ("LastModified", "last_modified", "mtime", "modified", "updated", "created")
_TAGS = ("ETag", "etag", "generation", "md5Hash", "contentHash", "content_md5")
_NS = 10**9
_BLOCK_BYTES = 1 << 20
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteObject:
    """An object as it was when it was looked at; nothing of it was read."""

    place: RemotePath
    size: int
    """Bytes."""
    modified_at: datetime | None
    stamp: int | None
    """Changes with the content: nanoseconds of its time, whose fraction is that of its tag where
    it has one. ``None`` = nothing is known."""

    @property
    def identity(self) -> SourceIdentity | None:
        """What tells whether it is still the same, if anything does."""
        if self.stamp is None:
            return None
        return SourceIdentity(size=self.size, mtime_ns=self.stamp, inode=0, device=0)


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies below a place."""

    objects: tuple[RemoteObject, ...] = ()
    refused: tuple[str, ...] = ()
    """Why objects with impossible names are left out; each begins with the name."""


def look_at(where: RemotePath) -> RemoteObject | None:
    """Return the object ``where``, or ``None`` for a folder (objects whose names begin so).

    Raises
    ------
    SourceError, RemoteUnreachableError
        As :func:`anc_core.remote.access.told`: NOT_FOUND if there is neither.
    """
    system, name = open_filesystem(where)
    with told(where):
        info = system.info(name)
    return None if info.get("type") == "directory" else _object(where, info)


def find(where: RemotePath) -> RemoteObject | None:
    """Return the object ``where``, or ``None`` if there is none.

    Raises
    ------
    SourceError, RemoteUnreachableError
        As :func:`look_at`, but for NOT_FOUND.
    """
    try:
        return look_at(where)
    except SourceError as err:
        if err.code is ErrorCode.NOT_FOUND:
            return None
        raise


def list_below(where: RemotePath, *, recursive: bool = True) -> Listing:
    """Return all objects below ``where``, in no order.

    Raises
    ------
    SourceError, RemoteUnreachableError
        PERMISSION, or as :func:`look_at`; a place that holds nothing is an empty listing.
    """
    system, name = open_filesystem(where)
    with told(where):
        try:
            found = system.find(name, maxdepth=None if recursive else 1, detail=True)
        except FileNotFoundError:
            found = {}
    return _listing(where, name, found)


def match(pattern: RemotePath) -> tuple[Listing, tuple[RemotePath, ...]]:
    """Return the objects, and the folders, whose names match ``pattern`` (``**`` = any depth).

    Raises
    ------
    SourceError, RemoteUnreachableError
        As :func:`list_below`.
    """
    system, name = open_filesystem(pattern)
    with told(pattern):
        found = system.glob(name, detail=True)
    root = fixed_part(pattern)
    base = open_filesystem(root)[1]
    folders = {key: info for key, info in found.items() if info.get("type") == "directory"}
    files = {key: info for key, info in found.items() if key not in folders}
    places = [_below(root, base, key) for key in folders]
    return _listing(root, base, files), tuple(one for one in places if not isinstance(one, str))


def fixed_part(pattern: RemotePath) -> RemotePath:
    """Return the folder that every match of ``pattern`` lies in."""
    fixed = pattern
    while any(char in fixed.key for char in "*?["):
        if fixed.parent == fixed:
            msg = f"{pattern}: a pattern can't stand for the bucket; name it"
            raise InputError(msg)
        fixed = fixed.parent
    return fixed


def fetch(found: RemoteObject, into: Path) -> None:
    """Copy an object to the local file ``into``.

    Raises
    ------
    SourceChangedError
        If it was changed since it was looked at, or meanwhile.
    SourceError, RemoteUnreachableError
        As :func:`look_at`.
    SinkError
        NO_SPACE: the disk cannot hold it.
    """
    where = found.place
    if found.size > shutil.disk_usage(into.parent).free:
        msg = f"{where}: its {found.size} bytes do not fit into {into.parent}; free some space"
        raise SinkError(ErrorCode.NO_SPACE, msg)
    system, name = open_filesystem(where)
    with told(where), _told_of_disk(into):
        system.get_file(name, str(into))
    now = look_at(where)
    same = now is not None and (now.size, now.stamp) == (found.size, found.stamp)
    if not same or into.stat().st_size != found.size:
        msg = f"{where}: changed while it was fetched; it is fetched again once it is at rest"
        raise SourceChangedError(msg)


def deliver(source: Path, where: RemotePath, *, on_bytes: OnBytes | None = None) -> None:
    """Copy the local file ``source`` to ``where``; it is there complete or not at all.

    Raises
    ------
    SinkError
        NOT_WRITABLE or PERMISSION.
    RemoteUnreachableError
        If it may work in a moment.
    """
    system, name = open_filesystem(where)
    with told(where, writing=True):
        if where.protocol in _WHOLE_OR_ABSENT:
            system.put_file(str(source), name, callback=_callback(on_bytes))
        else:
            _put_and_rename(system, source, name, on_bytes)


def copy(source: RemotePath, where: RemotePath) -> None:
    """Copy an object within one file system, without fetching it."""
    system, name = open_filesystem(source)
    with told(where, writing=True):
        if where.protocol in _WHOLE_OR_ABSENT:
            system.cp_file(name, open_filesystem(where)[1])
        else:
            target = open_filesystem(where)[1]
            temp = _temporary(target)
            with _removed_on_error(system, temp):
                system.cp_file(name, temp)
                system.mv(temp, target)


def remove(where: RemotePath) -> None:
    """Remove an object.

    Raises
    ------
    SourceError, SinkError, RemoteUnreachableError
        As :func:`anc_core.remote.access.told`.
    """
    system, name = open_filesystem(where)
    with told(where):
        system.rm_file(name)


def read(where: RemotePath) -> bytes:
    """Return the content of a small object: a sidecar, a manifest.

    Raises
    ------
    SourceError, RemoteUnreachableError
        As :func:`look_at`.
    """
    system, name = open_filesystem(where)
    with told(where):
        content: bytes = system.cat_file(name)
    return content


def digest(where: RemotePath) -> str:
    """Return what :func:`anc_core.files.digest_file` does, in constant memory and no disk.

    Raises
    ------
    SourceError, RemoteUnreachableError
        As :func:`look_at`.
    """
    system, name = open_filesystem(where)
    found = hashlib.blake2b(digest_size=DIGEST_BYTES)
    with told(where), system.open(name, "rb") as file:
        while block := file.read(_BLOCK_BYTES):
            found.update(block)
    return found.hexdigest()


def probe(folder: RemotePath) -> None:
    """Find out whether something can be written below ``folder``; nothing stays there.

    Raises
    ------
    SinkError, RemoteUnreachableError
        As :func:`deliver`.
    """
    where = folder / f".anc-{own_token()}.part"
    system, name = open_filesystem(where)
    with told(where, writing=True):
        if where.protocol not in _WHOLE_OR_ABSENT:  # there it would make a bucket
            system.makedirs(name.rpartition("/")[0], exist_ok=True)
        system.pipe_file(name, b"\0")
        system.rm_file(name)


def _listing(root: RemotePath, base: str, found: Mapping[str, Mapping[str, Any]]) -> Listing:
    objects, refused = [], []
    for name, info in found.items():
        if info.get("type") == "directory" or name.endswith("/"):
            continue  # an empty object that stands for a folder
        where = _below(root, base, name)
        if isinstance(where, str):
            refused.append(where)
        else:
            objects.append(_object(where, info))
    return Listing(tuple(objects), tuple(refused))


def _below(root: RemotePath, base: str, name: str) -> RemotePath | str:
    """Return the place that the file system calls ``name``, or why it can have none."""
    # Not stripped of all its slashes: "a//b" is another object than "a/b".
    relative = name.removeprefix(base).removeprefix("/")
    if not relative:
        return root
    try:
        return root / relative
    except InputError as err:
        return str(err)


def _object(where: RemotePath, info: Mapping[str, Any]) -> RemoteObject:
    modified_at = next((when for key in _TIMES if (when := _moment(info.get(key)))), None)
    tag = next((str(info[key]) for key in _TAGS if info.get(key)), None)
    return RemoteObject(
        place=where,
        size=int(info.get("size") or 0),
        modified_at=modified_at,
        stamp=_stamp(modified_at, tag),
    )


def _moment(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _stamp(modified_at: datetime | None, tag: str | None) -> int | None:
    # S3 counts whole seconds; what was written twice in one of them is told apart by its tag.
    if modified_at is None and tag is None:
        return None
    whole = 0 if modified_at is None else int(modified_at.timestamp())
    if tag is None:
        return whole * _NS + (0 if modified_at is None else modified_at.microsecond * 1000)
    # A listing and a look may quote it differently.
    digest = hashlib.blake2b(tag.strip('"').encode(), digest_size=8).digest()
    return whole * _NS + int.from_bytes(digest) % _NS


@contextmanager
def _told_of_disk(into: Path) -> Iterator[None]:
    """Tell the fault of the local disk from that of the network."""
    try:
        yield
    except OSError as err:
        if err.errno in _DISK_ERRORS:
            raise sink_error(into, err) from err
        raise


def _put_and_rename(
    system: AbstractFileSystem, source: Path, name: str, on_bytes: OnBytes | None
) -> None:
    temp = _temporary(name)
    system.makedirs(name.rpartition("/")[0], exist_ok=True)
    with _removed_on_error(system, temp):
        system.put_file(str(source), temp, callback=_callback(on_bytes))
        system.mv(temp, name)


def _temporary(name: str) -> str:
    return f"{name.rpartition('/')[0]}/.anc-{own_token()}.part"


@contextmanager
def _removed_on_error(system: AbstractFileSystem, temp: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(Exception):
            system.rm_file(temp)
        raise


def _callback(on_bytes: OnBytes | None) -> Any:  # noqa: ANN401 - fsspec's, which is imported late
    from fsspec.callbacks import DEFAULT_CALLBACK, Callback

    if on_bytes is None:
        return DEFAULT_CALLBACK
    return Callback(hooks={"bytes": lambda *_, **__: on_bytes()})
