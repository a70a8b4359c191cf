from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys

import pytest

from anc_core.jobs.worker import receive, send
from tests.unit.jobs import calls


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_what_is_sent_is_received(size: int) -> None:
    pipe = io.BytesIO()
    payloads = [os.urandom(size), b"next"]
    for payload in payloads:
        send(pipe, payload)
    pipe.seek(0)
    assert [receive(pipe), receive(pipe)] == payloads


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 9, 11])
def test_cut_off_message_is_the_end_of_the_pipe(kept: int) -> None:
    pipe = io.BytesIO()
    send(pipe, b"four")
    with pytest.raises(EOFError):
        receive(io.BytesIO(pipe.getvalue()[:kept]))


@pytest.fixture
def worker():
    command = [sys.executable, "-c", "from anc_core.jobs.worker import main; main()"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        yield process
        process.kill()


def ask(worker, request: bytes) -> tuple[bool, object]:
    send(worker.stdin, request)
    return pickle.loads(receive(worker.stdout))


def test_worker_answers_over_its_pipes(worker) -> None:
    assert ask(worker, pickle.dumps((divmod, (7, 2)))) == (True, (3, 1))


def test_worker_survives_a_request_that_is_no_pickle(worker) -> None:
    succeeded, err = ask(worker, b"garbage")
    assert not succeeded
    assert isinstance(err, Exception)
    assert ask(worker, pickle.dumps((divmod, (7, 2)))) == (True, (3, 1))


def test_worker_ends_when_its_input_is_closed(worker) -> None:
    worker.stdin.close()
    assert worker.wait(timeout=10) == 0


def test_worker_ends_at_once_even_in_mid_call(worker) -> None:
    ask(worker, pickle.dumps((calls.pid, ())))
    send(worker.stdin, pickle.dumps((calls.sleep, (60.0,))))
    worker.stdin.close()
    assert worker.wait(timeout=2) == 0


def test_prints_of_a_call_go_to_standard_error(worker) -> None:
    assert ask(worker, pickle.dumps((print, ("hello",)))) == (True, None)
    worker.kill()
    assert worker.stdout.read() == b""
