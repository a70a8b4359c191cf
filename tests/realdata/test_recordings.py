"""Real recordings: what comes back is aligned, as long as before, and all are accounted for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from anc_core.jobs.direct import run_batch
from anc_core.jobs.plan import BatchRequest
from anc_core.settings import Settings
from anc_core.store import open_database

pytestmark = pytest.mark.realdata


def _lag(reference: np.ndarray, delayed: np.ndarray) -> int:
    """Return the shift, in samples, at which two signals agree best (all lags, by FFT)."""
    size = 2 * len(reference)
    spectrum = np.fft.rfft(delayed, size) * np.conj(np.fft.rfft(reference, size))
    peak = int(np.argmax(np.fft.irfft(spectrum, size)))
    return peak if peak < size // 2 else peak - size


def test_a_batch_of_real_speech_adds_up_and_stays_aligned(realdata: Path, tmp_path: Path) -> None:
    sources = sorted((realdata / "noisy_pairs").rglob("*.flac"))
    sources += sorted((realdata / "clean_speech" / "asterisk").glob("en_*.flac"))[:6]
    settings = Settings(retry_delay_s=0.0)
    database = open_database(f"sqlite:///{tmp_path / 'anc.db'}")
    request = BatchRequest(inputs=sources, output_dir=tmp_path / "out")

    first = run_batch(request, database=database, settings=settings)
    assert first.planned == len(sources)
    assert first.planned == first.ok + first.degraded + first.skipped + first.failed + (
        first.duplicates
    )
    assert first.failed == 0
    for line in first.results:
        before, _ = sf.read(line.source_path)
        after, _ = sf.read(line.output_path)
        assert before.shape == after.shape
        assert _lag(before, after) == 0

    again = run_batch(request, database=database, settings=settings)
    assert again.skipped == again.planned == first.planned
    assert again.wall_s < 0.1 * first.wall_s
