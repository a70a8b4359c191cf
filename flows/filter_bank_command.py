"""``anc simulate --build-filter-bank``: fixed filters for the noises of a folder."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table

from flows.console import print_json, safe, stdout
from flows.options import EXIT_FAILED

if TYPE_CHECKING:
    from anc_core.jobs.simulate_bank import BankReport

_BELONGING = frozenset(
    (
        *("noise", "primary", "secondary", "estimate", "variable", "path_rate", "taps"),
        *("io_delay", "start", "duration", "channel", "recursive", "bank_file", "num_filters"),
        *("as_json", "quiet"),
    )
)
_NAMES = {"exports": "export", "grid_file": "sweep", "as_flow": "flow"}


def build(words: dict[str, Any]) -> None:
    """Build the bank that the options of ``anc simulate`` ask for, and show what is in it."""
    for name, value in words.items():
        if name not in _BELONGING and value:
            option = f"--{_NAMES.get(name, name).replace('_', '-')}"
            msg = f"{option} does not belong to --build-filter-bank"
            raise click.UsageError(msg)
    for name in ("primary", "secondary"):
        if not words[name]:
            msg = f"Missing option '--{name}'."
            raise click.UsageError(msg)
    from anc_core.jobs.simulate_bank import BankRequest, build_bank
    from anc_core.jobs.simulate_records import Excerpt, PathFiles
    from anc_core.settings import Settings

    paths = ("primary", "secondary", "estimate", "variable", "path_rate")
    given = {name: words[name] for name in ("io_delay", "num_filters") if words[name] is not None}
    request = BankRequest(
        noises=words["noise"],
        output=words["bank_file"],
        paths=PathFiles(**{name: words[name] for name in paths}),
        excerpt=Excerpt(
            start_s=words["start"] or 0.0, duration_s=words["duration"], channel=words["channel"]
        ),
        recursive=words["recursive"],
        num_taps=words["taps"],
        **given,
    )
    report = build_bank(request, Settings.load())
    (print_json if words["as_json"] else _print)(report)
    sys.exit(EXIT_FAILED if report.failures else 0)


def _print(report: BankReport) -> None:
    screen = stdout()
    table = Table(header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for title in ("filter", "noise\ns", "strongest\nband, Hz", "expected\ndB"):
        table.add_column(title, justify="right", no_wrap=True)
    for number, line in enumerate(report.classes):
        table.add_row(
            str(number), f"{line.noise_s:.1f}", line.strongest_band, f"{line.expected_db:.1f}"
        )
    screen.print(table)
    screen.print(
        f"{report.recordings} recordings, {report.num_taps} taps at {report.sample_rate} Hz; "
        "filter 0 is for all of them"
    )
    for failure in report.failures:
        screen.print(safe(f"{failure.path}: {failure.error_code} {failure.reason}"), soft_wrap=True)
    for remark in report.remarks:
        screen.print(safe(remark), soft_wrap=True)
    screen.print(safe(report.path), soft_wrap=True)
