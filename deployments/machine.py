"""``anc serve``: everything for one machine - server, deployments, worker - from one command.

The children have sessions of their own, so that Ctrl-C reaches this process only and the order of
the end is ours: first the runs, which can then still say how they ended, then the worker, last the
server. Both children also end by themselves when this process is gone, however that happened.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TypeVar

import httpx
import psutil

from anc_core.errors import AncError, InputError
from anc_core.files import write_text_atomic
from anc_core.settings import Settings
from deployments.environment import Place, environment
from deployments.prefect_store import check_prefect_database
from deployments.schedules import OTHERS_QUEUE, POOL, QUEUES
from flows.standing_server import StandingServer, note_of

START_PATIENCE_S = 300.0
_POLL_S = 0.2
_LOOK_EVERY_S = 60.0
"""For alerts that wait though no run sends them."""
_RUNS_PATIENCE_S = 6.0
"""For runs to report that they were stopped."""
_END_PATIENCE_S = 5.0

_log = logging.getLogger(__name__)

R = TypeVar("R")
Say = Callable[[str], None]


class ServeError(AncError):
    """Server or worker ended by itself or did not come up."""


def serve_machine(place: Place, *, normal_limit: int, say: Say) -> None:
    """Start everything and return when asked to stop (SIGINT, SIGTERM).

    Parameters
    ----------
    place : Place
        Where to listen, where to keep things.
    normal_limit : int
        How many runs of ordinary priority may be at work at once.
    say : callable
        Gets a line for the user.

    Raises
    ------
    InputError
        If the port, the next one, where the worker tells of its health, or that of the metrics is
        taken, or Prefect's own database cannot be used.
    ServeError
        If the server does not start, or a child ends by itself.
    """
    _check_port(place.host, place.port)
    _check_port("127.0.0.1", place.worker_port)
    if place.metrics_port is not None:
        _check_port(place.metrics_host, place.metrics_port)
    if place.prefect_database_url is not None:
        check_prefect_database(place.prefect_database_url)
    os.environ.update(environment(place, os.environ))
    for name in set(os.environ) & {"PREFECT_API_KEY", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"}:
        del os.environ[name]
    with _asked_to_stop() as stop, _noted(place):
        server = _start("flows.embedded_server", place.host, str(place.port))
        children = {"server": server}
        worker = None
        try:
            say("starting the server ...")
            if not _wait_for_api(place, server, stop):
                return
            _register(place.settings, normal_limit, say)
            if stop.is_set():
                return
            worker = children["worker"] = _start("deployments.worker", *_worker_options())
            if place.metrics_port is not None:
                where = (place.metrics_host, str(place.metrics_port))
                children["metrics endpoint"] = _start("deployments.metrics_endpoint", *where)
            if not place.is_private:
                say(f"{place.host} is open to the network: who reaches it can start any job")
            say(f"ready: {place.public_url}  (Ctrl-C ends it)")
            _watch(children, stop, place.settings)
        finally:
            say("stopping ...")
            if worker is not None:
                _stop_worker(worker)
                if server.poll() is None:
                    _settle_runs(asked_to=stop.is_set())
            for child in children.values():
                if child is not worker:
                    child.terminate()
                    _wait_for_end(child)


def _register(settings: Settings, normal_limit: int, say: Say) -> None:
    # Prefect reads the environment when it is imported first.
    from deployments.register import register
    from deployments.schedules import JOBS
    from flows.prefect_defaults import apply_prefect_defaults

    apply_prefect_defaults()
    done = register(normal_limit=normal_limit)
    _crash_left_over_runs(go_on=True)  # of a machine that lost its power, of a server that died
    scheduled = sum(job.cron is not None for job in JOBS)
    news = ", ".join((*done.deployments, *done.automations)) if done.is_news else "nothing"
    say(f"{len(JOBS)} deployments, {scheduled} schedules (UTC); new or changed: {news}")
    if _send_waiting_alerts(settings):
        say("alerts wait since the last time: they are sent now")
    say(f"for Prefect's own commands: export PREFECT_API_URL={os.environ['PREFECT_API_URL']}")


def _crash_left_over_runs(*, go_on: bool) -> None:
    """Say of runs that ended without a word that they did; the server may be gone as well."""
    from deployments.left_over import crash_left_over_runs

    _whatever_the_server_says(lambda: crash_left_over_runs(go_on=go_on))


def _settle_runs(*, asked_to: bool) -> None:
    """Say of the runs that they are over, or that they go on where the worker was killed."""
    if not asked_to:
        from deployments.left_over import end_orphaned_runs

        _whatever_the_server_says(end_orphaned_runs)
    _crash_left_over_runs(go_on=not asked_to)


def _send_waiting_alerts(settings: Settings) -> bool:
    from deployments.waiting_alerts import send_waiting_alerts

    return bool(_whatever_the_server_says(lambda: send_waiting_alerts(settings)))


def _whatever_the_server_says(work: Callable[[], R]) -> R | None:
    """Return the result of ``work``, or ``None`` where the server or a database is not up to it."""
    from prefect.exceptions import PrefectException

    try:
        return work()
    except (httpx.HTTPError, PrefectException, RuntimeError, AncError) as err:
        _log.warning("the server could not be asked: %s", err)
        return None


def _worker_options() -> Sequence[str]:
    from deployments.register import WORKER_NAME

    options = ["--pool", POOL, "--type", "process", "--name", WORKER_NAME]
    for queue in ("default", *QUEUES):
        if queue != OTHERS_QUEUE:
            options += ["--work-queue", queue]
    return [*options, "--with-healthcheck", "--install-policy", "never"]


def _check_port(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((host, port))
        except OSError as err:
            msg = f"{host}:{port} cannot be used ({err.strerror}); choose another with --port"
            raise InputError(msg) from err


@contextmanager
def _asked_to_stop() -> Iterator[threading.Event]:
    """Yield an event that is set by Ctrl-C or SIGTERM."""
    stop = threading.Event()

    def note(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _noted(place: Place) -> Iterator[None]:
    """Leave word where the server is, for as long as it runs."""
    me = psutil.Process()
    note = note_of(place.settings)
    note.parent.mkdir(parents=True, exist_ok=True)
    text = StandingServer(pid=me.pid, started_at=me.create_time(), url=place.url).to_json()
    write_text_atomic(note, text)
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def _start(module: str, *words: str) -> subprocess.Popen[bytes]:
    """Start ``python -m module`` in a session of its own, on a pipe that tells it of our end."""
    return subprocess.Popen(  # noqa: S603 - our own interpreter and modules
        [sys.executable, "-m", module, *words], stdin=subprocess.PIPE, start_new_session=True
    )


def _wait_for_api(place: Place, server: subprocess.Popen[bytes], stop: threading.Event) -> bool:
    """Return whether the API answers; false if we were asked to stop before."""
    deadline = time.monotonic() + START_PATIENCE_S
    while time.monotonic() < deadline:
        if stop.wait(_POLL_S):
            return False
        if server.poll() is not None:
            msg = f"the Prefect server ended with exit code {server.returncode}; its log is above"
            raise ServeError(msg)
        with suppress(httpx.HTTPError):
            if httpx.get(f"{place.url}/api/health", timeout=5.0, trust_env=False).is_success:
                return True
    msg = f"the Prefect server did not answer within {START_PATIENCE_S:.0f} s"
    raise ServeError(msg)


def _watch(
    children: dict[str, subprocess.Popen[bytes]], stop: threading.Event, settings: Settings
) -> None:
    look_at = time.monotonic() + _LOOK_EVERY_S
    while not stop.wait(_POLL_S):
        for name, child in children.items():
            if child.poll() is not None:
                msg = f"the {name} ended by itself with exit code {child.returncode}"
                raise ServeError(msg)
        if time.monotonic() > look_at:
            _send_waiting_alerts(settings)
            look_at = time.monotonic() + _LOOK_EVERY_S


def _stop_worker(worker: subprocess.Popen[bytes]) -> None:
    """Stop the worker and its runs; the server must still be there to hear how they end."""
    try:
        runs = psutil.Process(worker.pid).children()
        all_below = psutil.Process(worker.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        runs = all_below = []
    worker.terminate()
    for run in runs:
        with suppress(psutil.NoSuchProcess):
            run.terminate()
    _, left = psutil.wait_procs(all_below, timeout=_RUNS_PATIENCE_S)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    _wait_for_end(worker)


def _wait_for_end(child: subprocess.Popen[bytes]) -> None:
    try:
        child.wait(_END_PATIENCE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
