"""Cut a batch into shards: enough to keep the workers busy, few enough to cost nothing."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from typing import Protocol, TypeVar

from anc_core.errors import InputError

MAX_SHARDS = 200  # a task run costs the Prefect server 13-50 ms and 22 kB each


class Estimated(Protocol):
    """Work of which somebody has guessed how long it takes."""

    @property
    def estimate_s(self) -> float:
        """CPU seconds."""


Job = TypeVar("Job", bound=Estimated)


def cut_shards(jobs: Sequence[Job], *, shard_s: float, workers: int) -> list[tuple[Job, ...]]:
    """Return shards of about ``shard_s`` of estimated work each, the longest first.

    Parameters
    ----------
    jobs : sequence
        With their ``estimate_s``: a recording to clean, cells to simulate.
    shard_s : float
        Estimated CPU seconds a shard should hold (10 to 30: a task run costs about 0.2).
    workers : int
        At least so many shards, as long as there are jobs, so that no worker idles.

    Raises
    ------
    InputError
        If ``shard_s`` or ``workers`` is not positive.

    Notes
    -----
    Longest processing time first (Graham 1969): each job, longest first, goes to the shard with
    the least work so far, which is within 4/3 of the best possible balance.
    """
    if not shard_s > 0 or workers < 1:
        msg = f"shard_s is {shard_s} and workers {workers}; both must be positive"
        raise InputError(msg)
    if not jobs:
        return []
    total_s = sum(job.estimate_s for job in jobs)
    count = min(max(math.ceil(total_s / shard_s), min(workers, len(jobs))), MAX_SHARDS, len(jobs))
    # Among equal loads the emptier shard is next: jobs without an estimate fill every shard too.
    heap: list[tuple[float, int, int, list[Job]]] = [(0.0, 0, index, []) for index in range(count)]
    for job in sorted(jobs, key=lambda job: -job.estimate_s):
        load_s, num_jobs, index, shard = heap[0]
        shard.append(job)
        heapq.heapreplace(heap, (load_s + job.estimate_s, num_jobs + 1, index, shard))
    return [tuple(shard) for *_, shard in sorted(heap, key=lambda entry: -entry[0])]
