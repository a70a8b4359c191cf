"""``anc doctor``: what is wrong with this installation, with the cure on the same line."""

from __future__ import annotations

import sys

import click


@click.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65_534),
    default=4200,
    show_default=True,
    help="That of anc serve.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
def doctor(port: int, as_json: bool) -> None:
    """Examine this installation.

    Exit code 0: all well; 1: something to mend; 2: something does not work.
    """
    from flows.console import print_json, print_table
    from flows.doctor import examine

    diagnosis = examine(port)
    if as_json:
        print_json(diagnosis)
    else:
        print_table(
            ("", "what", "finding", "cure"),
            [(a.verdict, a.name, a.finding, a.cure or "") for a in diagnosis.answers],
        )
    sys.exit(diagnosis.exit_code)
