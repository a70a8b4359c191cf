"""``anc runs suspend`` and ``resume``: what ``prefect flow-run`` does not have."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import click

from flows.options import load_settings


@click.group()
def runs() -> None:
    """Stop a run half-way and let it go on; ``prefect flow-run`` lists, cancels and retries."""


@runs.command()
@click.argument("run_id", type=click.UUID)
def suspend(run_id: UUID) -> None:
    """Let the run RUN_ID finish the shards that it is at, then end its process."""
    _on_the_server("suspend_flow_run", run_id)
    click.echo(f"{run_id} is suspended; to go on: anc runs resume {run_id}")


@runs.command()
@click.argument("run_id", type=click.UUID)
def resume(run_id: UUID) -> None:
    """Put the suspended run RUN_ID in its queue again; what it has done is not done again."""
    _on_the_server("resume_flow_run", run_id)
    click.echo(f"{run_id} goes on as soon as a worker is free")


def _on_the_server(what: str, run_id: UUID) -> None:
    """Call the function of that name in Prefect on the server of this home.

    Raises
    ------
    InputError
        If the server knows no such run, or its state does not allow it.
    """
    from anc_core.errors import InputError
    from flows.prefect_defaults import apply_prefect_defaults
    from flows.standing_server import use_standing_server

    use_standing_server(load_settings(None))
    apply_prefect_defaults()
    from prefect import flow_runs
    from prefect.exceptions import ObjectNotFound, PrefectException

    function: Callable[..., object] = getattr(flow_runs, what)
    try:
        function(flow_run_id=run_id)
    except ObjectNotFound as err:
        msg = f"run {run_id}: the server knows none of this id"
        raise InputError(msg) from err
    except (RuntimeError, PrefectException) as err:
        msg = f"run {run_id}: {err}"
        raise InputError(msg) from err
