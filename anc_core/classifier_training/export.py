"""The members of a model as one ONNX graph: scaled features in, their mean probabilities out.

Context: skl2onnx converts forests, but not what the squared member does with its figures.
Decision: forests are converted by it, the linear members are spelt out (a few operators),
and all are joined here. Consequence: a training compares the graph with the estimators before it
keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anc_core.classifier_training.estimators import FORESTS, SHARPNESS, Member
from anc_core.features import FEATURE_SCHEMA, NUM_FEATURES

_OPSET, _ML_OPSET, _IR_VERSION = 17, 3, 9
_INPUT, _OUTPUT = "features", "probabilities"


def to_onnx(members: Sequence[Member]) -> bytes:
    """Return the graph: ``features`` (n, NUM_FEATURES) -> ``probabilities`` (n, num_classes)."""
    import onnx
    from onnx import TensorProto, helper

    nodes: list[Any] = []
    constants: list[Any] = []
    for number, member in enumerate(members):
        add = _add_forest if member.name in FORESTS else _add_linear
        add(member, f"member_{number}_", nodes, constants)
    answers = [f"member_{number}_{_OUTPUT}" for number in range(len(members))]
    nodes.append(helper.make_node("Mean", answers, [_OUTPUT]))
    float_type = TensorProto.FLOAT
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "noise_classifier",
            [helper.make_tensor_value_info(_INPUT, float_type, ["n", NUM_FEATURES])],
            [helper.make_tensor_value_info(_OUTPUT, float_type, ["n", len(members[0].classes)])],
            constants,
        ),
        opset_imports=[
            helper.make_opsetid("", _OPSET),
            helper.make_opsetid("ai.onnx.ml", _ML_OPSET),
        ],
        ir_version=_IR_VERSION,
        producer_name="anc-platform",
    )
    helper.set_model_props(model, {"feature_schema": FEATURE_SCHEMA})
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _add_forest(member: Member, prefix: str, nodes: list[Any], constants: list[Any]) -> None:
    from onnx import helper, numpy_helper
    from onnx.compose import add_prefix
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    raw = f"{prefix}forest_"
    made = convert_sklearn(
        member.estimator,
        "forest",
        [(_INPUT, FloatTensorType([None, NUM_FEATURES]))],
        options={id(member.estimator): {"zipmap": False}},
        target_opset={"": _OPSET, "ai.onnx.ml": _ML_OPSET},
    )
    graph = add_prefix(made, raw, rename_inputs=False).graph
    nodes.extend(graph.node)
    constants.extend(graph.initializer)
    constants.append(
        numpy_helper.from_array(np.array([SHARPNESS], np.float32), f"{prefix}sharpness")
    )
    constants.append(numpy_helper.from_array(np.array([1], np.int64), f"{prefix}classes"))
    power, total = f"{prefix}power", f"{prefix}total"
    nodes += [
        helper.make_node("Pow", [raw + _OUTPUT, f"{prefix}sharpness"], [power]),
        helper.make_node("ReduceSum", [power, f"{prefix}classes"], [total]),
        helper.make_node("Div", [power, total], [prefix + _OUTPUT]),
    ]


def _add_linear(member: Member, prefix: str, nodes: list[Any], constants: list[Any]) -> None:
    from onnx import helper, numpy_helper

    for name, array in (
        ("weight", member.estimator.coef_.T),
        ("bias", member.estimator.intercept_),
    ):
        content = np.ascontiguousarray(array, np.float32)
        constants.append(numpy_helper.from_array(content, prefix + name))
    seen = _INPUT
    if member.name == "squared_lda":
        seen, squashed, squares = (f"{prefix}{name}" for name in ("seen", "squashed", "squares"))
        nodes += [
            helper.make_node("Tanh", [_INPUT], [squashed]),
            helper.make_node("Mul", [squashed, squashed], [squares]),
            helper.make_node("Concat", [squashed, squares], [seen], axis=1),
        ]
    product, logits = f"{prefix}product", f"{prefix}logits"
    nodes += [
        helper.make_node("MatMul", [seen, f"{prefix}weight"], [product]),
        helper.make_node("Add", [product, f"{prefix}bias"], [logits]),
        helper.make_node("Softmax", [logits], [prefix + _OUTPUT], axis=1),
    ]
