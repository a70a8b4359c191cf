from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from anc_core.errors import ErrorCode, InputError, SinkError, SourceError
from anc_core.jobs.simulate_inputs import Acoustics
from anc_core.jobs.sweep_grid import SweepCell, parse_grid
from anc_core.jobs.sweep_records import SweepRow
from anc_core.jobs.sweep_rows import append_row, failed_row, load_rows, row_key, sweep_base
from anc_core.records import Status

ACOUSTICS = Acoustics(
    primary=np.ones((1, 1, 4)), secondary=np.ones((1, 1, 3)), estimate=None, sample_rate=8_000
)
CELL = SweepCell(algorithm="fxnlms")


def row(key: str, **words: object) -> SweepRow:
    return SweepRow(key=key, recording="a\udce9.wav", status=Status.OK, cell=CELL, **words)


def test_rows_come_back_as_they_were_whatever_the_name(tmp_path: Path) -> None:
    kept = [row("1", steady_cancellation_db=12.25), row("2", reason="=1+1\n<b>")]
    for one in kept:
        append_row(tmp_path / "rows", one)
    assert load_rows(tmp_path / "rows") == {one.key: one for one in kept}


def test_nothing_kept_yet_is_no_error(tmp_path: Path) -> None:
    assert load_rows(tmp_path / "none") == {}


def test_a_line_cut_off_anywhere_counts_as_not_done_and_spoils_no_other(tmp_path: Path) -> None:
    append_row(tmp_path, row("1"))
    append_row(tmp_path, row("2"))
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    first = whole.index(b"\n", 1) + 1
    for length in range(first, len(whole)):
        file.write_bytes(whole[:length])
        assert set(load_rows(tmp_path)) == {"1"}
        # The next process, or the same one after a full disk, begins a line of its own.
        append_row(tmp_path, row("3"))
        assert set(load_rows(tmp_path)) in ({"1", "3"}, {"1", "2", "3"})
    assert whole.endswith(b"\n")


def test_lines_that_are_no_rows_are_left_out(tmp_path: Path) -> None:
    append_row(tmp_path, row("1"))
    (tmp_path / "x.jsonl").write_bytes(b'\xff\n{}\n[]\n"a"\n{"key": "2"}\n')
    assert set(load_rows(tmp_path)) == {"1"}


def test_each_process_has_a_file_of_its_own(tmp_path: Path) -> None:
    append_row(tmp_path, row("1"))
    pid = os.fork()
    if pid == 0:
        append_row(tmp_path, row("2"))
        os._exit(0)
    os.waitpid(pid, 0)
    assert len(list(tmp_path.iterdir())) == 2
    assert set(load_rows(tmp_path)) == {"1", "2"}


def test_where_nothing_can_be_kept_the_sweep_must_know(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError) as caught:
        append_row(tmp_path / "file" / "rows", row("1"))
    assert caught.value.code in {ErrorCode.NOT_WRITABLE, ErrorCode.NOT_FOUND}


def base(acoustics: Acoustics = ACOUSTICS, version: str = "1", **grid: object) -> str:
    return sweep_base(acoustics, parse_grid(grid), version)


def test_all_that_shapes_a_result_is_in_the_key() -> None:
    other = np.ones((1, 1, 4))
    other[0, 0, 3] = np.nextafter(1.0, 2.0)
    bases = [
        base(),
        base(version="2"),
        base(dataclasses.replace(ACOUSTICS, primary=other)),
        base(dataclasses.replace(ACOUSTICS, sample_rate=16_000)),
        base(dataclasses.replace(ACOUSTICS, estimate=ACOUSTICS.secondary)),
        base(run={"guard": False}),
        base(run={"seed": 1}),
        base(recording={"start_s": 1.0}),
    ]
    cells = [
        CELL,
        *(
            CELL.model_copy(update={name: value})
            for name, value in (
                ("algorithm", "fxlog"),
                ("step_size", 0.1),
                ("num_taps", 8),
                ("io_delay", 1),
                ("gain_db", 1.0),
                ("delay_samples", 1.0),
                ("phase_deg", 1.0),
            )
        ),
    ]
    keys = [row_key(one, digest, cell) for one in bases for digest in "ab" for cell in cells]
    assert len(set(keys)) == len(keys)
    assert row_key(base(), "a", None) not in keys


def test_axes_of_the_grid_do_not_change_the_keys_of_its_cells() -> None:
    # So that a grid that was widened does only what is new.
    assert base() == base(
        algorithm=["fxnlms", "fxlog"], num_taps=[64, 128], mismatch={"gain_db": 3}
    )


@pytest.mark.parametrize(
    ("err", "code", "reason"),
    [
        (InputError("no such setting"), ErrorCode.BAD_PARAMETER, "no such setting"),
        (MemoryError("40 GB"), ErrorCode.OUT_OF_MEMORY, "MemoryError: 40 GB"),
        (ZeroDivisionError("x"), ErrorCode.INTERNAL, "ZeroDivisionError: x"),
        (
            SourceError(ErrorCode.PERMISSION, "a\udce9.wav: no"),
            ErrorCode.PERMISSION,
            "a\\xe9.wav: no",
        ),
    ],
)
def test_why_something_failed_is_a_code_and_text_that_a_table_can_hold(
    err: Exception, code: ErrorCode, reason: str
) -> None:
    failed = failed_row("k", "a.wav", err, CELL)
    assert (failed.status, failed.error_code, failed.cell) == (Status.FAILED, code, CELL)
    assert reason in str(failed.reason)
    assert str(failed.reason).encode()
