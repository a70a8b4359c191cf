"""The fitted estimator as an ONNX graph: scaled features in, probabilities out."""

from __future__ import annotations

from typing import Any

from anc_core.features import FEATURE_SCHEMA, NUM_FEATURES

_OPSET = 17


def to_onnx(estimator: Any) -> bytes:  # noqa: ANN401 - scikit-learn has no common type
    """Return the graph: ``features`` (n, NUM_FEATURES) -> ``probabilities`` (n, num_classes)."""
    from onnx.helper import set_model_props
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    model = convert_sklearn(
        estimator,
        "noise_classifier",
        [("features", FloatTensorType([None, NUM_FEATURES]))],
        options={id(estimator): {"zipmap": False}},
        target_opset={"": _OPSET, "ai.onnx.ml": 3},
    )
    set_model_props(model, {"feature_schema": FEATURE_SCHEMA})
    content: bytes = model.SerializeToString(deterministic=True)
    return content
