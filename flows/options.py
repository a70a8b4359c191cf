"""What the commands of ``anc`` share: options, settings, the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from anc_core.presets import CancellationParameters, SuppressionOverrides
    from anc_core.remote.address import RemotePath
    from anc_core.settings import Settings
    from anc_core.store import Database

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130

F = TypeVar("F", bound=Callable[..., Any])


# Without arguments: older click has none for it.
class PlaceType(click.ParamType):  # type: ignore[type-arg]
    """A path of this machine, or the URL of what lies elsewhere."""

    name = "path"

    def convert(
        self,
        value: str | Path | RemotePath,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path | RemotePath:
        """Return what ``value`` means; a URL that can't be used is a mistake of the command."""
        from anc_core.errors import InputError
        from anc_core.remote.address import place

        try:
            return place(value)
        except InputError as err:
            self.fail(str(err), param, ctx)


def options(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Return one decorator that does what ``decorators`` do, the first being the outermost."""

    def apply(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


def moment_option(*names: str, help: str) -> Callable[[F], F]:  # noqa: A002 - click's own word
    """Return an option that takes a moment; without a time zone it is UTC."""

    def aware(
        _context: click.Context, _option: click.Parameter, value: datetime | None
    ) -> datetime | None:
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)

    formats = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]
    return click.option(*names, type=click.DateTime(formats), callback=aware, help=help)


mode_option = click.option(
    "--mode",
    type=click.Choice(["auto", "suppress", "cancel"]),
    default="auto",
    show_default=True,
    help="auto cancels where there is a reference.",
)

database_option = click.option("--database-url", help="SQLAlchemy URL; default: ANC_DATABASE_URL.")

new_model_options = options(
    click.option("--version", help="Name of the new version; by default the time."),
    click.option(
        "--models-dir",
        type=click.Path(path_type=Path, file_okay=False),
        help="Registry that the model goes to; by default this installation's.",
    ),
    click.option(
        "--promote",
        type=click.Choice(["if_better", "always", "never"]),
        default="if_better",
        show_default=True,
        help="Whether to put it into use.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print the flow's record on stdout."),
)
"""Of a training, whatever it trains."""

session_options = options(
    click.option("-p", "--preset", default="default", show_default=True, help="Named numbers."),
    click.option("--analyse-only", is_flag=True, help="Measure; an output is the input itself."),
    click.option(
        "--overwrite",
        type=click.Choice(["skip", "fail", "replace"]),
        default="skip",
        show_default=True,
        help="What to do where the same was done before.",
    ),
    click.option("--device-id", help="Recorder that it comes from."),
    click.option(
        "--gain-setting", help="Gain that it was recorded with, in the words of its calibration."
    ),
    click.option("--user-id", help="Person it belongs to."),
    click.option("--site", help="Place it was recorded at."),
    database_option,
    click.option("--flow", "as_flow", is_flag=True, help="Run as a Prefect flow."),
    click.option("--json", "as_json", is_flag=True, help="Print the record as JSON."),
    click.option("-q", "--quiet", is_flag=True, help="No progress bar."),
)

suppression_options = options(
    click.option(
        "--method",
        type=click.Choice(["auto", "neural", "spectral"]),
        help="Engine that suppresses; default: that of the preset, the best one installed.",
    ),
    click.option(
        "--strength",
        type=click.FloatRange(0.0, 1.0),
        help="0 = untouched, 1 = full; default: that of the preset.",
    ),
    click.option(
        "--max-attenuation",
        type=click.FloatRange(0.0, 80.0),
        metavar="DB",
        help="Nothing is lowered by more; default: that of the preset.",
    ),
    click.option(
        "--link-channels/--independent-channels",
        default=None,
        help="One gain for all channels, so that a stereo image stays where it is.",
    ),
)


def suppression_overrides(words: dict[str, Any]) -> SuppressionOverrides:
    """Take the words of :data:`suppression_options` out of ``words``."""
    from anc_core.presets import SuppressionOverrides

    return SuppressionOverrides(
        method=words.pop("method"),
        strength=words.pop("strength"),
        max_attenuation_db=words.pop("max_attenuation"),
        link_channels=words.pop("link_channels"),
    )


cancellation_options = options(
    click.option(
        "--reference-channel",
        type=click.IntRange(1, 1024),
        metavar="N",
        help="Channel, from 1, that heard the noise: of the reference, else of the recording.",
    ),
    click.option("--algorithm", default="kalman", show_default=True, help="Adaptive filter."),
    click.option(
        "--taps", type=click.IntRange(1, 65_536), help="Length of the filter; default: 0.5 s."
    ),
    click.option(
        "--step-size",
        type=click.FloatRange(0.0, 2.0, min_open=True, max_open=True),
        help="Of the filter; default: what suits the algorithm.",
    ),
    click.option(
        "--align/--no-align",
        default=True,
        show_default=True,
        help="Find and correct the reference's delay and the drift of its clock.",
    ),
    click.option(
        "--max-delay",
        type=click.FloatRange(0.0, 1.25, min_open=True),
        default=1.0,
        show_default=True,
        help="Seconds, either way.",
    ),
)


def cancellation_parameters(words: dict[str, Any]) -> CancellationParameters:
    """Take the words of :data:`cancellation_options` out of ``words``."""
    from anc_core.presets import CancellationParameters

    return CancellationParameters(
        algorithm=words.pop("algorithm"),
        num_taps=words.pop("taps"),
        step_size=words.pop("step_size"),
        reference_channel=words.pop("reference_channel"),
        align=words.pop("align"),
        max_delay_s=words.pop("max_delay"),
    )


def load_settings(database_url: str | None, **overrides: Any) -> Settings:  # noqa: ANN401
    """Return the settings of this installation with what the options changed."""
    from anc_core.settings import Settings

    settings = Settings.load(database_url=database_url, **overrides)
    configure_command_logs(settings)
    return settings


def configure_command_logs(settings: Settings) -> None:
    """Let a command write its lines to standard error, beside what it says itself.

    In the words of a terminal, what went as it should is told by the result: lines below WARNING
    are for who asks for them, by ``ANC_LOG_LEVEL`` or ``ANC_LOG_JSON``.
    """
    from dataclasses import replace

    from anc_core.logs import configure_logs

    style = settings.log_style
    if not style.as_json and "log_level" not in settings.model_fields_set:
        style = replace(style, level="WARNING")
    configure_logs(style)


def open_store(database_url: str | None) -> tuple[Settings, Database]:
    """Return settings and database, which is created or brought up to date."""
    from anc_core.store import open_database

    settings = load_settings(database_url)
    return settings, open_database(settings.resolved_database_url)


def use_database(settings: Settings) -> None:
    """Let the flow, which reads the environment itself, find what the options named."""
    import os

    os.environ["ANC_DATABASE_URL"] = settings.resolved_database_url
    os.environ["ANC_WORKERS"] = str(settings.workers)


def tell_of_alerts(settings: Settings) -> None:
    """Send the alerts of emergencies that were heard; what could not be sent is one line."""
    if settings.alert_webhook_url is None:
        return
    from flows.alert_sending import send_after_run

    words = send_after_run(settings)
    if words is not None:
        click.echo(f"anc: {words}", err=True)
