from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anc_core.errors import AncError, InputError
from anc_core.jobs.systems import parse_system, parse_systems
from tests import onnx_models
from tests.strategies import run_aligned


@pytest.mark.parametrize("spec", ["auto", "spectral", "preset:gentle", "preset:analyse-only"])
def test_our_own_systems_can_be_built(spec: str) -> None:
    processor = parse_system(spec).build(16_000, 2)
    assert processor.num_channels == 2


def test_a_preset_that_only_analyses_changes_nothing() -> None:
    signal = np.random.default_rng(0).normal(0, 0.1, (3_000, 1)).astype(np.float32)
    processor = parse_system("preset:analyse-only").build(16_000, 1)
    np.testing.assert_array_equal(run_aligned(processor, [signal]), signal)


def test_a_model_is_named_by_its_file(tmp_path: Path) -> None:
    path = onnx_models.gain(tmp_path / "half.onnx", 0.5, sample_rate=16_000)
    system = parse_system(f"onnx:{path}")
    assert system.label == "onnx:half.onnx"
    signal = np.ones((100, 1), np.float32)
    assert run_aligned(system.build(16_000, 1), [signal])[:, 0].tolist() == [0.5] * 100


def test_two_models_of_one_name_are_told_apart(tmp_path: Path) -> None:
    specs = [f"onnx:{tmp_path / folder / 'm.onnx'}" for folder in "ab"]
    assert [system.label for system in parse_systems(specs)] == specs


def test_a_model_that_is_not_there_is_found_out_when_it_is_built() -> None:
    system = parse_system("onnx:/nowhere/m.onnx")
    with pytest.raises(AncError, match="no such model file"):
        system.build(16_000, 1)


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        ([], "at least one"),
        (["magic"], "'magic' is unknown; choose from auto, spectral, neural, preset:NAME"),
        (["onnx:"], "'onnx:' is unknown"),
        (["preset:loud"], "call-centre"),
    ],
)
def test_unknown_names_are_refused_with_those_there_are(specs: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_systems(specs)
