"""The flows as a caller sees them: real runs on Prefect's test server."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from anc_core.errors import ErrorCode, InputError, SourceChangedError
from anc_core.store import get_session, list_sessions, open_database
from tests.recordings import noisy_voice, two_microphones

pytestmark = [pytest.mark.usefixtures("prefect_server")]


def test_a_recording_comes_back_clean_and_with_a_session(tmp_path: Path, store_url: str) -> None:
    from flows import process_audio_file

    source = noisy_voice(tmp_path / "in.wav", duration_s=4.0)
    result = process_audio_file(file_path=source, output_path=tmp_path / "out" / "clean.wav")

    assert result.status == "ok"
    assert result.metrics.cancellation_db > 6.0
    assert sf.info(tmp_path / "out" / "clean.wav").frames == sf.info(source).frames
    with open_database(store_url).begin() as db:
        stored = get_session(db, result.session_id)
    assert stored.metrics == result.metrics
    assert stored.output_path == str(tmp_path / "out" / "clean.wav")


def test_bad_input_is_a_failed_record_and_not_an_exception(tmp_path: Path, store_url: str) -> None:
    from flows import process_audio_file

    (tmp_path / "empty.wav").touch()
    result = process_audio_file(file_path=tmp_path / "empty.wav", output_path=tmp_path / "o.wav")

    assert (result.status, result.error_code) == ("failed", ErrorCode.EMPTY_FILE)
    assert not (tmp_path / "o.wav").exists()
    state = process_audio_file(
        file_path=tmp_path / "empty.wav", output_path=tmp_path / "o.wav", return_state=True
    )
    assert state.is_completed()
    assert state.name == "RecordingFailed"


def test_mode_preset_and_reference_reach_the_core(tmp_path: Path, store_url: str) -> None:
    from flows import process_audio_file

    rng = np.random.default_rng(3)
    hum = rng.standard_normal(48_000).astype(np.float32) * 0.1
    sf.write(tmp_path / "reference.wav", hum, 16_000)
    sf.write(tmp_path / "primary.wav", np.convolve(hum, [0.5, 0.3, -0.2])[:48_000], 16_000)

    result = process_audio_file(
        file_path=tmp_path / "primary.wav",
        output_path=tmp_path / "clean.wav",
        reference_path=tmp_path / "reference.wav",
        preset="gentle",
    )
    assert (result.mode, result.preset) == ("cancel", "gentle")
    # A filter for white noise over 3 taps settles far below the input within 3 s.
    assert result.metrics.output_rms_dbfs < result.metrics.input_rms_dbfs - 10.0


def test_a_channel_is_the_reference_as_a_plain_dict_says(tmp_path: Path, store_url: str) -> None:
    """As the form of the UI and a deployment's parameters send it."""
    from flows import process_audio_file

    primary, reference, _ = two_microphones(2.0)
    sf.write(tmp_path / "in.wav", np.stack([primary, reference], axis=1), 16_000)
    result = process_audio_file(
        file_path=tmp_path / "in.wav",
        output_path=tmp_path / "out.wav",
        cancellation={"reference_channel": 2, "num_taps": 1_000},
    )
    assert (result.status, result.mode, result.num_channels) == ("ok", "cancel", 1)
    assert result.parameters["cancellation"]["num_taps"] == 1_000


@pytest.mark.parametrize("is_batch", [False, True])
def test_the_preset_is_overridden_by_a_plain_dict(
    tmp_path: Path, store_url: str, is_batch: bool
) -> None:
    from flows import batch_process_files, process_audio_file

    source, suppression = noisy_voice(tmp_path / "in.wav"), {"strength": 0.0, "link_channels": True}
    if is_batch:
        batch_process_files(file_paths=[source], suppression=suppression)
        with open_database(store_url).begin() as db:
            (result,) = list_sessions(db)
    else:
        result = process_audio_file(file_path=source, suppression=suppression)
    used = result.parameters["preset"]["suppression"]
    assert (used["strength"], used["link_channels"]) == (0.0, True)
    assert result.metrics.output_rms_dbfs == result.metrics.input_rms_dbfs


