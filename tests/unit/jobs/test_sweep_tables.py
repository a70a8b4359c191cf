from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from anc_core.errors import ErrorCode
from anc_core.jobs import sweep_tables
from anc_core.jobs.csv_cells import text_cell
from anc_core.jobs.sweep_grid import SweepCell
from anc_core.jobs.sweep_records import Outcome, SweepRow
from anc_core.jobs.sweep_tables import NO_PARQUET, rows_csv, sort_key, write_parquet
from anc_core.records import Status


def done(recording: str = "a.wav", **cell: object) -> SweepRow:
    return SweepRow(
        key="k",
        recording=recording,
        status=Status.OK,
        cell=SweepCell(algorithm="fxnlms", gain_db=-6.0, **cell),
        outcome=Outcome.OK,
        num_taps=64,
        step_size=0.4,
        steady_cancellation_db=-1.5,
        steady_third_octave_db={"63": 1.0, "1000": None, "125": -2.0},
    )


def failed(recording: str, reason: str) -> SweepRow:
    return SweepRow(
        key="",
        recording=recording,
        status=Status.FAILED,
        error_code=ErrorCode.NOT_AUDIO,
        reason=reason,
    )


def lines(*rows: SweepRow) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(rows_csv(rows), newline="")))


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_no_text_begins_as_a_formula(sign: str) -> None:
    name = f"{sign}cmd|' /C calc'!A0.wav"
    (line,) = lines(failed(name, f'{sign}HYPERLINK("http://x","y")'))
    assert line["recording"] == f"'{name}"
    assert line["reason"].startswith(f"'{sign}")


def test_other_text_and_negative_numbers_stay_as_they_are() -> None:
    (line,) = lines(done('a=b, "c".wav'))
    assert line["recording"] == 'a=b, "c".wav'
    assert float(line["gain_db"]) == -6.0
    assert float(line["steady_cancellation_db"]) == -1.5
    assert text_cell("") == ""


def test_third_octaves_are_columns_by_frequency_and_what_is_missing_is_empty() -> None:
    (line,) = lines(done())
    assert [name for name in line if name.endswith("_hz_db")] == [
        "steady_63_hz_db",
        "steady_125_hz_db",
        "steady_1000_hz_db",
    ]
    assert line["steady_1000_hz_db"] == ""
    assert line["steady_125_hz_db"] == "-2"


def test_a_bad_recording_is_a_line_with_its_code() -> None:
    good, bad = lines(done("a.wav"), failed("b.wav", "no audio"))
    assert (good["status"], good["outcome"], good["error_code"]) == ("ok", "ok", "")
    assert (bad["status"], bad["error_code"], bad["algorithm"]) == ("failed", "NOT_AUDIO", "")


def test_the_order_is_by_recording_and_setting_whoever_finished_first() -> None:
    rows = [done("b.wav"), done("a.wav", num_taps=128), done("a.wav", num_taps=64)]
    ordered = sorted(rows, key=sort_key)
    assert [(row.recording, row.cell and row.cell.num_taps) for row in ordered] == [
        ("a.wav", 64),
        ("a.wav", 128),
        ("b.wav", None),
    ]


def test_without_pyarrow_there_is_no_parquet_and_the_reason_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_tables, "find_spec", lambda _: None)
    assert write_parquet(tmp_path / "r.parquet", [done()]) == NO_PARQUET
    assert "anc-platform[parquet]" in NO_PARQUET
    assert not list(tmp_path.iterdir())


def test_parquet_holds_what_the_csv_holds(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow (extra lab) is not installed")
    rows = [done(), failed("=b\udce9.wav".encode("utf-8", "replace").decode(), "no")]
    assert write_parquet(tmp_path / "r.parquet", rows) is None
    table = parquet.read_table(tmp_path / "r.parquet").to_pylist()
    assert [list(row) for row in table] == [list(line) for line in lines(*rows)]
    assert table[0]["num_taps"] == 64
    assert table[0]["steady_1000_hz_db"] is None
    # No spreadsheet reads it: names are as they are.
    assert table[1]["recording"] == "=b?.wav"
    assert table[1]["steady_cancellation_db"] is None
