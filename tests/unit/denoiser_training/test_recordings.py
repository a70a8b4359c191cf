"""Folders become a table: whole speakers, and the same split on every machine."""

from __future__ import annotations

from anc_core.denoiser_training.recordings import scan_folders, split_of


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
