from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from anc_core.errors import InputError
from anc_core.jobs.manifest import ManifestRow, RowError, is_manifest, read_manifest
from anc_core.records import Mode


def read(tmp_path: Path, text: str | bytes, name: str = "list.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    rows, errors = read_manifest(path)
    return rows, [(error.row, error.message) for error in errors]


def test_row_holds_what_its_cells_say(tmp_path: Path) -> None:
    rows, errors = read(
        tmp_path,
        "path,output,reference_path,mode,preset,session_id,device_id,user_id,site,recorded_at\n"
        "a.wav,x/b.wav,n.wav,cancel,gentle,s-1,d,u,hall,2024-05-01T10:00:00+02:00\n",
    )
    assert errors == []
    assert rows == [
        ManifestRow(
            path=tmp_path / "a.wav",
            output="x/b.wav",
            reference_path=tmp_path / "n.wav",
            mode=Mode.CANCEL,
            preset="gentle",
            session_id="s-1",
            device_id="d",
            user_id="u",
            site="hall",
            recorded_at=datetime(2024, 5, 1, 10, tzinfo=timezone(timedelta(hours=2))),
        )
    ]


@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_table_is_read_as_any_program_saves_it(
    bom: str, end: str, separator: str, tmp_path: Path
) -> None:
    lines = ["path,mode", "a.wav,cancel", "녹음.wav,"]
    text = bom + "".join(line.replace(",", separator) + end for line in lines)
    rows, errors = read(tmp_path, text)
    assert errors == []
    assert [(row.path.name, row.mode) for row in rows] == [
        ("a.wav", Mode.CANCEL),
        ("녹음.wav", None),
    ]


def test_quoted_cells_may_hold_separators_quotes_and_line_ends(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, 'path,site\n"a, b;""c"".wav","two\nlines"\nd.wav,\n')
    assert [row.path.name for row in rows] == ['a, b;"c".wav', "d.wav"]
    assert rows[0].site == "two\nlines"


def test_table_of_one_column_needs_no_quotes(tmp_path: Path) -> None:
    rows, errors = read(tmp_path, "path\nReading, part 1.wav\na;b.wav\n")
    assert errors == []
    assert [row.path.name for row in rows] == ["Reading, part 1.wav", "a;b.wav"]


def test_names_of_columns_may_be_padded_and_capitalised(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, " Path , MODE \na.wav,cancel\n")
    assert rows[0].mode is Mode.CANCEL


def test_last_line_without_an_end_counts(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, "path\na.wav")
    assert len(rows) == 1


def test_rows_of_nothing_are_passed_over(tmp_path: Path) -> None:
    rows, errors = read(tmp_path, "path;mode;;\na.wav;;;\n;;;\n\n ; ; ; \n")
    assert (len(rows), errors) == (1, [])


def test_short_row_takes_the_batchs_settings(tmp_path: Path) -> None:
    rows, errors = read(tmp_path, "path,mode,preset\na.wav\n")
    assert (rows[0].mode, rows[0].preset, errors) == (None, None, [])


def test_bad_rows_are_numbered_and_the_good_ones_run(tmp_path: Path) -> None:
    rows, errors = read(
        tmp_path,
        "path,mode,preset,recorded_at\n"
        "a.wav,,,\n"
        "b.wav,loud,,\n"
        "c.wav,,nonsense,\n"
        ",cancel,,\n"
        "d.wav,,,yesterday\n"
        "e.wav,,,,more\n"
        "f.wav,,,\n",
    )
    assert [row.path.name for row in rows] == ["a.wav", "f.wav"]
    assert [number for number, _ in errors] == [3, 4, 5, 6, 7]
    wanted = ["mode: .*'cancel'", "preset 'nonsense' is unknown; choose one of default", "path"]
    wanted += ["recorded_at", "more cells than the 4 columns"]
    for (_, message), words in zip(errors, wanted, strict=True):
        assert re.search(words, message), message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "among them 'path'"),
        ("file,mode\na.wav,\n", r"among them 'path'; found \['file', 'mode'\]"),
        ("path,comment\na.wav,x\n", r"\['comment'\] are unknown .* choose from path, output"),
        ("path,mode,mode\na.wav,,\n", r"\['mode'\] are unknown or named twice"),
        (b"path\n\xff\xfe.wav\n", "must be UTF-8"),
    ],
)
def test_table_that_makes_no_sense_is_refused_as_a_whole(
    text: str | bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, text)
    assert "list.csv" in str(caught.value)


