"""Words and cover art go from the source to the output, or the output says what it lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from anc_core.audio import AudioFormat, Tags, open_reader, open_writer
from anc_core.audio.formats import WRITABLE
from anc_core.audio.tags import FIELDS, words_for
from anc_core.errors import WarningCode

WORDS = {field: f"{field} ä 東京" for field in FIELDS} | {"date": "2020", "tracknumber": "3"}
ART = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20
AUDIO = (0.1 * np.sin(np.arange(8_000) * 0.1)).astype(np.float32)[:, np.newaxis]


def write(path: Path, container: str, tags: dict[str, str] | None) -> list[str]:
    """Write a file and return the messages of TAGS_DROPPED remarks."""
    audio_format = AudioFormat(container=container, subtype=WRITABLE[container][0])
    if container == "WAV":
        audio_format = AudioFormat(container="WAV", subtype="PCM_16")
    with open_writer(
        path, sample_rate=16_000, num_channels=1, format=audio_format, tags=tags
    ) as writer:
        writer.write(AUDIO)
    assert all(remark.code is WarningCode.TAGS_DROPPED for remark in writer.remarks)
    return [remark.message for remark in writer.remarks]


def read(path: Path) -> tuple[Tags, int]:
    with open_reader(path) as reader:
        return reader.tags, sum(len(chunk) for chunk in reader.chunks())


def flac_picture(data: bytes) -> bytes:
    body = (3).to_bytes(4) + (9).to_bytes(4) + b"image/png" + bytes(20)
    body += len(data).to_bytes(4) + data
    return b"\x06" + len(body).to_bytes(3) + body


def id3_with_art(data: bytes, title: str) -> bytes:
    frames = b""
    for name, body in (
        (b"TIT2", b"\x03" + title.encode()),
        (b"TCOP", b"\x03somebody"),
        (b"APIC", b"\0image/png\0\x03\0" + data),
    ):
        size = bytes((len(body) >> shift) & 0x7F for shift in (21, 14, 7, 0))
        frames += name + size + b"\0\0" + body
    size = bytes((len(frames) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\0\0" + size + frames


@pytest.mark.parametrize("container", list(WRITABLE))
def test_every_word_is_carried_or_its_loss_is_said(tmp_path, container):
    path = tmp_path / "a.bin"
    messages = write(path, container, WORDS)
    tags, num_samples = read(path)
    assert num_samples == len(AUDIO)
    kept = words_for(WORDS, container)
    for field, words in kept.items():
        # libsndfile appends its own name to the software.
        assert tags[field].startswith(words)
    if container == "MP3":
        assert messages == []
        return
    lost = set(FIELDS) - set(kept)
    assert not any(WORDS[field] in tags.get(field, "") for field in lost)
    assert len(messages) == bool(lost)
    assert all(field in messages[0] for field in lost)


def test_an_mp3_holds_all_words_in_its_id3_tag(tmp_path):
    path = tmp_path / "a.mp3"
    write(path, "MP3", WORDS)
    tags, _ = read(path)
    # libsndfile reads no copyright and no licence, but the tag goes on whole.
    for field in ("title", "artist", "album", "comment", "genre", "date", "tracknumber"):
        assert tags[field] == WORDS[field]
    for field in FIELDS:
        assert WORDS[field].encode() in tags.raw


def test_aiff_carries_what_is_ascii(tmp_path):
    path = tmp_path / "a.aiff"
    assert write(path, "AIFF", {"copyright": "me", "title": "ä"}) == []
    assert dict(read(path)[0]) == {"copyright": "me", "title": "ä"}
    (message,) = write(path, "AIFF", {"copyright": "ä"})
    assert "copyright" in message


@pytest.mark.parametrize("container", ["W64", "AU", "WAV"])
def test_without_tags_nothing_is_said(tmp_path, container):
    assert write(tmp_path / "a.bin", container, None) == []
    assert write(tmp_path / "a.bin", container, {}) == []


def test_cover_art_goes_from_flac_to_flac(tmp_path):
    source, output = tmp_path / "a.flac", tmp_path / "b.flac"
    write(source, "FLAC", WORDS)
    content = source.read_bytes()
    source.write_bytes(content[:42] + flac_picture(ART) + flac_picture(b"back") + content[42:])
    tags, _ = read(source)
    assert tags.has_art
    assert write(output, "FLAC", tags) == []
    assert flac_picture(ART) + flac_picture(b"back") in output.read_bytes()
    again, num_samples = read(output)
    assert again.raw == tags.raw
    assert num_samples == len(AUDIO)
    # An independent decoder still reads words and samples.
    assert sf.info(str(output)).frames == len(AUDIO)


def test_the_whole_id3_tag_goes_from_mp3_to_mp3(tmp_path):
    source, output = tmp_path / "a.mp3", tmp_path / "b.mp3"
    write(source, "MP3", None)
    tag = id3_with_art(ART, "Título")
    source.write_bytes(tag + source.read_bytes())
    tags, num_samples = read(source)
    assert tags["title"] == "Título"
    assert tags.has_art
    assert write(output, "MP3", tags) == []
    assert output.read_bytes().startswith(tag)
    again, num_samples_again = read(output)
    assert again["title"] == "Título"
    assert num_samples_again == num_samples == len(AUDIO)


@pytest.mark.parametrize("container", ["WAV", "OGG", "MP3"])
def test_the_loss_of_cover_art_is_said(tmp_path, container):
    source = tmp_path / "a.flac"
    write(source, "FLAC", {"title": "x"})
    content = source.read_bytes()
    source.write_bytes(content[:42] + flac_picture(ART) + content[42:])
    tags, _ = read(source)
    (message,) = write(tmp_path / "b.bin", container, tags)
    assert "cover art" in message


def test_a_tag_that_is_not_utf_8_is_read_all_the_same(tmp_path):
    path = tmp_path / "a.wav"
    write(path, "WAV", {"title": "caXe"})
    path.write_bytes(path.read_bytes().replace(b"caXe", b"ca\xe9e"))
    tags, _ = read(path)
    assert tags["title"].encode("utf-8")  # no surrogates: it goes into JSON and the store


def test_a_flac_whose_metadata_ends_early_is_not_read_for_ever(tmp_path):
    path = tmp_path / "a.flac"
    write(path, "FLAC", None)
    cut = path.read_bytes()[:60]
    path.write_bytes(cut)
    with pytest.raises(OSError, match=r"a\.flac"), open_reader(path):
        pytest.fail("it was opened")