def test_a_batch_finds_its_pairs(tmp_path: Path, store_url: str) -> None:
    from flows import batch_process_files

    (tmp_path / "in").mkdir()
    for seed in range(2):
        signals = two_microphones(2.0, seed=seed)
        for name, signal in zip(("primary", "reference"), signals, strict=False):
            sf.write(tmp_path / "in" / f"{seed}_{name}.wav", signal, 16_000)
    summary = batch_process_files(
        file_paths=[tmp_path / "in"],
        output_dir=tmp_path / "out",
        pair="*_primary.*=*_reference.*",
        cancellation={"num_taps": 1_000},
    )
    assert (summary.planned, summary.ok) == (2, 2)
    with open_database(store_url).begin() as db:
        sessions = list(list_sessions(db))
    assert {session.mode for session in sessions} == {"cancel"}
    assert {Path(str(s.reference_path)).name for s in sessions} == {
        "0_reference.wav",
        "1_reference.wav",
    }


def test_an_unknown_word_is_refused_with_the_allowed_ones(tmp_path: Path, store_url: str) -> None:
    from flows import process_audio_file

    source = noisy_voice(tmp_path / "in.wav")
    with pytest.raises(ValueError, match="call-centre"):
        process_audio_file(file_path=source, preset="loud")


def test_a_batch_accounts_for_every_file_and_survives_the_bad_one(
    tmp_path: Path, store_url: str
) -> None:
    from flows import batch_process_files

    folder = tmp_path / "in"
    for index in range(3):
        noisy_voice(folder / f"{index}.wav", seed=index)
    (folder / "copy.wav").write_bytes((folder / "0.wav").read_bytes())
    (folder / "broken.wav").write_bytes(b"RIFF\x00\x00not audio at all" * 20)

    first = batch_process_files(file_paths=[folder], output_dir=tmp_path / "out")
    assert (first.planned, first.ok, first.failed, first.duplicates) == (5, 3, 1, 1)
    assert [f.error_code for f in first.failures] == [ErrorCode.NOT_AUDIO]
    assert {p.name for p in (tmp_path / "out").glob("*.wav")} == {
        "0.wav", "1.wav", "2.wav", "copy.wav",
    }  # fmt: skip

    again = batch_process_files(file_paths=[folder], output_dir=tmp_path / "out")
    assert again.planned == again.ok + again.degraded + again.skipped + again.failed + (
        again.duplicates
    )
    assert (again.ok, again.skipped, again.failed, again.duplicates) == (0, 3, 1, 1)
    with open_database(store_url).begin() as db:
        assert sum(1 for _ in list_sessions(db, statuses=["ok"])) == 3


def test_too_many_failures_fail_the_run_after_all_is_done(tmp_path: Path, store_url: str) -> None:
    from flows import batch_process_files
    from flows.audio_processing import BatchFailedError

    noisy_voice(tmp_path / "in" / "good.wav")
    (tmp_path / "in" / "bad.wav").touch()
    with pytest.raises(BatchFailedError) as caught:
        batch_process_files(
            file_paths=[tmp_path / "in"], output_dir=tmp_path / "out", max_failures=0
        )
    assert (caught.value.summary.ok, caught.value.summary.failed) == (1, 1)
    assert (tmp_path / "out" / "good.wav").is_file()


def test_errors_within_the_allowance_complete_with_a_name_that_says_so(
    tmp_path: Path, store_url: str
) -> None:
    from flows import batch_process_files

    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.wav").touch()
    state = batch_process_files(
        file_paths=[tmp_path / "in"], output_dir=tmp_path / "out", max_failures=1, return_state=True
    )
    assert state.is_completed()
    assert state.name == "CompletedWithErrors"


def test_a_dry_run_plans_and_writes_nothing(tmp_path: Path, store_url: str) -> None:
    from flows import batch_process_files

    noisy_voice(tmp_path / "in" / "a.wav")
    summary = batch_process_files(
        file_paths=[tmp_path / "in"], output_dir=tmp_path / "out", dry_run=True
    )
    assert (summary.planned, summary.dry_run) == (1, True)
    assert summary.estimated_s > 0
    assert not (tmp_path / "out").exists()
    with open_database(store_url).begin() as db:
        assert list(list_sessions(db)) == []


