"""What all pages share: the environment of their templates, and how numbers are written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")


def page_environment() -> Any:  # noqa: ANN401 - jinja2 is loaded only here
    """Return the environment of the templates: every text is escaped, nothing may be undefined."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        finalize=_without_controls,
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "signed": _signed, "share": _share}
    return environment


def _without_controls(value: object) -> object:
    """Return text without what HTML forbids and terminals obey; drawings and numbers as they are.

    References
    ----------
    HTML Living Standard, 13.2.3.5, "control-character-in-input-stream".
    """
    if not isinstance(value, str) or not _CONTROLS.search(value):
        return value
    return type(value)(_CONTROLS.sub("\ufffd", value))


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
