"""What a person sees in the form of a run: titles with units, and lists to choose from.

Context: Prefect shows the name of the parameter as its title, and takes descriptions from the
docstring only.
Decision: :func:`form` adds titles and choices to the signature that Prefect reads.
Consequence: the form changes, not the function; calls from Python see no difference.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeAlias, TypeVar

from pydantic import Field, WithJsonSchema

from anc_core.titles import title_of

P = ParamSpec("P")
R = TypeVar("R")

PlaceName: TypeAlias = Annotated[str | Path, WithJsonSchema({"type": "string", "format": "path"})]
"""A path or a URL, as text: :class:`pathlib.Path` would take a slash from a URL."""

# To a type checker Annotated is no function; here its argument is a value.
_annotated: Any = Annotated


def form(
    *,
    titles: Mapping[str, str] | None = None,
    choices: Mapping[str, Sequence[str]] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator for the function beneath ``@flow``.

    Parameters
    ----------
    titles : mapping, optional
        Where :func:`title_of` does not say it well.
    choices : mapping, optional
        Values that a text parameter may have; a ``Literal`` needs none.
    """
    given, allowed = titles or {}, choices or {}

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function, eval_str=True)
        shown = []
        for name, parameter in signature.parameters.items():
            extra: dict[str, Any] = {"title": given.get(name, title_of(name))}
            if name in allowed:
                extra["enum"] = list(allowed[name])
            kind = _annotated[parameter.annotation, Field(json_schema_extra=extra)]
            shown.append(parameter.replace(annotation=kind))
        function.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
        return function

    return decorate
