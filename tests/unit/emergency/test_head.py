"""The trees, their file, and what becomes of files that are not theirs."""

from __future__ import annotations

import dataclasses
import io
import zipfile

import numpy as np
import pytest

from anc_core.emergency.figure_names import FRAMES_PER_S, NUM_HEAD_FIGURES
from anc_core.emergency.head import Trees, trees_from_bytes, trees_to_bytes
from anc_core.emergency.ridges import ANALYSIS_RATE_HZ, HOP_LENGTH
from anc_core.errors import ModelBundleError


def stump(feature: int = 3, threshold: float = 0.5) -> Trees:
    """Two trees: one asks for a figure, one always adds 0.25."""
    return Trees(
        feature=np.array([feature, -1, -1, -1], np.int16),
        threshold=np.array([threshold, 0, 0, 0], np.float32),
        left=np.array([1, 0, 0, 0], np.int16),
        value=np.array([0, -2, 3, 0.25], np.float32),
        start=np.array([0, 3], np.int32),
        base=0.5,
    )


def figures(*values: float) -> np.ndarray:
    rows = np.zeros((len(values), NUM_HEAD_FIGURES), np.float32)
    rows[:, 3] = values
    return rows


def test_up_to_the_threshold_goes_left_and_above_goes_right():
    said = stump().scores(figures(0.4, 0.5, np.nextafter(np.float32(0.5), np.float32(1))))
    np.testing.assert_array_equal(said, [-1.25, -1.25, 3.75])


def test_the_file_holds_the_same_trees_and_the_same_bytes():
    content = trees_to_bytes(stump())
    again = trees_from_bytes(content, name="x")
    for field in dataclasses.fields(Trees):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(stump(), field.name))
    assert trees_to_bytes(again) == content


def changed(**arrays: object) -> bytes:
    return trees_to_bytes(dataclasses.replace(stump(), **arrays))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        changed(feature=np.array([NUM_HEAD_FIGURES, -1, -1, -1], np.int16)),
        changed(left=np.array([0, 0, 0, 0], np.int16)),
        changed(left=np.array([2, 0, 0, 0], np.int16)),
        changed(left=np.array([-1, 0, 0, 0], np.int16)),
        changed(value=np.array([0, np.nan, 3, 0.25], np.float32)),
        changed(threshold=np.array([np.inf, 0, 0, 0], np.float32)),
        changed(start=np.array([0, 9], np.int32)),
        changed(start=np.array([1, 3], np.int32)),
        changed(value=np.zeros(3, np.float32)),
        changed(base=float("nan")),
    ],
    ids=[
        *("empty", "not an archive", "unknown figure", "circle", "out of the tree", "backwards"),
        *("no answer", "no threshold", "no root", "first root", "lengths", "base"),
    ],
)
def test_trees_that_lead_nowhere_are_refused(content: bytes):
    with pytest.raises(ModelBundleError):
        trees_from_bytes(content, name="x")


def test_pickled_objects_are_not_loaded():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        part = io.BytesIO()
        np.lib.format.write_array(part, np.array([{}], object), allow_pickle=True)
        archive.writestr("feature.npy", part.getvalue())
    with pytest.raises(ModelBundleError):
        trees_from_bytes(buffer.getvalue(), name="x")


def test_the_frames_of_the_figures_are_those_of_the_ridges():
    assert FRAMES_PER_S * HOP_LENGTH == ANALYSIS_RATE_HZ
