"""The learned head: how much half a second, with its context, is like an alarm.

A sum of decision trees (gradient boosting, Friedman 2001) over the figures of a cell and the scores
of the rules. The trees are arrays in one file that cannot execute code; a small kernel walks them.
"""

from __future__ import annotations

import functools
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from anc_core.bundles.bundle import Bundle, open_bundle
from anc_core.dsp.jit import jit
from anc_core.emergency.choice import KIND, MODEL_FILE, Thresholds, check_card
from anc_core.emergency.figure_names import NUM_HEAD_FIGURES
from anc_core.errors import ErrorCode, ModelBundleError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ARRAYS = {"feature": np.int16, "threshold": np.float32, "left": np.int16, "value": np.float32}
_MAX_NODES = 2_000_000


class CellModel(Protocol):
    """What scores the figures of cells."""

    def scores(self, figures: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the log-odds of an alarm, shape (num_cells,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """Trees one after the other, nodes within each numbered from its root.

    Attributes
    ----------
    feature : ndarray of int16, shape (num_nodes,)
        What a node asks for, -1 at a leaf.
    threshold : ndarray of float32, shape (num_nodes,)
        Up to it (inclusive) the answer is the left child.
    left : ndarray of int16, shape (num_nodes,)
        Left child within the tree; the right one is next to it.
    value : ndarray of float32, shape (num_nodes,)
        What a leaf adds.
    start : ndarray of int32, shape (num_trees,)
        Root of every tree.
    base : float
        What the sum begins with.
    """

    feature: NDArray[np.int16]
    threshold: NDArray[np.float32]
    left: NDArray[np.int16]
    value: NDArray[np.float32]
    start: NDArray[np.int32]
    base: float

    def scores(self, figures: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the log-odds of an alarm.

        Parameters
        ----------
        figures : ndarray of float32, shape (num_cells, NUM_HEAD_FIGURES)

        Returns
        -------
        ndarray of float64, shape (num_cells,)
        """
        sums = np.full(len(figures), self.base)
        _walk(figures, self.feature, self.threshold, self.left, self.value, self.start, sums)
        return sums


@jit(
    "void(float32[:, ::1], int16[::1], float32[::1], int16[::1], float32[::1], int32[::1],"
    " float64[::1])"
)
def _walk(
    figures: NDArray[np.float32],
    feature: NDArray[np.int16],
    threshold: NDArray[np.float32],
    left: NDArray[np.int16],
    value: NDArray[np.float32],
    start: NDArray[np.int32],
    sums: NDArray[np.float64],
) -> None:
    """Add to ``sums`` what the trees say of every row."""
    for row in range(len(figures)):
        for tree in range(len(start)):
            root = start[tree]
            node = root
            while feature[node] >= 0:
                is_more = figures[row, feature[node]] > threshold[node]
                node = root + left[node] + is_more
            sums[row] += value[node]


@dataclass(frozen=True, slots=True)
class Head:
    """A model ready to listen."""

    trees: CellModel
    thresholds: Thresholds
    model_id: str


def trees_to_bytes(trees: Trees) -> bytes:
    """Return the content of :data:`MODEL_FILE`; the same trees give the same bytes."""
    buffer = io.BytesIO()
    arrays = {name: getattr(trees, name) for name in (*_ARRAYS, "start")}
    arrays["base"] = np.array([trees.base], np.float64)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            part = io.BytesIO()
            np.lib.format.write_array(part, arrays[name], allow_pickle=False)
            # A fixed date: a bundle is known by its digest.
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (2000, 1, 1, 0, 0, 0)), part.getvalue())
    return buffer.getvalue()


def trees_from_bytes(content: bytes, *, name: str) -> Trees:
    """Return the trees in ``content``, every index checked.

    Raises
    ------
    ModelBundleError
        MODEL_HASH if they would lead out of their arrays or to no finite answer.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {key: archive[key].astype(dtype) for key, dtype in _ARRAYS.items()}
            start = archive["start"].astype(np.int32)
            base = float(archive["base"][0])
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
        msg = f"{name}: {MODEL_FILE} is no set of trees: {error}"
        raise ModelBundleError(ErrorCode.MODEL_HASH, msg) from None
    trees = Trees(**arrays, start=start, base=base)
    if not _is_sound(trees):
        msg = f"{name}: the trees lead nowhere; fetch the bundle again"
        raise ModelBundleError(ErrorCode.MODEL_HASH, msg)
    return trees


def _is_sound(trees: Trees) -> bool:
    """Return whether every walk ends at a leaf with a finite value, inside its own tree."""
    num = len(trees.feature)
    lengths = {len(getattr(trees, name)) for name in _ARRAYS}
    start = trees.start.astype(np.int64)
    if lengths != {num} or not 0 < num <= _MAX_NODES or not len(start) or start[0] != 0:
        return False
    ends = np.append(start[1:], num)
    if not np.all(ends > start):
        return False
    size = np.repeat(ends - start, ends - start)
    place = np.arange(num) - np.repeat(start, ends - start)
    inner = trees.feature >= 0
    # Children come after their parents, so no walk can go round in a circle.
    follows = (trees.left > place) & (trees.left + 1 < size)
    return bool(
        np.all(trees.feature < NUM_HEAD_FIGURES)
        and np.all(follows[inner])
        and np.all(np.isfinite(trees.threshold[inner]))
        and np.all(np.isfinite(trees.value))
        and np.isfinite(trees.base)
    )


def load_head(bundle: Bundle) -> Head:
    """Return the head of a bundle, loaded once a process.

    Raises
    ------
    ModelBundleError
        If it is missing, changed, unsound, or not for this version's figures.
    """
    return _load(bundle.path, bundle.digest)


@functools.lru_cache(maxsize=4)
def _load(path: Path, digest: str) -> Head:
    bundle = open_bundle(path, kind=KIND, digest=digest)
    thresholds = check_card(bundle)
    trees = trees_from_bytes(bundle.read(MODEL_FILE), name=bundle.model_id)
    return Head(trees, thresholds, bundle.model_id)
