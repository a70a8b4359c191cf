"""``validate_model`` as a caller sees it: a real run on Prefect's test server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flows.prefect_records import artifacts_of
from tests.noise_bundles import CLASSES, make_bundle

pytestmark = [pytest.mark.usefixtures("prefect_server", "store_url")]


def test_a_valid_model_is_a_record_with_a_table(tmp_path: Path) -> None:
    from flows import validate_model

    bundle = make_bundle(tmp_path / "b")
    state = validate_model(model_path=bundle.path, return_state=True)
    result = state.result()
    assert (result.valid, result.digest_ok) == (True, True)
    assert (result.version, result.categories) == (bundle.version, CLASSES)
    assert result["checks"][0]["name"] == "files"
    assert "golden clips" in artifacts_of(state)["model-validation"]["data"]


def test_a_model_that_is_not_valid_is_a_result_and_no_failure(tmp_path: Path) -> None:
    from flows import validate_model

    result = validate_model(model_path=tmp_path / "nothing")
    assert not result.valid
    assert not result.digest_ok
    assert result.categories == ()