def test_unreadable_manifest_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.csv: the manifest cannot be read \(No such file"):
        read_manifest(tmp_path / "gone.csv")


def test_quotation_mark_left_open_costs_its_row_only(tmp_path: Path) -> None:
    rows, errors = read(tmp_path, 'path\na.wav\n"b.wav\n' + "c.wav\n" * 40_000)
    assert [row.path.name for row in rows] == ["a.wav"]
    assert len(errors) == 1
    assert "quotation mark" in errors[0][1]


def test_time_without_a_zone_is_utc(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, "path,recorded_at\na.wav,2024-03-31 02:30\n")
    assert rows[0].recorded_at == datetime(2024, 3, 31, 2, 30, tzinfo=UTC)


def test_absolute_paths_stay_relative_ones_begin_at_the_manifest(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, "path\n/data/a.wav\nsub/b.wav\n")
    assert [row.path for row in rows] == [Path("/data/a.wav"), tmp_path / "sub/b.wav"]


def test_text_of_any_kind_is_only_text(tmp_path: Path) -> None:
    hostile = "=HYPERLINK(1),<script>,'; DROP TABLE--,%s,\x1b[31m"
    cells = hostile.split(",")
    rows, errors = read(tmp_path, "path,device_id\n" + "".join(f"a.wav,{cell}\n" for cell in cells))
    assert [row.device_id for row in rows] == cells
    assert errors == []


# ----------------------------------------------------------------------------- JSON lines


def test_json_lines_are_read_like_a_table(tmp_path: Path) -> None:
    lines = [{"path": "a.wav", "mode": "cancel"}, {"path": "b.wav", "preset": None, "site": ""}]
    text = "\ufeff" + "\r\n".join(map(json.dumps, lines)) + "\n\n"
    rows, errors = read(tmp_path, text, "list.jsonl")
    assert errors == []
    assert [(row.path.name, row.mode) for row in rows] == [("a.wav", Mode.CANCEL), ("b.wav", None)]


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '"a.wav"',
        '{"path": 1}',
        '{"path": "a.wav", "presett": "x"}',
        '{"path": "a\\u0000.wav"}',
        '{"path": "\\ud800.wav"}',
        '{"path": ' + "9" * 5_000 + "}",
        "[" * 100_000,
    ],
)
def test_bad_line_is_numbered_and_the_next_one_runs(line: str, tmp_path: Path) -> None:
    rows, errors = read(tmp_path, f"\n{line}\n" + '{"path": "good.wav"}\n', "list.ndjson")
    assert [row.path.name for row in rows] == ["good.wav"]
    assert [number for number, _ in errors] == [2]


def test_line_separators_inside_json_strings_end_no_line(tmp_path: Path) -> None:
    line = json.dumps({"path": "a\u2028b\x85c.wav"}, ensure_ascii=False)
    rows, errors = read(tmp_path, line + "\n", "list.jsonl")
    assert errors == []
    assert rows[0].path.name == "a\u2028b\x85c.wav"


# ----------------------------------------------------------------------------- what is one


@pytest.mark.parametrize("name", ["l.csv", "l.CSV", "l.tsv", "l.jsonl", "l.ndjson"])
def test_manifest_is_known_by_its_name(name: str, tmp_path: Path) -> None:
    assert not is_manifest(tmp_path / name)  # not there
    (tmp_path / name).touch()
    assert is_manifest(tmp_path / name)


def test_folder_of_that_name_and_other_files_are_no_manifests(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "a.wav").touch()
    assert not is_manifest(tmp_path / "folder.csv")
    assert not is_manifest(tmp_path / "a.wav")


def test_error_reads_as_place_and_reason() -> None:
    assert str(RowError(Path("l.csv"), 7, "no path")) == "l.csv, row 7: no path"
