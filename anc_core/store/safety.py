"""What counts as a safety violation, for the database."""

from __future__ import annotations

from anc_core.analysis_records import SAFE_ATTENUATION_DB
from anc_core.store.tables import NoiseEvent

VIOLATED = NoiseEvent.max_attenuation_db > SAFE_ATTENUATION_DB
"""Of an event: as :func:`anc_core.analysis_records.is_violation` has it."""
