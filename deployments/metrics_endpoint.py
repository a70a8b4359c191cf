"""``python -m deployments.metrics_endpoint HOST PORT``: an endpoint that ends with its parent."""

from __future__ import annotations

import logging
import sys

from anc_core.logs import configure_logs
from anc_core.monitoring.exposition import serve
from anc_core.settings import Settings
from flows.embedded_server import watch_parent

_log = logging.getLogger("deployments.metrics_endpoint")  # not __main__


def main() -> None:
    """Serve what the environment of ``anc serve`` says this installation is."""
    watch_parent()
    settings = Settings.load()
    configure_logs(settings.log_style)
    host, port = sys.argv[1], int(sys.argv[2])
    serve(settings, host=host, port=port, say=_log.info)


if __name__ == "__main__":
    main()
