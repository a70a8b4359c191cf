"""Text from outside that cannot act: on a terminal, on a page, or as a line of a log of its own."""

from __future__ import annotations

import unicodedata

# Embeddings, overrides and isolates: "\u202egnp.exe" reads "exe.png" (Unicode TR 36, 3.2).
_TURNING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def inert(text: str) -> str:
    r"""Return ``text`` with all that acts shown as escapes.

    That is control characters (C0 and C1), marks that turn the direction of writing, line
    separators and undecodable bytes.

    Examples
    --------
    >>> inert("a\nb\x1b[31m.wav")
    'a\\nb\\x1b[31m.wav'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(char) if _acts(char) else char for char in text)


def _acts(char: str) -> bool:
    turns = unicodedata.bidirectional(char) in _TURNING
    return turns or unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
