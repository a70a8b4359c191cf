"""Packages whose names are loaded on first use (PEP 562): importing them costs next to nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, home_of: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    home_of : mapping of str to str
        Public name to the submodule that defines it.

    Notes
    -----
    A name is kept once it was found. That also decides for the function where a submodule has the
    same name: importing a submodule binds it in its package.
    """

    def load(name: str) -> Any:  # noqa: ANN401 - the type is that of the name asked for
        if name not in home_of:
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg)
        value = getattr(import_module(f"{package}.{home_of[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return load
