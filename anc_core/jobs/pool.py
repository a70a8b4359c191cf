"""Worker processes that can be lost one at a time and stopped at once.

Context: ``ProcessPoolExecutor`` fails every pending call when one worker dies, cannot be stopped
while a call runs, imports the caller's ``__main__`` into each worker (which needs a guard in every
user's script and drags Prefect into processes that only compute), and leaves its workers behind
when the parent is killed.
Decision: plain child processes (:mod:`anc_core.jobs.worker`), one pipe each.
Consequence: a crash costs the one call that caused it; Ctrl-C ends within a second; ``kill -9`` of
the parent ends the workers; scripts and notebooks need no guard.
"""

from __future__ import annotations

import math
import os
import pickle
import queue
import signal
import subprocess
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from anc_core.errors import AncError, ErrorCode, WorkerDiedError
from anc_core.jobs.records import BatchPlan
from anc_core.settings import Settings

T = TypeVar("T")

# Workers are the parallelism: threads inside them would only fight for the same cores.
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
}

_WORTH_A_WORKER_S = 2.0  # a worker costs about 1 CPU second to start


class PoolStoppedError(AncError):
    """The pool was stopped while a call ran or waited; trying again is pointless."""


def workers_for(plan: BatchPlan, settings: Settings) -> int:
    """Return how many workers the batch deserves: the cores, fewer for little work."""
    worthwhile = math.ceil(plan.estimated_s / _WORTH_A_WORKER_S)
    return max(1, min(available_workers(settings.workers), worthwhile, len(plan.jobs)))


def available_workers(wanted: int = 0) -> int:
    """Return ``wanted``, or the number of cores that this process may use if it is 0."""
    if wanted:
        return wanted
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class WorkerPool:
    """A fixed number of worker processes, started when first needed.

    Thread-safe: :meth:`run` is called from as many threads as there are workers.

    Parameters
    ----------
    workers : int
        Processes, at least 1.
    """

    def __init__(self, workers: int) -> None:
        self._workers = [_Worker() for _ in range(workers)]
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._stopped = False

    def __enter__(self) -> Self:
        """Return the pool."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        err: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop every worker; calls that still run raise in their threads."""
        self.stop()

    def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Return ``function(*arguments)``, computed by a worker; waits for an idle one.

        Raises
        ------
        WorkerDiedError
            If the worker ended without an answer; a new one takes its place.
        PoolStoppedError
            If :meth:`stop` was called.
        Exception
            Whatever ``function`` raised.
        """
        worker = self._idle.get()
        try:
            self._check_running()
            answer: T = worker.run(function, arguments)
        except WorkerDiedError:
            self._check_running()  # stop() is what ended it
            raise
        else:
            return answer
        finally:
            self._idle.put(worker)

    def _check_running(self) -> None:
        if self._stopped:
            msg = "the worker pool was stopped"
            raise PoolStoppedError(msg)

    def stop(self) -> None:
        """End all workers at once, whatever they do; their sessions are for others to release."""
        self._stopped = True
        for worker in self._workers:
            worker.kill()


class _Worker:
    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, function: Callable[..., Any], arguments: tuple[object, ...]) -> Any:  # noqa: ANN401
        process = self._process
        if process is None or process.poll() is not None:
            process = self._process = _start()
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101
        try:
            process.stdin.write(pickle.dumps((function, arguments)))
            process.stdin.flush()
            succeeded, answer = pickle.load(process.stdout)  # noqa: S301 - from our own child only
        except (EOFError, OSError, pickle.UnpicklingError) as err:
            self.kill()
            raise _death(process) from err
        if succeeded:
            return answer
        raise answer

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "anc_core.jobs.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **_ONE_THREAD},
        # Ctrl-C in a terminal reaches the whole group; here only the parent decides.
        start_new_session=True,
    )


def _death(process: subprocess.Popen[bytes]) -> WorkerDiedError:
    code = process.wait()
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
    err = WorkerDiedError(f"a worker process {how}; out of memory, or a crash on its recording")
    if code == -signal.SIGKILL:
        err.code = ErrorCode.OUT_OF_MEMORY
    return err
