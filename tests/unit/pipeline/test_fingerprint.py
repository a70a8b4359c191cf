from __future__ import annotations

import re
from typing import Any

import pytest

from anc_core.pipeline.fingerprint import fingerprint

BASE: dict[str, Any] = {
    "source_digest": "s",
    "reference_digest": None,
    "parameters": {"mode": "suppress", "preset": {"strength": 1.0, "name": "default"}},
    "model_id": None,
    "core_version": "1",
}


def test_fingerprint_is_32_hexadecimal_digits() -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", fingerprint(**BASE))


def test_fingerprint_never_changes_by_itself() -> None:
    # Frozen: another value here means that every finished session would be done again. Change it
    # together with _SCHEME, knowingly.
    assert fingerprint(**BASE) == "3b3966dd740da461df034fc62e9a2abd"


@pytest.mark.parametrize(
    "change",
    [
        {"source_digest": "t"},
        {"reference_digest": "s"},
        {"parameters": {}},
        {"parameters": {"mode": "suppress", "preset": {"strength": 0.9, "name": "default"}}},
        {"model_id": "m"},
        {"core_version": "2"},
    ],
)
def test_whatever_shapes_the_result_changes_the_fingerprint(change: dict[str, Any]) -> None:
    assert fingerprint(**(BASE | change)) != fingerprint(**BASE)


def test_fields_cannot_be_mistaken_for_each_other() -> None:
    swapped = BASE | {"source_digest": "a", "reference_digest": "b"}
    assert fingerprint(**swapped) != fingerprint(
        **(BASE | {"source_digest": "b", "reference_digest": "a"})
    )
    joined = [{"source_digest": "ab", "model_id": "c"}, {"source_digest": "a", "model_id": "bc"}]
    assert len({fingerprint(**(BASE | fields)) for fields in joined}) == 2


def test_order_of_parameters_does_not_matter() -> None:
    reordered = {"preset": {"name": "default", "strength": 1.0}, "mode": "suppress"}
    assert fingerprint(**(BASE | {"parameters": reordered})) == fingerprint(**BASE)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_what_has_no_json_form_is_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        fingerprint(**(BASE | {"parameters": {"x": value}}))


def test_undecodable_names_in_parameters_are_no_obstacle() -> None:
    assert fingerprint(**(BASE | {"parameters": {"x": "caf\udce9"}}))
