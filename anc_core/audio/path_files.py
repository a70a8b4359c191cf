"""Acoustic paths out of files: recordings of impulse responses, MAT, NPY, CSV, JSON.

Which axis is which is decided by one rule, or said by the caller, and never guessed:

- one axis, or only one longer than 1: the taps of one pair;
- else the taps lie on the longest axis, which must be at least twice as long as any other, and the
  other axes keep their order: microphones, then sources (of a primary path: the references). With
  two axes the shorter one stands for microphones;
- where that rule has no answer, or a wrong one, ``axes`` says it.
"""

from __future__ import annotations

import io
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.arrays import check_sample_rate
from anc_core.audio.path_formats import NPY_MARK, Found, read_json, read_npy, read_text
from anc_core.dsp.paths import MAX_NUM_TAPS, check_path, resampled_path
from anc_core.errors import ErrorCode, InputError, SourceError
from anc_core.files import identify, open_regular, printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LOGGER = logging.getLogger(__name__)

MAX_BYTES = 64 << 20

_TEXT_SUFFIXES = {".csv", ".tsv", ".txt", ".dat"}
_KEYED_SUFFIXES = {".mat", ".json"} | _TEXT_SUFFIXES
_ZIP_MARK = b"PK\x03\x04"
_MARK_BYTES = 16


def read_path(
    file: Path | str,
    *,
    sample_rate: float | None = None,
    key: str | None = None,
    channel: int | None = None,
    axes: str | None = None,
) -> tuple[NDArray[np.float64], int | None]:
    """Return the acoustic path in ``file``.

    Parameters
    ----------
    file : path
        A recording of any kind that :func:`anc_core.audio.open_reader` reads (samples as they
        are, floating-point ones without limit), MAT up to format 7, NPY, CSV or JSON. May end
        with ``:KEY`` where no file of that whole name exists.
    sample_rate : float, optional
        Hz; a path whose rate is known to be another is resampled, one of unknown rate is taken
        to have this one.
    key : str, optional
        The variable, column or member; needed where more than one is there.
    channel : int, optional
        From 0: one channel of a recording, one column of a table or array of two axes.
    axes : str, optional
        What the axes of an array are, in order: ``l`` taps, ``m`` microphones, ``k`` sources;
        for example ``"lmk"``.

    Returns
    -------
    taps : float64, shape (num_taps,) or (num_mics, num_sources, num_taps)
        One pair has one axis.
    sample_rate : int or None
        Of the taps, Hz; None where the file does not say it.

    Raises
    ------
    InputError
        If a parameter breaks its rule or the file leaves a choice: says which there are.
    SourceError
        If the file cannot be read: NOT_FOUND, PERMISSION, EMPTY_FILE, TOO_LONG (64 MiB),
        UNSUPPORTED, NON_FINITE, or as :func:`anc_core.audio.open_reader`.
    """
    target = None if sample_rate is None else check_sample_rate(sample_rate)
    if channel is not None and channel < 0:
        msg = f"channel is {channel}; it must be 0 for the first, or above"
        raise InputError(msg)
    path, key = (Path(file), key) if key is not None else split_key(file)
    name = printable(path)
    found = _found(path, name, key, channel)
    taps = check_path(_oriented(found, name, channel, axes), name)
    rate = None if found.sample_rate is None else _checked_rate(found.sample_rate, name)
    if target is None or rate is None:
        return taps, rate
    return resampled_path(taps, rate, target), target


def split_key(file: Path | str) -> tuple[Path, str | None]:
    """Return the file and the key that ``FILE:KEY`` names; a colon may be part of either.

    An existing file of the whole name has no key. Else the longest part before a colon that
    exists is the file; where none does, the first one that ends like a file that has keys.

    Examples
    --------
    >>> split_key("duct.mat:S")[1], split_key("take 12:30.wav")[1]
    ('S', None)
    """
    text = str(file)
    cuts = [
        place for place, letter in enumerate(text) if letter == ":" and 0 < place < len(text) - 1
    ]
    if not cuts or _is_file(Path(text)):
        return Path(text), None
    existing = [cut for cut in reversed(cuts) if _is_file(Path(text[:cut]))]
    keyed = [cut for cut in cuts if Path(text[:cut]).suffix.lower() in _KEYED_SUFFIXES]
    if not existing and not keyed:
        return Path(text), None
    cut = (existing or keyed)[0]
    return Path(text[:cut]), text[cut + 1 :]


def _is_file(path: Path) -> bool:
    try:
        identify(path)
    except SourceError:
        return False
    return True


def _checked_rate(rate: float, name: str) -> int:
    try:
        return check_sample_rate(rate)
    except InputError as err:
        raise InputError(f"{name}: {err}") from err


# ----------------------------------------------------------------------------- content


