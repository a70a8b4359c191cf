from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile as sf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from anc_core.audio.path_files import read_path, split_key
from anc_core.errors import AncError, InputError

TAPS = np.array([0.0, 1.5, -0.25, 0.125])


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_recording_gives_its_samples_with_their_gain(tmp_path, subtype):
    sf.write(tmp_path / "s.wav", TAPS, 16_000, subtype=subtype)
    taps, rate = read_path(tmp_path / "s.wav")
    np.testing.assert_array_equal(taps, TAPS)
    assert rate == 16_000


def test_one_channel_of_a_recording_is_chosen_by_number(tmp_path):
    sf.write(tmp_path / "s.wav", np.stack([TAPS, -TAPS], axis=1), 8_000, subtype="FLOAT")
    taps, _ = read_path(tmp_path / "s.wav", channel=1)
    np.testing.assert_array_equal(taps, -TAPS)


@pytest.mark.parametrize("shape", [(1, 4), (4, 1), (4,)])
def test_row_or_column_of_a_matlab_file_is_one_path(tmp_path, shape):
    savemat(tmp_path / "s.mat", {"S": TAPS.reshape(shape)})
    taps, rate = read_path(tmp_path / "s.mat")
    np.testing.assert_array_equal(taps, TAPS)
    assert rate is None


def test_of_several_variables_one_must_be_named(tmp_path):
    savemat(tmp_path / "s.mat", {"S": TAPS, "P": 2 * TAPS})
    with pytest.raises(InputError, match=r"P.*S|S.*P"):
        read_path(tmp_path / "s.mat")
    np.testing.assert_array_equal(read_path(f"{tmp_path}/s.mat:P")[0], 2 * TAPS)
    np.testing.assert_array_equal(read_path(tmp_path / "s.mat", key="S")[0], TAPS)


def test_colon_that_belongs_to_the_name_is_no_key(tmp_path):
    file = tmp_path / "a:b.npy"
    np.save(file, TAPS)
    assert split_key(str(file)) == (file, None)
    np.testing.assert_array_equal(read_path(str(file))[0], TAPS)


def test_numpy_file_gives_its_array_but_no_pickle(tmp_path):
    np.save(tmp_path / "s.npy", TAPS)
    np.testing.assert_array_equal(read_path(tmp_path / "s.npy")[0], TAPS)
    np.save(tmp_path / "evil.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(AncError):
        read_path(tmp_path / "evil.npy")


def test_axes_of_several_paths_are_named_never_guessed(tmp_path):
    paths = np.arange(24.0).reshape(4, 2, 3)
    np.save(tmp_path / "s.npy", paths)
    taps, _ = read_path(tmp_path / "s.npy", axes="lmk")
    np.testing.assert_array_equal(taps, paths.transpose(1, 2, 0))


@pytest.mark.parametrize("text", ["0\n1.5\n-0.25\n0.125\n", "0,1.5,-0.25,0.125\n"])
def test_table_may_be_a_column_or_a_row(tmp_path, text):
    (tmp_path / "s.csv").write_text(text)
    np.testing.assert_array_equal(read_path(tmp_path / "s.csv")[0], TAPS)


def test_column_of_a_table_is_chosen_by_its_name(tmp_path):
    (tmp_path / "s.csv").write_text("p,s\n1,0\n2,1.5\n3,-0.25\n4,0.125\n")
    np.testing.assert_array_equal(read_path(tmp_path / "s.csv", key="s")[0], TAPS)


def test_known_rates_are_brought_together(tmp_path):
    low = np.sin(2 * np.pi * 500 * np.arange(400) / 16_000) * np.hanning(400) / 50
    sf.write(tmp_path / "s.wav", low, 16_000, subtype="DOUBLE")
    taps, rate = read_path(tmp_path / "s.wav", sample_rate=32_000)
    assert rate == 32_000
    # The gain at a frequency stays: the sum over the taps of path times exponential.
    before = np.abs(np.sum(low * np.exp(-2j * np.pi * 500 / 16_000 * np.arange(len(low)))))
    after = np.abs(np.sum(taps * np.exp(-2j * np.pi * 500 / 32_000 * np.arange(len(taps)))))
    assert after == pytest.approx(before, rel=0.01)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("s.json", json.dumps({"taps": [1, 2, "x"]})),
        ("s.csv", "1\nx\n"),
        ("s.csv", ""),
        ("s.npy", "nothing"),
        ("s.mat", "nothing"),
        ("s.wav", "nothing"),
        ("s.csv", "1\nnan\n"),
    ],
)
def test_file_that_holds_no_path_says_so(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(AncError, match=r"s\."):
        read_path(tmp_path / name)


def test_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(AncError, match=r"none\.mat"):
        read_path(tmp_path / "none.mat")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    suffix=st.sampled_from(["mat", "npy", "csv", "json", "wav"]),
    content=st.binary(max_size=400),
    start=st.sampled_from([b"", b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM", b"\x93NUMPY\1\0"]),
)
def test_random_bytes_are_refused_with_our_own_errors(tmp_path, suffix, content, start):
    file = tmp_path / f"s.{suffix}"
    file.write_bytes(start + content)
    try:
        taps, _ = read_path(file)
    except AncError:
        return
    assert np.isfinite(taps).all()
