"""Numbers out of NPY, CSV and JSON files: plain data only, nothing that could run."""

from __future__ import annotations

import csv
import io
import json
import math
import tokenize
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.dsp.paths import MAX_NUM_COEFFICIENTS
from anc_core.errors import ErrorCode, InputError, SourceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NPY_MARK = b"\x93NUMPY"

FILTER_FORMAT = "anc-filter"
SECTIONS_FORMAT = "anc-sections"
"""What our own JSON exports call themselves."""

_MAX_FIELDS = 1 << 21


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a file holds.

    Attributes
    ----------
    values : ndarray
        As they are in the file.
    sample_rate : float or None
        Hz, where the file says it; not checked yet.
    axes : str or None
        Order of the axes where it is known: ``m`` microphones, ``k`` sources, ``l`` taps.
    is_one_channel : bool
        Whether the channel that was asked for has been chosen already.
    """

    values: NDArray[Any]
    sample_rate: float | None = None
    axes: str | None = None
    is_one_channel: bool = False


# ----------------------------------------------------------------------------- NPY


def read_npy(content: bytes, file: str) -> Found:
    """Return the array of an NPY file; its header is a literal, and objects are refused.

    Raises
    ------
    InputError
        If it holds no real numbers, or too many.
    SourceError
        UNSUPPORTED for what is damaged.
    """
    stream = io.BytesIO(content)
    try:
        shape, column_major, dtype = _npy_header(stream)
    except (
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        SyntaxError,
        RecursionError,
        MemoryError,
        tokenize.TokenError,
    ) as err:
        raise _damaged(file, "NPY", str(err) or type(err).__name__) from err
    if dtype.kind not in "fiu":
        msg = f"{file}: holds {dtype} of shape {shape}; a path is made of real numbers"
        raise InputError(msg)
    size = math.prod(shape) if min(shape, default=1) >= 0 else -1
    if size > MAX_NUM_COEFFICIENTS:
        msg = f"{file}: has shape {shape}; at most {MAX_NUM_COEFFICIENTS} values are read: cut it"
        raise InputError(msg)
    rest = len(content) - stream.tell()
    if size < 0 or rest < size * dtype.itemsize:
        reason = f"shape {shape} needs {size * dtype.itemsize} bytes, {rest} are there"
        raise _damaged(file, "NPY", reason)
    values = np.frombuffer(content, dtype, size, stream.tell())
    return Found(values=values.reshape(shape, order="F" if column_major else "C"))


def _npy_header(stream: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # headers of Python 2 were filtered
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(stream)
        if version == (2, 0):
            return np.lib.format.read_array_header_2_0(stream)
    msg = f"version {version[0]}.{version[1]} is for named fields"
    raise ValueError(msg)


# ----------------------------------------------------------------------------- CSV


def read_text(content: bytes, file: str, key: str | None, channel: int | None) -> Found:
    """Return one column, or the only row, of a table of numbers.

    Parameters
    ----------
    content : bytes
        UTF-8, or UTF-16 with its mark. Fields are separated by ``;`` where there is one in the
        last line, else by tabs, else by commas, else by spaces; beside ``;`` a comma may be the
        decimal sign. A first line with words is the header; lines that begin with ``#`` are not
        read.
    file : str
        For messages.
    key : str, optional
        Name of the column.
    channel : int, optional
        Number of the column, from 0.

    Raises
    ------
    InputError
        If the column is not clear, or a field is no number; names line and column.
    SourceError
        UNSUPPORTED if this is no text.
    """
    rows = _rows(_text(content, file), file)
    header: list[str] | None = None
    if rows and not all(_is_number(field) for field in rows[0][1]):
        header = [field.strip() for field in rows.pop(0)[1]]
    if not rows:
        msg = f"{file}: holds no numbers; write one a line"
        raise InputError(msg)
    width = len(header) if header else len(rows[0][1])
    for line, fields in rows:
        if len(fields) != width:
            msg = f"{file}: line {line} has {len(fields)} fields, the first has {width}"
            raise InputError(msg)
    if len(rows) == 1 and header is None and key is None and channel is None:
        place = f"{file}: line {rows[0][0]}, column"
        return Found(values=_numbers(enumerate(rows[0][1], 1), place))
    column = _column(header, width, file, key, channel)
    numbers = ((line, fields[column]) for line, fields in rows)
    return Found(values=_numbers(numbers, f"{file}: column {column}, line"), is_one_channel=True)


def _text(content: bytes, file: str) -> str:
    is_wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return content.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError as err:
        raise _damaged(file, "text", str(err)) from err


def _rows(text: str, file: str) -> list[tuple[int, list[str]]]:
    """Return the lines that hold something, with their numbers."""
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    split = _splitter(lines[-1][1]) if lines else str.split
    rows: list[tuple[int, list[str]]] = []
    count = 0
    for number, line in lines:
        try:
            fields = split(line)
        except csv.Error as err:
            msg = f"{file}: line {number} cannot be read ({err}); write numbers only"
            raise InputError(msg) from err
        count += len(fields)
        if count > _MAX_FIELDS:
            msg = f"{file}: has more than {_MAX_FIELDS} fields; write the path alone"
            raise InputError(msg)
        rows.append((number, fields))
    return rows


def _splitter(line: str) -> Callable[[str], list[str]]:
    """Return what splits a line into fields, by the example of one that holds numbers."""
    mark = next((mark for mark in ";\t," if mark in line), None)
    if mark is not None:
        return lambda line: next(csv.reader([line], delimiter=mark), [])
    # A single column may have a header of several words.
    return str.split if len(line.split()) > 1 else lambda line: [line.strip()]


def _number_of(field: str) -> float:
    # Where the comma separates fields there is none left in them.
    return float(field.replace(",", "."))


def _is_number(field: str) -> bool:
    try:
        _number_of(field)
    except ValueError:
        return False
    return True


def _numbers(fields: Iterable[tuple[int, str]], where: str) -> NDArray[np.float64]:
    numbers = []
    for place, field in fields:
        try:
            numbers.append(_number_of(field))
        except ValueError as err:
            msg = f"{where} {place}: {field[:40]!r} is no number"
            raise InputError(msg) from err
    return np.array(numbers)


def _column(
    header: list[str] | None, width: int, file: str, key: str | None, channel: int | None
) -> int:
    names = f"columns {', '.join(header)}" if header else f"{width} columns without names"
    if key is not None:
        if header is None or header.count(key) != 1:
            msg = f"{file}: column {key!r} is not there once; the file has {names}"
            raise InputError(msg)
        return header.index(key)
    if channel is not None:
        if not 0 <= channel < width:
            msg = f"{file}: channel is {channel}; it must be from 0 to {width - 1}"
            raise InputError(msg)
        return channel
    if width > 1:
        msg = f"{file}: has {names}; name one as key ({file}:NAME) or give its number as channel"
        raise InputError(msg)
    return 0


# ----------------------------------------------------------------------------- JSON


def read_json(content: bytes, file: str, key: str | None) -> Found:
    """Return the taps of a JSON file: our own export, any object with lists, or a list.

    Parameters
    ----------
    content : bytes
        UTF-8.
    file : str
        For messages.
    key : str, optional
        Member that holds the taps; ``taps``, or the only list, if not given.

    Raises
    ------
    InputError
        If the member is not clear or holds no numbers.
    SourceError
        UNSUPPORTED if this is no JSON.
    """
    try:
        # No integers: those of 5000 digits raise on conversion, those of 400 later.
        tree = json.loads(_text(content, file), parse_int=float)
    except (ValueError, RecursionError, MemoryError) as err:
        raise _damaged(file, "JSON", str(err) or type(err).__name__) from err
    members = tree if isinstance(tree, dict) else {"": tree}
    values = members[_member(members, file, key)]
    try:
        taps = np.asarray(values)
    except (ValueError, RecursionError) as err:
        msg = f"{file}: the lists are of unequal lengths or too deep ({err})"
        raise InputError(msg) from err
    if taps.dtype.kind != "f":
        msg = f"{file}: holds {taps.dtype}; a path is a list of numbers"
        raise InputError(msg)
    rate = _number(members, "sample_rate", file)
    scale = _number(members, "scale", file)
    is_ours = members.get("format") == FILTER_FORMAT and taps.ndim == 3
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused later
        scaled = taps if scale is None else taps * scale
    return Found(values=scaled, sample_rate=rate, axes="mkl" if is_ours else None)


def _member(members: dict[str, Any], file: str, key: str | None) -> str:
    lists = [name for name, value in members.items() if isinstance(value, list)]
    named = ", ".join(lists) or "none"
    if key is not None:
        if key not in lists:
            msg = f"{file}: key {key!r} names no list; lists are: {named}"
            raise InputError(msg)
        return key
    if "taps" in lists:
        return "taps"
    if "sections" in lists:
        msg = f"{file}: holds second-order sections, not taps; export the filter as json instead"
        raise InputError(msg)
    if len(lists) != 1:
        msg = f"{file}: has {len(lists)} lists ({named}); name one as key, or {file}:KEY"
        raise InputError(msg)
    return lists[0]


def _number(members: dict[str, Any], name: str, file: str) -> float | None:
    value = members.get(name)
    if value is None:
        return None
    if not isinstance(value, float) or not math.isfinite(value):
        msg = f"{file}: {name} is {str(value)[:40]!r}; it must be a number"
        raise InputError(msg)
    return value


def _damaged(file: str, kind: str, reason: str) -> SourceError:
    msg = f"{file}: is damaged or no {kind} ({reason[:200]}); write it again"
    return SourceError(ErrorCode.UNSUPPORTED, msg)
