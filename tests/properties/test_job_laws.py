"""Laws 7 (idempotent) and 8 (atomic) of a session, for any recording and any moment."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anc_core.errors import ErrorCode
from anc_core.files import digest_file
from anc_core.jobs.records import RecordingJob
from anc_core.jobs.run import run_recording
from anc_core.presets import PRESETS
from anc_core.settings import Settings
from anc_core.store import Database, list_sessions, open_database

few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])

recordings = st.builds(
    lambda seed, num_samples, rate, channels, suffix: (seed, num_samples, rate, channels, suffix),
    st.integers(0, 2**32 - 1),
    st.integers(1, 40_000),
    st.sampled_from([8_000, 16_000, 22_050]),
    st.sampled_from([1, 2]),
    st.sampled_from([".wav", ".flac", ".aiff"]),
)


@contextmanager
def _place(recording: tuple[int, int, int, int, str]) -> Iterator[tuple[Path, Path, Database]]:
    seed, num_samples, rate, channels, suffix = recording
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        noise = 0.1 * np.random.default_rng(seed).standard_normal((num_samples, channels))
        source = folder / f"in{suffix}"
        sf.write(source, noise, rate)
        database = open_database(f"sqlite:///{folder / 'anc.db'}")
        try:
            yield source, folder / "out" / source.name, database
        finally:
            database.dispose()


@few
@given(recording=recordings, preset=st.sampled_from(sorted(PRESETS)))
def test_the_same_recording_and_settings_are_one_session(recording, preset: str) -> None:
    with _place(recording) as (source, sink, database):
        job = RecordingJob(source=source, sink=sink, preset=preset)
        first = run_recording(job, database=database, settings=Settings())
        written = digest_file(sink), sink.stat().st_mtime_ns
        second = run_recording(job, database=database, settings=Settings())
        assert first.status in {"ok", "degraded"}
        assert (second.status, second.session_id) == ("skipped", first.session_id)
        assert (digest_file(sink), sink.stat().st_mtime_ns) == written
        with database.read() as db:
            assert len(list(list_sessions(db))) == 1


@few
@given(recording=recordings)
def test_of_two_runs_at_once_one_does_the_work(recording) -> None:
    with _place(recording) as (source, sink, database):
        job = RecordingJob(source=source, sink=sink)
        start, found = threading.Barrier(2), []

        def work() -> None:
            start.wait()
            found.append(run_recording(job, database=database, settings=Settings()))

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(summary.status for summary in found) in (
            ["ok", "skipped"],
            ["degraded", "skipped"],
        )
        assert len({summary.session_id for summary in found}) == 1
        assert sf.info(sink).frames == sf.info(source).frames


@few
@given(recording=recordings, after=st.integers(0, 4))
def test_stopped_at_any_chunk_there_is_no_output_and_the_next_run_makes_it(
    recording, after: int
) -> None:
    with _place(recording) as (source, sink, database):
        job = RecordingJob(source=source, sink=sink)
        calls = iter(range(10_000))

        def stop(_: int) -> None:
            if next(calls) >= after:
                raise KeyboardInterrupt

        try:
            run_recording(job, database=database, settings=Settings(), on_progress=stop)
        except KeyboardInterrupt:
            assert not sink.exists()
            with database.read() as db:
                (row,) = list_sessions(db)
            assert (row.status, row.error_code) == ("failed", ErrorCode.INTERRUPTED)
        assert [p.name for p in source.parent.rglob(".anc-*")] == []
        again = run_recording(job, database=database, settings=Settings())
        assert again.status in {"ok", "degraded", "skipped"}
        assert sf.info(sink).frames == sf.info(source).frames


@few
@given(recording=recordings)
def test_without_anc_the_output_is_the_input_bit_for_bit(recording) -> None:
    with _place(recording) as (source, sink, database):
        job = RecordingJob(source=source, sink=sink, apply_anc=False)
        summary = run_recording(job, database=database, settings=Settings())
        assert sink.read_bytes() == source.read_bytes()
        assert summary.output_digest == summary.source_digest


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_figure_is_finite_or_null_with_a_reason(preset: str) -> None:
    with _place((5, 30_000, 16_000, 2, ".wav")) as (source, sink, database):
        job = RecordingJob(source=source, sink=sink, preset=preset)
        metrics = run_recording(job, database=database, settings=Settings()).metrics
    missing = {name for name in ("cancellation_db", "snr_improvement_db") if metrics[name] is None}
    assert missing <= set(metrics.null_reasons)
