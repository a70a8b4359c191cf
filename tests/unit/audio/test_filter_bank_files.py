from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from anc_core import build_filter_bank
from anc_core.audio.filter_bank_files import read_filter_bank, write_filter_bank
from anc_core.errors import ErrorCode, SourceError

BANK = build_filter_bank(None, 8_000, [0, 0, 0.5, 0.2], [0, 1.0], num_filters=3, num_taps=16)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "new" / "bank.npz"
    write_filter_bank(path, BANK)
    return path


def members(path):
    with np.load(path) as archive:
        return dict(archive)


def test_a_bank_comes_back_as_it_was(file):
    bank = read_filter_bank(file)
    for name in ("filters", "profiles_db", "noise_s"):
        np.testing.assert_array_equal(getattr(bank, name), getattr(BANK, name))
    for name in ("sample_rate", "primary_digest", "secondary_digest"):
        assert getattr(bank, name) == getattr(BANK, name)


def test_the_same_bank_makes_the_same_file(file, tmp_path):
    write_filter_bank(tmp_path / "again.npz", BANK)
    assert (tmp_path / "again.npz").read_bytes() == file.read_bytes()


@pytest.mark.parametrize("name", ["version", "sample_rate", "filters", "noise_s", "primary_digest"])
def test_a_member_that_is_missing_is_named(file, name):
    rest = {key: value for key, value in members(file).items() if key != name}
    np.savez(file, **rest)
    with pytest.raises(SourceError, match=f"no filter bank or damaged .*{name}") as caught:
        read_filter_bank(file)
    assert caught.value.code is ErrorCode.UNSUPPORTED


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": np.array(2)}, "version 2, this program reads 1"),
        ({"filters": np.ones((3, 16))}, "num_filters"),
        ({"filters": np.full((3, 1, 1, 16), np.inf)}, "holds NaN or an infinity"),
        ({"noise_s": np.ones(9)}, "noise_s"),
        ({"sample_rate": np.array(3)}, "sample_rate"),
        ({"sample_rate": np.arange(3)}, "no filter bank"),
        ({"filters": np.array(["a"])}, "no filter bank"),
    ],
)
def test_what_does_not_belong_together_is_no_bank(file, changes, said):
    np.savez(file, **(members(file) | changes))
    with pytest.raises(SourceError, match=said):
        read_filter_bank(file)


def test_nothing_is_unpickled(file):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    parts = members(file) | {"filters": np.array([Trap()], dtype=object)}
    np.savez(file, **parts)
    with pytest.raises(SourceError, match="no filter bank"):
        read_filter_bank(file)


def test_no_member_is_unpacked_beyond_the_limit(file):
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        content, {"descr": "<f8", "fortran_order": False, "shape": (1, 1, 1, 40_000_000)}
    )
    parts = members(file)
    np.savez(file, **{key: value for key, value in parts.items() if key != "filters"})
    with (
        zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("filters.npy", "w", force_zip64=True) as member,
    ):
        member.write(content.getvalue())
        for _ in range(310):
            member.write(bytes(1 << 20))
    assert file.stat().st_size < 1 << 20
    with pytest.raises(SourceError, match="filters has 3"):
        read_filter_bank(file)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"PK\x03\x04" + bytes(60)])
def test_another_file_is_no_bank(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(SourceError, match="build one with"):
        read_filter_bank(tmp_path / "x.npz")


@pytest.mark.parametrize("size", [30, 300, 1_500])
def test_a_file_that_was_cut_off_is_no_bank(file, size):
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(SourceError, match="no filter bank"):
        read_filter_bank(file)


def test_damaged_bytes_are_noticed(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 0x55
    file.write_bytes(content)
    with pytest.raises(SourceError):
        read_filter_bank(file)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(SourceError) as caught:
        read_filter_bank(tmp_path / "none.npz")
    assert caught.value.code is ErrorCode.NOT_FOUND
