"""Files as such: identity, digests, and outputs that are complete or do not exist.

Nothing here knows of audio. Temporary files lie in the folder of the output, because a rename is
atomic only within one file system, and are named by a token alone, so that an output whose name
fills the file system's 255 bytes can be written too.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path

from anc_core.errors import (
    ErrorCode,
    InputError,
    RecordingError,
    SinkError,
    SourceChangedError,
    SourceError,
)
from anc_core.temporaries import own_token

_COPY_BYTES = 1 << 20
DIGEST_BYTES = 32  # 256 bit
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")

_SPACE_ERRORS = {errno.ENOSPC, errno.EDQUOT}
_MISSING_ERRORS = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
# File systems that know no hard links, or not between these two places, answer one of these.
_NO_LINK_ERRORS = {
    errno.EXDEV,
    errno.EPERM,
    errno.EACCES,
    errno.EMLINK,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
}
# Some network and FUSE file systems cannot fsync a folder; the rename itself has happened.
_NO_FOLDER_SYNC_ERRORS = {errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.EOPNOTSUPP, errno.EACCES}


def printable(path: Path | str) -> str:
    r"""Return ``path`` as text that can be encoded: bytes that are no UTF-8 become ``\\xNN``.

    Examples
    --------
    >>> printable("caf\udce9.wav")
    'caf\\xe9.wav'
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


# ----------------------------------------------------------------------------- reading


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceIdentity:
    """What tells whether a file is still the one that was seen; cheap, no content is read."""

    size: int
    """Bytes."""
    mtime_ns: int
    inode: int
    device: int


def identify(path: Path | str) -> SourceIdentity:
    """Return the identity of the regular file ``path``; symlinks are followed.

    Raises
    ------
    SourceError
        NOT_FOUND, or PERMISSION for what may not be read or is no regular file.
    """
    found = _regular_stat(Path(path))
    return SourceIdentity(
        size=found.st_size, mtime_ns=found.st_mtime_ns, inode=found.st_ino, device=found.st_dev
    )


def check_unchanged(path: Path | str, before: SourceIdentity) -> None:
    """Compare ``path`` with what it was ``before`` it was read.

    Raises
    ------
    SourceChangedError
        Names what changed; reading again later may work.
    """
    try:
        now = identify(path)
    except SourceError as err:
        msg = f"{printable(path)}: vanished or became unreadable while it was read ({err})"
        raise SourceChangedError(msg) from err
    changes = [
        f"{field.name} {getattr(before, field.name)} -> {getattr(now, field.name)}"
        for field in fields(SourceIdentity)
        if getattr(before, field.name) != getattr(now, field.name)
    ]
    if changes:
        msg = (
            f"{printable(path)}: changed while it was read ({', '.join(changes)}); "
            "it is read again once it is at rest"
        )
        raise SourceChangedError(msg)


def open_regular(path: Path | str) -> io.FileIO:
    """Open a regular file for unbuffered reading, and nothing else.

    A FIFO would block, a device may never end, so neither is opened.

    Raises
    ------
    SourceError
        NOT_FOUND, or PERMISSION for what may not be read or is no regular file.
    """
    path = Path(path)
    _regular_stat(path)
    try:
        file = io.FileIO(path, opener=_open_nonblocking)
    except OSError as err:
        raise _source_error(path, err) from err
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # replaced since it was looked at
        file.close()
        raise _not_regular(path, 0)
    return file


def digest_file(path: Path | str) -> str:
    """Return the BLAKE2b-256 digest of a file's content in hexadecimal, in constant memory.

    Raises
    ------
    SourceError
        As :func:`open_regular`.
    """
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    with open_regular(path) as file:
        for block in _blocks(file, Path(path)):
            digest.update(block)
    return digest.hexdigest()


def _open_nonblocking(name: str, flags: int) -> int:
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))


def _regular_stat(path: Path) -> os.stat_result:
    try:
        found = path.stat()
    except OSError as err:
        raise _source_error(path, err) from err
    except ValueError as err:  # a NUL in the name
        msg = f"{printable(path)!r}: {err}; no file can have this name"
        raise SourceError(ErrorCode.NOT_FOUND, msg) from err
    if not stat.S_ISREG(found.st_mode):
        raise _not_regular(path, found.st_mode)
    return found


def _not_regular(path: Path, mode: int) -> SourceError:
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    kind = kinds.get(stat.S_IFMT(mode), "no regular file")
    msg = f"{printable(path)}: is {kind}; only regular files are opened, copy the audio to one"
    return SourceError(ErrorCode.PERMISSION, msg)


def _source_error(path: Path, err: OSError) -> SourceError:
    if err.errno in _MISSING_ERRORS:
        return SourceError(
            ErrorCode.NOT_FOUND, f"{printable(path)}: {err.strerror}; check the name"
        )
    msg = f"{printable(path)}: cannot be read ({err.strerror}); check its permissions and its disk"
    return SourceError(ErrorCode.PERMISSION, msg)