def test_thousands_of_names_fit_into_a_run_and_too_many_are_told_what_to_do(
    tmp_path: Path, store_url: str
) -> None:
    """A shell's ``*.wav``; Prefect itself takes 512 KiB of them."""
    from anc_core.jobs.plan import BatchRequest
    from anc_core.settings import Settings
    from flows.batch_command import _as_flow

    def planned(count: int, length: int) -> int:
        names = [f"{tmp_path}/{number}".ljust(length, "x") for number in range(count)]
        return _as_flow(BatchRequest(inputs=names), Settings.load(), None, dry_run=True).planned

    assert planned(6_000, 120) == 6_000
    with pytest.raises(InputError, match=r"5000 names are more than .* folder"):
        planned(5_000, 3_600)


def test_only_passing_faults_are_retried(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import flows.audio_processing as module

    monkeypatch.setenv("ANC_RETRY_DELAY_S", "0")
    source = noisy_voice(tmp_path / "in.wav")
    calls: list[str] = []
    real = module.run_recording

    def flaky(*args, **kwargs):
        calls.append("call")
        if len(calls) < 3:
            raise SourceChangedError("still being written")
        return real(*args, **kwargs)

    monkeypatch.setattr(module, "run_recording", flaky)
    assert module.process_audio_file(file_path=source).status == "ok"
    assert len(calls) == 3


def test_the_last_retry_is_critical_in_the_log(
    tmp_path: Path,
    store_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import flows.audio_processing as module

    monkeypatch.setenv("ANC_RETRY_DELAY_S", "0")
    monkeypatch.setenv("ANC_RETRIES", "1")

    def broken(*args, **kwargs):
        raise SourceChangedError("never quiet")

    monkeypatch.setattr(module, "run_recording", broken)
    with caplog.at_level(logging.INFO), pytest.raises(SourceChangedError):
        module.process_audio_file(file_path=noisy_voice(tmp_path / "in.wav"))
    levels = [r.levelno for r in caplog.records if "process_recording_task failed" in r.message]
    assert levels == [logging.WARNING, logging.CRITICAL]
    last = next(r for r in caplog.records if r.levelno == logging.CRITICAL)
    assert "SourceChangedError" in last.message
    assert "retries=1" in last.message


def test_progress_table_and_summary_are_published(tmp_path: Path, store_url: str) -> None:
    from prefect.client.orchestration import get_client

    from flows import batch_process_files, process_audio_file

    known = noisy_voice(tmp_path / "in" / "a.wav")
    process_audio_file(file_path=known, output_path=tmp_path / "a.clean.wav")
    noisy_voice(tmp_path / "in" / "b.wav", seed=7)
    batch_process_files(file_paths=[tmp_path / "in"], output_dir=tmp_path / "out")
    with get_client(sync_client=True) as client:
        artifacts = {a.key: a for a in client.read_latest_artifacts()}
    assert {"batch-progress", "batch-files", "batch-summary"} <= set(artifacts)
    assert "1 ok" in artifacts["batch-summary"].description
    # What was found done counts as well: the bar of a run that has ended is full.
    assert artifacts["batch-progress"].data == 100.0
    assert artifacts["batch-progress"].description.startswith("2 of 2 files")


def test_a_shard_whose_worker_always_dies_ends_critical_and_the_batch_goes_on(
    tmp_path: Path,
    store_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import flows.audio_processing as module
    from anc_core.errors import WorkerDiedError
    from anc_core.jobs.batch import run_shard

    monkeypatch.setenv("ANC_RETRY_DELAY_S", "0")
    monkeypatch.setenv("ANC_RETRIES", "2")
    tries: list[bool] = []

    def die(self, function, *args):
        tries.append(function is run_shard)  # the other call makes a worker ready
        raise WorkerDiedError("a worker process was killed by SIGKILL")

    monkeypatch.setattr(module.WorkerPool, "run", die)
    noisy_voice(tmp_path / "in" / "a.wav")
    with caplog.at_level(logging.INFO):
        summary = module.batch_process_files([tmp_path / "in"], output_dir=tmp_path / "out")
    assert sum(tries) == 3
    assert (summary.planned, summary.failed) == (1, 1)
    assert summary.failures[0].error_code is ErrorCode.INTERRUPTED
    critical = [r for r in caplog.records if r.levelno == logging.CRITICAL]
    assert any("WorkerDiedError after 2 retries" in r.message and r.exc_info for r in critical)
