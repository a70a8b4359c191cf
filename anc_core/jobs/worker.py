"""The worker process: runs what the parent sends, one thing at a time, and dies with the parent.

Run as ``python -m anc_core.jobs.worker`` by :mod:`anc_core.jobs.pool`. Requests come as pickles on
standard input, answers go as pickles to what was standard output; both ends are one program on one
machine, nothing from outside is ever unpickled.
"""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
from typing import Any, BinaryIO

from anc_core.errors import WorkerDiedError


def main() -> None:
    """Serve requests until the parent closes the pipe or dies."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a stray print goes to the log and not between the answers
    requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, requests), daemon=True).start()
    while True:
        function, arguments = requests.get()
        try:
            answer = (True, function(*arguments))
        except Exception as err:  # noqa: BLE001 - it is handed to the parent, which raises it
            answer = (False, err)
        _send(answers, answer)


def _listen(stream: BinaryIO, requests: queue.SimpleQueue[Any]) -> None:
    """Read requests; the end of the pipe is the end of the parent, and of this process at once.

    A worker that outlived a killed parent would hold its claim while the next run, which is meant
    to finish the work, waits for nobody.
    """
    while True:
        try:
            requests.put(pickle.load(stream))  # noqa: S301 - from our own parent only
        except (EOFError, OSError):
            os._exit(0)


def _send(stream: BinaryIO, answer: tuple[bool, Any]) -> None:
    try:
        payload = pickle.dumps(answer)
    except Exception as err:  # noqa: BLE001 - any object may refuse to be pickled
        payload = pickle.dumps((False, WorkerDiedError(f"an answer could not be sent: {err}")))
    stream.write(payload)
    stream.flush()


if __name__ == "__main__":
    main()
