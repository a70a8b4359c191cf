"""Whether pictures can be drawn: matplotlib is an extra (``compare``)."""

from __future__ import annotations

from importlib.util import find_spec


def can_draw() -> bool:
    """Return whether matplotlib is installed."""
    return find_spec("matplotlib") is not None
