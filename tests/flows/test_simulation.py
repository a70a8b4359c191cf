"""``simulate_anc_sweep`` as a caller sees it: a real run on Prefect's test server."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from anc_core.jobs.sweep_grid import parse_grid
from tests.flows.prefect_records import artifacts_of, task_names_of
from tests.sweeps import bench

pytestmark = [pytest.mark.usefixtures("prefect_server")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a duct and noise/0.wav; one worker is enough for so little work."""
    monkeypatch.setenv("ANC_WORKERS", "1")
    bench(tmp_path, duration_s=1.0)
    return tmp_path


def paths(folder: Path) -> dict[str, str]:
    return {name: str(folder / f"{name}.wav") for name in ("primary", "secondary")}


def test_a_sweep_is_a_record_with_artifacts_and_a_second_run_does_nothing_again(
    folder: Path,
) -> None:
    from flows import simulate_anc_sweep

    grid = parse_grid({"step_size": [0.1, 0.4], "num_taps": [8, 16], "mismatch": {"gain_db": 6}})
    runs = [
        simulate_anc_sweep(
            folder=folder / "noise",
            output_dir=folder / "out",
            grid=grid,
            **paths(folder),
            return_state=True,
        )
        for _ in range(2)
    ]
    first, second = (state.result() for state in runs)
    assert {state.name for state in runs} == {"Completed"}
    assert (first.planned, first.ok, first.resumed) == (8, 8, 0)
    assert (second.planned, second.ok, second.resumed) == (8, 8, 8)
    assert second.best == first.best is not None
    assert second.robust == first.robust is not None
    for name in (first.csv_path, first.json_path, first.page_path):
        assert Path(name).is_file()
    by_key = artifacts_of(runs[0])
    assert set(by_key) == {
        "anc-sweep",
        "anc-sweep-algorithms",
        "anc-sweep-page",
        "anc-sweep-progress",
    }
    assert by_key["anc-sweep-progress"]["data"] == 100.0
    assert "fxnlms" in by_key["anc-sweep-algorithms"]["data"]
    assert "holds up best: fxnlms" in by_key["anc-sweep"]["data"]
    assert (folder / "out/index.html").as_uri() in by_key["anc-sweep-page"]["data"]
    names = set(task_names_of(runs[0], last="publish the sweep"))
    shards = {name for name in names if name.startswith("shard ")}
    assert names - shards == {"plan the sweep", "put the rows together", "publish the sweep"}
    assert shards
    again = set(task_names_of(runs[1], last="publish the sweep"))
    assert again == names - shards


def test_a_grid_may_come_as_plain_values_and_what_failed_shows_in_the_state(folder: Path) -> None:
    from flows import simulate_anc_sweep

    (folder / "noise" / "bad|`<b>.wav").write_bytes(b"no sound at all" * 9)
    state = simulate_anc_sweep(
        folder=folder / "noise",
        output_dir=folder / "out",
        grid={"num_taps": 16, "mismatch": {"delay_samples": -20}, "paths": paths(folder)},
        return_state=True,
    )
    assert state.is_completed()
    assert state.name == "CompletedWithErrors"
    result = state.result()
    # Two settings on two recordings: the bad one fails with both, the other with the wild one.
    assert (result.planned, result.ok, result.failed, result.failed_recordings) == (4, 1, 3, 1)
    with Path(result.csv_path).open(newline="", encoding="utf-8") as file:
        codes = [row["error_code"] for row in csv.DictReader(file)]
    assert codes == ["BAD_PARAMETER", "", "NOT_AUDIO"]


def test_a_grid_that_breaks_a_rule_or_names_no_path_fails_the_run(folder: Path) -> None:
    from prefect.exceptions import ParameterTypeError

    from flows import simulate_anc_sweep

    places = {"folder": folder / "noise", "output_dir": folder / "out"}
    with pytest.raises(ParameterTypeError, match="did you mean 'step_size'"):
        simulate_anc_sweep(**places, grid={"mu": 0.1}, **paths(folder))
    with pytest.raises(ValueError, match="no primary path"):
        simulate_anc_sweep(**places, grid={})
    with pytest.raises(ValueError, match="is no folder"):
        simulate_anc_sweep(**{**places, "folder": folder / "none"}, grid={}, **paths(folder))
    assert not (folder / "out").exists()
