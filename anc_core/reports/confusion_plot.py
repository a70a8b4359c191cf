"""A picture of a confusion matrix."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten

import numpy as np

from anc_core.errors import InputError
from anc_core.files import atomic_path

_DPI = 150
_MAX_NAME = 24
_NUMBERS_UP_TO = 30
"""Categories; the numbers of more could not be read."""


def draw_confusion(
    confusion: Sequence[Sequence[int]], categories: Sequence[str], path: Path
) -> None:
    """Write the matrix as PNG to ``path``.

    Parameters
    ----------
    confusion : sequence of sequences of int
        Row: what it is; column: what it was taken for. Shades are shares of the row.
    categories : sequence of str
        Names of rows and columns.
    path : Path
        Ends in ``.png``.

    Raises
    ------
    InputError
        If the matrix is not square or the names are not as many.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    counts = np.asarray(confusion)
    size = len(categories)
    if counts.shape != (size, size):
        msg = f"the matrix has shape {counts.shape}; {size} categories need ({size}, {size})"
        raise InputError(msg)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    inches = 2.6 + 0.42 * min(size, 60)
    figure = Figure(figsize=(inches, inches), layout="constrained")
    FigureCanvasAgg(figure)  # draws without pyplot, which would look for a display
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    names = [shorten(name, _MAX_NAME, placeholder="…") or "…" for name in categories]
    axes.set_xticks(range(size), names, rotation=90, fontsize=8, parse_math=False)
    axes.set_yticks(range(size), names, fontsize=8, parse_math=False)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    if size <= _NUMBERS_UP_TO:
        for row, column in zip(*np.nonzero(counts), strict=True):
            ink = "white" if shares[row, column] > 0.5 else "#222222"
            text = str(counts[row, column])
            axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=8)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DPI)
    with atomic_path(path) as part:
        part.write_bytes(content.getvalue())
