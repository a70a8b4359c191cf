"""A bank of fixed control filters in one file: an NPZ archive of plain numbers, no pickles."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.audio.path_formats import read_npy
from anc_core.dsp.filter_bank import FilterBank
from anc_core.errors import ErrorCode, InputError, SourceError
from anc_core.files import atomic_path, open_regular, printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_BYTES = 256 << 20

_VERSION = 1
_ARRAYS = ("filters", "profiles_db", "noise_s")
_DIGESTS = ("primary_digest", "secondary_digest")
_NUMBERS = ("version", "sample_rate")


def write_filter_bank(path: Path | str, bank: FilterBank) -> None:
    """Write a bank to an NPZ file, complete or not at all.

    Raises
    ------
    SinkError
        NO_SPACE or NOT_WRITABLE.
    """
    arrays: dict[str, Any] = {name: getattr(bank, name) for name in _ARRAYS}
    arrays |= {
        name: np.frombuffer(bytes.fromhex(getattr(bank, name)), np.uint8) for name in _DIGESTS
    }
    arrays |= {"version": np.array(_VERSION), "sample_rate": np.array(bank.sample_rate)}
    with atomic_path(path) as temp, temp.open("wb") as file:
        np.savez(file, **arrays)


def read_filter_bank(path: Path | str) -> FilterBank:
    """Return the bank in an NPZ file.

    Raises
    ------
    SourceError
        If the file cannot be read; UNSUPPORTED if it is no bank or damaged.
    """
    path, name = Path(path), printable(path)
    with open_regular(path) as file:
        content = file.read(MAX_BYTES + 1) or b""
    if len(content) > MAX_BYTES:
        raise _no_bank(name, f"more than {MAX_BYTES >> 20} MiB")
    try:
        arrays = _arrays(content, name)
        if int(arrays["version"]) != _VERSION:
            raise _no_bank(name, f"version {arrays['version']}, this program reads {_VERSION}")
        return FilterBank(
            sample_rate=int(arrays["sample_rate"]),
            filters=arrays["filters"].astype(np.float64),
            profiles_db=arrays["profiles_db"].astype(np.float64),
            noise_s=arrays["noise_s"].astype(np.float64),
            primary_digest=arrays["primary_digest"].astype(np.uint8).tobytes().hex(),
            secondary_digest=arrays["secondary_digest"].astype(np.uint8).tobytes().hex(),
        )
    except KeyError as err:
        raise _no_bank(name, f"no {err.args[0]}") from err
    except (InputError, TypeError, ValueError, zipfile.BadZipFile, NotImplementedError) as err:
        # A SourceError of read_npy goes through: it names the file and the damage itself.
        raise _no_bank(name, str(err)) from err


def _arrays(content: bytes, name: str) -> dict[str, NDArray[Any]]:
    """Return the members that belong to a bank; nothing is unpacked that is larger than allowed."""
    found: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {info.filename: info for info in archive.infolist()}
        for key in (*_NUMBERS, *_ARRAYS, *_DIGESTS):
            member = members[f"{key}.npy"]
            if member.file_size > MAX_BYTES:
                msg = f"{key} has {member.file_size} bytes"
                raise ValueError(msg)
            found[key] = read_npy(archive.read(member), name).values
    return found


def _no_bank(name: str, reason: str) -> SourceError:
    msg = (
        f"{name}: is no filter bank or damaged ({reason[:200]}); build one with "
        "--build-filter-bank or anc_core.build_filter_bank"
    )
    return SourceError(ErrorCode.UNSUPPORTED, msg)
