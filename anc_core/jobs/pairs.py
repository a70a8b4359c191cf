"""Recordings that come in pairs: which file heard the noise of which, by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from anc_core.errors import InputError
from anc_core.jobs.naming import Where

_WILD = re.compile(r"[*?]")


@dataclass(frozen=True, slots=True)
class PairRule:
    """A pattern for primaries and one for their references, as in ``*_primary.*=*_reference.*``.

    What a ``*`` or ``?`` stands for in the first pattern it stands for in the second, too. Patterns
    are compared with a file's name, or with the end of its path where they name folders:
    ``mic1/*=mic2/*``.
    """

    primary: str
    reference: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the rule that ``text`` spells.

        Raises
        ------
        InputError
            If there is no single ``=``, a side is empty, or their wildcards do not match.
        """
        sides = [side.strip() for side in text.split("=")]
        if len(sides) != 2 or not all(sides):
            msg = f"pair {text!r} is not PRIMARY=REFERENCE, such as '*_primary.*=*_reference.*'"
            raise InputError(msg)
        first, second = (_WILD.findall(side) for side in sides)
        if not first or first != second:
            msg = f"pair {text!r}: both sides need the same wildcards (* and ?) in the same order"
            raise InputError(msg)
        if sides[0] == sides[1]:
            msg = f"pair {text!r}: a recording can't be its own reference; give two patterns"
            raise InputError(msg)
        return cls(*sides)

    def reference_of(self, path: Where) -> Where | None:
        """Return where the reference of ``path`` should be; None if it is no primary's name."""
        return _translated(path, self.primary, self.reference)

    def primary_of(self, path: Where) -> Where | None:
        """Return where the primary of ``path`` should be; None if it is no reference's name."""
        return _translated(path, self.reference, self.primary)


@dataclass(frozen=True, slots=True)
class Pairs:
    """What :func:`pair_up` found."""

    reference_of: dict[Where, Where] = field(default_factory=dict)
    """Of every primary, whether its reference was found or not."""
    references: frozenset[Where] = frozenset()
    """These are no recordings by themselves."""
    orphans: tuple[Where, ...] = ()
    """References whose primary was not found."""


def pair_up(paths: Iterable[Where], rule: str | None) -> Pairs:
    """Find the pairs among ``paths``.

    Parameters
    ----------
    paths : iterable of path or URL
        Recordings that were found.
    rule : str, optional
        As :meth:`PairRule.parse` reads it; without one there are no pairs.

    Raises
    ------
    InputError
        If the rule breaks its own.
    """
    if rule is None:
        return Pairs()
    parsed = PairRule.parse(rule)
    found = set(paths)
    # A name that fits both sides ("a_ref.wav" of "*.wav=*_ref.wav") is a reference's.
    primary_of = {path: parsed.primary_of(path) for path in found}
    references = {path for path, primary in primary_of.items() if primary is not None}
    reference_of = {}
    for path in found - references:
        reference = parsed.reference_of(path)
        if reference is not None:
            reference_of[path] = reference
    orphans = sorted((path for path in references if primary_of[path] not in found), key=str)
    return Pairs(reference_of, frozenset(references), tuple(orphans))


def _translated(path: Where, pattern: str, into: str) -> Where | None:
    depth = pattern.count("/") + 1
    if len(path.parts) < depth:
        return None
    tail = "/".join(path.parts[-depth:])
    fit = re.fullmatch(_WILD.sub(lambda wild: _GROUPS[wild[0]], _escaped(pattern)), tail)
    if fit is None:
        return None
    values = iter(fit.groups())
    return path.parents[depth - 1] / _WILD.sub(lambda _: next(values), into)


_GROUPS = {"*": "([^/]*)", "?": "([^/])"}


def _escaped(pattern: str) -> str:
    """Return ``pattern`` with all that means something in a regular expression but * and ?."""
    return "".join(char if char in "*?" else re.escape(char) for char in pattern)
