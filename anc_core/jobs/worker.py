"""The worker process: runs what the parent sends, one thing at a time, and dies with the parent.

Started by :mod:`anc_core.jobs.pool`. Requests come on standard input, answers go to what was
standard output, each a pickle behind its length, so that one that cannot be unpickled costs itself
only and not the place in the stream. Both ends are one program on one machine: nothing from outside
is ever unpickled.
"""

from __future__ import annotations

import os
import pickle
import queue
import struct
import threading
from typing import IO, Any

from anc_core.errors import AncError

_LENGTH = struct.Struct("<Q")


class AnswerError(AncError):
    """What a worker was sent, or answered, cannot travel between processes: not worth a retry."""


def main() -> None:
    """Serve requests until the parent closes the pipe or dies."""
    incoming, answers = _private_pipes()
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(incoming, requests), daemon=True).start()
    while True:
        send(answers, _answer(requests.get()))


def send(stream: IO[bytes], payload: bytes) -> None:
    """Write ``payload`` behind its length."""
    stream.write(_LENGTH.pack(len(payload)))
    stream.write(payload)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes:
    """Return the next payload.

    Raises
    ------
    EOFError
        If the other end closed the pipe or died, also in the middle of a payload.
    """
    (length,) = _LENGTH.unpack(_read(stream, _LENGTH.size))
    return _read(stream, length)


def _read(stream: IO[bytes], count: int) -> bytes:
    content = stream.read(count)
    if len(content) < count:
        raise EOFError
    return content


def _private_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Move both pipes out of the way of recordings' libraries and of programs that they start."""
    incoming, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # who reads standard input finds its end, and not our requests
    os.close(nothing)
    os.dup2(2, 1)  # a stray print goes to the log and not between the answers
    return incoming, answers


def _listen(stream: IO[bytes], requests: queue.SimpleQueue[bytes]) -> None:
    """Read requests; the end of the pipe is the end of the parent, and of this process at once.

    A worker that outlived a killed parent would hold its claim while the next run, which is meant
    to finish the work, waits for nobody.
    """
    while True:
        try:
            requests.put(receive(stream))
        except (EOFError, OSError):
            os._exit(0)


def _answer(request: bytes) -> bytes:
    answer: tuple[bool, Any]
    try:
        function, arguments = pickle.loads(request)  # noqa: S301 - from our own parent only
        answer = (True, function(*arguments))
    except Exception as err:  # noqa: BLE001 - it is handed to the parent, which raises it
        answer = (False, err)
    try:
        payload = pickle.dumps(answer)
        if not answer[0]:
            pickle.loads(payload)  # noqa: S301 - many exceptions can be pickled but not restored
    except Exception as err:  # noqa: BLE001 - any object may refuse to be pickled
        payload = pickle.dumps((False, _cannot_travel(answer, err)))
    return payload


def _cannot_travel(answer: tuple[bool, Any], err: Exception) -> AnswerError:
    succeeded, value = answer
    if succeeded:
        return AnswerError(f"the answer, of type {type(value).__name__}, cannot be sent: {err}")
    return AnswerError(f"{type(value).__name__}: {value}")
