"""Integer weights: half the time for the same gains."""

from __future__ import annotations

import logging

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed (extra 'train')")
import onnx
import torch

from anc_core.denoiser.inference import GainModel
from anc_core.denoiser_training.export import to_onnx
from anc_core.denoiser_training.network import GainNetwork
from anc_core.denoiser_training.parameters import NetworkParameters
from anc_core.denoiser_training.quantise import quantised


@pytest.fixture(scope="module")
def graph():
    torch.manual_seed(3)
    return to_onnx(GainNetwork(NetworkParameters()))


def test_the_gains_stay_and_the_weights_shrink(graph, caplog):
    with caplog.at_level(logging.WARNING):
        rounded = quantised(graph)
    assert caplog.records == []
    assert len(rounded) < 0.3 * len(graph)
    rng = np.random.default_rng(4)
    seen = rng.normal(0.5, 0.3, (2, 80, 256)).astype(np.float32)
    before = GainModel(graph, model_id="float").gains(seen)
    after = GainModel(rounded, model_id="rounded").gains(seen)
    assert not np.array_equal(before, after)
    # 7 bits: steps of 1/64 of the largest weight, whose errors cancel in sums of hundreds.
    assert np.sqrt(np.mean((after - before) ** 2)) < 0.01


def test_the_same_graph_gives_the_same_bytes(graph):
    assert quantised(graph) == quantised(graph)


def test_matrices_and_recurrent_layers_are_integers_and_nothing_else_is(graph):
    operators = [node.op_type for node in onnx.load_from_string(quantised(graph)).graph.node]
    assert operators.count("MatMulInteger") == 2
    assert operators.count("DynamicQuantizeLSTM") == 2
    assert operators.count("Conv") == 3
    assert not {"MatMul", "LSTM", "ConvInteger"} & set(operators)
