"""What a user calls a place: a path of this machine, or a URL such as ``s3://bucket/a.wav``.

Context: :class:`pathlib.Path` takes ``s3://bucket`` for a relative path and drops a slash.
Decision: a URL is a value of its own type, which has the few words of a path that names and trees
of outputs need, and no way to be opened as a local file by mistake.
Consequence: one object has one name, and what could be read in two ways is refused at the edge.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from anc_core.errors import InputError

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_LOST_SLASH = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/(?!/)")
_LOCAL = frozenset({"file", "local"})
_SAME = {"s3a": "s3", "gcs": "gs", "ssh": "sftp"}
# Views of something else: what they lead to could not be told from their name.
_INDIRECT = frozenset(
    (
        *("arrow_hdfs", "asynclocal", "async_wrapper", "asyncwrapper", "blockcache", "cached"),
        *("dask", "data", "dir", "filecache", "generic", "git", "libarchive", "reference"),
        *("simplecache", "tar", "zip"),
    )
)
_NO_PARTS = frozenset({"", ".", ".."})


@dataclass(frozen=True, slots=True, order=True)
class RemotePath:
    """The name of an object, or of all below it; says nothing of whether it exists.

    Parameters
    ----------
    protocol : str
        As fsspec calls it: ``s3``, ``gs``, ``az``, ``sftp``, ``https``, ...
    key : str
        What stands behind ``://``: the bucket or host, and the path there.

    Raises
    ------
    InputError
        For a name that says more than where something is, or not unmistakably.
    """

    protocol: str
    key: str

    def __post_init__(self) -> None:
        """Check the rules of a name."""
        _check(self.protocol, self.key)

    def __str__(self) -> str:
        """Return the URL."""
        return f"{self.protocol}://{self.key}"

    def __truediv__(self, relative: str | Path) -> RemotePath:
        """Return what lies at ``relative`` below."""
        return RemotePath(self.protocol, f"{self.key}/{relative}")

    @property
    def parts(self) -> tuple[str, ...]:
        """Bucket or host, and the parts of the path."""
        return tuple(self.key.removeprefix("/").split("/"))

    @property
    def name(self) -> str:
        """The last part."""
        return self.parts[-1]

    @property
    def suffix(self) -> str:
        """Of the name, such as ``.wav``; as of a path."""
        return Path(self.name).suffix

    @property
    def parent(self) -> RemotePath:
        """What it lies in; of a bucket, the bucket."""
        head, slash, _ = self.key.rpartition("/")
        return RemotePath(self.protocol, head) if slash and head else self

    @property
    def parents(self) -> tuple[RemotePath, ...]:
        """What it lies in, from the inside out."""
        found: list[RemotePath] = []
        inner = self
        while inner.parent != inner:
            inner = inner.parent
            found.append(inner)
        return tuple(found)

    def with_name(self, name: str) -> RemotePath:
        """Return the place beside this one that is called ``name``."""
        return self.parent / name

    def absolute(self) -> RemotePath:
        """Return itself: a URL means the same from every folder."""
        return self

    def expanduser(self) -> RemotePath:
        """Return itself: ``~`` is a character like any other."""
        return self

    def is_relative_to(self, other: object) -> bool:
        """Return whether it is ``other`` or lies below."""
        if not isinstance(other, RemotePath) or other.protocol != self.protocol:
            return False
        return self.parts[: len(other.parts)] == other.parts

    def relative_to(self, other: RemotePath | Path) -> str:
        """Return its path below ``other``, of which it is; its name alone, if it is ``other``."""
        return "/".join(self.parts[len(other.parts) :]) or self.name


def is_url(text: object) -> bool:
    """Return whether ``text`` is a URL and no path of this machine."""
    return isinstance(text, RemotePath) or (
        isinstance(text, str) and _URL.fullmatch(text) is not None
    )


def place(text: object) -> Path | RemotePath:
    """Return what a user's word means.

    Parameters
    ----------
    text : str, Path or RemotePath
        A path, or a URL of a protocol that fsspec knows. ``file:///x`` is the path ``/x``.

    Raises
    ------
    InputError
        For a URL that holds a password or cannot be a place, and for one that lost a slash on its
        way through :class:`pathlib.Path`.

    Examples
    --------
    >>> place("s3a://bucket/day/a.wav")
    RemotePath(protocol='s3', key='bucket/day/a.wav')
    >>> str(place("file:///data/a.wav"))
    '/data/a.wav'
    """
    if isinstance(text, RemotePath):
        return text
    if not isinstance(text, str | Path):
        msg = f"{text!r} is no path and no URL"
        raise InputError(msg)
    found = _URL.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        if isinstance(text, Path) and _LOST_SLASH.match(str(text)) and not os.path.lexists(text):
            msg = f"{text}: give a URL as text; as a Path it has lost a slash"
            raise InputError(msg)
        return Path(text)
    protocol = found[1].lower()
    if protocol in _LOCAL:
        if not found[2].startswith("/"):
            msg = f"{text}: a file of this machine is file:///PATH, or the path alone"
            raise InputError(msg)
        return Path(found[2])
    return RemotePath(_SAME.get(protocol, protocol), found[2].removesuffix("/"))


Place: TypeAlias = Annotated[
    Path | RemotePath,
    PlainValidator(place),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "format": "path"}),
]
"""A path of this machine or a URL; to pydantic and in JSON it is text."""


def local(where: Path | RemotePath) -> Path:
    """Return ``where``, which must be a path of this machine.

    Raises
    ------
    InputError
        If it is a URL.
    """
    if isinstance(where, RemotePath):
        msg = f"{where}: this must be a file or folder of this machine"
        raise InputError(msg)
    return where


def _check(protocol: str, key: str) -> None:
    authority = key.partition("/")[0]
    user, at, _ = authority.rpartition("@")
    if at and ":" in user:
        # Not shown: whoever reads the message must not learn the password.
        msg = (
            f"a {protocol}:// address holds a user with a password; leave them out, they are taken "
            "from the environment, a profile or the machine's role"
        )
        raise InputError(msg)
    if protocol in {"http", "https"} and "?" in key:
        shown = key.partition("?")[0]
        msg = f"{protocol}://{shown}?...: a query may hold a key to the file; it is not taken"
        raise InputError(msg)
    url = f"{protocol}://{key}"
    if protocol in _INDIRECT or "::" in key:
        msg = f"{url!r} is a view of another place; name that place itself"
        raise InputError(msg)
    if any(part in _NO_PARTS for part in key.removeprefix("/").split("/")) or "\0" in key:
        msg = f"{url!r} has a part that is empty, '.', '..' or holds a NUL; it can't be a file"
        raise InputError(msg)
    try:
        key.encode()
    except UnicodeEncodeError:
        msg = f"{url!r} is no text, which the name of an object must be; rename the file"
        raise InputError(msg) from None
