"""Where the time of a stream goes: seconds by stage, excluding each other."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Stopwatch:
    """Adds up wall-clock seconds under names; monotonic, so clock jumps do not matter."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Add the duration of the ``with`` block to ``name``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start

    def timed(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Yield from ``items``; the time spent in producing them goes to ``name``."""
        iterator = iter(items)
        while True:
            with self.time(name):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item
