"""Exports that are imported: all of it or nothing, whatever the file holds.

Damage that digests find is one thing; here the manifest of a JSON lines export may be damaged, too,
and zips are damaged as files.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from anc_core.errors import AncError, InputError
from anc_core.exchange.export import export_sessions
from anc_core.exchange.load import import_sessions
from anc_core.exchange.records import ExportRequest, Format
from anc_core.settings import Settings
from anc_core.store import count_sessions, open_database
from tests.fuzz.damage import damaged
from tests.fuzz.effort import look, look_for_long
from tests.nasty import files
from tests.nasty.bench import Bench

if TYPE_CHECKING:
    from hypothesis import strategies as st

FORMATS = [Format.JSON, Format.JSONL, Format.CSV, Format.PARQUET]
SHORT = 12


class Import:
    """An export of two sessions, and an empty store to import damaged ones into."""

    def __init__(self, folder: Path) -> None:
        bench = Bench.at(folder / "bench")
        self.folder = folder
        self.empty = folder / "empty.db"
        shutil.copy(bench.folder / "store" / "anc.db", self.empty)
        bench.run(files.good(bench.inputs / "x.wav"), user_id="=u")
        bench.run(files.empty(bench.inputs / "y.wav"))
        self.contents: dict[Format, bytes] = {}
        for format_ in FORMATS:
            path = folder / f"export.{format_}"
            request = ExportRequest(output_path=path, format=format_)
            export_sessions(bench.settings, request, actor="test")
            self.contents[format_] = path.read_bytes()
        bench.database.dispose()
        self.settings = Settings.load(
            database_url=f"sqlite:///{folder / 'target.db'}", home=folder / "home"
        )

    def attempt(self, content: bytes) -> None:
        shutil.copy(self.empty, self.folder / "target.db")
        path = self.folder / "damaged"
        path.write_bytes(content)
        try:
            import_sessions(self.settings, path, actor="test")
        except AncError:
            assert self.count() == 0
            raise
        assert self.count() <= 2

    def count(self) -> int:
        database = open_database(str(self.settings.database_url))
        try:
            with database.read() as db:
                return count_sessions(db)
        finally:
            database.dispose()


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Import:
    pytest.importorskip("pyarrow")
    return Import(tmp_path_factory.mktemp("imports"))


def inputs(work: Import, format_: Format) -> st.SearchStrategy[bytes]:
    return damaged([work.contents[format_]])


@pytest.mark.parametrize("format_", FORMATS)
def test_a_damaged_export_is_imported_whole_or_not_at_all(work: Import, format_: Format) -> None:
    work.attempt(work.contents[format_])
    assert work.count() == 2
    assert look(inputs(work, format_), work.attempt, SHORT).total >= SHORT


def zip_that_points_before_its_beginning(content: bytes) -> bytes:
    """OSError: a member was looked for at a negative place."""
    at = content.rindex(b"PK\x05\x06") + 16  # where the table of contents begins
    place = int.from_bytes(content[at : at + 4], "little")
    return content[:at] + (place + (1 << 20)).to_bytes(4, "little") + content[at + 4 :]


def test_a_zip_that_points_before_its_beginning_is_refused(work: Import) -> None:
    with pytest.raises(InputError, match="the zip"):
        work.attempt(zip_that_points_before_its_beginning(work.contents[Format.CSV]))


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("format_", FORMATS)
def test_exports_for_long(
    work: Import, format_: Format, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = look_for_long(inputs(work, format_), work.attempt)
    with capsys.disabled():
        print(f"\nexport, {format_}: {tally}")
