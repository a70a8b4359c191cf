"""The picture of a confusion matrix."""

from __future__ import annotations

import numpy as np
import pytest

from anc_core.errors import InputError
from anc_core.reports.confusion_plot import draw_confusion


def _pixels(path):
    from matplotlib.image import imread

    return imread(path)


def test_a_picture_is_drawn_and_shows_the_counts(tmp_path):
    names = ["dog", "a name that is much too long for a picture", "$x$"]
    for name, confusion in {"a": np.eye(3, dtype=int) * 9, "b": np.full((3, 3), 3)}.items():
        draw_confusion(confusion.tolist(), names, tmp_path / f"{name}.png")
    first, second = (_pixels(tmp_path / f"{name}.png") for name in "ab")
    assert first.shape == second.shape
    assert min(first.shape[:2]) > 300
    assert np.abs(first - second).mean() > 0.01


def test_many_categories_stay_within_a_page(tmp_path):
    draw_confusion(np.eye(80, dtype=int).tolist(), [str(k) for k in range(80)], tmp_path / "a.png")
    assert max(_pixels(tmp_path / "a.png").shape[:2]) <= 4500


def test_a_matrix_of_another_size_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"shape \(1, 2\); 2 categories"):
        draw_confusion([[1, 0]], ["a", "b"], tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()
