"""``anc db seed``: fill a database with made-up sessions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from flows.options import database_option, open_store

_PLANTS = (
    "failure-burst",
    "negative-cancellation",
    "silent-device",
    "missed-schedule",
    "safety-violation",
)


@click.command("seed")
@click.option("--sessions", type=click.IntRange(0, 10_000_000), default=1_000, show_default=True)
@click.option(
    "--days",
    type=click.IntRange(1, 3_660),
    default=35,
    show_default=True,
    help="Over which they are spread.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 10**9),
    default=1,
    show_default=True,
    help="The same seed draws the same sessions.",
)
@click.option(
    "--end",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Last day (UTC); default: yesterday.",
)
@click.option(
    "--plant",
    "plants",
    multiple=True,
    type=click.Choice(_PLANTS),
    help="Anomaly of the last day, for a report to find; may be given several times.",
)
@database_option
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def db_seed(
    sessions: int,
    days: int,
    seed: int,
    end: datetime | None,
    plants: tuple[str, ...],
    database_url: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Fill the database with made-up sessions, to try reports out or to measure.

    Nothing of it was ever recorded: no file exists. Take a database of its own for it.
    """
    from anc_core.jobs.seed import SeedRequest, seed_store
    from anc_core.jobs.seed_draws import Plant
    from flows.console import counting_bar, print_json, safe, stdout

    _, database = open_store(database_url)
    request = SeedRequest(
        sessions=sessions,
        days=days,
        seed=seed,
        last_day=end.date() if end else datetime.now(UTC).date() - timedelta(days=1),
        plants=tuple(Plant(plant) for plant in plants),
    )
    with counting_bar("seeding", quiet=quiet) as show:
        summary = seed_store(database, request, on_progress=show)
    if as_json:
        print_json(summary)
        return
    words = (
        f"{summary.sessions} sessions, {summary.windows} windows, {summary.intervals} intervals, "
        f"{summary.events} events and {summary.requests} requests of {summary.first_day} to "
        f"{summary.last_day} are in {summary.database} ({summary.wall_s:.0f} s)"
    )
    stdout().print(safe(words))
