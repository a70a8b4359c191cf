"""Numeric arrays out of MATLAB's files, formats 4 and 5 to 7.2.

Context: SciPy's reader, given a damaged file, ends the whole process with a segmentation fault
(SciPy 1.17; a few thousand random changes to a small file are enough), and what it unpacks has no
bound. Decision: the little of the format that a numeric array needs is read here, with every size
checked against the bytes that are there; structures, cells and objects are only listed.
Consequence: a bad file is a message. The tests compare with SciPy on sound files.

References
----------
MAT-File Format, The MathWorks, R2023a: tables 1-1 to 1-3 (format 5), 2-1 and 2-2 (format 4).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.dsp.paths import MAX_NUM_COEFFICIENTS
from anc_core.errors import ErrorCode, InputError, SourceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_UNPACKED_BYTES = 256 << 20

_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
_COMPLEX, _LOGICAL = 0x08, 0x02
_MAX_NUM_AXES = 32

# Data types of format 5, table 1-1, as numpy knows them.
_TYPES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_CLASSES = {1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 6: "double", 7: "single"}
_CLASSES |= {8: "int8", 9: "uint8", 10: "int16", 11: "uint16", 12: "int32", 13: "uint32"}
_CLASSES |= {14: "int64", 15: "uint64", 16: "function", 17: "opaque"}
_NUMERIC = range(6, 16)
# Data types of format 4, table 2-2: the tens digit of the type.
_OLD_TYPES = ("f8", "f4", "i4", "i2", "u2", "u1")
_OLD_KINDS = ("double", "char", "sparse")

_RATE_NAMES = {"fs", "sr", "samplerate", "samplingrate"}


class _DamagedError(Exception):
    """What is wrong with the bytes."""


@dataclass(frozen=True, slots=True)
class _Variable:
    name: str
    shape: tuple[int, ...]
    kind: str
    data: memoryview
    dtype: str = ""
    """Of the data; empty where this is no real numeric array."""

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def is_rate(self) -> bool:
        plain = self.name.casefold().replace("_", "")
        return plain in _RATE_NAMES and bool(self.dtype) and self.size == 1

    def values(self) -> NDArray[Any]:
        dtype = np.dtype(self.dtype)
        if len(self.data) < self.size * dtype.itemsize:
            msg = f"{self} has {len(self.data)} bytes of data"
            raise _DamagedError(msg)
        return np.frombuffer(self.data, dtype, self.size).reshape(self.shape, order="F")

    def __str__(self) -> str:
        return f"{self.name} {self.kind} {'x'.join(map(str, self.shape))}"


def is_hdf5(content: bytes) -> bool:
    """Tell whether this is HDF5, which MATLAB writes since format 7.3."""
    mark = b"\x89HDF\r\n\x1a\n"
    return content.startswith(mark) or content[512:520] == mark


def read_mat(content: bytes, file: str, key: str | None) -> tuple[NDArray[Any], float | None]:
    """Return an array of a MAT file, and the sample rate where the file holds one.

    Parameters
    ----------
    content : bytes
        Of format 4, 5, 6 or 7.
    file : str
        For messages.
    key : str, optional
        The variable; needed where not exactly one is a numeric array of more than one value.

    Returns
    -------
    ndarray, float or None
        A scalar called fs, sr, sample_rate, sampleRate or sampling_rate is the sample rate, Hz.

    Raises
    ------
    InputError
        If the key is missing or names no real numeric array; lists what is there.
    SourceError
        UNSUPPORTED for HDF5 and for what is damaged, TOO_LONG.
    """
    if is_hdf5(content):
        msg = (
            f"{file}: is of MATLAB's format 7.3 (HDF5), formats 4 to 7 are read; "
            "save it again with save(..., '-v7')"
        )
        raise SourceError(ErrorCode.UNSUPPORTED, msg)
    try:
        found = list(_variables(content, file))
        values = _chosen(found, file, key).values()
        rate = next((float(v.values().item()) for v in found if v.is_rate), None)
    except _DamagedError as err:
        msg = f"{file}: is damaged or no MAT file ({err}); save it again"
        raise SourceError(ErrorCode.UNSUPPORTED, msg) from err
    return values, rate


def _chosen(found: list[_Variable], file: str, key: str | None) -> _Variable:
    listed = ", ".join(map(str, found)) or "nothing"
    if key is None:
        arrays = [variable for variable in found if variable.dtype and variable.size > 1]
        if len(arrays) != 1:
            msg = (
                f"{file}: holds {len(arrays)} arrays of real numbers ({listed}); "
                f"name one as key, or {file}:KEY"
            )
            raise InputError(msg)
        chosen = arrays[0]
    else:
        named = [variable for variable in found if variable.name == key]
        if not named or not named[-1].dtype:
            what = f"is {named[-1].kind}" if named else "is not there"
            msg = f"{file}: key {key!r} {what}; choose an array of real numbers of: {listed}"
            raise InputError(msg)
        chosen = named[-1]  # appended later, so newer
    if chosen.size > MAX_NUM_COEFFICIENTS:
        msg = f"{file}: {chosen}; at most {MAX_NUM_COEFFICIENTS} values are read: cut it"
        raise InputError(msg)
    return chosen


def _variables(content: bytes, file: str) -> Iterator[_Variable]:
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    # The text that opens format 5 has no zero among its first four bytes, the number that opens
    # format 4 always does.
    if order is None or 0 in content[:4]:
        yield from _old_variables(content)
        return
    for element in _elements(content, order, file):
        variable = _variable(element, order)
        if variable.name:  # the parts of objects have none
            yield variable


# ----------------------------------------------------------------------------- format 5


def _elements(content: bytes, order: str, file: str) -> Iterator[memoryview]:
    """Yield the content of each matrix: behind the header, elements of type, size and data."""
    room = MAX_UNPACKED_BYTES
    view, place = memoryview(content), _HEADER_BYTES
    while place + 8 <= len(view):
        kind, size = struct.unpack_from(f"{order}II", view, place)
        data = _taken(view, place + 8, size)
        place += 8 + size
        if kind == _COMPRESSED:
            unpacked = _inflated(data, room, file)
            room -= len(unpacked)
            if len(unpacked) < 8:
                msg = "a compressed part is empty"
                raise _DamagedError(msg)
            kind, size = struct.unpack_from(f"{order}II", unpacked)
            data = _taken(unpacked, 8, size)
        if kind == _MATRIX:
            yield data


def _inflated(packed: memoryview, room: int, file: str) -> memoryview:
    inflate = zlib.decompressobj()
    try:
        data = inflate.decompress(packed, room + 1)
    except zlib.error as err:
        raise _DamagedError(str(err)) from err
    if len(data) > room:
        msg = f"{file}: unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB; save only the path"
        raise SourceError(ErrorCode.TOO_LONG, msg)
    if not inflate.eof:
        msg = "a compressed part ends too early"
        raise _DamagedError(msg)
    return memoryview(data)


def _variable(matrix: memoryview, order: str) -> _Variable:
    parts = _parts(matrix, order)
    _, flags = _next(parts)
    if len(flags) < 4:
        msg = "an array has no class"
        raise _DamagedError(msg)
    (word,) = struct.unpack_from(f"{order}I", flags)
    number, marks = word & 0xFF, (word >> 8) & 0xFF
    kind = _CLASSES.get(number, f"class {number}")
    type_, dims = _next(parts)
    if kind == "opaque" or type_ != 5:  # objects of newer kinds: the name comes at once, no shape
        return _Variable(_text(dims), (), kind, memoryview(b""))
    shape = _shape(struct.unpack_from(f"{order}{len(dims) // 4}i", dims))
    name = _text(_next(parts)[1])
    if number not in _NUMERIC or marks & (_COMPLEX | _LOGICAL):
        kind = f"complex {kind}" if marks & _COMPLEX else kind
        kind = "logical" if marks & _LOGICAL else kind
        return _Variable(name, shape, kind, memoryview(b""))
    # Values lie in the smallest type that holds them, whatever the class.
    type_, data = _next(parts)
    if type_ not in _TYPES:
        msg = f"{name} is stored as type {type_}"
        raise _DamagedError(msg)
    return _Variable(name, shape, kind, data, order + _TYPES[type_])


def _parts(matrix: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Yield type and data of the elements within a matrix; each fills a multiple of 8 bytes."""
    place = 0
    while place + 8 <= len(matrix):
        kind, size = struct.unpack_from(f"{order}II", matrix, place)
        if kind >> 16:  # up to four bytes of data lie within the tag
            kind, size = kind & 0xFFFF, kind >> 16
            if size > 4:
                msg = f"a small element claims {size} bytes"
                raise _DamagedError(msg)
            yield kind, matrix[place + 4 : place + 4 + size]
            place += 8
        else:
            yield kind, _taken(matrix, place + 8, size)
            place += 8 + -(-size // 8) * 8


def _next(parts: Iterator[tuple[int, memoryview]]) -> tuple[int, memoryview]:
    part = next(parts, None)
    if part is None:
        msg = "an array ends too early"
        raise _DamagedError(msg)
    return part


def _taken(view: memoryview, place: int, size: int) -> memoryview:
    if place + size > len(view):
        msg = f"{place + size - len(view)} bytes are missing"
        raise _DamagedError(msg)
    return view[place : place + size]


def _shape(lengths: tuple[int, ...]) -> tuple[int, ...]:
    if not 1 <= len(lengths) <= _MAX_NUM_AXES or min(lengths) < 0:
        msg = f"an array has the shape {lengths[:_MAX_NUM_AXES]}"
        raise _DamagedError(msg)
    return lengths


def _text(data: memoryview) -> str:
    return bytes(data).rstrip(b"\0").decode("utf-8", "backslashreplace")


# ----------------------------------------------------------------------------- format 4


def _old_variables(content: bytes) -> Iterator[_Variable]:
    """Read format 4: five numbers, the name, the values, and the next."""
    view, place = memoryview(content), 0
    if len(view) < 20:
        msg = f"it has only {len(view)} bytes"
        raise _DamagedError(msg)
    # The type is 0 to 52 in the one byte order and 1000 to 1052 in the other.
    order = "<" if struct.unpack_from("<I", view)[0] < 1_000 else ">"
    while place < len(view):
        kind, rows, columns, is_complex, length = struct.unpack(
            f"{order}5i", _taken(view, place, 20)
        )
        number = kind % 1_000 if order == ">" else kind
        type_, what = divmod(number, 10)
        is_known = (kind // 1_000 == 1) == (order == ">") and 0 <= type_ < len(_OLD_TYPES)
        if not is_known or what >= len(_OLD_KINDS) or length < 0 or is_complex not in {0, 1}:
            msg = f"type {kind} at byte {place}"
            raise _DamagedError(msg)
        shape = _shape((rows, columns))
        name = _text(_taken(view, place + 20, length))
        dtype = order + _OLD_TYPES[type_]
        size = rows * columns * int(dtype[-1])
        data = _taken(view, place + 20 + length, size << is_complex)
        place += 20 + length + len(data)
        readable = what == 0 and not is_complex
        named = f"complex {_OLD_KINDS[what]}" if is_complex else _OLD_KINDS[what]
        yield _Variable(name, shape, named, data, dtype if readable else "")
