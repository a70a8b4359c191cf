from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.prefect_defaults import DEFAULTS

TIMEOUT = "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"
REPORT = """
import json, os, sys
from flows.prefect_defaults import DEFAULTS, apply_prefect_defaults
apply_prefect_defaults()
first = dict(os.environ)
apply_prefect_defaults()
assert dict(os.environ) == first, "a second call changed something"
from prefect.settings import get_current_settings
settings = get_current_settings()
json.dump(
    {
        "environment": {name: os.environ.get(name) for name in DEFAULTS},
        "timeout": settings.server.ephemeral.startup_timeout_seconds,
        "analytics": settings.server.analytics_enabled,
        "batch": settings.server.services.task_run_recorder.batch_size,
        "loggers": list(settings.logging.extra_loggers),
    },
    sys.stdout,
)
"""


def report(folder: Path, **environment: str) -> dict[str, object]:
    """Return what Prefect's settings are in a fresh process that works in ``folder``."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    finished = subprocess.run(
        [sys.executable, "-c", REPORT],
        cwd=folder,
        env=clean | {"PREFECT_HOME": str(folder / "prefect")} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def test_settings_work_from_any_folder(tmp_path: Path) -> None:
    found = report(tmp_path)
    assert found["environment"] == DEFAULTS  # the embedded server is a child and inherits them
    assert found["timeout"] == 300
    assert found["analytics"] is False
    assert found["batch"] == 200
    assert found["loggers"] == ["anc_core"]


def test_what_the_user_set_stays(tmp_path: Path) -> None:
    (tmp_path / "prefect.toml").write_text("[server]\nanalytics_enabled = true\n")
    found = report(tmp_path, **{TIMEOUT: "42"})
    assert found["timeout"] == 42
    assert found["analytics"] is True
    assert found["batch"] == 200


@pytest.mark.parametrize("name", DEFAULTS)
def test_every_name_is_a_setting_of_this_prefect(name: str) -> None:
    from prefect.settings import Settings

    known = Settings().to_environment_variables(include_aliases=True)
    assert name in known


def test_server_and_worker_write_json_though_prefect_sets_up_its_log_again() -> None:
    """``prefect worker start`` does so once more when it begins."""
    script = (
        "import logging\n"
        "from flows.embedded_server import configure_process_logs\n"
        "assert configure_process_logs()\n"
        "from prefect.logging.configuration import setup_logging\n"
        "setup_logging()\n"
        "logging.getLogger('prefect.flow_runs.worker').warning('from the worker')\n"
    )
    environment = {**os.environ, "ANC_LOG_JSON": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    (line,) = done.stderr.splitlines()
    assert json.loads(line)["message"] == "from the worker"
