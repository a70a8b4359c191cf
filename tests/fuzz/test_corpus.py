"""What fuzzing found and what everybody tries first: small inputs made here, that stay refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import strategies as st

from anc_core.api_requests import Endpoints
from anc_core.audio import open_reader
from anc_core.errors import AncError, ErrorCode, SourceError
from anc_core.jobs.access_log_lines import MAX_LINE_BYTES, LineReader
from anc_core.settings import Settings
from tests.fuzz.effort import look
from tests.fuzz.test_reader import RATE, attempt, seed_of

BILLION_S = RATE * 10**9


def w64_cut_in_its_data_chunk() -> bytes:
    """struct.error: the 64 bits of size were read where the file had ended."""
    content = seed_of("W64")
    return content[: content.index(b"data\xf3\xac") + 20]


def au_of_eight_bytes() -> bytes:
    return seed_of("AU")[:8]


FOUND: list[Callable[[], bytes]] = [w64_cut_in_its_data_chunk, au_of_eight_bytes]


@pytest.mark.parametrize("make", FOUND, ids=lambda make: make.__name__)
def test_what_was_found_stays_refused_or_read(tmp_path: Path, make: Callable[[], bytes]) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(make())
    try:
        attempt(tmp_path, make())
    except AncError as err:
        words = str(err)
    else:
        words = path.name
    assert path.name in words


def flac_claim() -> bytes:
    content = bytearray(seed_of("FLAC"))
    content[21] |= 0x0F  # STREAMINFO: 36 bits of samples
    content[22:26] = b"\xff" * 4
    return bytes(content)


def aiff_claim() -> bytes:
    content = bytearray(seed_of("AIFF"))
    at = content.index(b"COMM") + 10
    struct.pack_into(">I", content, at, 0xFFFFFFFF)
    return bytes(content)


def w64_claim() -> bytes:
    content = bytearray(seed_of("W64"))
    at = content.index(b"data\xf3\xac") + 16
    struct.pack_into("<Q", content, at, 2 * BILLION_S)
    return bytes(content)


def rf64_claim() -> bytes:
    content = bytearray(seed_of("RF64"))
    at = content.index(b"ds64") + 8
    struct.pack_into("<QQQ", content, at, 3 * BILLION_S, 3 * BILLION_S, BILLION_S)
    return bytes(content)


CLAIMS: list[Callable[[], bytes]] = [flac_claim, aiff_claim, w64_claim, rf64_claim]


@pytest.mark.parametrize("make", CLAIMS, ids=lambda make: make.__name__)
def test_a_claim_of_a_billion_seconds_costs_nothing(
    tmp_path: Path, make: Callable[[], bytes]
) -> None:
    """Refused as TOO_LONG, or read as far as it goes: a tenth of a second."""
    path = tmp_path / "a.bin"
    path.write_bytes(make())
    try:
        with open_reader(path, max_duration_s=60.0) as reader:
            assert sum(len(chunk) for chunk in reader.chunks()) <= RATE
    except SourceError as err:
        code = err.code
    else:
        code = ErrorCode.TOO_LONG
    assert code in {ErrorCode.TOO_LONG, ErrorCode.NOT_AUDIO, ErrorCode.UNSUPPORTED}


def test_a_line_of_quotation_marks_that_never_close_takes_no_time() -> None:
    start = b'h - - [01/May/2024:12:00:00 +0000] "GET / HTTP/1.1" 200 12 x'
    line = start + b'\\"' * ((MAX_LINE_BYTES - len(start)) // 2)

    work = LineReader(Endpoints([])).read
    assert look(st.just(line), work, 1).total == 1


def test_a_settings_file_that_is_no_text_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(b"ANC_WORKERS=\x80")
    with pytest.raises(AncError, match=r"\.env: is no UTF-8 text.*byte 12"):
        Settings.load()
