"""Numbers as words: what flags, pages and Markdown share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def count_of(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun.

    Examples
    --------
    >>> count_of(1, "day"), count_of(2, "day")
    ('1 day', '2 days')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(names: Sequence[str]) -> str:
    """Return names as one writes them.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def percent(share: float, digits: int = 0) -> str:
    """Return a share as a percentage; what is more than nothing is not shown as 0 %.

    Examples
    --------
    >>> percent(0.123), percent(0.004), percent(0.004, 1)
    ('12 %', '0.4 %', '0.4 %')
    """
    value = 100 * share
    return f"{value:.{1 if 0 < value < 1 else digits}f} %"


def times_of(names: Iterable[str], most: int = 3) -> str:
    """Return what occurs most often, with its count.

    Examples
    --------
    >>> times_of(["siren", "siren", "horn"])
    'siren 2, horn 1'
    """
    counted = Counter(names).most_common()
    parts = [f"{name} {count}" for name, count in counted[:most]]
    rest = len(counted) - most
    return ", ".join(parts) + (f" and {rest} others" if rest > 0 else "")


def duration(seconds: float) -> str:
    """Return a length of time as people say it.

    Examples
    --------
    >>> duration(42), duration(5400), duration(200_000)
    ('42 s', '1.5 h', '2.3 days')
    """
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= size * (2 if unit == "days" else 1):
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def size(number: float) -> str:
    """Return a number of bytes as people say it.

    Examples
    --------
    >>> size(1_500_000), size(2e12)
    ('1.5 MB', '2.0 TB')
    """
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(number) >= limit:
            return f"{number / limit:.1f} {unit}"
    return f"{number:.0f} B"


def inert(text: str) -> str:
    """Return ``text`` without the signs that Markdown, HTML or a terminal would act on."""
    plain = _CONTROLS.sub(" ", text.encode(errors="replace").decode())
    for sign, entity in (
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("|", "&#124;"),
        ("`", "&#96;"),
    ):
        plain = plain.replace(sign, entity)
    return plain
