"""A batch that finds recordings in other hands: those of its own run, or of another batch."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import flows.audio_processing as module
from anc_core.jobs.records import RecordingJob, RecordingResult
from anc_core.jobs.run import BUSY_REASON
from anc_core.records import Status

if TYPE_CHECKING:
    import pytest

SOURCE = Path("/in/a.wav")
BUSY = RecordingResult(source_path=str(SOURCE), status=Status.SKIPPED, reason=BUSY_REASON)
DONE = RecordingResult(source_path=str(SOURCE), status=Status.OK)


def finish(
    monkeypatch: pytest.MonkeyPatch, answers: list[RecordingResult], *, others: bool
) -> list[RecordingResult]:
    """Ask again as often as the batch does; each time it gets the next of ``answers``."""
    running: Any = SimpleNamespace(plan=SimpleNamespace(jobs=(RecordingJob(source=SOURCE),)))
    running.shards = []
    monkeypatch.setattr(module, "_await_others", lambda _running: others)
    monkeypatch.setattr(
        module, "_submit", lambda *_: SimpleNamespace(result=lambda: (answers.pop(0),))
    )
    return module._finish_what_others_left(running, [BUSY])


def test_what_another_process_of_the_run_did_counts_as_the_batchs_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = [BUSY, DONE]
    assert finish(monkeypatch, answers, others=True) == [DONE]


def test_what_another_batch_is_at_is_looked_at_once_more_and_stays_skipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = [BUSY, DONE]
    assert finish(monkeypatch, answers, others=False) == [BUSY]
    assert answers == [DONE]
