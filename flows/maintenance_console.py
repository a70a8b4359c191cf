"""Tables of the maintenance commands on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from flows.console import safe, stdout


def print_rows(
    rows: Sequence[Mapping[str, str]],
    *,
    style_of: Callable[[Mapping[str, str]], str] = lambda _: "",
) -> None:
    """Print ``rows``, whose keys are the titles; text from outside cannot act on the terminal."""
    if not rows:
        return
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for title in rows[0]:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(safe(cell) for cell in row.values()), style=style_of(row))
    stdout().print(table)
