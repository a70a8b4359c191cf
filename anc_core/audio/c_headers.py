"""Filters as C headers: numbers, sizes, and in words what they mean.

The same input gives the same bytes: plain C99 with nothing but ``<stdint.h>``, no dates, no names
of machines.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.dsp.levels import energy_ratio_db
from anc_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NUMBERS_A_LINE = 8

# Of C23 and C++.
_RESERVED = {
    *("alignas", "alignof", "and", "asm", "auto", "bool", "break", "case", "catch", "char"),
    *("class", "const", "constexpr", "continue", "default", "delete", "do", "double", "else"),
    *("enum", "explicit", "export", "extern", "false", "float", "for", "friend", "goto", "if"),
    *("inline", "int", "long", "main", "mutable", "namespace", "new", "noexcept", "not"),
    *("nullptr", "operator", "or", "private", "protected", "public", "register", "restrict"),
    *("return", "short", "signed", "sizeof", "static", "struct", "switch", "template", "this"),
    *("throw", "true", "try", "typedef", "typeid", "typename", "typeof", "union", "unsigned"),
    *("using", "virtual", "void", "volatile", "while", "xor"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedPoint:
    """Taps as integers.

    Attributes
    ----------
    values : int64, the taps' shape
        Tap = value·2^(shift - num_bits + 1).
    shift : int
        The smallest for which the largest tap fits; negative where all taps are small.
    error_db : float or None
        Energy of the rounding errors over that of the taps; None where there are none.
    """

    values: NDArray[np.int64]
    shift: int
    error_db: float | None


def fixed_point(taps: NDArray[np.float64], num_bits: int) -> FixedPoint:
    """Return ``taps`` rounded to integers of ``num_bits`` (16 or 32), the full range used.

    Examples
    --------
    >>> fixed = fixed_point(np.array([0.5, -1.0]), 16)
    >>> fixed.values.tolist(), fixed.shift
    ([8192, -16384], 1)
    """
    peak = float(np.abs(taps).max())
    shift = math.frexp(peak)[1] if peak else 0
    limit = 2 ** (num_bits - 1) - 1
    # Both signs alike, so that no value is without its negative.
    if round(math.ldexp(peak, num_bits - 1 - shift)) > limit:
        shift += 1
    values = np.rint(np.ldexp(taps, num_bits - 1 - shift))
    error_db = energy_ratio_db(np.ldexp(values, shift - num_bits + 1) - taps, taps)
    return FixedPoint(values=values.astype(np.int64), shift=shift, error_db=error_db)


def headroom_bits(taps: NDArray[np.float64]) -> int:
    """Return by how many bits an input must be below full scale so that no output can exceed it.

    The largest output for inputs within ±1 is Σ|h|, over all taps and inputs of one output.
    """
    sums = np.abs(taps).reshape(taps.shape[0] if taps.ndim == 3 else 1, -1).sum(axis=1)
    loudest = float(sums.max())
    return max(math.ceil(math.log2(loudest)), 0) if loudest else 0


def check_identifier(name: str) -> str:
    """Return ``name`` if C takes it as the name of an array.

    Raises
    ------
    InputError
        If it is no identifier, or a word that C or C++ keeps for itself.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,62}", name) or name.lower() in _RESERVED:
        msg = (
            f"name is {name!r}; it must be a free C identifier: a letter, then at most 62 letters, "
            "digits or underscores"
        )
        raise InputError(msg)
    return name


def identifier_from(stem: str) -> str:
    """Return a C identifier made of a file's stem.

    Examples
    --------
    >>> identifier_from("left ear-2"), identifier_from("2nd"), identifier_from("float")
    ('left_ear_2', 'filter_2nd', 'filter_float')
    """
    name = re.sub(r"[^A-Za-z0-9]+", "_", stem).strip("_")[:50]
    if not name[:1].isalpha() or name.lower() in _RESERVED:
        name = f"filter_{name}".rstrip("_")
    return name


def header(
    name: str, comment: Iterable[str], numbers: dict[str, int], kind: str, values: NDArray[Any]
) -> str:
    """Return the text of a header.

    Parameters
    ----------
    name : str
        Of the array; in capitals, the beginning of its macros.
    comment : iterable of str
        Lines, safe as :func:`plain_lines` makes them.
    numbers : dict
        Macros without that beginning, in order.
    kind : {"float", "int16_t", "int32_t"}
    values : ndarray of any number of axes
        float32 or integers, finite.
    """
    prefix = name.upper()
    # A guard that no macro of the numbers can be.
    guard = f"{prefix}_H_INCLUDED"
    lines = ["/*"]
    lines += [f" * {line}".rstrip() for line in comment]
    lines += [" */", f"#ifndef {guard}", f"#define {guard}", ""]
    if kind != "float":
        lines += ["#include <stdint.h>", ""]
    lines += [f"#define {prefix}_{macro} {_integer(value)}" for macro, value in numbers.items()]
    sizes = "".join(f"[{length}]" for length in values.shape)
    written = _real if kind == "float" else str
    lines += ["", f"static const {kind} {name}{sizes} = {{", *_rows(values, written, "    "), "};"]
    return "\n".join([*lines, "", f"#endif /* {guard} */", ""])


def _rows(values: NDArray[Any], written: Callable[[Any], str], indent: str) -> list[str]:
    if values.ndim == 1:
        texts = [written(value) for value in values.tolist()]
        return [
            f"{indent}{', '.join(texts[start : start + _NUMBERS_A_LINE])},"
            for start in range(0, len(texts), _NUMBERS_A_LINE)
        ]
    lines = []
    for part in values:
        inner = _rows(part, written, indent + "    ")
        if part.ndim == 1 and len(inner) == 1:
            lines.append(f"{indent}{{{inner[0].strip(', ')}}},")
        else:
            lines += [f"{indent}{{", *inner, f"{indent}}},"]
    return lines


def _real(value: float) -> str:
    text = f"{value:.9g}"  # nine digits tell every float32 from the next
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def _integer(value: int) -> str:
    return f"({value})" if value < 0 else str(value)


def plain_lines(text: str) -> list[str]:
    """Return the lines of ``text``, each safe within a comment: printable, ending none."""
    lines = []
    for line in text.splitlines():
        plain = "".join(letter if letter.isprintable() else " " for letter in line)
        lines.append(plain.replace("*/", "* /").replace("/*", "/ *").rstrip("\\ "))
    return lines
