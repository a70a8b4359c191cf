"""A batch flow whose shards are done by a Dask cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from anc_core.store import list_sessions, open_database
from tests.recordings import noisy_voice

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.long]


def test_the_flow_is_the_same_on_a_cluster(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")
    from flows import batch_process_files

    for number in range(4):
        noisy_voice(tmp_path / "in" / f"{number}.wav", duration_s=1.5, seed=number)
    (tmp_path / "in" / "bad.wav").write_bytes(b"bad")
    monkeypatch.setenv("ANC_SHARD_S", "0.1")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        monkeypatch.setenv("ANC_DASK_SCHEDULER", cluster.scheduler_address)
        summary = batch_process_files(file_paths=[tmp_path / "in"], output_dir=tmp_path / "out")
        again = batch_process_files(file_paths=[tmp_path / "in"], output_dir=tmp_path / "out")
    assert (summary.planned, summary.ok, summary.failed) == (5, 4, 1)
    assert (again.skipped, again.failed) == (4, 1)
    assert sorted(path.name for path in (tmp_path / "out").iterdir())[:2] == ["0.wav", "0.wav.json"]
    with open_database(store_url).begin() as db:
        assert len([one for one in list_sessions(db) if one.status == "ok"]) == 4


def test_no_scheduler_is_one_sentence_and_no_batch_left_open(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    from anc_core.errors import InputError
    from flows import batch_process_files

    noisy_voice(tmp_path / "a.wav", duration_s=1.0)
    monkeypatch.setattr("anc_core.jobs.dask_pool._CONNECT_S", 0.5)
    monkeypatch.setenv("ANC_DASK_SCHEDULER", "tcp://127.0.0.1:9")
    with pytest.raises(InputError, match="no Dask scheduler answers"):
        batch_process_files(file_paths=[tmp_path / "a.wav"], output_dir=tmp_path / "out")
