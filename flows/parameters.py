"""What a flow's parameters may be: Prefect keeps them as JSON text."""

from __future__ import annotations

from pathlib import Path


def check_names(*paths: str | Path | None) -> None:
    """Refuse undecodable names; a folder that holds files with such names is fine.

    Raises
    ------
    InputError
        Names the first one and the cure.
    """
    from anc_core.errors import InputError

    for path in paths:
        try:
            str(path).encode()
        except UnicodeEncodeError as err:
            msg = f"{str(path)!r} is no text, so it can't be a flow's parameter; leave out --flow"
            raise InputError(msg) from err
