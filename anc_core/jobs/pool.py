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

import contextlib
import math
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from anc_core.errors import AncError, ErrorCode, InputError, WorkerDiedError
from anc_core.jobs.records import BatchPlan
from anc_core.jobs.worker import receive, send
from anc_core.logs import call_in_context, log_context
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

# A worker finds modules where its parent does, so that it can import what it is sent. With
# ``-m`` it would look into the working directory first: a "wave.py" among recordings would end it.
_START = "import sys; sys.path[:] = sys.argv[1:]; from anc_core.jobs.worker import main; main()"

_EXIT_S = 1.0  # a worker that closed its pipe may take so long to end by itself


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

    Raises
    ------
    InputError
        If there are to be fewer.
    """

    def __init__(self, workers: int) -> None:
        if workers < 1:
            msg = f"workers is {workers}; a pool needs at least 1"
            raise InputError(msg)
        self._workers = [_Worker() for _ in range(workers)]
        # Who was at work last starts first: it runs already.
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._size = workers
        self._turns = threading.Semaphore(workers)

    @property
    def size(self) -> int:
        """Calls that run at once."""
        return self._size

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
        AnswerError
            If what ``function`` returned or raised cannot be pickled.
        Exception
            Whatever ``function`` raised.
        """
        with self._turns:
            worker = self._idle.get_nowait()  # there are as many as turns, or more
            try:
                answer: T = worker.run(function, arguments)
            finally:
                self._idle.put(worker)
        return answer

    def prepare(self, function: Callable[[], object]) -> None:
        """Start one worker and have it call ``function``, without waiting for it.

        What comes of it is of no interest: a call that needs the same will say what is wrong.
        """
        threading.Thread(target=self._try, args=(function,), daemon=True).start()

    def limit(self, workers: int) -> None:
        """Have no more than ``workers`` at work from now on; not to be called amid calls.

        Raises
        ------
        InputError
            If that is less than 1 or more than there are.
        """
        if not 1 <= workers <= self._size:
            msg = f"workers is {workers}; this pool has 1 to {self._size}"
            raise InputError(msg)
        for _ in range(self._size - workers):
            self._turns.acquire()
        self._size = workers

    def _try(self, function: Callable[[], object]) -> None:
        with contextlib.suppress(Exception):
            self.run(function)

    def stop(self) -> None:
        """End all workers at once, whatever they do, and see them dead.

        Their sessions are for others to release: who looks for dead owners next must not find one
        that is still dying.
        """
        dying = [process for worker in self._workers if (process := worker.stop()) is not None]
        for process in dying:
            process.wait()


class _Worker:
    """At most one process; the lock lets :meth:`stop` meet a call that is about to start one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._busy = False
        self._stopped = False

    def run(self, function: Callable[..., Any], arguments: tuple[object, ...]) -> Any:  # noqa: ANN401
        request = pickle.dumps((call_in_context, (log_context(), function, arguments)))
        process = self._begin()
        try:
            payload = _exchange(process, request)
        except (EOFError, OSError) as err:
            raise self._death(process) from err
        except BaseException:
            # Ctrl-C in this thread: the answer to come would be taken for that of the next call.
            process.kill()
            process.wait()
            raise
        finally:
            self._end()
        succeeded, answer = pickle.loads(payload)  # noqa: S301 - from our own child only
        if succeeded:
            return answer
        raise answer

    def stop(self) -> subprocess.Popen[bytes] | None:
        """Kill the process; return it if the call that runs is to find out and tidy up."""
        with self._lock:
            self._stopped = True
            if self._process is None:
                return None
            self._process.kill()
            if not self._busy:
                self._bury()
            return self._process

    def _begin(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise _stopped()
            if self._process is not None and self._process.poll() is not None:
                self._bury()  # it died between two calls
            if self._process is None:
                self._process = _start()
            self._busy = True
            return self._process

    def _end(self) -> None:
        with self._lock:
            self._busy = False
            if self._stopped or (self._process is not None and self._process.poll() is not None):
                self._bury()

    def _bury(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # half a request may still wait to be flushed
                    pipe.close()

    def _death(self, process: subprocess.Popen[bytes]) -> AncError:
        try:
            code = process.wait(_EXIT_S)
        except subprocess.TimeoutExpired:
            process.kill()  # it closed its pipe and lives: of no use to anybody
            process.wait()
            code = 0
        return _stopped() if self._stopped else _death(code)


def _exchange(process: subprocess.Popen[bytes], request: bytes) -> bytes:
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    send(process.stdin, request)
    return receive(process.stdout)


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", _START, *sys.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **_ONE_THREAD},
        # Ctrl-C in a terminal reaches the whole group; here only the parent decides.
        start_new_session=True,
    )


def _stopped() -> PoolStoppedError:
    return PoolStoppedError("the worker pool was stopped")


def _death(code: int) -> WorkerDiedError:
    killed = f"was killed by signal {-code} ({signal.strsignal(-code)})" if code < 0 else None
    how = killed or f"exited with {code}"
    err = WorkerDiedError(f"a worker process {how}; out of memory, or a crash on its recording")
    if code == -signal.SIGKILL:
        err.code = ErrorCode.OUT_OF_MEMORY
    return err
