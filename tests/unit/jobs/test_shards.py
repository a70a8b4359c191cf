from __future__ import annotations

from pathlib import Path

import pytest

from anc_core.errors import InputError
from anc_core.jobs.records import RecordingJob
from anc_core.jobs.shards import MAX_SHARDS, cut_shards


def jobs(*estimates_s: float) -> list[RecordingJob]:
    return [
        RecordingJob(source=Path(f"{index}.wav"), estimate_s=estimate_s)
        for index, estimate_s in enumerate(estimates_s)
    ]


def loads(shards: list[tuple[RecordingJob, ...]]) -> list[float]:
    return [sum(job.estimate_s for job in shard) for shard in shards]


def test_no_jobs_make_no_shards() -> None:
    assert cut_shards([], shard_s=15.0, workers=4) == []


def test_one_job_is_one_shard() -> None:
    assert len(cut_shards(jobs(1000.0), shard_s=15.0, workers=4)) == 1


def test_shards_hold_about_what_is_asked_for() -> None:
    shards = cut_shards(jobs(*[1.0] * 150), shard_s=15.0, workers=2)
    assert loads(shards) == [15.0] * 10


def test_every_worker_gets_a_shard_of_little_work() -> None:
    assert len(cut_shards(jobs(0.1, 0.1, 0.1, 0.1), shard_s=15.0, workers=3)) == 3


def test_there_are_never_more_shards_than_jobs() -> None:
    assert len(cut_shards(jobs(100.0, 100.0), shard_s=1.0, workers=8)) == 2


def test_number_of_shards_is_bounded() -> None:
    assert len(cut_shards(jobs(*[1.0] * 5_000), shard_s=1.0, workers=2)) == MAX_SHARDS


def test_longest_shard_starts_first() -> None:
    found = loads(cut_shards(jobs(1, 2, 3, 50, 4), shard_s=10.0, workers=2))
    assert found == sorted(found, reverse=True)
    assert found[0] == 50


def test_jobs_without_an_estimate_are_shared_too() -> None:
    shards = cut_shards(jobs(0.0, 0.0, 0.0), shard_s=15.0, workers=2)
    assert sorted(job.source.name for shard in shards for job in shard) == [
        "0.wav",
        "1.wav",
        "2.wav",
    ]


@pytest.mark.parametrize(("shard_s", "workers"), [(0.0, 1), (-1.0, 1), (float("nan"), 1), (1.0, 0)])
def test_impossible_sizes_are_refused(shard_s: float, workers: int) -> None:
    with pytest.raises(InputError):
        cut_shards(jobs(1.0), shard_s=shard_s, workers=workers)
