"""The table of recordings is read strictly: a leak between splits is a lie in every score."""

from __future__ import annotations

from dataclasses import replace

import pytest

from anc_core.denoiser_training.recordings import (
    checked,
    data_digest,
    read_table,
    scan_folders,
    split_of,
    write_table,
)
from anc_core.errors import InputError


def test_a_table_survives_writing_and_reading(rows, tmp_path):
    odd = replace(rows[0], credit='Jane "J" Doe, freesound', licence="CC-BY 3.0")
    write_table([odd, *rows[1:]], tmp_path / "t.csv")
    assert sorted(read_table(tmp_path / "t.csv"), key=lambda r: r.path) == sorted(
        [odd, *rows[1:]], key=lambda r: r.path
    )


def test_excel_may_have_saved_it(rows, tmp_path):
    write_table(rows, tmp_path / "t.csv")
    text = (tmp_path / "t.csv").read_text()
    (tmp_path / "t.csv").write_bytes(("\ufeff" + text.replace("\n", "\r\n")).encode())
    assert len(read_table(tmp_path / "t.csv")) == len(rows)


def test_a_missing_column_is_named(tmp_path):
    (tmp_path / "t.csv").write_text("path,kind,split\n")
    with pytest.raises(InputError, match="'group' is missing"):
        read_table(tmp_path / "t.csv")


def test_a_group_in_both_splits_is_refused(rows):
    leak = replace(rows[1], group=rows[0].group)
    with pytest.raises(InputError, match="both splits"):
        checked([rows[0], leak, *rows[2:]], name="t")


@pytest.mark.parametrize("change", [{"kind": "music"}, {"split": "test"}])
def test_unknown_words_are_refused(rows, change):
    with pytest.raises(InputError, match="they must be"):
        checked([replace(rows[0], **change), *rows[1:]], name="t")


@pytest.mark.parametrize(("kind", "split"), [("speech", "validation"), ("noise", "train")])
def test_every_kind_must_be_in_every_split(rows, kind, split):
    left = [row for row in rows if (row.kind, row.split) != (kind, split)]
    with pytest.raises(InputError, match=f"no {kind} for {split}"):
        checked(left, name="t")


def test_the_digest_is_that_of_paths_splits_and_contents(rows, recordings, tmp_path):
    digest = data_digest(rows, recordings)
    assert digest == data_digest(reversed(rows), recordings)
    moved = [replace(rows[0], split="train"), *rows[1:]]
    assert digest != data_digest(moved, recordings)


def test_folders_are_scanned_by_speaker(tmp_path):
    for number in range(60):
        for take in "ab":
            for kind in ("speech", "noise"):
                (tmp_path / kind).mkdir(exist_ok=True)
                (tmp_path / kind / f"{number}-{take}.wav").touch()
    rows = scan_folders(tmp_path, [tmp_path / "speech"], [tmp_path / "noise"])
    assert len(rows) == 240
    splits = {(row.kind, row.group): set() for row in rows}
    for row in rows:
        splits[row.kind, row.group].add(row.split)
    assert all(len(split) == 1 for split in splits.values())


def test_one_group_in_ten_is_for_validation_on_every_machine():
    shares = [split_of(f"speaker{number}") == "validation" for number in range(2_000)]
    assert 0.07 < sum(shares) / len(shares) < 0.13
    assert [split_of(name) for name in ("103", "1034", "1040", "1069")] == [
        split_of(name) for name in ("103", "1034", "1040", "1069")
    ]
