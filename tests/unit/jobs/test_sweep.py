"""A sweep step by step, in this process; kills and worker processes: tests/chaos, tests/cli."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

import anc_core.simulation
from anc_core import build_filter_bank, simulate_anc
from anc_core.audio.filter_bank_files import write_filter_bank
from anc_core.dsp.fxlms_controller import DeviceModel
from anc_core.dsp.paths import with_mismatch
from anc_core.errors import ErrorCode, InputError, SinkError, SourceChangedError, WorkerDiedError
from anc_core.jobs import sweep, sweep_rows, sweep_unit
from anc_core.jobs.pool import PoolStoppedError, WorkerPool
from anc_core.jobs.sweep import run_on_pool
from anc_core.jobs.sweep_conclusion import conclude_sweep, describe_counts
from anc_core.jobs.sweep_plan import plan_sweep
from anc_core.jobs.sweep_records import SweepPlan, SweepRequest, SweepResult, SweepRow, SweepUnit
from anc_core.jobs.sweep_unit import run_unit
from anc_core.records import Status
from anc_core.settings import Settings
from tests.acoustics import RATE, write_noise
from tests.sweeps import bench, small_request

SETTINGS = Settings(retries=1, retry_delay_s=0.0)


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., SweepRequest]:
    """Return a function that writes a bench with one noise and asks for a sweep of a grid."""
    bench(tmp_path)
    return lambda **grid: small_request(tmp_path, tmp_path / "out", **grid)


def run(request: SweepRequest) -> tuple[SweepPlan, list[SweepRow], SweepResult]:
    plan = plan_sweep(request, SETTINGS)
    rows = [row for unit in plan.units for row in run_unit(plan.setup, unit)]
    return plan, rows, conclude_sweep(plan, rows)


def test_the_figures_are_those_of_simulate_anc_called_directly(ask: Any, tmp_path: Path) -> None:
    _, rows, result = run(
        ask(
            algorithm=["fxnlms", "fxlog"],
            step_size=0.1,
            num_taps=[16, 24],
            io_delay=[0, 3],
            mismatch={"gain_db": 6, "phase_deg": 30},
        )
    )
    noise, _ = sf.read(tmp_path / "noise/0.wav", dtype="float32")
    primary, _ = sf.read(tmp_path / "primary.wav")
    secondary, _ = sf.read(tmp_path / "secondary.wav")
    assert len(rows) == result.ok == 2 * 2 * 2 * 3
    for row in rows:
        cell = row.cell
        assert cell is not None
        gain_db, _, phase_deg = cell.mismatch
        wrong = with_mismatch(secondary, gain_db=gain_db, phase_deg=phase_deg)
        direct = simulate_anc(
            noise,
            RATE,
            primary,
            secondary,
            algorithm=cell.algorithm,
            step_size=cell.step_size,
            num_taps=cell.num_taps,
            secondary_path_estimate=wrong if any(cell.mismatch) else None,
            device=DeviceModel(io_delay=cell.io_delay),
        )
        for name in ("steady_cancellation_db", "wiener_db", "wiener_gap_db", "convergence_s"):
            assert row[name] == getattr(direct.figures, name)
        assert row.steady_third_octave_db == direct.figures.steady_third_octave_db
        assert row.trips == sum(e.kind.value in {"tripped", "cleared"} for e in direct.events)


def test_the_limit_is_computed_once_for_recording_taps_and_delay(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    original = anc_core.simulation._best_residual
    monkeypatch.setattr(
        anc_core.simulation,
        "_best_residual",
        lambda *given: calls.append(1) or original(*given),  # type: ignore[func-returns-value]
    )
    # 24 taps are the default: those of the primary path.
    _, rows, _ = run(
        ask(
            algorithm=["fxnlms", "fxlog"],
            step_size=[0.05, 0.2],
            num_taps=[16, 24, "default"],
            io_delay=[0, 2],
        )
    )
    assert len(rows) == 24
    assert len(calls) == 2 * 2
    assert all(row.wiener_db is not None for row in rows)


def test_what_was_done_is_not_done_again_and_the_result_is_the_same(ask: Any) -> None:
    request = ask(step_size=[0.05, 0.1], num_taps=[16, 24])
    _, _, first = run(request)
    plan, rows, second = run(request)
    assert (plan.units, rows) == ((), [])
    assert (second.ok, second.resumed) == (4, 4)
    assert second.best == first.best
    assert second.algorithms == first.algorithms


def test_a_wider_grid_does_only_what_is_new(ask: Any) -> None:
    run(ask(step_size=[0.05, 0.1]))
    plan, rows, result = run(ask(step_size=[0.05, 0.1, 0.2]))
    assert [row.step_size for row in rows] == [0.2]
    assert (len(plan.done), result.ok) == (2, 3)


def test_a_recording_under_another_name_is_known_and_a_changed_one_is_not(
    ask: Any, tmp_path: Path
) -> None:
    run(ask())
    (tmp_path / "noise/0.wav").rename(tmp_path / "noise/other.wav")
    _, rows, result = run(ask())
    assert rows == []
    assert result.best_by_recording[0].recording == "other.wav"
    write_noise(tmp_path / "noise/other.wav", duration_s=2.0, seed=9)
    assert len(run(ask())[1]) == 1


def test_what_cannot_be_simulated_is_a_row_and_never_stops_the_rest(
    ask: Any, tmp_path: Path
) -> None:
    (tmp_path / "noise/bad.wav").write_bytes(b"no sound at all" * 9)
    (tmp_path / "noise/empty.wav").write_bytes(b"")
    whole = (tmp_path / "noise/0.wav").read_bytes()
    (tmp_path / "noise/silent.wav").write_bytes(b"")
    sf.write(tmp_path / "noise/silent.wav", np.zeros(RATE), RATE)
    sf.write(tmp_path / "noise/short.wav", np.full(3, 0.1), RATE)
    assert whole
    request = ask(step_size=[0.05, 0.1])
    for resumed in (0, 6):
        _, _, result = run(request)
        assert (result.recordings, result.failed_recordings) == (5, 2)
        assert (result.planned, result.ok, result.failed) == (10, 6, 4)
        assert result.resumed == resumed
        codes = {row.recording: row.error_code for row in result.failures}
        assert codes == {"bad.wav": ErrorCode.NOT_AUDIO, "empty.wav": ErrorCode.EMPTY_FILE}
        best = {line.recording: line for line in result.best_by_recording}
        assert best["0.wav"].row is not None
        assert best["silent.wav"].row is None
        assert best["silent.wav"].reason


def test_a_fault_that_shows_only_while_reading_is_kept_with_its_code(
    ask: Any, tmp_path: Path
) -> None:
    request = ask(step_size=[0.05, 0.1], recording={"start_s": 60.0})
    _, rows, result = run(request)
    assert [row.error_code for row in rows] == [ErrorCode.BAD_PARAMETER]
    assert (result.ok, result.failed) == (0, 2)
    plan, rows, again = run(request)
    assert (plan.units, rows, again.failed) == ((), [], 2)


def test_a_setting_that_these_paths_do_not_allow_is_a_row(ask: Any) -> None:
    # 20 samples ahead of time, there is nothing left of a path that answers after 2.
    _, _, result = run(ask(mismatch={"delay_samples": [-20]}))
    assert (result.ok, result.failed) == (1, 1)
    assert result.failures[0].error_code is ErrorCode.BAD_PARAMETER
    assert "direct sound" in str(result.failures[0].reason)


def test_a_lack_of_memory_is_a_row_that_the_next_run_tries_again(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    for name in ("simulate_cell", "load_noise"):
        with monkeypatch.context() as patch:
            patch.setattr(sweep_unit, name, full)
            _, _, result = run(ask())
        assert [row.error_code for row in result.failures] == [ErrorCode.OUT_OF_MEMORY]
    assert run(ask())[2].ok == 1


def test_a_disk_that_keeps_nothing_stops_the_sweep(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_sync(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sweep_rows.os, "fsync", no_sync)
    with pytest.raises(SinkError) as caught:
        run(ask())
    assert caught.value.code is ErrorCode.NO_SPACE


def test_the_counts_add_up_whatever_happened(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "noise/bad.wav").write_bytes(b"x" * 99)
    _, _, result = run(ask(step_size=[0.05, 0.1], mismatch={"delay_samples": [-20]}))
    assert result.planned == result.ok + result.failed
    assert sum(result.outcomes.values()) == result.ok
    assert "1 recording:" not in describe_counts(result)


def test_a_dry_run_counts_and_writes_nothing(ask: Any, tmp_path: Path) -> None:
    request = ask(step_size=[0.05, 0.1], num_taps=[16, 24, 32])
    result = sweep.run_sweep(request, SETTINGS, dry_run=True)
    assert (result.planned, result.ok, result.failed) == (6, 0, 0)
    assert result.estimated_s > 0.0
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_is_nothing_to_do(tmp_path: Path) -> None:
    bench(tmp_path, recordings=0)
    (tmp_path / "noise").mkdir()
    result = sweep.run_sweep(small_request(tmp_path, tmp_path / "out"), SETTINGS)
    assert result.nothing_to_do
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({"num_taps": list(range(1, 2_000)), "step_size": [x / 200 for x in range(1, 200)]}, "cut"),
    ],
)
def test_a_grid_beyond_reason_is_refused_before_any_work(
    ask: Any, grid: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        plan_sweep(ask(**grid), SETTINGS)


def test_a_recording_that_changes_during_the_sweep_is_not_simulated(
    ask: Any, tmp_path: Path
) -> None:
    plan = plan_sweep(ask(), SETTINGS)
    write_noise(tmp_path / "noise/0.wav", duration_s=1.0, seed=5)
    with pytest.raises(SourceChangedError):
        run_unit(plan.setup, plan.units[0])


def test_a_worker_whose_sweep_was_killed_stops_after_its_cell(
    ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_sweep(ask(step_size=[0.05, 0.1, 0.2]), SETTINGS)
    # Asked at the beginning and before each cell; an orphan is given to another process.
    parents = iter([7, 7, 1])
    monkeypatch.setattr(sweep_unit.os, "getppid", lambda: next(parents))
    with pytest.raises(PoolStoppedError):
        run_unit(plan.setup, plan.units[0])
    assert len(sweep_rows.load_rows(tmp_path / "out" / "rows")) == 1


class DeadlyPool(WorkerPool):
    """Runs calls here; a worker "dies" before a cell of one of these steps, as often as told."""

    def __init__(self, deaths: dict[float, int]) -> None:
        super().__init__(1)
        self.deaths = dict(deaths)
        self.calls = 0

    def run(self, function: Any, *arguments: Any) -> Any:
        self.calls += 1
        setup, unit = arguments
        rows: tuple[SweepRow, ...] = ()
        for cell in unit.cells:
            if self.deaths.get(cell.step_size, 0) > 0:
                self.deaths[cell.step_size] -= 1
                raise WorkerDiedError("a worker process was killed")
            rows += function(setup, unit.model_copy(update={"cells": (cell,)}))
        return rows


def steps(rows: tuple[SweepRow, ...], status: Status) -> list[float | None]:
    return [row.cell.step_size for row in rows if row.cell and row.status is status]


@pytest.mark.parametrize(
    ("deaths", "lost", "calls"),
    [
        ({}, [], 1),
        ({0.2: 1}, [], 2),
        ({0.2: 2}, [0.2], 3),
        ({0.1: 1, 0.2: 1, 0.3: 1}, [], 4),
        ({0.1: 2, 0.3: 2}, [0.1, 0.3], 4),
        # Twice two deaths in a row, nothing done between: it is the recording.
        ({0.1: 9, 0.2: 9, 0.3: 9}, [0.1, 0.2, 0.3], 4),
    ],
)
def test_a_worker_that_dies_costs_the_cell_that_killed_it_twice(
    ask: Any, deaths: dict[float, int], lost: list[float], calls: int
) -> None:
    plan = plan_sweep(ask(step_size=[0.1, 0.2, 0.3]), SETTINGS)
    (unit,) = plan.units
    pool = DeadlyPool(deaths)
    rows = run_on_pool(pool, plan.setup, unit, SETTINGS)
    assert pool.calls == calls
    assert steps(rows, Status.FAILED) == lost
    assert sorted(steps(rows, Status.OK)) == sorted({0.1, 0.2, 0.3} - set(lost))
    assert len(rows) == 3
    # What was lost is tried again by the next run, what was done is not.
    assert sum(len(u.cells) for u in plan_sweep(plan.request, SETTINGS).units) == len(lost)


def test_the_sweep_does_not_take_its_own_folder_for_recordings(ask: Any, tmp_path: Path) -> None:
    request = ask().model_copy(update={"output_dir": tmp_path / "noise" / "out"})
    run(request)
    sf.write(tmp_path / "noise/out/x.wav", np.zeros(9), RATE)
    assert plan_sweep(request, SETTINGS).planned == 1


def test_folders_that_are_not_allowed_are_refused(ask: Any, tmp_path: Path) -> None:
    settings = Settings(allowed_roots=(tmp_path / "noise",))
    with pytest.raises(SinkError) as caught:
        plan_sweep(ask(), settings)
    assert caught.value.code is ErrorCode.PERMISSION


def test_units_share_a_limit_and_the_longest_comes_first(ask: Any) -> None:
    plan = plan_sweep(ask(step_size=[0.1, 0.2], num_taps=[16, 512], io_delay=[0, 1]), SETTINGS)
    shared: list[SweepUnit] = list(plan.units)
    assert [len(unit.cells) for unit in shared] == [2] * 4
    assert [unit.cells[0].num_taps for unit in shared] == [512, 512, 16, 16]
    assert shared[0].recording.name == "0.wav"


# --------------------------------------------------------------------------- fixed filters


def with_bank(request: SweepRequest, folder: Path, num_taps: int = 20) -> SweepRequest:
    """Return the request with a bank for the duct of the bench."""
    primary, secondary = (sf.read(folder / f"{name}.wav")[0] for name in ("primary", "secondary"))
    bank = build_filter_bank(None, RATE, primary, secondary, num_filters=3, num_taps=num_taps)
    write_filter_bank(folder / "bank.npz", bank)
    files = request.paths.model_copy(update={"filter_bank": str(folder / "bank.npz")})
    return request.model_copy(update={"paths": files})


def test_fixed_filters_are_compared_with_adaptive_ones(ask: Any, tmp_path: Path) -> None:
    request = with_bank(
        ask(algorithm=["fxnlms", "sfanc"], step_size=[0.1, 0.2], num_taps="default"), tmp_path, 8
    )
    plan, rows, result = run(request)
    assert {unit.cells[0].algorithm for unit in plan.units} == {"fxnlms", "sfanc"}
    by_name = {row.cell.algorithm: row for row in rows if row.cell is not None}
    assert len(rows) == result.ok == 3
    assert by_name["sfanc"].num_taps == 8
    # Filters of other lengths have another limit.
    assert by_name["fxnlms"].num_taps == 24
    assert by_name["fxnlms"].wiener_db != by_name["sfanc"].wiener_db
    assert by_name["sfanc"].wiener_gap_db < 1.0
    assert [line.algorithm for line in result.algorithms].count("sfanc") == 1


def test_a_bank_that_fits_not_all_cells_is_refused_before_any_work(
    ask: Any, tmp_path: Path
) -> None:
    for grid, said in (
        ({"algorithm": "fxnlms"}, "add it to the grid"),
        ({"algorithm": "sfanc", "num_taps": [20, 24]}, "the filters of the bank have 20"),
        ({"algorithm": "sfanc", "num_taps": "default", "io_delay": 2}, "another secondary path"),
        (
            {"algorithm": "sfanc", "num_taps": "default", "mismatch": {"gain_db": 6}},
            "another secondary path",
        ),
    ):
        with pytest.raises(InputError, match=said):
            plan_sweep(with_bank(ask(**grid), tmp_path), SETTINGS)
    assert not (tmp_path / "out").exists()


def test_without_a_bank_fixed_filters_are_made_for_what_each_cell_believes(ask: Any) -> None:
    _, rows, _ = run(
        ask(algorithm="sfanc", io_delay=[0, 4], mismatch={"gain_db": 6, "phase_deg": 30})
    )
    assert len(rows) == 6
    reached = {row.cell.mismatch: row.steady_cancellation_db for row in rows if row.cell is not None
               and row.cell.io_delay == 0}  # fmt: skip
    assert min(reached, key=reached.__getitem__) != (0.0, 0.0, 0.0)


def test_another_bank_is_another_sweep(ask: Any, tmp_path: Path) -> None:
    request = ask(algorithm="sfanc", num_taps="default")
    run(with_bank(request, tmp_path, 20))
    assert plan_sweep(with_bank(request, tmp_path, 20), SETTINGS).done
    assert not plan_sweep(with_bank(request, tmp_path, 22), SETTINGS).done
