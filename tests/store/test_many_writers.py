"""Eight processes write at once: no error, no lost row."""

from __future__ import annotations

import multiprocessing

import pytest
from sqlalchemy import func, select
from store_workers import write_for

from anc_core.store import check_integrity
from anc_core.store.tables import AudioSession, AuditEntry, NoiseDetection

WORKERS = 8


@pytest.mark.parametrize(
    "seconds", [4.0, pytest.param(120.0, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
def test_eight_writers_lose_nothing(sqlite_url, open_store, seconds):
    database = open_store(sqlite_url)
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    workers = [
        context.Process(target=write_for, args=(sqlite_url, number, seconds, answers))
        for number in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    told = [answers.get(timeout=seconds + 120) for _ in workers]
    for worker in workers:
        worker.join()
    assert [error for *_, error in told if error] == []
    written = sum(count for count, *_ in told)
    assert min(count for count, *_ in told) > 0  # nobody was starved
    with database.read() as db:
        assert db.scalar(select(func.count()).select_from(AudioSession)) == written
        assert db.scalar(select(func.count()).select_from(AuditEntry)) == written
        assert db.scalar(select(func.count()).select_from(NoiseDetection)) == 2 * written
    assert check_integrity(database) == []
    longest_s = max(longest for _, longest, _ in told)
    print(
        f"{written} sessions in {seconds} s; the longest of {3 * written} waits: {longest_s:.2f} s"
    )
