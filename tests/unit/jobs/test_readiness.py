"""What is ready before the first recording comes."""

from __future__ import annotations

import sys

from anc_core.jobs.pool import WorkerPool
from anc_core.jobs.readiness import get_ready

_NEEDED = ("anc_core.pipeline.attempt", "anc_core.emergency.ridges", "onnxruntime", "sqlalchemy")


def loaded() -> list[str]:
    return [name for name in _NEEDED if name in sys.modules]


def test_what_takes_long_to_load_is_there_before_the_first_shard() -> None:
    with WorkerPool(1) as pool:
        assert pool.run(loaded) == []
        pool.run(get_ready)
        assert pool.run(loaded) == [*_NEEDED]
