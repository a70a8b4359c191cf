from __future__ import annotations

from pathlib import Path

import pytest

from anc_core.errors import InputError, SourceError
from anc_core.jobs.sweep_grid import (
    SWEEP_DURATION_S,
    SweepCell,
    parse_grid,
    path_files,
    read_grid,
)
from anc_core.processors.simulate import ALGORITHMS

WHOLE = """
algorithm = ["fxnlms", "fxlog"]
step_size = [0.05, "default"]
num_taps = [64, 128]
io_delay = 4

[mismatch]
gain_db = [-6, 6]
phase_deg = [0, 45]

[recording]
duration_s = 5

[run]
guard = false

[paths]
primary = "duct/p.wav"
secondary = "duct/s.wav"
"""


def grid_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "grid.toml"
    path.write_text(text)
    return path


def test_a_file_with_all_sections_is_read_and_its_paths_start_at_its_folder(tmp_path: Path) -> None:
    grid = read_grid(grid_of(tmp_path, WHOLE))
    assert grid.step_size == (0.05, None)
    assert grid.io_delay == (4,)
    assert not grid.run.guard
    assert grid.recording.duration_s == 5.0
    assert grid.paths.primary == str(tmp_path / "duct/p.wav")


def test_an_empty_file_is_the_default_algorithm_alone(tmp_path: Path) -> None:
    grid = read_grid(grid_of(tmp_path, ""))
    assert grid.cells() == (SweepCell(algorithm="fxnlms"),)
    assert grid.recording.duration_s == SWEEP_DURATION_S


def test_the_grid_is_the_product_of_its_axes_with_one_error_at_a_time() -> None:
    grid = parse_grid(
        {
            "algorithm": ["fxnlms", "fxlog"],
            "num_taps": [64, 128, 256],
            "mismatch": {"gain_db": [-6, 6], "phase_deg": [0, 45, 90]},
        }
    )
    # No error, two of gain, two of phase (its 0 is no error): 2 x 3 x 5.
    assert len(grid.cells()) == len(set(grid.cells())) == 30
    assert (6.0, 0.0, 45.0) not in {cell.mismatch for cell in grid.cells()}


def test_errors_are_combined_on_request() -> None:
    mismatch = {"gain_db": [-6, 6], "phase_deg": [0, 45, 90], "combine": "all"}
    cells = parse_grid({"mismatch": mismatch}).cells()
    assert {cell.mismatch for cell in cells} == {
        (gain, 0.0, phase) for gain in (-6.0, 6.0) for phase in (0.0, 45.0, 90.0)
    }


def test_a_value_named_twice_is_one_cell() -> None:
    assert len(parse_grid({"step_size": [0.1, 0.1], "num_taps": [64, 64]}).cells()) == 1


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_of_the_simulator_may_be_swept(name: str) -> None:
    assert parse_grid({"algorithm": name}).cells()[0].algorithm == name


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"algoritm": ["fxnlms"]}, "'algoritm' is unknown; did you mean 'algorithm'?"),
        ({"mu": 0.1}, "'mu' is unknown; did you mean 'step_size'?"),
        ({"taps": 64}, "did you mean 'num_taps'?"),
        ({"phase_deg": [30]}, "did you mean 'phase_deg' under [mismatch]?"),
        ({"duration": 3}, "did you mean 'duration_s' under [recording]?"),
        ({"mismatch": {"gains": [3]}}, "'gains' under [mismatch] is unknown; did you mean 'gain_"),
        ({"run": {"guarded": False}}, "did you mean 'guard'?"),
        ({"zzz": 1}, "'zzz' is unknown; known: algorithm, step_size"),
        ({"algorithm": ["fxnlm"]}, "'fxnlm' is unknown (did you mean 'fxnlms'?)"),
        ({"algorithm": []}, "algorithm"),
        ({"step_size": 2.0}, "less than 2"),
        ({"step_size": "fast"}, "step_size"),
        ({"step_size": float("nan")}, "step_size"),
        ({"num_taps": 12.5}, "num_taps"),
        ({"num_taps": True}, "num_taps"),
        ({"num_taps": 70_000}, "65536"),
        ({"io_delay": -1}, "io_delay"),
        ({"mismatch": {"combine": "some"}}, "one_at_a_time"),
        ({"mismatch": {"phase_deg": [400]}}, "360"),
        ({"recording": {"duration_s": 0}}, "duration_s"),
    ],
)
def test_what_breaks_a_rule_is_an_error_that_names_it(given: dict[str, object], said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_grid(given, "g.toml")
    assert str(caught.value).startswith("g.toml: ")
    assert said in str(caught.value)


def test_what_is_no_toml_says_so_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"grid\.toml: is no TOML"):
        read_grid(grid_of(tmp_path, "algorithm = ["))
    with pytest.raises(SourceError, match="NOT_FOUND|no such"):
        read_grid(tmp_path / "none.toml")


def test_a_file_of_another_kind_is_not_read_to_its_end(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this is no grid"):
        read_grid(grid_of(tmp_path, "#" * (2 << 20)))


def test_options_win_over_the_paths_of_the_grid_and_one_is_needed(tmp_path: Path) -> None:
    grid = read_grid(grid_of(tmp_path, WHOLE))
    files = path_files(grid, primary="other.wav", secondary=None, path_rate=8_000)
    assert (files.primary, files.path_rate) == ("other.wav", 8_000)
    assert files.secondary == str(tmp_path / "duct/s.wav")
    with pytest.raises(InputError, match="no primary path; name it with --primary"):
        path_files(parse_grid({}))
