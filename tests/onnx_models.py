"""Tiny ONNX files, encoded by hand: the package onnx would be 20 MB for five nodes.

Field numbers are those of ``onnx.proto`` (ONNX 1.17, IR version 8, opset 13).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

Size = int | str


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _int(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, content: bytes | str) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _value(name: str, shape: Sequence[Size], kind: int = 1) -> bytes:
    sizes = (_int(1, size) if isinstance(size, int) else _bytes(2, size) for size in shape)
    dims = b"".join(_bytes(1, size) for size in sizes)
    tensor = _int(1, kind) + _bytes(2, dims)
    return _bytes(1, name) + _bytes(2, _bytes(1, tensor))


def _constant(name: str, values: np.ndarray) -> bytes:
    kind = {"float32": 1, "int64": 7}[values.dtype.name]
    dims = b"".join(_int(1, size) for size in values.shape)
    return dims + _int(2, kind) + _bytes(8, name) + _bytes(9, values.tobytes())


def _node(kind: str, inputs: Sequence[str], outputs: Sequence[str], axis: int | None = None):
    parts = [_bytes(1, name) for name in inputs] + [_bytes(2, name) for name in outputs]
    parts.append(_bytes(4, kind))
    if axis is not None:
        parts.append(_bytes(5, _bytes(1, "axis") + _int(3, axis) + _int(20, 2)))
    return b"".join(parts)


def _write(
    path: Path,
    nodes: Sequence[bytes],
    constants: Sequence[bytes],
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    metadata: Mapping[str, object],
) -> Path:
    graph = b"".join(
        [
            *(_bytes(1, node) for node in nodes),
            _bytes(2, "g"),
            *(_bytes(5, constant) for constant in constants),
            *(_bytes(11, value) for value in inputs),
            *(_bytes(12, value) for value in outputs),
        ]
    )
    properties = b"".join(
        _bytes(14, _bytes(1, key) + _bytes(2, str(value))) for key, value in metadata.items()
    )
    model = _int(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, "") + _int(2, 13)) + properties
    path.write_bytes(model)
    return path


def gain(
    path: Path, factor: float = 0.5, *, shape: Sequence[Size] = (1, "n"), kind: int = 1, **meta
) -> Path:
    """Write y = factor * x."""
    return _write(
        path,
        [_node("Mul", ["x", "k"], ["y"])],
        [_constant("k", np.array([factor], np.float32))],
        [_value("x", shape, kind)],
        [_value("y", shape, kind)],
        {f"anc.{key}": value for key, value in meta.items()},
    )


def delay(path: Path, block: int, length: int, *, state_in: Size | None = None, **meta) -> Path:
    """Write y = x of ``length`` samples ago, kept in a state."""
    return _write(
        path,
        [
            _node("Concat", ["s", "x"], ["both"], axis=1),
            _node("Split", ["both", "sizes"], ["y", "s_out"], axis=1),
        ],
        [_constant("sizes", np.array([block, length], np.int64))],
        [_value("x", [1, block]), _value("s", [1, state_in or length])],
        [_value("y", [1, block]), _value("s_out", [1, length])],
        {f"anc.{key}": value for key, value in meta.items()},
    )


def twice_as_long(path: Path, **meta) -> Path:
    """Write y = x, x: not what the contract says."""
    return _write(
        path,
        [_node("Concat", ["x", "x"], ["y"], axis=1)],
        [],
        [_value("x", [1, "n"])],
        [_value("y", [1, "m"])],
        {f"anc.{key}": value for key, value in meta.items()},
    )


def running_sum(path: Path, block: int, **meta) -> Path:
    """Write y = s + x, s' = y * 1e30: soon not finite, and so for ever."""
    return _write(
        path,
        [_node("Add", ["s", "x"], ["y"]), _node("Mul", ["y", "k"], ["s_out"])],
        [_constant("k", np.array([1e30], np.float32))],
        [_value("x", [1, block]), _value("s", [1, block])],
        [_value("y", [1, block]), _value("s_out", [1, block])],
        {f"anc.{key}": value for key, value in meta.items()},
    )


def linear_softmax(path: Path, weights: np.ndarray, offset: np.ndarray) -> Path:
    """Write probabilities = softmax(features @ weights + offset)."""
    num_features, num_classes = weights.shape
    return _write(
        path,
        [
            _node("MatMul", ["features", "w"], ["product"]),
            _node("Add", ["product", "b"], ["scores"]),
            _node("Softmax", ["scores"], ["probabilities"], axis=1),
        ],
        [_constant("w", weights), _constant("b", offset)],
        [_value("features", ["n", num_features])],
        [_value("probabilities", ["n", num_classes])],
        {},
    )
