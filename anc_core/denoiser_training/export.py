"""The trained network as an ONNX graph, written operator by operator.

Context: PyTorch's exporters unroll a bidirectional LSTM or need packages of their own. Decision:
the network has eight operators, so its graph is spelt out here, with ONNX's LSTM, and a test
compares the two. Consequence: a change of ``network.py`` needs one here; the test says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from anc_core.denoiser.features import FEATURE_SCHEMA, NUM_BINS, NUM_FEATURES
from anc_core.denoiser_training.network import (
    BINS_PER_BAND,
    GAIN_SCALE,
    NUM_BANDS,
    SLOPE,
    GainNetwork,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OPSET = 17
_IR_VERSION = 9
_GATES = (0, 3, 1, 2)
"""PyTorch's order is input, forget, cell, output; ONNX's is input, output, forget, cell."""


def to_onnx(network: GainNetwork) -> bytes:
    """Return the graph: ``features`` (batch, 2, T, 256) -> ``gains`` (batch, T, 256)."""
    state = {key: value.detach().cpu().numpy() for key, value in network.state_dict().items()}
    p = network.sizes
    graph = _Graph()
    fine = graph.conv("features", state, "encoder", strides=[1, BINS_PER_BAND], pads=[1, 1, 1, 1])
    fine = graph.node("LeakyRelu", [fine], alpha=SLOPE)
    # (batch, C, T, 64) -> (T, batch, C * 64)
    seen = graph.node("Transpose", [fine], perm=[2, 0, 1, 3])
    seen = graph.reshape(seen, [0, 0, p.num_channels * NUM_BANDS])
    seen = graph.linear(seen, state, "narrow")
    heard = graph.node("LeakyRelu", [seen], alpha=SLOPE)
    for layer in range(2):
        heard = graph.lstm(heard, state, layer, p.hidden)
    coarse = graph.node("LeakyRelu", [graph.linear(heard, state, "widen")], alpha=SLOPE)
    coarse = graph.reshape(coarse, [0, 0, p.num_channels, NUM_BANDS])
    coarse = graph.node("Transpose", [coarse], perm=[1, 2, 0, 3])
    joined = graph.node("Concat", [coarse, fine], axis=1)
    joined = graph.conv(joined, state, "join")
    joined = graph.node("LeakyRelu", [joined], alpha=SLOPE)
    logits = graph.conv(joined, state, "gains", pads=[0, 1, 0, 1])
    logits = graph.node("Transpose", [logits], perm=[0, 2, 3, 1])
    logits = graph.reshape(logits, [0, 0, NUM_BINS])
    scaled = graph.node("Sigmoid", [logits])
    graph.node("Mul", [scaled, graph.constant(np.float32(GAIN_SCALE))], output="gains")
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "gain_network",
            [
                helper.make_tensor_value_info(
                    "features", TensorProto.FLOAT, ["batch", NUM_FEATURES, "num_frames", NUM_BINS]
                )
            ],
            [
                helper.make_tensor_value_info(
                    "gains", TensorProto.FLOAT, ["batch", "num_frames", NUM_BINS]
                )
            ],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="anc-platform",
    )
    helper.set_model_props(model, {"feature_schema": FEATURE_SCHEMA})
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


class _Graph:
    """Nodes and constants in the making; every method returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(
        self,
        operator: str,
        inputs: list[str],
        output: str | None = None,
        **attributes: Any,  # noqa: ANN401 - as ONNX has them
    ) -> str:
        name = output or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, value: NDArray[Any] | np.generic) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def reshape(self, x: str, shape: list[int]) -> str:
        return self.node("Reshape", [x, self.constant(np.array(shape, np.int64))])

    def conv(
        self, x: str, state: dict[str, NDArray[np.float32]], name: str, **attributes: list[int]
    ) -> str:
        weight = self.constant(state[f"{name}.weight"])
        bias = self.constant(state[f"{name}.bias"])
        return self.node("Conv", [x, weight, bias], None, **attributes)

    def linear(self, x: str, state: dict[str, NDArray[np.float32]], name: str) -> str:
        product = self.node("MatMul", [x, self.constant(state[f"{name}.weight"].T)])
        return self.node("Add", [product, self.constant(state[f"{name}.bias"])])

    def lstm(self, x: str, state: dict[str, NDArray[np.float32]], layer: int, hidden: int) -> str:
        def gates(kind: str, direction: str) -> NDArray[np.float32]:
            array = state[f"lstm.{kind}_l{layer}{direction}"]
            parts = array.reshape(4, hidden, *array.shape[1:])[list(_GATES)]
            return parts.reshape(array.shape)

        sides = ("", "_reverse")
        weight = np.stack([gates("weight_ih", side) for side in sides])
        recurrence = np.stack([gates("weight_hh", side) for side in sides])
        bias = np.stack(
            [np.concatenate([gates("bias_ih", side), gates("bias_hh", side)]) for side in sides]
        )
        constants = [self.constant(value) for value in (weight, recurrence, bias)]
        both = self.node("LSTM", [x, *constants], hidden_size=hidden, direction="bidirectional")
        # (T, 2, batch, h) -> (T, batch, 2h)
        both = self.node("Transpose", [both], perm=[0, 2, 1, 3])
        return self.reshape(both, [0, 0, 2 * hidden])
