"""Cells of a CSV that a spreadsheet shows and never runs."""

from __future__ import annotations

_ACTS = (*"=+-@", *"\t\r\n", *"＝＋－＠")
"""OWASP, CSV injection; the wide signs are folded to the plain ones by some spreadsheets."""


def text_cell(text: str) -> str:
    """Return ``text``; what a spreadsheet would take for a formula begins with an apostrophe.

    Examples
    --------
    >>> text_cell("=1+1"), text_cell("a=b")
    ("'=1+1", 'a=b')
    """
    return f"'{text}" if is_formula(text) else text


def is_formula(text: str) -> bool:
    """Return whether a spreadsheet might take ``text`` for a formula."""
    return text.startswith(_ACTS)


def number_cell(value: float | None) -> str:
    """Return ``value`` with six digits; nothing where it is not to be had."""
    return "" if value is None else f"{value:.6g}"
