"""Laws of sharing out: nothing lost, nothing doubled, the load balanced."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anc_core.jobs.records import RecordingJob
from anc_core.jobs.shards import MAX_SHARDS, cut_shards

ESTIMATES = st.lists(st.floats(0.0, 1e4), max_size=60)


def jobs(estimates_s: list[float]) -> list[RecordingJob]:
    return [
        RecordingJob(source=Path(f"{index}.wav"), estimate_s=estimate_s)
        for index, estimate_s in enumerate(estimates_s)
    ]


@given(ESTIMATES, st.floats(0.1, 3600.0), st.integers(1, 300))
def test_every_job_is_in_exactly_one_shard(
    estimates_s: list[float], shard_s: float, workers: int
) -> None:
    shards = cut_shards(jobs(estimates_s), shard_s=shard_s, workers=workers)
    dealt = sorted(job.source for shard in shards for job in shard)
    assert dealt == sorted(job.source for job in jobs(estimates_s))
    assert len(shards) <= MAX_SHARDS
    assert len(shards) >= min(workers, len(estimates_s), MAX_SHARDS)
    assert all(shards)


@given(ESTIMATES.filter(any), st.floats(0.1, 3600.0), st.integers(1, 300))
def test_no_shard_is_longer_than_grahams_bound(
    estimates_s: list[float], shard_s: float, workers: int
) -> None:
    shards = cut_shards(jobs(estimates_s), shard_s=shard_s, workers=workers)
    mean_s, count = sum(estimates_s) / len(shards), len(shards)
    # Graham 1969: whoever is dealt to the emptiest ends at most at mean + (1 - 1/m) · longest.
    bound_s = mean_s + (1 - 1 / count) * max(estimates_s)
    longest_s = max(sum(job.estimate_s for job in shard) for shard in shards)
    assert longest_s <= bound_s or longest_s == pytest.approx(bound_s, rel=1e-12)


@given(ESTIMATES, st.integers(1, 8))
def test_cut_is_the_same_every_time(estimates_s: list[float], workers: int) -> None:
    first = cut_shards(jobs(estimates_s), shard_s=15.0, workers=workers)
    assert cut_shards(jobs(estimates_s), shard_s=15.0, workers=workers) == first
