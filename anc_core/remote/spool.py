"""The spool: what is in work of a remote recording lies here, and goes when it is done.

A worker has one folder, for one recording at a time: what the disk must hold is the number of
workers times the largest recording with its output, whatever the size of the bucket.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from anc_core.files import sink_error
from anc_core.temporaries import own_token, remove_abandoned_folders, temporary_folder

_MAX_SUFFIX = 32  # characters; a longer one is no name of a format


class Spool:
    """A folder that is made when it is first needed and removed at the end of the ``with`` block.

    Parameters
    ----------
    parent : Path
        Where such folders lie. Those of processes that were killed are removed on the way.
    """

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._folder: Path | None = None
        self._count = 0

    def __enter__(self) -> Self:
        """Return the spool; nothing is made yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        err: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove all of it."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def path(self, suffix: str) -> Path:
        """Return a new name in the spool; ``suffix`` is kept, as it tells the format.

        Raises
        ------
        SinkError
            NOT_WRITABLE or NO_SPACE.
        """
        self._count += 1
        ending = suffix if len(suffix) <= _MAX_SUFFIX else ""
        return self._made() / f"{self._count}{ending}"

    def _made(self) -> Path:
        if self._folder is None:
            folder = temporary_folder(self._parent, own_token())
            try:
                self._parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                remove_abandoned_folders(self._parent)
                folder.mkdir(mode=0o700)
            except OSError as err:
                raise sink_error(folder, err) from err
            self._folder = folder
        return self._folder
