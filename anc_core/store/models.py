"""Trained models as rows: what was registered when, and since when it is in use."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from anc_core.store.tables import Model

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def record_model(
    db: Session,
    model_id: str,
    *,
    kind: str,
    path: str,
    digest: str,
    card: Mapping[str, Any],
    now: datetime | None = None,
) -> None:
    """Add a model, or do nothing if it is known: a repeated registration is one.

    Parameters
    ----------
    db : Session
        From :meth:`Database.begin`.
    model_id, kind, path, digest : str
        Identity (it holds the digest, so the same id is the same model), purpose, folder, SHA-256.
    card : mapping
        JSON values.
    now : datetime, optional
        By default the clock's.
    """
    if db.scalar(select(Model.id).where(Model.id == model_id)) is not None:
        return
    db.add(
        Model(
            id=model_id,
            kind=kind,
            path=path,
            digest=digest,
            card=dict(card),
            created_at=now or datetime.now(UTC),
        )
    )
    db.flush()


def mark_promoted(db: Session, model_id: str, *, now: datetime | None = None) -> None:
    """Note that a model is in use from now on."""
    db.execute(
        update(Model).where(Model.id == model_id).values(promoted_at=now or datetime.now(UTC))
    )
