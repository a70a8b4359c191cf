"""Names of fields as a person reads them in a form."""

from __future__ import annotations

_UNITS = {
    "s": "(s)",
    "ms": "(ms)",
    "db": "(dB)",
    "hz": "(Hz)",
    "hours": "(hours)",
    "days": "(days)",
    "seconds": "(s)",
    "bytes": "(bytes)",
}
_WORDS = {"anc": "ANC", "id": "ID", "csv": "CSV", "api": "API", "dir": "folder"}


def title_of(name: str) -> str:
    """Return the name of a parameter in words, its unit in brackets.

    Examples
    --------
    >>> title_of("older_than_days"), title_of("apply_anc"), title_of("max_attenuation_db")
    ('Older than (days)', 'Apply ANC', 'Max attenuation (dB)')
    """
    first, *others = name.split("_")
    unit = _UNITS.get(others[-1]) if others else None
    words = [first, *(others[:-1] if unit else others)]
    text = " ".join(_WORDS.get(word, word) for word in words)
    return f"{text[:1].upper()}{text[1:]}" + (f" {unit}" if unit else "")
