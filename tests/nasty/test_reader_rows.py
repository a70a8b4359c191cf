"""Bad and odd recordings, by the rows of the specification's table (section 2)."""

from __future__ import annotations

import os
import struct
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from anc_core.audio import AudioFormat, open_reader, open_writer, output_format
from anc_core.audio.riff import parse_wave
from anc_core.errors import ErrorCode, SourceError, WarningCode
from anc_core.files import open_regular

RATE = 16_000
PCM = np.random.default_rng(7).integers(-(2**15), 2**15, 1_000).astype("<i2")
UNKNOWN = 0xFFFFFFFF


def fmt(
    *, tag: int = 1, channels: int = 1, rate: int = RATE, bits: int = 16, extra: bytes = b""
) -> bytes:
    align = channels * bits // 8
    return struct.pack("<HHIIHH", tag, channels, rate, rate * align & UNKNOWN, align, bits) + extra


def chunk(name: bytes, body: bytes, *, size: int | None = None, pad: bool = True) -> bytes:
    declared = len(body) if size is None else size
    return name + struct.pack("<I", declared) + body + b"\0" * (len(body) % 2 if pad else 0)


def wave(*chunks: bytes, form: bytes = b"RIFF", riff_size: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return form + struct.pack("<I", len(body) if riff_size is None else riff_size) + body


def data(body: bytes = PCM.tobytes(), **more: int) -> bytes:
    return chunk(b"data", body, **more)


FMT = chunk(b"fmt ", fmt())


def read(path: Path, **limits: float) -> tuple[np.ndarray, list[WarningCode], int | None]:
    with open_reader(path, **limits) as reader:
        audio = np.concatenate(list(reader.chunks(777)))
        return audio, [remark.code for remark in reader.remarks], reader.declared_num_samples


def refusal(path: Path, **limits: float) -> SourceError:
    """Return the error of reading ``path``; it names the file."""
    with pytest.raises(SourceError) as caught:
        read(path, **limits)
    assert path.name in str(caught.value)
    return caught.value


def exact(audio: np.ndarray, pcm: np.ndarray = PCM) -> bool:
    return np.array_equal(audio[:, 0], pcm.astype(np.float32) / 2**15)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "a.wav"


# ----------------------------------------------------------------------------- rows 1 to 3


def test_row_1_a_file_of_0_bytes_is_empty(path):
    path.touch()
    assert refusal(path).code is ErrorCode.EMPTY_FILE


@pytest.mark.parametrize(
    "content",
    [
        wave(FMT, data(b"")),
        wave(FMT, data(b""), chunk(b"LIST", b"INFOINAM\x04\0\0\0abc\0")),
        wave(FMT, data(b"", size=0), riff_size=0),
    ],
)
def test_row_2_a_valid_header_without_samples_has_no_audio(path, content):
    path.write_bytes(content)
    assert refusal(path).code is ErrorCode.NO_AUDIO


@pytest.mark.parametrize("container", ["AIFF", "AU", "CAF", "W64"])
def test_row_2_in_other_containers_too(tmp_path, container):
    path = tmp_path / "a.bin"
    sf.write(path, np.zeros((0, 1)), RATE, "PCM_16", format=container)
    assert refusal(path).code is ErrorCode.NO_AUDIO


@pytest.mark.parametrize("num_samples", [1, 2, 100])
def test_row_3_a_few_samples_are_a_recording(path, num_samples):
    path.write_bytes(wave(FMT, data(PCM[:num_samples].tobytes())))
    audio, codes, declared = read(path)
    assert exact(audio, PCM[:num_samples])
    assert (codes, declared) == ([], num_samples)


# ----------------------------------------------------------------------------- rows 4 to 7


@pytest.mark.parametrize("num_bytes", [2, 1_001, 1_999])
def test_row_4_a_truncated_data_chunk_is_decoded_as_far_as_it_goes(path, num_bytes):
    path.write_bytes(wave(FMT, data(PCM.tobytes()))[: 44 + num_bytes])
    with open_reader(path) as reader:
        audio = np.concatenate(list(reader.chunks()))
        (remark,) = reader.remarks
        assert reader.declared_num_samples == 1_000
        assert reader.num_samples == num_bytes // 2
    assert exact(audio, PCM[: num_bytes // 2])
    assert remark.code is WarningCode.TRUNCATED
    assert "1000 samples" in remark.message
    assert f"{num_bytes // 2} samples" in remark.message


@pytest.mark.parametrize(
    ("riff_size", "data_size"),
    [
        (0, 0),
        (UNKNOWN, UNKNOWN),  # FFmpeg to a pipe
        (36, 0),  # a recorder that died after its first header
        (0x7FFFF024, 0x7FFFF000),  # sox to a pipe
        (0x80000024, 0x80000000),  # arecord to a pipe
        (UNKNOWN, 0xFFFFFFD8),
    ],
)
def test_row_5_a_stream_is_read_to_its_end_with_a_remark(path, riff_size, data_size):
    path.write_bytes(wave(FMT, data(size=data_size), riff_size=riff_size))
    audio, codes, declared = read(path)
    assert exact(audio)
    assert declared is None
    assert codes == [WarningCode.HEADER_REPAIRED]


def test_row_5_a_claim_of_a_header_allocates_nothing(path):
    huge = chunk(b"fmt ", fmt(channels=1_000, rate=768_000))
    path.write_bytes(wave(huge, data(PCM.tobytes(), size=UNKNOWN - 300)))
    tracemalloc.start()
    with open_reader(path) as reader:
        assert reader.chunk_size == 768_000
        assert sum(len(part) for part in reader.chunks()) == 1
        _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000  # one second of what is claimed would be 3 GB


def test_row_6_a_size_that_wrapped_at_4_gb_is_found_by_the_size_of_the_file(path):
    true_size = 2**32 + 1_000_000
    with path.open("wb") as file:
        file.write(wave(FMT, b"data" + struct.pack("<I", true_size % 2**32)))
        file.seek(true_size, os.SEEK_CUR)  # a hole: takes no space on the disk
        file.write(chunk(b"LIST", b"INFOINAM\x04\0\0\0abc\0"))
    with open_regular(path) as file:
        layout = parse_wave(file)
    assert layout is not None
    assert layout.data_size == true_size
    with open_reader(path) as reader:
        assert reader.format == AudioFormat(container="WAV", subtype="PCM_16")
        assert reader.tags["title"] == "abc"
        assert len(next(reader.chunks(1_000))) == 1_000
        assert [remark.code for remark in reader.remarks] == [WarningCode.HEADER_REPAIRED]


@pytest.mark.parametrize("form", [b"RF64", b"BW64"])
@pytest.mark.parametrize("known", [True, False])
def test_row_6_64_bit_sizes_are_read(path, form, known):
    sizes = struct.pack("<QQQI", 0, 2 * len(PCM) if known else 0, len(PCM) if known else 0, 0)
    path.write_bytes(
        wave(chunk(b"ds64", sizes), FMT, data(size=UNKNOWN), form=form, riff_size=UNKNOWN)
    )
    audio, codes, declared = read(path)
    assert exact(audio)
    assert declared == (1_000 if known else None)
    assert codes == ([] if known else [WarningCode.HEADER_REPAIRED])
    with open_reader(path) as reader:
        assert reader.format.container == "RF64"


def test_row_6_w64_is_read(tmp_path):
    path = tmp_path / "a.w64"
    sf.write(path, PCM, RATE, "PCM_16")
    assert exact(read(path)[0])


INFO = chunk(b"LIST", b"INFO" + chunk(b"INAM", b"Title\0"))
ODD = chunk(b"bext", b"x" * 333)


@pytest.mark.parametrize(
    "content",
    [
        wave(INFO, FMT, data()),
        wave(FMT, INFO, ODD, data()),
        wave(FMT, data(), INFO),
        wave(FMT, chunk(b"junk", b"x" * 333, pad=False), INFO, data()),
        wave(FMT, INFO, data(b""), data()),
        wave(FMT, INFO, data(), data(b"\1\2" * 50)),
        wave(FMT, FMT, INFO, data()),
        wave(FMT, INFO, data()) + b"\0\1\2garbage\xff" * 99,
        wave(FMT, INFO, data(), riff_size=1),
        wave(chunk(b"fmt ", fmt(extra=b"\0\0")), INFO, data()),
    ],
    ids=range(10),
)
def test_row_7_odd_tables_of_chunks_are_tolerated(path, content):
    path.write_bytes(content)
    audio, codes, _ = read(path)
    assert exact(audio)
    assert codes == []
    with open_reader(path) as reader:
        assert reader.tags["title"] == "Title"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (wave(FMT), ErrorCode.NO_DATA_CHUNK),
        (wave(FMT, INFO), ErrorCode.NO_DATA_CHUNK),
        (wave(data()), ErrorCode.NOT_AUDIO),
        (wave(chunk(b"fmt ", b"\1\0"), data()), ErrorCode.NOT_AUDIO),
        (b"RIFF\x10\0\0\0WEBPVP8 " + bytes(500), ErrorCode.NOT_AUDIO),
        (b"RIFF", ErrorCode.NOT_AUDIO),
        (wave(chunk(b"fmt ", fmt(tag=0x9999)), data()), ErrorCode.UNSUPPORTED),
    ],
)
def test_row_7_what_is_missing_is_named(path, content, code):
    path.write_bytes(content)
    assert refusal(path).code is code


def test_row_7_a_table_of_a_million_chunks_ends(path):
    path.write_bytes(wave(FMT, chunk(b"junk", b"") * 1_000_000, data()))
    assert refusal(path).code is ErrorCode.NO_DATA_CHUNK


# ----------------------------------------------------------------------------- rows 8 to 10


@pytest.mark.parametrize(
    ("subtype", "num_bits"), [("PCM_U8", 8), ("PCM_16", 16), ("PCM_24", 24), ("PCM_32", 32)]
)
def test_row_8_integers_are_value_over_full_scale_exactly(path, subtype, num_bits):
    rng = np.random.default_rng(9)
    integers = rng.integers(-(2 ** (num_bits - 1)), 2 ** (num_bits - 1), 500)
    integers[:3] = -(2 ** (num_bits - 1)), 2 ** (num_bits - 1) - 1, 0
    if num_bits == 8:
        raw = (integers + 128).astype(np.uint8).tobytes()
    else:
        raw = b"".join(int(i).to_bytes(num_bits // 8, "little", signed=True) for i in integers)
    path.write_bytes(wave(chunk(b"fmt ", fmt(bits=num_bits)), data(raw)))
    audio, _, _ = read(path)
    assert np.array_equal(audio[:, 0], (integers / 2 ** (num_bits - 1)).astype(np.float32))
    with open_reader(path) as reader:
        assert reader.format.subtype == subtype
        assert output_format(reader.format, ".wav")[1] is None


@pytest.mark.parametrize("subtype", ["GSM610", "IMA_ADPCM", "MS_ADPCM", "G721_32"])
def test_row_8_codecs_that_pad_are_decoded_and_come_out_as_pcm_with_a_remark(path, subtype):
    tone = 0.3 * np.sin(np.arange(8_000) * 0.1)
    sf.write(path, tone, 8_000, subtype)
    with open_reader(path) as reader:
        audio = np.concatenate(list(reader.chunks()))
        target, remark = output_format(reader.format, ".wav")
        assert reader.remarks == ()
    assert len(audio) >= 8_000
    assert np.corrcoef(audio[:8_000, 0], tone)[0, 1] > 0.9
    assert target.subtype == "PCM_16"
    assert remark is not None
    assert subtype in remark.message


def test_row_9_floats_beyond_full_scale_are_read_as_they_are(path):
    loud = np.array([3.0, -2.5, 0.5], "<f4")
    path.write_bytes(wave(chunk(b"fmt ", fmt(tag=3, bits=32)), data(loud.tobytes())))
    assert np.array_equal(read(path)[0][:, 0], loud)


@pytest.mark.parametrize(("dtype", "bits"), [("<f4", 32), ("<f8", 64)])
def test_row_10_nan_and_infinity_become_0_and_are_counted(path, dtype, bits):
    samples = np.array([0.5, np.nan, np.inf, -np.inf, -0.5], dtype)
    path.write_bytes(wave(chunk(b"fmt ", fmt(tag=3, bits=bits)), data(samples.tobytes())))
    with open_reader(path) as reader:
        audio = np.concatenate(list(reader.chunks()))
        assert reader.non_finite_samples == 3
    assert audio[:, 0].tolist() == [0.5, 0.0, 0.0, 0.0, -0.5]


def test_row_10_a_double_beyond_float32_counts_as_infinite(path):
    path.write_bytes(
        wave(chunk(b"fmt ", fmt(tag=3, bits=64)), data(struct.pack("<dd", 1e300, 0.25)))
    )
    with open_reader(path) as reader:
        assert np.concatenate(list(reader.chunks()))[:, 0].tolist() == [0.0, 0.25]
        assert reader.non_finite_samples == 1


# ----------------------------------------------------------------------------- rows 13 and 14


@pytest.mark.parametrize("rate", [1_000, 7_999, 11_025, 192_000, 384_000, 768_000])
def test_row_13_real_rates_come_back_unchanged(tmp_path, path, rate):
    path.write_bytes(wave(chunk(b"fmt ", fmt(rate=rate)), data()))
    output = tmp_path / "b.wav"
    with (
        open_reader(path) as reader,
        open_writer(output, sample_rate=rate, num_channels=1, format=reader.format) as writer,
    ):
        assert reader.sample_rate == rate
        for part in reader.chunks():
            writer.write(part)
    assert sf.info(str(output)).samplerate == rate
    assert exact(read(output)[0])


@pytest.mark.parametrize("rate", [0, 1, 999, 768_001, 4_000_000_000])
def test_row_13_absurd_rates_are_refused_with_the_value(path, rate):
    path.write_bytes(wave(chunk(b"fmt ", fmt(rate=rate)), data()))
    error = refusal(path)
    assert error.code is ErrorCode.BAD_SAMPLE_RATE
    assert f"{rate} Hz" in str(error)


def test_row_13_absurd_rates_are_refused_in_other_containers_too(tmp_path):
    path = tmp_path / "a.au"
    sf.write(path, PCM, RATE, "PCM_16")
    content = bytearray(path.read_bytes())
    content[16:20] = (4_000_000).to_bytes(4)
    path.write_bytes(content)
    assert refusal(path).code is ErrorCode.BAD_SAMPLE_RATE


@pytest.mark.parametrize("channels", [2, 8, 64, 1_024])
def test_row_14_many_channels_are_columns(path, channels):
    frames = np.arange(10 * channels, dtype="<i2").reshape(10, channels)
    path.write_bytes(wave(chunk(b"fmt ", fmt(channels=channels)), data(frames.tobytes())))
    assert np.array_equal(read(path)[0], frames / np.float32(2**15))


@pytest.mark.parametrize("channels", [0, 1_025, 65_535])
def test_row_14_no_channels_or_too_many_are_refused(path, channels):
    path.write_bytes(
        wave(chunk(b"fmt ", struct.pack("<HHIIHH", 1, channels, RATE, 0, 2, 16)), data())
    )
    error = refusal(path)
    assert error.code is ErrorCode.BAD_CHANNELS
    assert f"{channels} channels" in str(error)


# ----------------------------------------------------------------------------- rows 15 to 21


def test_row_15_memory_does_not_grow_with_the_length(path):
    num_samples = 20_000_000  # 40 MB, 80 MB as float32
    with path.open("wb") as file:
        file.write(wave(FMT, b"data" + struct.pack("<I", 2 * num_samples)))
        file.seek(2 * num_samples - 1, os.SEEK_CUR)
        file.write(b"\0")
    tracemalloc.start()
    with open_reader(path) as reader:
        assert sum(len(part) for part in reader.chunks(16_000)) == num_samples
        _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6_000_000  # a few blocks of 1 MiB


def test_row_16_a_wav_that_is_mp3_works_with_a_remark_and_comes_out_as_a_wav(path):
    tone = 0.3 * np.sin(np.arange(48_000) * 0.1)
    sf.write(path, tone, 48_000, "MPEG_LAYER_III", format="MP3")
    audio, codes, _ = read(path)
    assert len(audio) == 48_000
    assert codes == [WarningCode.CODEC_MISMATCH]
    with open_reader(path) as reader:
        target, remark = output_format(reader.format, path.suffix)
    assert target == AudioFormat(container="WAV", subtype="PCM_16")
    assert remark is not None


FOREIGN = {
    "web page": b"<!DOCTYPE html><html><body>404 not found</body></html>",
    "web page with a byte order mark": b"\xef\xbb\xbf\n <html></html>",
    "text": "Grüße, dies ist kein Ton.\n".encode() * 300,
    "UTF-16 text": "no audio".encode("utf-16"),
    "JSON": b'{"error": "not found"}',
    "playlist": b"#EXTM3U\nhttp://example.org/a.mp3\n",
    "ffconcat": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "ZIP": b"PK\x03\x04\x14\0\0\0\x08\0" + bytes(100),
    "PDF": b"%PDF-1.7\n%\xe2\xe3",
    "JPEG": b"\xff\xd8\xff\xe0" + bytes(100),
    "DS_Store": b"\0\0\0\x01Bud1" + bytes(100),
    "AppleDouble": b"\0\x05\x16\x07\0\x02\0\0" + bytes(100),
    "Thumbs.db": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100),
    "noise": np.random.default_rng(3).bytes(5_000),
    "zeros": bytes(5_000),
    "one byte": b"\xff",
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("suffix", [".mp3", ".wav", ""])
def test_row_16_what_is_no_audio_is_said_to_be_none(tmp_path, kind, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(FOREIGN[kind])
    assert refusal(path).code is ErrorCode.NOT_AUDIO


def test_row_16_a_name_tells_nothing(tmp_path):
    for name in ("a", "a.part", "a.txt", "a.WAV", "a.bin"):
        path = tmp_path / name
        path.write_bytes(wave(FMT, data()))
        assert exact(read(path)[0])


def test_row_16_an_apple_double_beside_it_confuses_nobody(path):
    # libsndfile, given a name, takes "._a.wav" for the resource fork of a Sound Designer file.
    path.write_bytes(wave(FMT, data()))
    sf.write(path.with_name("x.sd2"), PCM, RATE, "PCM_16", format="SD2")
    path.with_name("._x.sd2").rename(path.with_name("._a.wav"))
    assert exact(read(path)[0])


def test_row_20_an_encrypted_archive_is_unsupported(tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(b"PK\x03\x04\x14\0\x01\0\x08\0" + bytes(100))
    error = refusal(path)
    assert error.code is ErrorCode.UNSUPPORTED
    assert "password" in str(error)


def test_row_20_a_midi_sample_dump_is_unsupported_and_prints_nothing(tmp_path, capfd):
    path = tmp_path / "a.sds"
    sf.write(path, PCM, RATE, "PCM_16")
    assert refusal(path).code is ErrorCode.UNSUPPORTED
    assert capfd.readouterr().out == ""


def test_row_21_a_header_that_claims_a_billion_seconds_is_refused_before_decoding(tmp_path):
    path = tmp_path / "a.flac"
    sf.write(path, PCM, RATE, "PCM_16")
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F  # STREAMINFO: 36 bits of total samples
    content[22:26] = b"\xff" * 4
    path.write_bytes(content)
    assert refusal(path, max_duration_s=86_400).code is ErrorCode.TOO_LONG
    audio, codes, declared = read(path)  # without a limit: what there is
    assert exact(audio)
    assert declared == 2**36 - 1
    assert codes == [WarningCode.TRUNCATED]


def test_row_21_limits_hold_for_bytes_and_for_what_no_header_tells(path):
    path.write_bytes(wave(FMT, data(size=UNKNOWN), riff_size=UNKNOWN))
    assert refusal(path, max_bytes=1_000).code is ErrorCode.TOO_LONG
    assert refusal(path, max_duration_s=999 / RATE).code is ErrorCode.TOO_LONG
    assert exact(read(path, max_duration_s=1_000 / RATE, max_bytes=path.stat().st_size)[0])


# ----------------------------------------------------------------------------- rows 25 to 30


@pytest.mark.parametrize(
    "name",
    [
        "ü" * 124 + "xxx.wav",  # 255 bytes
        "🎧 звук 소리.wav",
        "e\u0301 'quoted\" \n-.wav",
        os.fsdecode(b"caf\xe9.wav"),
    ],
)
def test_row_25_any_name_is_read_and_written(tmp_path, name):
    source, output = tmp_path / name, tmp_path / "out" / name
    source.write_bytes(wave(FMT, data()))
    with (
        open_reader(source) as reader,
        open_writer(output, sample_rate=RATE, num_channels=1, format=reader.format) as writer,
    ):
        for part in reader.chunks():
            writer.write(part)
    assert exact(read(output)[0])
    source.write_bytes(b"")
    with pytest.raises(SourceError) as caught:
        read(source)
    assert str(caught.value).encode("utf-8")  # no surrogate: it goes into logs and the store


def test_row_30_fifos_devices_and_folders_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "fifo.wav")
    (tmp_path / "folder.wav").mkdir()
    codes: list[ErrorCode] = []

    def try_all() -> None:
        for path in (tmp_path / "fifo.wav", tmp_path / "folder.wav", Path("/dev/zero")):
            codes.append(refusal(path).code)

    thread = threading.Thread(target=try_all, daemon=True)  # a FIFO could block for ever
    thread.start()
    thread.join(timeout=10)
    assert codes == [ErrorCode.PERMISSION] * 3