def _found(path: Path, name: str, key: str | None, channel: int | None) -> Found:
    with open_regular(path) as file:
        head = file.read(_MARK_BYTES)
        suffix = path.suffix.lower()
        is_mat = suffix == ".mat" or head.startswith((b"MATLAB 5", b"MATLAB 7"))
        is_npy = head.startswith(NPY_MARK)
        if not (is_mat or is_npy or suffix in _KEYED_SUFFIXES | {".npz", ".npy"}):
            return _recorded(path, name, key)
        content = _content(file, name)
    if is_npy:
        _refuse_key(key, name)
        return read_npy(content, name)
    if is_mat:
        from anc_core.audio.mat_files import read_mat

        values, rate = read_mat(content, name, key)
        return Found(values=values, sample_rate=rate)
    if suffix == ".json":
        return read_json(content, name, key)
    if suffix in _TEXT_SUFFIXES:
        return read_text(content, name, key, channel)
    what = "an archive" if head.startswith(_ZIP_MARK) else "no array"
    msg = f"{name}: is {what}; save the path by itself with numpy.save"
    raise SourceError(ErrorCode.UNSUPPORTED, msg)


def _content(file: io.FileIO, name: str) -> bytes:
    size = os.fstat(file.fileno()).st_size
    if not size:
        msg = f"{name}: the file has 0 bytes; copy or write it again"
        raise SourceError(ErrorCode.EMPTY_FILE, msg)
    if size > MAX_BYTES:
        msg = f"{name}: has {size} bytes, {MAX_BYTES} are allowed; save the path alone"
        raise SourceError(ErrorCode.TOO_LONG, msg)
    file.seek(0)
    return file.readall()


def _recorded(path: Path, name: str, key: str | None) -> Found:
    from anc_core.audio.reader import open_reader

    _refuse_key(key, name)
    chunks: list[NDArray[np.float32]] = []
    with open_reader(path, max_bytes=MAX_BYTES) as reader:
        for chunk in reader.chunks():
            chunks.append(chunk)
            if reader.num_samples > MAX_NUM_TAPS:
                break  # the rule on lengths will refuse it
        if reader.non_finite_samples:
            msg = f"{name}: {reader.non_finite_samples} samples are NaN or infinite; measure again"
            raise SourceError(ErrorCode.NON_FINITE, msg)
        rate = reader.sample_rate
    return Found(values=np.concatenate(chunks), sample_rate=rate, axes="lm")


def _refuse_key(key: str | None, name: str) -> None:
    if key is not None:
        msg = f"{name}: key {key!r} has no meaning here; only MAT, CSV and JSON files have keys"
        raise InputError(msg)


# ----------------------------------------------------------------------------- axes


def _oriented(found: Found, name: str, channel: int | None, axes: str | None) -> NDArray[Any]:
    """Return the values as (num_taps,) or (num_mics, num_sources, num_taps)."""
    values = np.atleast_1d(found.values)
    order = _axes(values.shape, name, axes or found.axes)
    for letter in "mk":
        if letter not in order:
            values, order = values[np.newaxis], letter + order
    path = values.transpose([order.index(letter) for letter in "mkl"])
    if channel is not None and not found.is_one_channel:
        path = _selected(path, name, channel)
    if path.shape[:2] == (1, 1):
        return np.asarray(path[0, 0])
    _LOGGER.info(
        "%s: shape %s was read as %d microphones, %d sources, %d taps",
        *(name, found.values.shape, *path.shape),
    )
    return path


def _axes(shape: tuple[int, ...], name: str, axes: str | None) -> str:
    known = axes.lower() if axes is not None else _axes_by_rule(shape)
    if known is None:
        msg = (
            f"{name}: has shape {shape}, which leaves open where the taps are: the longest axis "
            "must be twice as long as any other; say what the axes are, such as axes='lmk'"
        )
        raise InputError(msg)
    is_set = len(set(known)) == len(known) == len(shape)
    if not is_set or not {"l"} <= set(known) <= {"m", "k", "l"}:
        msg = (
            f"{name}: axes is {axes!r} for shape {shape}; it must name each axis once: "
            "l taps, m microphones, k sources"
        )
        raise InputError(msg)
    return known


def _axes_by_rule(shape: tuple[int, ...]) -> str | None:
    longest = int(np.argmax(shape))
    others = [length for axis, length in enumerate(shape) if axis != longest]
    if len(shape) > 3 or any(2 * length > max(shape[longest], 2) for length in others):
        return None
    return "mk"[: len(others)][:longest] + "l" + "mk"[: len(others)][longest:]


def _selected(path: NDArray[Any], name: str, channel: int) -> NDArray[Any]:
    num_mics, num_sources = path.shape[:2]
    count = max(num_mics, num_sources)
    if min(num_mics, num_sources) > 1:
        msg = (
            f"{name}: channel is {channel}, but there are {num_mics} microphones and "
            f"{num_sources} sources; read all and choose a pair"
        )
        raise InputError(msg)
    if channel >= count:
        msg = f"{name}: channel is {channel}; it must be from 0 to {count - 1}"
        raise InputError(msg)
    return np.asarray(path.reshape(count, 1, 1, -1)[channel])
