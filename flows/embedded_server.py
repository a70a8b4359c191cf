"""The Prefect server that is started for one call, made to survive Ctrl-C and not its parent.

Context: where no API URL is set Prefect starts a server as a child process. Ctrl-C in a terminal
reaches the whole process group: the server goes first, the run cannot report its end, hangs for
minutes in retries and stays ``Running`` for ever. After ``kill -9`` of the parent the server stays
behind.
Decision: the child is started in a session of its own, and watches a pipe that its parent holds.
Consequence: one method of Prefect's is replaced (a test watches that it exists); all else,
ports, waiting, stopping, is Prefect's own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import Any


def install() -> None:
    """Make Prefect start its embedded server through this module, if it is going to start one."""
    from prefect.settings import get_current_settings

    if get_current_settings().api.url is not None:
        return  # a server stands; importing the server's code would cost 1.5 CPU seconds
    from prefect.server.api.server import SubprocessASGIServer

    SubprocessASGIServer._run_uvicorn_command = _start  # type: ignore[method-assign, assignment]  # noqa: SLF001


def _start(server: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401 - SubprocessASGIServer
    from prefect.settings import get_current_settings

    configured = get_current_settings().to_environment_variables(exclude_unset=True)
    # The writing end stays open as long as this process lives, and nobody else has it.
    reading_end, _writing_end = os.pipe()
    try:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "flows.embedded_server", "127.0.0.1", str(server.port)],
            stdin=reading_end,
            start_new_session=True,
            env={
                **os.environ,
                "PREFECT_UI_ENABLED": "0",
                "PREFECT__SERVER_EPHEMERAL": "1",
                "PREFECT__SERVER_FINAL": "1",
                **configured,
            },
        )
    finally:
        os.close(reading_end)


def main() -> None:
    """Serve on the host and port named until the parent closes the pipe."""
    import uvicorn

    watch_parent()
    is_json = configure_process_logs()
    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host=sys.argv[1],
        port=int(sys.argv[2]),
        log_level="error",
        log_config=None if is_json else uvicorn.config.LOGGING_CONFIG,
        lifespan="on",
        # Browsers and workers hold connections open; nothing is lost by cutting them.
        timeout_graceful_shutdown=2,
    )


def configure_process_logs() -> bool:
    """Let a process of Prefect write JSON where ``ANC_LOG_JSON`` is set; return whether it does."""
    from anc_core.errors import SettingsError
    from anc_core.logs import configure_logs
    from anc_core.settings import Settings

    try:
        style = Settings.load().log_style
    except SettingsError:  # runs without it, and who needs it says what is wrong
        return False
    if style.as_json:
        import prefect.main  # noqa: F401 - sets up its own logging, which is then replaced

        configure_logs(style)
    return style.as_json


def watch_parent() -> None:
    """End this process as soon as its parent is gone, however that ended."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    # Returns when the last holder of the other end is gone. Not sys.stdin: a thread that is inside
    # its lock when the interpreter ends brings that down.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
