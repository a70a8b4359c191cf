"""What the worker processes of the store's tests run; importable by spawned processes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Event
from typing import TYPE_CHECKING

from store_samples import request, result

from anc_core.store import Owner, claim, finish, heartbeat, open_database, record_audit

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def race_for_claims(
    url: str, fingerprints: list[str], barrier: Barrier, answers: Queue[tuple[str, str]]
) -> None:
    database = open_database(url)
    for fingerprint in fingerprints:
        barrier.wait()
        with database.begin() as db:
            answer = claim(db, request(fingerprint), Owner.current())
        answers.put((fingerprint, answer.outcome.value))
    barrier.wait()  # stay alive until all have asked: a dead winner could be taken over
    database.dispose()


def race_to_open(url: str, barrier: Barrier, answers: Queue[str]) -> None:
    barrier.wait()
    try:
        open_database(url).dispose()
    except Exception as err:  # noqa: BLE001 - told to the test
        answers.put(repr(err))
    else:
        answers.put("ok")


def claim_and_hang(url: str, answers: Queue[str]) -> None:
    database = open_database(url)
    with database.begin() as db:
        answers.put(claim(db, request("f1"), Owner.current()).session_id)
    time.sleep(600)


def write_for(
    url: str, worker: int, seconds: float, answers: Queue[tuple[int, float, str | None]]
) -> None:
    """Write sessions, three transactions each; tell how many, the longest wait in s, the error."""
    database = open_database(url)
    owner = Owner.current()
    written, longest_s = 0, 0.0
    end = time.monotonic() + seconds

    @contextmanager
    def timed() -> Iterator[Session]:
        nonlocal longest_s
        start = time.monotonic()
        with database.begin() as db:
            yield db
        longest_s = max(longest_s, time.monotonic() - start)

    try:
        while time.monotonic() < end:
            fingerprint = f"w{worker}-{written}"
            with timed() as db:
                taken = claim(db, request(fingerprint), owner)
            with timed() as db:
                assert heartbeat(db, taken.session_id, owner)
            with timed() as db:
                finish(db, result(taken.session_id, fingerprint), owner)
                record_audit(db, "process", taken.session_id, {}, f"worker {worker}")
            written += 1
    except Exception as err:  # noqa: BLE001 - told to the test
        answers.put((written, longest_s, repr(err)))
    else:
        answers.put((written, longest_s, None))
    database.dispose()


def clean_up_slowly(url: str, root: str, ready: Event) -> None:
    from anc_core.maintenance import removal
    from anc_core.maintenance.cleanup import run_cleanup
    from anc_core.maintenance.cleanup_records import old_sessions
    from anc_core.settings import Settings

    unlink = os.unlink

    def unlink_slowly(name: str, **options: int) -> None:
        unlink(name, **options)
        ready.set()
        time.sleep(0.02)

    removal.os.unlink = unlink_slowly
    settings = Settings.load(allowed_roots=root)
    run_cleanup(old_sessions(), database=open_database(url), settings=settings, actor="test")


def hold_a_transaction(url: str, ready: Event, done: Event) -> None:
    with open_database(url).begin() as db:
        record_audit(db, "x", "y", {}, "test")
        ready.set()
        done.wait(60)
