from __future__ import annotations

import re
from pathlib import Path

import pytest

from anc_core.errors import ErrorCode, InputError, SourceError
from anc_core.jobs.sweep_grid import (
    SWEEP_DURATION_S,
    SweepCell,
    SweepGrid,
    parse_grid,
    path_files,
    read_grid,
)
from anc_core.processors.simulate import ALGORITHMS

SECTIONS = ("mismatch", "recording", "run", "paths")

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


def test_the_grid_in_the_documents_is_one_and_shows_every_key(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs/simulate.md").read_text(encoding="utf-8")
    example = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0]
    grid = read_grid(grid_of(tmp_path, example))
    assert f"= {grid.num_cells} settings" in text
    keys = set(re.findall(r"^(?:# )?(\w+) = ", example, re.MULTILINE))
    sections = {"": SweepGrid, **{name: type(grid[name]) for name in SECTIONS}}
    fields = {key for kind in sections.values() for key in kind.model_fields} - set(SECTIONS)
    assert fields - keys == {"variable"}
    # What is called the default is it.
    plain = parse_grid({})
    for line in re.findall(r"^(.*?)# default[;:]? ?.*$", example, re.MULTILINE):
        for key, value in re.findall(r"^(structure|guard|leakage|dtype|seed) = (\S+)", line):
            assert str(getattr(plain.run, key)).lower() == value.strip('"')


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


def test_fixed_filters_have_no_step_to_be_tried() -> None:
    grid = parse_grid({"algorithm": ["fxnlms", "sfanc"], "step_size": [0.1, 0.2], "num_taps": 64})
    steps = [(cell.algorithm, cell.step_size) for cell in grid.cells()]
    assert steps == [("fxnlms", 0.1), ("fxnlms", 0.2), ("sfanc", None)]
    assert grid.num_cells == 3


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
        ({"algorithm": []}, "algorithm is an empty list; give it a value, or leave the key out"),
        ({"algorithm": 3}, "algorithm[0] is 3; it must be a word in quotes"),
        ({"step_size": 2.0}, 'step_size[0] is 2.0; it must be below 2 or "default"'),
        ({"step_size": [0.1, "fast"]}, "step_size[1] is 'fast'; it must be a number or"),
        ({"step_size": float("nan")}, "step_size[0] is nan; it must be"),
        ({"num_taps": 12.5}, "num_taps[0] is 12.5; it must be a whole number"),
        ({"num_taps": True}, "num_taps[0] is True; it must be a whole number"),
        ({"num_taps": 70_000}, "num_taps[0] is 70000; it must be at most 65536"),
        ({"io_delay": -1}, "io_delay[0] is -1; it must be at least 0"),
        ({"mismatch": 3}, "mismatch is 3; it must be a section: [mismatch] with its keys below"),
        ({"mismatch": {"combine": "some"}}, "it must be 'one_at_a_time' or 'all'"),
        (
            {"mismatch": {"phase_deg": [400]}},
            "mismatch.phase_deg[0] is 400; it must be at most 360",
        ),
        ({"recording": {"duration_s": 0}}, "recording.duration_s is 0; it must be above 0"),
        ({"run": {"guard": "maybe"}}, "run.guard is 'maybe'; it must be true or false"),
        ({"step_size": -1, "io_delay": -1}, 'above 0 or "default"; io_delay[0] is -1'),
    ],
)
def test_what_breaks_a_rule_is_an_error_that_names_it(given: dict[str, object], said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_grid(given, "g.toml")
    assert str(caught.value).startswith("g.toml: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "# taps\nnum_taps = [\n  64,\n  0,\n]\n",
            "line 2: num_taps[1] is 0; it must be at least 1",
        ),
        ("[run]\nseed = 1\n[recording]\nstart_s = -1\n", "line 4: recording.start_s is -1"),
        ("run.seed = 1\nrun.bits = 2\n", "line 1: run.bits is 2"),
        ("mismatch = {gain_db = 200}\n", "line 1: mismatch.gain_db[0] is 200"),
        ("\nalgorithm = 'nlms'\n", "line 2: algorithm 'nlms' is unknown"),
        ("[mismatch]\n\ngains = 3\n", "line 3: 'gains' under [mismatch] is unknown"),
        ("[mismatches]\ngain_db = 3\n", "line 1: 'mismatches' is unknown; did you mean 'mismatch'"),
        (
            "algorithm = 'fxnlms'\n\nnum_taps = \n",
            "is no TOML: Invalid value (at line 3, column 12)",
        ),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_line(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_grid(grid_of(tmp_path, text))
    assert f"grid.toml: {said}" in str(caught.value)


@pytest.mark.parametrize("combine", ["one_at_a_time", "all"])
def test_cells_are_counted_without_making_them(combine: str) -> None:
    grid = parse_grid(
        {
            "algorithm": ["fxnlms", "fxlog", "fxlog"],
            "step_size": [0.1, "default"],
            "num_taps": [8, 8, 9],
            "mismatch": {
                "gain_db": [0, 6, 6],
                "delay_samples": [1],
                "phase_deg": [-0.0, 30],
                "combine": combine,
            },
        }
    )
    assert grid.num_cells == len(grid.cells())


def test_what_is_no_toml_says_so_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"grid\.toml: is no TOML"):
        read_grid(grid_of(tmp_path, "algorithm = ["))
    with pytest.raises(SourceError, match=r"none\.toml") as caught:
        read_grid(tmp_path / "none.toml")
    assert caught.value.code is ErrorCode.NOT_FOUND


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
