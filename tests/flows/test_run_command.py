"""``anc run`` triggers a deployment."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner

from anc_core.errors import InputError
from flows.cli import cli

pytestmark = [pytest.mark.usefixtures("prefect_server")]


def test_it_schedules_a_run_with_its_parameters(tmp_path: Path) -> None:
    from prefect.client.orchestration import get_client

    from flows.audio_processing import process_audio_file

    process_audio_file.to_deployment(name="on-demand").apply()
    words = ["run", "process-audio-file/on-demand", "-p", f"file_path={tmp_path / 'a.wav'}"]
    result = CliRunner().invoke(cli, [*words, "-p", "apply_anc=false"])
    assert result.exit_code == 0, result.output
    assert "Scheduled" in result.output
    run_id = result.output.split()[1]
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(run_id)
    assert run.parameters == {"file_path": str(tmp_path / "a.wav"), "apply_anc": False}


def test_an_unknown_deployment_is_an_error_that_names_it() -> None:
    with pytest.raises(InputError, match="nobody/nothing"):
        CliRunner().invoke(cli, ["run", "nobody/nothing"], catch_exceptions=False)


def test_a_run_that_does_not_run_can_be_neither_suspended_nor_resumed() -> None:
    from prefect.client.orchestration import get_client

    from flows.audio_processing import process_audio_file

    with get_client(sync_client=True) as client:
        run = client.create_flow_run(process_audio_file, parameters={"file_path": "/x.wav"})
    for word in ("suspend", "resume"):
        with pytest.raises(InputError, match=str(run.id)):
            CliRunner().invoke(cli, ["runs", word, str(run.id)], catch_exceptions=False)
        with pytest.raises(InputError, match="knows none"):
            CliRunner().invoke(cli, ["runs", word, str(uuid4())], catch_exceptions=False)
