from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from anc_core.errors import ErrorCode, InputError, SourceError, TransientError, WorkerDiedError
from anc_core.jobs.pool import PoolStoppedError, WorkerPool, available_workers, workers_for
from anc_core.jobs.records import BatchPlan, RecordingJob
from anc_core.jobs.worker import AnswerError
from anc_core.settings import Settings
from tests.unit.jobs import calls

STOP_LIMIT_S = 2.0
"""The promise; a worker dies of SIGKILL within milliseconds, the rest is a loaded machine."""
ROOT = Path(__file__).parents[3]


NewChildren = Callable[[], list[psutil.Process]]


@pytest.fixture(scope="module")
def shared() -> Iterator[WorkerPool]:
    """One worker for all tests that leave it as they found it."""
    with WorkerPool(1) as pool:
        yield pool


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(1) as pool:
        yield pool


def wait_for(condition: Callable[[], bool], what: str, limit_s: float = 30.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {limit_s} s for {what}"
        time.sleep(0.01)


@pytest.fixture
def new_children() -> NewChildren:
    """Return a function that lists the child processes that this test has left."""
    before = psutil.Process().children()
    return lambda: [child for child in psutil.Process().children() if child not in before]


def is_alive(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


# ----------------------------------------------------------------------------- answers


def test_answer_is_what_the_function_returned(shared: WorkerPool) -> None:
    assert shared.run(calls.add, 2, 3) == 5


def test_work_is_done_by_another_process_that_stays(shared: WorkerPool) -> None:
    first = shared.run(calls.pid)
    assert first != os.getpid()
    assert shared.run(calls.pid) == first


def test_large_arguments_and_answers_pass_both_pipes(shared: WorkerPool) -> None:
    payload = os.urandom(3_000_000)  # many times what a pipe holds
    assert shared.run(calls.echo, payload) == payload


def test_threads_inside_a_worker_are_limited_to_one(shared: WorkerPool) -> None:
    assert shared.run(calls.environment, "OMP_NUM_THREADS") == "1"


def test_error_arrives_with_type_message_and_code(shared: WorkerPool) -> None:
    with pytest.raises(SourceError, match=r"x\.wav: no audio in it") as caught:
        shared.run(calls.fail, ErrorCode.NO_AUDIO)
    assert caught.value.code is ErrorCode.NO_AUDIO


def test_prints_and_child_programs_do_not_touch_the_pipes(shared: WorkerPool) -> None:
    assert shared.run(calls.chatter) == ""  # a child reads the end of its input, not our requests
    assert shared.run(calls.add, 1, 1) == 2


def test_answer_that_cannot_be_pickled_is_an_error_that_no_retry_cures(shared: WorkerPool) -> None:
    with pytest.raises(AnswerError, match="the answer, of type lock, cannot be sent"):
        shared.run(calls.unpicklable)
    assert not issubclass(AnswerError, TransientError)
    assert shared.run(calls.add, 1, 1) == 2


def test_error_that_cannot_be_restored_is_told_in_words(shared: WorkerPool) -> None:
    with pytest.raises(AnswerError, match="PickyError: 7 lucky"):
        shared.run(calls.fail_pickily)
    assert shared.run(calls.add, 1, 1) == 2


def test_function_that_the_worker_cannot_import_is_an_error(shared: WorkerPool) -> None:
    module = type(sys)("only_here")
    exec("def f(): return 1", module.__dict__)
    sys.modules["only_here"] = module
    try:
        with pytest.raises(ModuleNotFoundError, match="only_here"):
            shared.run(module.f)
    finally:
        del sys.modules["only_here"]
    assert shared.run(calls.add, 1, 1) == 2


def test_argument_that_cannot_be_pickled_costs_no_worker(shared: WorkerPool) -> None:
    before = shared.run(calls.pid)
    with pytest.raises(TypeError, match="pickle"):
        shared.run(calls.echo, threading.Lock())
    assert shared.run(calls.pid) == before


def test_prepared_worker_takes_the_first_call(new_children: NewChildren) -> None:
    with WorkerPool(3) as pool:
        pool.prepare(calls.pid)
        wait_for(lambda: len(new_children()) == 1, "the prepared worker")
        wait_for(lambda: pool._turns._value == 3, "its answer")
        assert [pool.run(calls.pid)] == [child.pid for child in new_children()]


def test_call_waits_for_the_worker_that_gets_ready_if_there_is_no_other() -> None:
    with WorkerPool(1) as pool:
        pool.prepare(calls.pid)
        first = pool.run(calls.pid)
        assert pool.run(calls.pid) == first


def test_preparation_that_fails_is_told_by_the_call_that_needs_it() -> None:
    with WorkerPool(1) as pool:
        pool.prepare(calls.fail_pickily)
        assert pool.run(calls.add, 2, 3) == 5


def test_no_more_workers_than_the_limit_are_at_work() -> None:
    with WorkerPool(3) as pool, ThreadPoolExecutor(3) as threads:
        pool.limit(1)
        pids = set(threads.map(lambda _: pool.run(calls.pid), range(6)))
    assert (len(pids), pool.size) == (1, 1)


@pytest.mark.parametrize("workers", [0, 4])
def test_limit_that_the_pool_cannot_keep_is_refused(workers: int) -> None:
    with WorkerPool(3) as pool, pytest.raises(InputError, match="this pool has 1 to 3"):
        pool.limit(workers)


# ----------------------------------------------------------------------------- deaths


@pytest.mark.parametrize(
    ("call", "arguments", "message", "code"),
    [
        (calls.die, (signal.SIGKILL,), "signal 9", ErrorCode.OUT_OF_MEMORY),
        (calls.die, (signal.SIGSEGV,), "signal 11", ErrorCode.INTERRUPTED),
        (calls.leave, (3,), "exited with 3", ErrorCode.INTERRUPTED),
        (calls.crash_while_a_thread_runs, (), "exited with", ErrorCode.INTERRUPTED),
    ],
)
def test_death_of_a_worker_costs_one_call_only(
    call: Callable[..., None],
    arguments: tuple[int, ...],
    message: str,
    code: ErrorCode,
    pool: WorkerPool,
) -> None:
    with pytest.raises(WorkerDiedError, match=message) as caught:
        pool.run(call, *arguments)
    assert caught.value.code is code
    assert pool.run(calls.add, 2, 2) == 4


def test_kill_9_in_mid_call_leaves_the_other_calls_alone(tmp_path: Path) -> None:
    with WorkerPool(2) as pool, ThreadPoolExecutor(2) as threads:
        slow = threads.submit(pool.run, calls.sleep, 1.0, tmp_path / "mark")
        wait_for((tmp_path / "mark").exists, "the first call to run")
        with pytest.raises(WorkerDiedError):
            pool.run(calls.die)
        assert slow.result(timeout=20) == "slept"


def test_worker_that_died_between_calls_is_replaced_in_silence(pool: WorkerPool) -> None:
    pid = pool.run(calls.pid)
    os.kill(pid, signal.SIGKILL)
    # Its first thread is a zombie before the last one is gone; only then can it be collected.
    collectable = os.WEXITED | os.WNOHANG | os.WNOWAIT
    wait_for(lambda: os.waitid(os.P_PID, pid, collectable) is not None, "its death")
    assert pool.run(calls.pid) != pid


def test_interrupted_call_does_not_leave_its_answer_to_the_next(
    pool: WorkerPool, tmp_path: Path
) -> None:
    def interrupt() -> None:
        wait_for((tmp_path / "mark").exists, "the call to run")
        os.kill(os.getpid(), signal.SIGINT)

    with ThreadPoolExecutor(1) as threads:
        done = threads.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            pool.run(calls.sleep, 1.5, tmp_path / "mark")
        done.result()
    assert pool.run(calls.add, 2, 2) == 4


# ----------------------------------------------------------------------------- the end


def test_stop_ends_running_and_waiting_calls_within_two_seconds(
    tmp_path: Path,
    new_children: NewChildren,
) -> None:
    pool = WorkerPool(2)
    with ThreadPoolExecutor(5) as threads:
        marks = [tmp_path / str(index) for index in range(5)]
        running = [threads.submit(pool.run, calls.sleep, 60.0, mark) for mark in marks]
        wait_for(lambda: sum(mark.exists() for mark in marks) == 2, "both workers to be busy")
        start = time.monotonic()
        pool.stop()
        assert time.monotonic() - start < STOP_LIMIT_S
        for future in running:
            with pytest.raises(PoolStoppedError):
                future.result(timeout=STOP_LIMIT_S)
        assert time.monotonic() - start < STOP_LIMIT_S
    assert new_children() == []


def test_stop_while_calls_begin_leaves_no_process(
    new_children: NewChildren,
) -> None:
    # Whatever moment of a call's beginning it meets, nothing may start to run after the stop.
    for round_number in range(6):
        pool = WorkerPool(2)
        with ThreadPoolExecutor(2) as threads:
            begun = [threads.submit(pool.run, calls.sleep, 60.0) for _ in range(2)]
            time.sleep(0.002 * round_number)
            pool.stop()
            for future in begun:
                with pytest.raises(PoolStoppedError):
                    future.result(timeout=10)
    assert new_children() == []


def test_stopped_pool_refuses_new_calls_and_may_be_stopped_again(
    new_children: NewChildren,
) -> None:
    pool = WorkerPool(1)
    assert pool.run(calls.add, 1, 1) == 2
    pool.stop()
    pool.stop()
    with pytest.raises(PoolStoppedError):
        pool.run(calls.add, 1, 1)
    assert new_children() == []


def test_pool_that_was_never_used_starts_nothing(
    new_children: NewChildren,
) -> None:
    with WorkerPool(3):
        assert new_children() == []


def test_stopping_is_no_reason_to_try_again() -> None:
    assert not issubclass(PoolStoppedError, TransientError)


def test_pool_of_no_workers_is_refused() -> None:
    with pytest.raises(InputError, match="workers is 0"):
        WorkerPool(0)


# ----------------------------------------------------------------------------- the parent

PARENT = """
import sys, threading, time
from pathlib import Path
from anc_core.jobs.pool import WorkerPool
from tests.unit.jobs import calls
pool = WorkerPool(2)
print(pool.run(calls.pid), flush=True)
threading.Thread(target=pool.run, args=(calls.sleep, 120.0, Path(sys.argv[1]))).start()
time.sleep(120)
"""


def test_kill_9_of_the_parent_ends_its_workers_within_two_seconds(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(mark)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as parent:
        wait_for(mark.exists, "the call to run")
        workers = [child.pid for child in psutil.Process(parent.pid).children()]
        assert workers
        parent.kill()
        parent.wait()
        killed = time.monotonic()
        wait_for(
            lambda: not any(is_alive(pid) for pid in workers), "the workers' end", STOP_LIMIT_S
        )
        assert time.monotonic() - killed < STOP_LIMIT_S


SCRIPT = """
from pathlib import PurePosixPath
from anc_core.jobs.pool import WorkerPool
with WorkerPool(1) as pool:
    print("answer", pool.run(PurePosixPath, "a", "b"))
"""


def run_python(*arguments: str, cwd: Path) -> str:
    finished = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_script_without_a_guard_works_and_runs_once(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    assert run_python("script.py", cwd=tmp_path) == "answer a/b\n"


def test_python_dash_c_works(tmp_path: Path) -> None:
    assert run_python("-c", SCRIPT, cwd=tmp_path) == "answer a/b\n"


def test_module_names_among_the_recordings_do_not_matter(tmp_path: Path) -> None:
    # The working directory is where the recordings are; "queue.py" there is none of ours.
    (tmp_path / "queue.py").write_text("raise SystemExit('the wrong module')")
    (tmp_path / "struct.py").write_text("raise SystemExit('the wrong module')")
    scripts = tmp_path / "elsewhere"
    scripts.mkdir()
    (scripts / "script.py").write_text(SCRIPT)
    assert run_python(str(scripts / "script.py"), cwd=tmp_path) == "answer a/b\n"


def test_functions_of_modules_beside_the_script_can_be_sent(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("def twice(x):\n    return 2 * x\n")
    script = "import beside\n" + SCRIPT.replace('PurePosixPath, "a", "b"', "beside.twice, 21")
    (tmp_path / "script.py").write_text(script)
    assert run_python("script.py", cwd=tmp_path) == "answer 42\n"


# ----------------------------------------------------------------------------- how many


def plan(*estimates_s: float) -> BatchPlan:
    jobs = tuple(RecordingJob(source=Path("x.wav"), estimate_s=e) for e in estimates_s)
    return BatchPlan(batch_id="b", jobs=jobs)


@pytest.mark.parametrize(
    ("estimates_s", "wanted", "expected"),
    [
        ((), 4, 1),
        ((0.1, 0.1), 4, 1),  # too little work to share
        ((100.0,), 4, 1),  # nothing to share
        ((100.0, 100.0), 4, 2),
        ((10.0,) * 50, 4, 4),
        ((1.5, 1.5, 1.5, 1.5), 8, 3),  # 6 s of work, 2 s a worker
    ],
)
def test_workers_follow_the_work(
    estimates_s: tuple[float, ...], wanted: int, expected: int
) -> None:
    assert workers_for(plan(*estimates_s), Settings(workers=wanted)) == expected


def test_all_usable_cores_work_where_nothing_is_wanted() -> None:
    assert available_workers(7) == 7
    assert available_workers() == len(psutil.Process().cpu_affinity())


def test_calls_are_shared_by_many_threads(tmp_path: Path) -> None:
    done: queue.SimpleQueue[int] = queue.SimpleQueue()
    with WorkerPool(2) as pool, ThreadPoolExecutor(8) as threads:
        answers: list[Future[int]] = [threads.submit(pool.run, calls.add, n, n) for n in range(60)]
        for future in answers:
            done.put(future.result(timeout=30))
    assert [done.get() for _ in range(60)] == [2 * n for n in range(60)]
