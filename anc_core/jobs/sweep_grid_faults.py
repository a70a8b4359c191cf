"""What is wrong with the grid of a sweep, in words: the line, the key, the rule and the cure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_MEANT = {
    **dict.fromkeys(("algorithms", "algo", "method", "methods"), "algorithm"),
    **dict.fromkeys(("step", "steps", "step_sizes", "mu", "learning_rate"), "step_size"),
    **dict.fromkeys(("taps", "length", "order", "filter_length"), "num_taps"),
    **dict.fromkeys(("device_delay", "io_delays", "latency"), "io_delay"),
    **dict.fromkeys(("gain", "gains"), "gain_db"),
    **dict.fromkeys(("delay", "delays"), "delay_samples"),
    **dict.fromkeys(("phase", "phases", "phase_degrees"), "phase_deg"),
    **dict.fromkeys(("duration", "seconds"), "duration_s"),
    **dict.fromkeys(("guards", "guarded", "no_guard"), "guard"),
}
"""Words of other programs and of the command line -> ours."""

_RULES = {
    "greater_than": "above {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "below {lt:g}",
    "less_than_equal": "at most {le:g}",
    "literal_error": "{expected}",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a word in quotes",
}
"""Type of pydantic's error -> what the value must be."""


class UnknownKeyError(ValueError):
    """A key that no grid has.

    Attributes
    ----------
    key : str
    where : str
        Its section; empty at the top.
    """

    def __init__(self, key: str, where: str, message: str) -> None:
        super().__init__(message)
        self.key, self.where = key, where


def refuse_unknown_keys(given: Mapping[str, Any], model: type[BaseModel], where: str = "") -> None:
    """Refuse a key that ``model`` does not have, with the one that was probably meant.

    Raises
    ------
    UnknownKeyError
        Also for the sections of ``model``; ``where`` is the section ``given`` comes from.
    """
    known = dict.fromkeys(model.model_fields, "")
    sections: dict[str, type[BaseModel]] = {}
    for key, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            sections[key] = kind
    inside = {key: section for section, kind in sections.items() for key in kind.model_fields}
    for key in given:
        if key not in known:
            raise UnknownKeyError(key, where, _hint(key, where, known, inside))
    for key, kind in sections.items():
        if isinstance(part := given.get(key), Mapping):
            refuse_unknown_keys(part, kind, key)


def _hint(key: str, where: str, known: Mapping[str, str], inside: Mapping[str, str]) -> str:
    place = f" under [{where}]" if where else ""
    meant = key if key in inside else _MEANT.get(key.lower())
    if meant is None or (meant not in known and meant not in inside):
        near = difflib.get_close_matches(key.lower(), [*known, *inside], n=1, cutoff=0.6)
        meant = near[0] if near else None
    if meant is None:
        return f"{key!r}{place} is unknown; known: {', '.join(known)}"
    under = f" under [{inside[meant]}]" if meant not in known else ""
    return f"{key!r}{place} is unknown; did you mean {meant!r}{under}?"


def describe_faults(err: ValidationError, text: str = "") -> str:
    """Return every fault in a clause of its own: where, which value, the rule.

    Parameters
    ----------
    err : ValidationError
    text : str
        The TOML the values come from, so that the line can be named.
    """
    return "; ".join(_described(fault, text) for fault in err.errors())


def _described(fault: ErrorDetails, text: str) -> str:
    place, context = fault["loc"], fault.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, UnknownKeyError):
        return _with_line(text, cause.where, cause.key, str(cause))
    names = [str(part) for part in place if isinstance(part, str)]
    section, key = (names[0], names[1]) if len(names) > 1 else ("", names[0] if names else "")
    if not key:
        # The only rule over the whole grid is that of the algorithms' names.
        return _with_line(text, "", "algorithm", str(cause or fault["msg"]))
    return _with_line(text, section, key, _rule(fault, place, context))


def _rule(fault: ErrorDetails, place: Sequence[int | str], context: Mapping[str, Any]) -> str:
    name = ".".join(str(part) for part in place if isinstance(part, str))
    kind, given = fault["type"], fault["input"]
    if kind == "too_short":
        return f"{name} is an empty list; give it a value, or leave the key out for the default"
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        return f"{name} is {given!r}; it must be a section: [{name}] with its keys below"
    number = "".join(f"[{part}]" for part in place if isinstance(part, int))
    rule = _RULES.get(kind)
    if rule is None:
        return f"{name}{number} is {given!r}; {fault['msg']}"
    must = rule.format(**context) if context else rule
    word = ' or "default"' if name in {"step_size", "num_taps"} else ""
    return f"{name}{number} is {given!r}; it must be {must}{word}"


def _with_line(text: str, section: str, key: str, words: str) -> str:
    line = line_of(text, section, key)
    return words if line is None else f"line {line}: {words}"


def line_of(text: str, section: str, key: str) -> int | None:
    r"""Return the line of ``text``, from 1, where ``key`` of ``section`` is set, if it is found.

    Dotted keys and inline tables are found by their first word.

    Examples
    --------
    >>> line_of("a = 1\n[run]\na = 2", "run", "a")
    3
    """
    now = ""
    for number, line in enumerate(text.splitlines(), 1):
        head = re.match(r"\s*\[+\s*([\w-]+)", line)
        words = re.match(r"""\s*["']?([\w-]+)["']?\s*[.=]""", line)
        if head is not None:
            now = head[1]
            if not section and now == key:
                return number
        elif words is not None:
            if now == section and words[1] == key:
                return number
            if not now and words[1] == section:
                return number
    return None
