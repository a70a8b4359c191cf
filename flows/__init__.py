"""The jobs of the platform as Prefect flows, callable like functions.

``from flows import batch_process_files`` needs no server: an embedded one is started for the call.
Names are loaded on first use, so that the command line can be imported without Prefect.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from anc_core.lazy import lazy_names

if TYPE_CHECKING:
    from flows.alert_delivery import deliver_emergency_alert
    from flows.analytics import analyze_session_data
    from flows.api_log_import import import_api_requests
    from flows.audio_processing import batch_process_files, help_batch, process_audio_file
    from flows.comparison import compare_suppressors
    from flows.daily_report import generate_daily_report
    from flows.data_export import export_session_data
    from flows.health import health_check
    from flows.job_alerts import report_failed_job
    from flows.maintenance import cleanup_failed_sessions, cleanup_old_sessions, vacuum_database
    from flows.model_training import train_noise_classifier
    from flows.model_validation import validate_model
    from flows.safekeeping import backup_database, erase_user
    from flows.simulation import simulate_anc_sweep
    from flows.suppressor_training import train_noise_suppressor

# Nothing leaves the machine; Prefect reads this before any of its settings.
os.environ.setdefault("DO_NOT_TRACK", "1")

_HOME_OF = {
    "backup_database": "safekeeping",
    "analyze_session_data": "analytics",
    "batch_process_files": "audio_processing",
    "cleanup_failed_sessions": "maintenance",
    "cleanup_old_sessions": "maintenance",
    "compare_suppressors": "comparison",
    "deliver_emergency_alert": "alert_delivery",
    "erase_user": "safekeeping",
    "health_check": "health",
    "help_batch": "audio_processing",
    "generate_daily_report": "daily_report",
    "export_session_data": "data_export",
    "import_api_requests": "api_log_import",
    "process_audio_file": "audio_processing",
    "report_failed_job": "job_alerts",
    "simulate_anc_sweep": "simulation",
    "train_noise_classifier": "model_training",
    "train_noise_suppressor": "suppressor_training",
    "vacuum_database": "maintenance",
    "validate_model": "model_validation",
}

__all__ = [
    "analyze_session_data",
    "backup_database",
    "batch_process_files",
    "cleanup_failed_sessions",
    "cleanup_old_sessions",
    "compare_suppressors",
    "deliver_emergency_alert",
    "erase_user",
    "export_session_data",
    "generate_daily_report",
    "health_check",
    "help_batch",
    "import_api_requests",
    "process_audio_file",
    "report_failed_job",
    "simulate_anc_sweep",
    "train_noise_classifier",
    "train_noise_suppressor",
    "vacuum_database",
    "validate_model",
]

__getattr__ = lazy_names(__name__, _HOME_OF)
