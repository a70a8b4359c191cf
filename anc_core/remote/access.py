"""Open what a URL names through fsspec, and tell in our words what went wrong.

fsspec and s3fs are the extra ``remote``. Who may read and write is their own affair: they find keys
in the environment, in profiles or in the role of the machine, and none of it passes through here.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from anc_core.errors import (
    AncError,
    ErrorCode,
    InputError,
    RemoteUnreachableError,
    SinkError,
    SourceError,
)
from anc_core.remote.address import RemotePath

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_NO_CREDENTIALS = re.compile(r"credential|NoAuth|SSOToken|ProfileNotFound", re.IGNORECASE)
# What no second try mends; everything else that a network's libraries raise may pass.
_LASTING_ERRNOS = {
    *(errno.EINVAL, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG),
    *(errno.EROFS, errno.ENOSYS, errno.EOPNOTSUPP),
}
_OUR_FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, NameError, TypeError)


def open_filesystem(where: RemotePath) -> tuple[AbstractFileSystem, str]:
    """Return the file system that holds ``where``, and its name there.

    Raises
    ------
    InputError
        If what the protocol needs is not installed; names the extra.
    """
    try:
        from fsspec.core import url_to_fs

        # What is there now is asked anew each time: a bucket has other writers.
        found: tuple[AbstractFileSystem, str] = url_to_fs(str(where), use_listings_cache=False)
    except ImportError as err:
        msg = (
            f"{where}: {where.protocol}:// needs a package that is not installed; "
            "pip install 'anc-platform[remote]' brings what s3:// needs"
        )
        raise InputError(msg) from err
    except ValueError as err:
        msg = f"{where}: {err}"
        raise InputError(msg) from err
    return found


@contextmanager
def told(where: RemotePath, *, writing: bool = False) -> Iterator[None]:
    """Turn what the block's libraries raise into our errors, which name ``where``.

    Parameters
    ----------
    where : RemotePath
        What is looked at or moved.
    writing : bool
        It is an output.

    Raises
    ------
    SourceError, SinkError
        NOT_FOUND, PERMISSION (also where there are no credentials) or NOT_WRITABLE.
    RemoteUnreachableError
        If it may work in a moment: no answer, or one that was cut short.
    """
    try:
        yield
    except (AncError, *_OUR_FAULTS):
        raise
    except FileNotFoundError as err:
        if writing:
            msg = f"{where}: cannot be written, its bucket or folder does not exist; make it first"
            raise SinkError(ErrorCode.NOT_WRITABLE, msg) from err
        msg = f"{where}: no such object; check the name"
        raise SourceError(ErrorCode.NOT_FOUND, msg) from err
    except PermissionError as err:
        raise _denied(where, str(err) or "access denied", writing=writing) from err
    except Exception as err:
        # Every protocol's libraries have errors of their own, of no common kind.
        if _NO_CREDENTIALS.search(type(err).__name__):
            raise _denied(where, str(err), writing=writing) from err
        if isinstance(err, OSError) and err.errno in _LASTING_ERRNOS:
            msg = f"{where}: {err.strerror or err}"
            if writing:
                raise SinkError(ErrorCode.NOT_WRITABLE, msg) from err
            raise SourceError(ErrorCode.NOT_FOUND, msg) from err
        msg = f"{where}: could not be reached ({type(err).__name__}: {err})"
        raise RemoteUnreachableError(msg) from err


def _denied(where: RemotePath, why: str, *, writing: bool) -> SourceError | SinkError:
    doing, kind = ("written", SinkError) if writing else ("read", SourceError)
    msg = f"{where}: may not be {doing} ({why}); check the credentials and the bucket's policy"
    return kind(ErrorCode.PERMISSION, msg)
