"""Tell Prefect of emergencies: one event each, after the session is recorded, whatever happens."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime

from prefect.events import emit_event
from prefect.runtime import flow_run

from anc_core.alerts import ALERT_EVENT, EmergencyAlert
from anc_core.store import Database, announce
from flows.common import logger


def announce_emergencies(database: Database, session_ids: Collection[str]) -> None:
    """Emit ``anc.emergency.detected`` for every emergency event of these sessions, once for ever.

    Never raises: the sessions are recorded, and an alert that is not announced here still goes out
    with the next pass of the sender.
    """
    try:
        with database.begin() as db:
            fresh = announce(db, session_ids, flow_run_id=flow_run.get_id(), now=datetime.now(UTC))
        for alert in fresh:
            _emit(alert)
    except Exception:  # noqa: BLE001 - whatever it is, the sessions stand
        logger().exception("emergencies of %d sessions were not announced", len(session_ids))


def _emit(alert: EmergencyAlert) -> None:
    emit_event(
        ALERT_EVENT,
        resource={
            "prefect.resource.id": f"anc.session.{alert.session_id}",
            "prefect.resource.name": alert.session_id,
            "anc.event-type": alert.event_type,
            "anc.place": alert.place,
        },
        payload=json.loads(alert.to_json()),
        id=alert.alert_id,
    )
    logger().warning(
        "emergency: %s at %.1f-%.1f s of %s",
        alert.event_type,
        alert.start_s,
        alert.end_s,
        alert.source_path,
        extra={"session_id": alert.session_id},
    )