def _blocks(file: io.FileIO, path: Path) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(_COPY_BYTES))
    while True:
        try:
            count = file.readinto(buffer)
        except OSError as err:
            raise _source_error(path, err) from err
        if not count:
            return
        yield buffer[:count]


# ----------------------------------------------------------------------------- writing


def temp_path(path: Path, token: str) -> Path:
    """Return where the output ``path`` lies until it is complete: ``.anc-<token>.part`` beside it.

    Parameters
    ----------
    path : Path
        The output.
    token : str
        1 to 64 of ``A-Z a-z 0-9 _ -``; who knows it can remove what a killed process left.

    Raises
    ------
    InputError
        If ``token`` breaks its rule.
    """
    if not _TOKEN.fullmatch(token):
        msg = f"token is {token!r}; it must be 1 to 64 of the characters A-Z a-z 0-9 _ -"
        raise InputError(msg)
    return path.parent / f".anc-{token}.part"


def sink_error(path: Path, err: OSError) -> SinkError:
    """Return the :class:`SinkError` that says in words why ``path`` could not be written."""
    if err.errno in _SPACE_ERRORS:
        msg = (
            f"{printable(path)}: the disk or quota is full ({err.strerror}); "
            "free some space or choose another folder"
        )
        return SinkError(ErrorCode.NO_SPACE, msg)
    msg = (
        f"{printable(path)}: cannot be written ({err.strerror}); "
        "check the name and the folder's permissions or choose another folder"
    )
    return SinkError(ErrorCode.NOT_WRITABLE, msg)


@contextmanager
def atomic_path(path: Path | str, *, token: str | None = None) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on a clean exit it becomes ``path``, else nothing.

    Parameters
    ----------
    path : Path
        The output; missing parent folders are made, an existing file is replaced.
    token : str, optional
        See :func:`temp_path`; one that tells whose it is if not given.

    Raises
    ------
    SinkError
        NO_SPACE or NOT_WRITABLE, also for an :class:`OSError` raised by the body.

    Notes
    -----
    Exit: fsync of the file, rename, fsync of the folder. After any exception, KeyboardInterrupt
    included, the temporary file is gone and ``path`` is what it was.
    """
    path = Path(path)
    temp = temp_path(path, token or own_token())
    try:
        _prepare(path, temp)
        yield temp
        with temp.open("rb+") as file:
            os.fsync(file.fileno())
        temp.replace(path)
        _sync_folder(path.parent)
    except BaseException as err:
        with suppress(OSError):
            temp.unlink(missing_ok=True)
        # Our own errors are OSErrors too, and already say what happened.
        if isinstance(err, OSError) and not isinstance(err, RecordingError):
            raise sink_error(path, err) from err
        raise


def write_text_atomic(path: Path | str, text: str, token: str | None = None) -> None:
    """Write ``text`` as UTF-8 to ``path``, complete or not at all; see :func:`atomic_path`."""
    with atomic_path(path, token=token) as temp:
        temp.write_text(text, encoding="utf-8", newline="\n")


def copy_atomic(src: Path | str, dst: Path | str, token: str | None = None) -> None:
    """Copy the content of ``src`` to ``dst`` bit for bit, complete or not at all.

    The copy shares no blocks with ``src``: what happens to one never happens to the other.

    Raises
    ------
    SourceError, SinkError
        As :func:`open_regular` and :func:`atomic_path`.
    """
    with atomic_path(dst, token=token) as temp:
        _copy_content(Path(src), temp)


def link_or_copy(src: Path | str, dst: Path | str) -> None:
    """Make ``dst`` a hard link to ``src``, or a copy where links are impossible; atomic.

    Raises
    ------
    SourceError, SinkError
        As :func:`copy_atomic`.
    """
    src, dst = Path(src), Path(dst)
    identify(src)
    # Renaming one name of a file onto another name of it does nothing, by POSIX.
    if dst.exists() and dst.samefile(src):
        return
    with atomic_path(dst) as temp:
        try:
            os.link(src.resolve(), temp)
        except OSError as err:
            if err.errno not in _NO_LINK_ERRORS:
                raise
            _copy_content(src, temp)


def _copy_content(src: Path, temp: Path) -> None:
    with open_regular(src) as source, temp.open("wb", buffering=0) as sink:
        for block in _blocks(source, src):
            _write_all(sink, block)


def _prepare(path: Path, temp: Path) -> None:
    """Find out now, not after hours of work, what cannot be: a folder, an impossible name."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as err:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from err
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    temp.unlink(missing_ok=True)


def _write_all(file: io.FileIO, block: memoryview) -> None:
    written = 0
    while written < len(block):
        written += file.write(block[written:])


def _sync_folder(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as err:
        if err.errno in _NO_FOLDER_SYNC_ERRORS:
            return
        raise
    try:
        os.fsync(descriptor)
    except OSError as err:
        if err.errno not in _NO_FOLDER_SYNC_ERRORS:
            raise
    finally:
        os.close(descriptor)
