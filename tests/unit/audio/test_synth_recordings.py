"""The demo's folder: what it holds, that it is readable or broken as named, that it is stable."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import soundfile as sf

from anc_core.audio.synth import alarm_on_intervals, recordings, write_demo_recordings

BROKEN = {"broken/corrupt.wav", "broken/empty.wav"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    write_demo_recordings(folder)
    return folder


@pytest.fixture(scope="module")
def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


@pytest.fixture(scope="module")
def infos(folder, names):
    return {name: sf.info(folder / name) for name in names if name not in BROKEN}


def test_second_run_returns_the_same_files_and_touches_none(folder, names):
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*.*")}
    # A file of the wrong content is put right, the others keep their times.
    harmed = folder / "home/silence-16k.wav"
    harmed.write_bytes(b"something else")
    paths = write_demo_recordings(folder)
    assert [path.relative_to(folder).as_posix() for path in paths] == names
    assert all(path.read_bytes() == before[path][1] for path in paths)
    assert all(path.stat().st_mtime_ns == before[path][0] for path in paths if path != harmed)


def test_rates_channels_and_formats_are_all_there(infos):
    values = infos.values()
    assert {info.samplerate for info in values} == {8_000, 16_000, 22_050, 44_100, 48_000}
    assert {info.channels for info in values} == {1, 2, 4}
    assert {info.format for info in values} == {"WAV", "FLAC", "OGG", "MP3", "AIFF"}
    assert {"PCM_16", "PCM_24", "FLOAT"} <= {info.subtype for info in values}


def test_every_readable_recording_is_6_to_20_s_long_tagged_and_unclipped(folder, infos):
    for name, info in infos.items():
        # 6.0 s less the header: the truncated one ends there.
        assert 5.99 <= info.duration <= 20.1, name
        with sf.SoundFile(folder / name) as file:
            assert file.copy_metadata()["title"], name
            audio = file.read(dtype="float32")
        assert np.isfinite(audio).all(), name
        assert np.abs(audio).max() < 1.0, name
        assert audio.any() == ("silence" not in name), name


def test_broken_files_are_broken(folder):
    assert (folder / "broken/empty.wav").stat().st_size == 0
    with pytest.raises(sf.LibsndfileError):
        sf.info(folder / "broken/corrupt.wav")
    cut = (folder / "broken/truncated-voice-16k.wav").read_bytes()
    promised = int.from_bytes(cut[4:8], "little") + 8
    assert len(cut) == int(0.6 * promised)


def test_copy_is_byte_identical(folder):
    original = (folder / "office/fan-and-voice-16k.wav").read_bytes()
    assert (folder / "spare/copy-of-fan-and-voice-16k.wav").read_bytes() == original


def test_smoke_alarm_sounds_where_its_name_and_title_say(folder):
    audio, rate = sf.read(folder / "home/smoke-alarm-t3-fan-and-voice-16k.flac")
    hop = rate // 50
    frames = audio[: len(audio) // hop * hop].reshape(-1, hop) * np.hanning(hop)
    spectra = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    frequency = np.fft.rfftfreq(hop, 1 / rate)
    tone = spectra[:, np.abs(frequency - 3_100) < 90].sum(axis=1)
    time_s = (np.arange(len(tone)) + 0.5) * hop / rate
    on = np.zeros(len(tone), dtype=bool)
    for start_s, end_s in alarm_on_intervals("t3_3100", 16.0):
        on |= (time_s > 4.02 + start_s) & (time_s < 3.98 + end_s)
    # Beeps stand at least 10 dB above the voice and the fan in their band, most of the time.
    assert np.percentile(tone[on], 5) > 10 * np.median(tone[time_s < 4.0])


def test_engine_comes_first_and_loudest_to_the_reference_channel(folder):
    audio, rate = sf.read(folder / "plant/engine-and-voice-4-channels-16k-float.wav")
    size = 1 << 19
    spectra = np.fft.rfft(audio[:, [0, 3]], size, axis=0)
    correlation = np.fft.irfft(spectra[:, 0] * np.conj(spectra[:, 1]), size)
    lag = np.argmax(correlation[: rate // 50])
    # 2 m further to the first microphone: 5.8 ms = 93 samples; low tones make the peak broad.
    assert lag == pytest.approx(93, abs=8)
    assert np.std(audio[:, 3]) > np.std(audio[:, 0])


def test_another_seed_is_another_recording():
    some = next(one for one in recordings._RECORDINGS if "silence" not in one.path)
    first, again, other = (recordings._content(some, seed=s, index=0) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_ogg_pages_carry_the_same_serial_and_a_true_checksum(folder):
    path = folder / "calls/clicks-and-voice-22k.ogg"
    content = path.read_bytes()
    starts = [0]
    while starts[-1] < len(content):
        page = starts[-1]
        num_segments = content[page + 26]
        starts.append(page + 27 + num_segments + sum(content[page + 27 : page + 27 + num_segments]))
    pages = [content[a:b] for a, b in pairwise(starts)]
    assert starts[-1] == len(content)
    assert len({page[14:18] for page in pages}) == 1
    for page in pages:
        blank = page[:22] + bytes(4) + page[26:]
        assert plain_ogg_crc(blank) == int.from_bytes(page[22:26], "little")


def plain_ogg_crc(page):
    """RFC 3533 bit by bit: polynomial 0x04C11DB7, no reflection, start and end at 0."""
    register = 0
    for byte in page:
        register ^= byte << 24
        for _ in range(8):
            register = (register << 1) ^ (0x04C11DB7 if register & 0x80000000 else 0)
            register &= 0xFFFFFFFF
    return register


def test_float_wav_holds_no_time_of_day(folder):
    content = (folder / "plant/engine-and-voice-4-channels-16k-float.wav").read_bytes()
    peak = content.index(b"PEAK")
    assert content[peak + 12 : peak + 16] == bytes(4)


def test_importing_the_package_loads_no_file_library():
    code = (
        "import sys, anc_core.audio.synth as synth; synth.voice; synth.noise; "
        "print([n for n in ('soundfile', 'scipy', 'numba') if n in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[]"


def test_public_names_exist_and_unknown_ones_do_not():
    import anc_core.audio.synth as synth

    assert all(getattr(synth, name) is not None for name in synth.__all__)
    with pytest.raises(AttributeError, match="no attribute 'trumpet'"):
        _ = synth.trumpet
