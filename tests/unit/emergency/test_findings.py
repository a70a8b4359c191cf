from __future__ import annotations

import pytest

from anc_core.emergency.findings import Finding, Kind


@pytest.mark.parametrize(
    ("kind", "low_hz", "cycle_s", "fall_db_s", "counts"),
    [
        (Kind.TWO_TONE, 440.0, 1.5, 1.0, True),
        (Kind.TWO_TONE, 440.0, 0.5, 1.0, True),
        (Kind.TWO_TONE, 500.0, 1.0, 25.0, False),
        (Kind.TWO_TONE, 993.0, 0.3, 0.0, False),
        (Kind.STEADY, 970.0, 0.0, 0.0, True),
        (Kind.STEADY, 1300.0, 0.0, 0.0, False),
        (Kind.SWEEP, 970.0, 0.0, 0.0, False),
    ],
    ids=["hi-lo", "NF S 32-001", "two bells", "horn", "BS 5839", "other tone", "sweep"],
)
def test_only_signals_of_a_standard_count_without_the_head(
    kind, low_hz, cycle_s, fall_db_s, counts
):
    finding = Finding(
        kind=kind,
        start=0,
        stop=200,
        score=0.6,
        low_hz=low_hz,
        high_hz=1.3 * low_hz,
        cycle_s=cycle_s,
        fall_db_s=fall_db_s,
    )
    assert finding.counts_alone is counts
