"""Prefect's settings as this project needs them, effective from any working directory.

Context: Prefect reads ``prefect.toml`` and ``[tool.prefect]`` from the working directory only, and
our flows are called from anywhere.
Decision: the settings stand here and enter as environment variables when the flows are imported;
whatever the user set, in whatever way Prefect knows, stays.
Consequence: child processes (the embedded server) inherit them too.
"""

from __future__ import annotations

import os

HEARTBEAT_S = 30
"""How often a run says that it is alive."""

DEFAULTS = {
    # By default every 180 s; ``anc serve`` calls a run dead that is silent for 120 s, also one that
    # was started by hand.
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S),
    # The embedded server migrates its database first: 12 to 33 s were measured on busy machines,
    # and its own limit is 20 s.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
    # One transaction for many task runs: 2.5 times less work for the server (33 -> 13 ms each).
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    # A shell's *.wav is a list of names: at 512 KiB 6 000 of them were refused.
    "PREFECT_SERVER_API_MAX_PARAMETER_SIZE": str(16 << 20),
    # Nothing leaves the machine.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    # The core logs to the standard library; this shows it in the run's page.
    "PREFECT_LOGGING_EXTRA_LOGGERS": "anc_core",
    # Which also logs where no run is, and then has no page.
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}


def apply_prefect_defaults() -> None:
    """Set what the user has not set; harmless when called again."""
    from prefect.context import refresh_global_settings_context
    from prefect.settings import get_current_settings

    configured = get_current_settings().to_environment_variables(exclude_unset=True)
    missing = {name: value for name, value in DEFAULTS.items() if name not in configured}
    if missing:
        os.environ.update(missing)
        refresh_global_settings_context()
