"""Manifests and access logs: rows, or what is wrong with them; a bad line never ends a reading."""

from __future__ import annotations

import functools
import gzip
import shutil
from pathlib import Path

import pytest
from hypothesis import strategies as st

from anc_core.api_requests import Endpoints
from anc_core.jobs.access_log_lines import LineReader
from anc_core.jobs.access_logs import import_access_logs
from anc_core.jobs.manifest import read_manifest
from anc_core.settings import Settings
from tests.fuzz.damage import damaged
from tests.fuzz.effort import look, look_for_long
from tests.nasty.bench import Bench

SHORT = 50

MANIFESTS = {
    ".csv": b"path,output,mode,preset,session_id,recorded_at\n"
    b'a.wav,b/a.wav,suppress,gentle,s1,2024-05-01T12:00:00Z\n"c, d.wav",,,,,\n',
    ".tsv": b"\xef\xbb\xbfpath\treference_channel\r\na.wav\t2\r\n\r\nb.wav\t\r\n",
    ".jsonl": b'{"path": "a.wav", "user_id": "u"}\n{"path": "b.wav", "reference_channel": 1}\n',
}
LOG = (
    b'10.0.0.1 - u [01/May/2024:12:00:00 +0000] "GET /api/sessions/s1?x=1 HTTP/1.1" 200 12 '
    b'"-" "agent \\"x\\"" 0.123\n'
    b'{"time": "2024-05-01T12:00:00Z", "method": "GET", "path": "/", "status": 200, '
    b'"request_time": 0.1}\n'
    b'h 10.0.0.1 - - [01/May/2024:12:00:01 +0200] "\\x16\\x03" 400 0\n'
)
LINES = damaged(LOG.splitlines())


def attempt_manifest(folder: Path, suffix: str, content: bytes) -> None:
    path = folder / f"m{suffix}"
    path.write_bytes(content)
    rows, errors = read_manifest(path)
    assert all(row.path for row in rows)
    assert all(str(error) and error.row > 0 for error in errors)


def attempt_line(line: bytes) -> None:
    request = LineReader(Endpoints([])).read(line)
    if request is not None:
        assert request.requested_at.tzinfo is not None
        request.path.encode()


def attempt_log(bench: Bench, settings: Settings, drawn: tuple[bytes, bool]) -> None:
    content, is_packed = drawn
    database = Path(settings.resolved_database_url.removeprefix("sqlite:///"))
    shutil.copy(bench.folder / "empty.db", database)
    path = bench.folder / "access.log"
    path.write_bytes(gzip.compress(content) if is_packed else content)
    first = import_access_logs(settings, [path])
    again = import_access_logs(settings, [path])
    assert first.lines == first.requests + first.bad_lines or first.lines >= first.requests
    assert again.requests == 0  # each line once


LOGS = st.tuples(damaged([LOG, gzip.compress(LOG)]), st.booleans())


@pytest.fixture
def log_bench(tmp_path: Path) -> tuple[Bench, Settings]:
    bench = Bench.at(tmp_path / "bench")
    bench.database.dispose()
    shutil.copy(bench.folder / "store" / "anc.db", bench.folder / "empty.db")
    return bench, bench.settings


@pytest.mark.parametrize("suffix", MANIFESTS)
def test_any_manifest_is_rows_and_row_errors_or_refused(tmp_path: Path, suffix: str) -> None:
    attempt = functools.partial(attempt_manifest, tmp_path, suffix)
    assert look(damaged([MANIFESTS[suffix]]), attempt, SHORT).total >= SHORT


def test_any_line_of_a_log_is_a_request_or_refused() -> None:
    assert look(LINES, attempt_line, SHORT).total >= SHORT


def test_any_log_is_read_once_or_said_to_be_damaged(log_bench: tuple[Bench, Settings]) -> None:
    assert look(LOGS, functools.partial(attempt_log, *log_bench), 15).total >= 15


@pytest.mark.long
@pytest.mark.timeout(0)
def test_tables_for_long(
    tmp_path: Path, log_bench: tuple[Bench, Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    tallies = {"line of a log": look_for_long(LINES, attempt_line)}
    tallies["log"] = look_for_long(LOGS, functools.partial(attempt_log, *log_bench))
    for suffix, content in MANIFESTS.items():
        attempt = functools.partial(attempt_manifest, tmp_path, suffix)
        tallies[f"manifest {suffix}"] = look_for_long(damaged([content]), attempt)
    with capsys.disabled():
        for name, tally in tallies.items():
            print(f"\n{name}: {tally}")
