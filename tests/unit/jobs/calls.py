"""What the tests of the pool have computed in workers; cheap to import there."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from anc_core.errors import ErrorCode, SourceError


class PickyError(Exception):
    """Can be pickled but not restored, as many a library's errors: __init__ wants more."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")


def add(a: int, b: int) -> int:
    return a + b


def echo(value: object) -> object:
    return value


def pid() -> int:
    return os.getpid()


def environment(name: str) -> str | None:
    return os.environ.get(name)


def sleep(seconds: float, mark: Path | None = None) -> str:
    if mark is not None:
        mark.touch()
    time.sleep(seconds)
    return "slept"


def die(number: int = signal.SIGKILL) -> None:
    os.kill(os.getpid(), number)
    time.sleep(60)


def leave(code: int) -> None:
    sys.exit(code)


def crash_while_a_thread_runs() -> None:
    """End in the way that takes longest: the pipe closes well before the process ends."""
    os.closerange(3, 100)
    time.sleep(60)


def fail(code: ErrorCode) -> None:
    raise SourceError(code, "x.wav: no audio in it")


def fail_pickily() -> None:
    raise PickyError(7, "lucky")


def unpicklable() -> object:
    return threading.Lock()


def chatter() -> str:
    """Write to standard output in every way, and look at what stands on standard input."""
    print("printed")
    sys.stdout.flush()
    os.write(1, b"written to the descriptor" * 1_000)
    subprocess.run(["/bin/echo", "from a child"], check=True)
    return subprocess.run(["/bin/cat"], check=True, capture_output=True, timeout=5).stdout.decode()


def log_warning(message: str) -> None:
    """Write a line of the core."""
    logging.getLogger("anc_core.test").warning(message)
