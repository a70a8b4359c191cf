"""Damaged files of every kind: decoded, or refused in words; nothing else leaves the reader."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from anc_core.audio import open_reader, output_format
from anc_core.errors import SourceError

CONTAINERS = ["WAV", "WAVEX", "RF64", "W64", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF", "NIST"]
NUM_DAMAGED = 60


def damaged(content: bytes, rng: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice((1, 2, 5, 20))):
        data[rng.randrange(min(len(data), rng.choice((40, 200, 5_000))))] = rng.randrange(256)
    return bytes(data[: rng.randrange(1, len(data))] if rng.random() < 0.3 else data)


@pytest.mark.parametrize("container", CONTAINERS)
def test_damage_is_decoded_or_refused_in_words(tmp_path, container):
    path = tmp_path / "a.bin"
    tone = (0.3 * np.sin(np.arange(3_000) * 0.1)).astype(np.float32)
    sf.write(path, tone, 16_000, format=container)
    content = path.read_bytes()
    rng = random.Random(container)
    refusals: list[str] = []
    for _ in range(NUM_DAMAGED):
        path.write_bytes(damaged(content, rng))
        try:
            read_all(path)
        except SourceError as err:
            refusals.append(str(err))
    assert all(path.name in refusal for refusal in refusals)
    # Ogg pages have checksums; of the others some damage is in the samples or in unread fields.
    assert 0 < len(refusals) < NUM_DAMAGED or container == "OGG"


def read_all(path: Path) -> None:
    with open_reader(path, max_duration_s=3_600) as reader:
        for chunk in reader.chunks():
            assert chunk.shape[1] == reader.num_channels
            assert np.isfinite(chunk).all()
        assert all(remark.message for remark in reader.remarks)
        output_format(reader.format, ".wav")


def test_a_caf_chunk_beyond_every_file_ends_the_search(tmp_path):
    path = tmp_path / "a.caf"
    sf.write(path, np.zeros(100), 16_000)
    content = path.read_bytes().replace(b"free\0\0\0\0", b"free\x7f\xff\xff\xff")
    path.write_bytes(content)
    with pytest.raises(SourceError), open_reader(path):
        pytest.fail("it was opened")


def test_a_format_tag_that_is_no_text_is_unsupported(tmp_path):
    path = tmp_path / "a.wav"
    sf.write(path, np.zeros(100), 16_000)
    content = bytearray(path.read_bytes())
    content[20:22] = b"\xff\xef"
    path.write_bytes(content)
    with pytest.raises(SourceError), open_reader(path):
        pytest.fail("it was opened")
