"""The reader on damaged containers: sound, or a refusal in words; never for long, never much."""

from __future__ import annotations

import functools
import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from anc_core.audio import open_reader, output_format
from anc_core.errors import SourceError
from tests.fuzz.damage import damaged
from tests.fuzz.effort import look, look_for_long

MAX_DURATION_S = 60.0
RATE = 16_000
SHORT = 40
# Container and subtype of what is damaged; a tenth of a second each.
FORMATS = {
    "WAV": "PCM_16",
    "WAVEX": "FLOAT",
    "RF64": "PCM_24",
    "W64": "PCM_16",
    "AIFF": "PCM_16",
    "AU": "ULAW",
    "CAF": "ALAC_16",
    "FLAC": "PCM_16",
    "OGG": "VORBIS",
    "MP3": "MPEG_LAYER_III",
}


def tone(num_samples: int = RATE // 10) -> np.ndarray:
    return (0.3 * np.sin(np.arange(num_samples) * 0.1)).astype(np.float32)


@functools.cache
def seed_of(container: str) -> bytes:
    """Return a whole recording; those that only PyAV writes are MP4."""
    if container == "MP4":
        return _mp4()
    # Not to memory: libsndfile writes ALAC by way of a file.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.bin"
        sf.write(path, tone(), RATE, FORMATS[container], format=container)
        return path.read_bytes()


def _mp4() -> bytes:
    av = pytest.importorskip("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(1024)[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return buffer.getvalue()


def read_all(path: Path) -> int:
    with open_reader(path, max_duration_s=MAX_DURATION_S) as reader:
        count = 0
        for chunk in reader.chunks():
            assert chunk.shape[1] == reader.num_channels
            assert np.isfinite(chunk).all()
            count += len(chunk)
        assert all(remark.message for remark in reader.remarks)
        output_format(reader.format, ".wav")
        assert count <= MAX_DURATION_S * reader.sample_rate
    return count


def attempt(folder: Path, content: bytes) -> None:
    path = folder / "a.bin"
    path.write_bytes(content)
    try:
        read_all(path)
    except SourceError as err:
        if path.name not in str(err):
            pytest.fail(f"does not name the file: {err}")
        raise


CONTAINERS = [*FORMATS, "MP4"]


@pytest.mark.parametrize("container", CONTAINERS)
def test_damage_is_read_or_refused_in_words(tmp_path: Path, container: str) -> None:
    strategy = damaged([seed_of(container)])
    assert look(strategy, functools.partial(attempt, tmp_path), SHORT).total >= SHORT


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("container", CONTAINERS)
def test_damage_for_long(
    tmp_path: Path, container: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = look_for_long(damaged([seed_of(container)]), functools.partial(attempt, tmp_path))
    with capsys.disabled():
        print(f"\nreader, {container}: {tally}")
