"""``python -m deployments.worker``: Prefect's worker command, which ends with its parent."""

from __future__ import annotations

import runpy
import sys

from flows.embedded_server import configure_process_logs, watch_parent


def main() -> None:
    """Run Prefect's own command in this process."""
    watch_parent()
    configure_process_logs()
    sys.argv = ["prefect", "worker", "start", *sys.argv[1:]]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
