"""Workers on the machines of a Dask cluster, for one big batch; the words are those of WorkerPool.

Context: Prefect's own runner for Dask makes a task run of every call on the cluster: workers need
Prefect and its server, a call costs 0.3 s, and who cancels the batch cannot end what runs.
Decision: only the computing goes to the cluster. A thread of Dask's worker hands it to a child
process of its own, as on one machine, and looks now and then whether the batch was stopped.
Consequence: states, retries, counts and claims are where they were; a crash costs the call that
caused it; a cancelled batch has left the cluster within seconds.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from uuid import uuid4

from anc_core.errors import InputError, WorkerDiedError
from anc_core.jobs.pool import PoolStoppedError, WorkerPool
from anc_core.logs import call_in_context, log_context

if TYPE_CHECKING:
    from distributed import Future

T = TypeVar("T")

_LOOK_EVERY_S = 1.0
_END_S = 15.0  # stopped workers may take so long to say so
_CONNECT_S = 30

_IDLE: queue.SimpleQueue[WorkerPool] = queue.SimpleQueue()
"""Of this process, a worker of the cluster: children that wait for the next call."""


class DaskPool:
    """The workers of a cluster; used from as many threads as there are calls.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``tcp://host:8786``.
    on_stopped : callable
        Called on the machine of every worker that was stopped while it worked: its sessions are
        for whoever sees that its process is dead. Must be able to travel.

    Raises
    ------
    InputError
        If there is no scheduler, or the extra ``dask`` is not installed.
    """

    def __init__(self, address: str, on_stopped: Callable[[], object]) -> None:
        try:
            from distributed import Client, Event
        except ImportError as err:
            msg = "ANC_DASK_SCHEDULER needs a package: pip install 'anc-platform[dask]'"
            raise InputError(msg) from err
        try:
            self._client = Client(address, set_as_default=False, timeout=_CONNECT_S)
        except (OSError, ValueError) as err:
            msg = f"{address}: no Dask scheduler answers ({err}); see ANC_DASK_SCHEDULER"
            raise InputError(msg) from err
        self._address, self._on_stopped = address, on_stopped
        self._stop_name = f"anc-stop-{uuid4().hex}"
        self._stop = Event(self._stop_name, client=self._client)
        self._changed = threading.Condition()
        self._running: set[Future[Any]] = set()
        self._stopped = False

    @property
    def size(self) -> int:
        """Calls that the cluster runs at once, as it is now; at least 1."""
        threads: dict[str, int] = self._client.nthreads()
        return max(1, sum(threads.values()))

    def __enter__(self) -> Self:
        """Return the pool."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        err: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop what runs of this pool, and leave the cluster."""
        self.stop()
        self._client.close()

    def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Return ``function(*arguments)``, computed on the cluster; waits for its turn.

        Raises
        ------
        WorkerDiedError
            If the worker or the scheduler was lost.
        PoolStoppedError
            If :meth:`stop` was called.
        Exception
            Whatever ``function`` raised.
        """
        from distributed import KilledWorker

        call = (self._stop_name, self._on_stopped, log_context(), function, arguments)
        with self._changed:
            if self._stopped:
                raise _stopped()
            future = self._submit(call)
            self._running.add(future)
        try:
            answer: T = future.result()
        except KilledWorker as err:
            msg = f"the workers at {self._address} that had it died ({err})"
            raise WorkerDiedError(msg) from err
        except CancelledError as err:
            if self._stopped:
                raise _stopped() from err
            raise self._lost() from err
        finally:
            with self._changed:
                self._running.discard(future)
                self._changed.notify_all()
        return answer

    def _submit(self, call: tuple[object, ...]) -> Future[Any]:
        try:
            # A call of its own each time: the same arguments are no reason for an old answer.
            return self._client.submit(_serve, *call, pure=False)
        except (OSError, RuntimeError) as err:
            raise self._lost() from err

    def _lost(self) -> WorkerDiedError:
        return WorkerDiedError(f"the Dask scheduler at {self._address} was lost")

    def stop(self) -> None:
        """End all calls of this pool, whatever they do, and see their workers dead."""
        with self._changed:
            if self._stopped:
                return
            self._stopped = True
            if not self._running:
                return
            # What runs must see the sign; what waits for its turn sees it first of all.
            self._stop.set()
            self._changed.wait_for(lambda: not self._running, timeout=_END_S)
            self._client.cancel(list(self._running))


def _serve(
    stop_name: str,
    on_stopped: Callable[[], object],
    context: Any,  # noqa: ANN401 - whatever anc_core.logs makes of it
    function: Callable[..., Any],
    arguments: tuple[object, ...],
) -> Any:  # noqa: ANN401
    """Run a call on this worker of the cluster, in a child process; give up when told to."""
    from distributed import Event

    stop = Event(stop_name)
    if stop.is_set():
        raise _stopped()
    pool = _idle_pool()
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(pool.run, call_in_context, context, function, arguments)
        while not wait([answer], timeout=_LOOK_EVERY_S).done:
            if stop.is_set():
                pool.stop()
                on_stopped()
    if stop.is_set():
        pool.stop()
    else:
        _IDLE.put(pool)
    return answer.result()


def _idle_pool() -> WorkerPool:
    try:
        return _IDLE.get_nowait()
    except queue.Empty:
        return WorkerPool(1)


def _stopped() -> PoolStoppedError:
    return PoolStoppedError("the batch was stopped")
