"""The store's row of a model, and the line of the audit log that says what was done with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anc_core.bundles.bundle import Bundle
from anc_core.settings import Settings
from anc_core.store import mark_promoted, open_database, record_audit, record_model


def note_model(
    settings: Settings,
    bundle: Bundle,
    *,
    action: str,
    detail: Mapping[str, Any],
    actor: str,
    promoted: bool,
) -> None:
    """Add the model if it is new, and a line of the audit log, in one transaction.

    Parameters
    ----------
    settings : Settings
        Names the database.
    bundle : Bundle
    action, actor : str
        What was done, and by whom or what.
    detail : mapping
        JSON values.
    promoted : bool
        It is in use from now on.
    """
    database = open_database(settings.resolved_database_url)
    try:
        with database.begin() as db:
            record_model(
                db,
                bundle.model_id,
                kind=bundle.kind,
                path=str(bundle.path),
                digest=bundle.digest,
                card=bundle.card,
            )
            if promoted:
                mark_promoted(db, bundle.model_id)
            record_audit(db, action, bundle.model_id, detail, actor)
    finally:
        database.dispose()
