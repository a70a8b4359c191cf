"""``compare_suppressors`` as a caller sees it: a real run on Prefect's test server."""

from __future__ import annotations

from pathlib import Path

import pytest

from anc_core.metrics.quality import Dnsmos, FigureUnavailableError
from tests.flows.prefect_records import artifacts_of, task_names_of
from tests.recordings import noisy_voice

pytestmark = [pytest.mark.usefixtures("prefect_server")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def left_out(_: object) -> None:
        raise FigureUnavailableError("left out")

    monkeypatch.setattr(Dnsmos, "__init__", left_out)
    noisy_voice(tmp_path / "in" / "0.wav", duration_s=1.5)
    return tmp_path / "in"


def test_a_comparison_is_a_record_with_artifacts(folder: Path, tmp_path: Path) -> None:
    from flows import compare_suppressors

    noisy_voice(folder / "1.wav", duration_s=1.5, seed=5)
    state = compare_suppressors(
        folder=folder,
        output_dir=tmp_path / "out",
        systems=["spectral", "preset:gentle"],
        examples=1,
        return_state=True,
    )
    result = state.result()
    assert state.name == "Completed"
    assert (result.planned, result.ok) == (2, 2)
    assert result.model_dump()["systems"][0]["system"] == "spectral"
    assert Path(result.page_path).is_file()
    by_key = artifacts_of(state)
    assert "spectral" in by_key["comparison-systems"]["data"]
    assert "audition.html" in by_key["comparison"]["data"]
    assert set(task_names_of(state, last="publish the comparison")) == {
        "plan the comparison",
        "compare files 1 to 2 of 2",
        "publish the comparison",
    }


def test_what_failed_shows_in_the_name_of_the_state(folder: Path, tmp_path: Path) -> None:
    from flows import compare_suppressors

    (folder / "bad|`<b>.wav").write_bytes(b"no sound at all" * 9)
    state = compare_suppressors(
        folder=folder,
        output_dir=tmp_path / "out",
        systems=["spectral", "onnx:/none.onnx"],
        examples=0,
        return_state=True,
    )
    assert state.is_completed()
    assert state.name == "CompletedWithErrors"
    result = state.result()
    assert (result.ok, result.failed) == (1, 1)
    assert [system.status for system in result.systems] == ["ok", "skipped"]


def test_an_unknown_system_fails_the_run(folder: Path, tmp_path: Path) -> None:
    from flows import compare_suppressors

    with pytest.raises(ValueError, match="'magic' is unknown"):
        compare_suppressors(folder=folder, output_dir=tmp_path / "out", systems=["magic"])
