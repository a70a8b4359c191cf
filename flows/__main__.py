"""``python -m flows`` is ``anc``."""

from flows.cli import program

program()
