"""What FFmpeg decodes: the first audio track, from its first recorded sample to its last."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from anc_core.audio import open_reader, opening, output_format
from anc_core.errors import ErrorCode, SourceError, WarningCode

av = pytest.importorskip("av", reason="the extra `codecs` is not installed")

RATE = 48_000
NUM_SAMPLES = 50_000  # not a multiple of any frame


def chirp() -> np.ndarray:
    time = np.arange(NUM_SAMPLES) / RATE
    return (0.3 * np.sin(2 * np.pi * (300 + 2_000 * time) * time)).astype(np.float32)


def encode(
    path: Path,
    codec: str,
    container: str,
    *,
    num_tracks: int = 1,
    video: bool = False,
    hiss: float = 0.0,
) -> None:
    noise = (hiss * np.random.default_rng(1).standard_normal(NUM_SAMPLES)).astype(np.float32)
    with av.open(str(path), "w", format=container) as output:
        output.metadata["title"] = "Tïtel"
        tracks = [output.add_stream(codec, rate=RATE) for _ in range(num_tracks)]
        for track in tracks:
            track.layout = "stereo"
        picture = add_video(output) if video else None
        for index, track in enumerate(tracks):
            encode_track(output, track, chirp() + noise if index == 0 else np.zeros_like(noise))
        if picture is not None:
            encode_video(output, picture)


def encode_track(output, track, samples: np.ndarray) -> None:
    frame = av.AudioFrame.from_ndarray(
        np.stack([samples, -samples]), format="fltp", layout="stereo"
    )
    frame.rate = RATE
    frame.time_base = Fraction(1, RATE)
    frame.pts = 0
    resampler = av.AudioResampler(
        format=track.codec_context.format.name,
        layout="stereo",
        rate=RATE,
        frame_size=track.codec_context.frame_size or 1_024,
    )
    for piece in [*resampler.resample(frame), *resampler.resample(None)]:
        output.mux(track.encode(piece))
    output.mux(track.encode(None))


def add_video(output):
    picture = output.add_stream("mpeg4", rate=25)
    picture.width = picture.height = 64
    picture.pix_fmt = "yuv420p"
    return picture


def encode_video(output, picture) -> None:
    for _ in range(5):
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        output.mux(picture.encode(frame))
    output.mux(picture.encode(None))


@pytest.mark.parametrize(
    ("codec", "container", "subtype", "max_error"),
    [
        ("aac", "ipod", "AAC", 0.02),
        ("alac", "ipod", "ALAC_24", 2**-23),
        ("libopus", "webm", "OPUS", 0.05),
        ("flac", "matroska", "FLAC_16", 2**-15),
        ("flac", "ogg", "FLAC_16", 2**-15),
    ],
)
def test_length_place_and_level_are_those_that_were_encoded(
    tmp_path, codec, container, subtype, max_error
):
    path = tmp_path / "a.bin"
    encode(path, codec, container)
    with open_reader(path) as reader:
        audio = np.concatenate(list(reader.chunks(4_321)))
        assert (reader.sample_rate, reader.num_channels) == (RATE, 2)
        assert reader.format.subtype == subtype
        assert reader.tags["title"] == "Tïtel"
        assert reader.remarks == ()
        target, remark = output_format(reader.format, ".m4a")
    assert audio.dtype == np.float32
    assert len(audio) == NUM_SAMPLES
    middle = slice(2_000, -2_000)
    assert np.abs(audio[middle, 0] - chirp()[middle]).max() <= max_error
    assert np.abs(audio[middle, 1] + chirp()[middle]).max() <= max_error
    assert target.container == "FLAC"
    assert remark is not None


def test_decoding_does_not_depend_on_the_chunk_size(tmp_path):
    path = tmp_path / "a.m4a"
    encode(path, "aac", "ipod")

    def read(chunk_size: int) -> np.ndarray:
        with open_reader(path) as reader:
            return np.concatenate(list(reader.chunks(chunk_size)))

    assert np.array_equal(read(999), read(10**9))


def test_of_several_tracks_the_first_is_taken_with_a_remark(tmp_path):
    path = tmp_path / "a.mp4"
    encode(path, "aac", "mp4", num_tracks=2, video=True)
    with open_reader(path) as reader:
        audio = np.concatenate(list(reader.chunks()))
        (remark,) = reader.remarks
    assert np.std(audio) > 0.1
    assert "2 audio tracks" in remark.message


def test_a_video_without_sound_has_no_audio_stream(tmp_path):
    path = tmp_path / "a.mp4"
    encode(path, "aac", "mp4", num_tracks=0, video=True)
    with pytest.raises(SourceError, match="video") as caught, open_reader(path):
        pytest.fail("it was opened")
    assert caught.value.code is ErrorCode.NO_AUDIO_STREAM


@pytest.mark.parametrize("tag", [b"drms", b"enca"])
def test_drm_is_unsupported_and_named(tmp_path, tag):
    path = tmp_path / "a.m4a"
    encode(path, "aac", "ipod")
    content = path.read_bytes()
    at = content.index(b"mp4a", content.index(b"stsd"))
    path.write_bytes(content[:at] + tag + content[at + 4 :])
    with pytest.raises(SourceError, match="DRM") as caught, open_reader(path):
        pytest.fail("it was opened")
    assert caught.value.code is ErrorCode.UNSUPPORTED


def test_a_file_without_its_table_is_unsupported_and_says_so(tmp_path):
    path = tmp_path / "a.m4a"
    encode(path, "aac", "ipod")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])  # the table is at the end
    with pytest.raises(SourceError, match=r"a\.m4a.*FFmpeg") as caught, open_reader(path):
        pytest.fail("it was opened")
    assert caught.value.code is ErrorCode.UNSUPPORTED


def test_a_stream_that_is_cut_is_decoded_as_far_as_it_goes(tmp_path):
    path = tmp_path / "a.ogg"
    encode(path, "flac", "ogg", hiss=0.1)  # hard to compress, so that there are several pages
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    with open_reader(path) as reader:
        audio = np.concatenate(list(reader.chunks()))
        assert [remark.code for remark in reader.remarks] == [WarningCode.TRUNCATED]
    assert 0 < len(audio) < NUM_SAMPLES


def test_without_pyav_the_cure_is_named(tmp_path, monkeypatch):
    path = tmp_path / "a.m4a"
    encode(path, "aac", "ipod")
    monkeypatch.setattr(opening, "find_spec", lambda _: None)
    with pytest.raises(SourceError, match="extra `codecs`") as caught, open_reader(path):
        pytest.fail("it was opened")
    assert caught.value.code is ErrorCode.UNSUPPORTED
