"""What all pages share: the environment of their templates, and how numbers are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def page_environment() -> Any:  # noqa: ANN401 - jinja2 is loaded only here
    """Return the environment of the templates: every text is escaped, nothing may be undefined."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "signed": _signed, "share": _share}
    return environment


def _number(value: float | None, digits: int = 1) -> str:
    if value is None:
        return "–"
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def _signed(value: float | None, digits: int = 1) -> str:
    if value is None:
        return "–"
    rounded = round(value, digits)
    return f"{rounded + 0.0:+.{digits}f}".replace("-", "−")


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"
