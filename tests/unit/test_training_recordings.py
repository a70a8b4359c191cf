"""The table of recordings is read strictly: a leak between splits is a lie in every score."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from anc_core.bundles.registry import shipped_models
from anc_core.errors import InputError
from anc_core.training_recordings import (
    COLUMNS,
    TrainingRecording,
    checked,
    chosen,
    data_digest,
    read_table,
    restricted_licences,
    write_table,
)

NEEDED = ("path", "kind", "group", "split")
WITHOUT_GROUP = ("path", "kind", "split")


@pytest.fixture
def rows() -> list[TrainingRecording]:
    return [
        TrainingRecording(
            path=f"{kind}/{number}.wav",
            kind=kind,
            group=f"{kind}{number}",
            split="validation" if number == 0 else "train",
            licence="CC0",
        )
        for kind in ("speech", "noise")
        for number in range(3)
    ]


@pytest.fixture
def root(rows, tmp_path) -> Path:
    for row in rows:
        (tmp_path / row.path).parent.mkdir(exist_ok=True)
        (tmp_path / row.path).write_bytes(row.path.encode())
    return tmp_path


def by_path(rows):
    return sorted(rows, key=lambda row: row.path)


def test_a_table_survives_writing_and_reading(rows, tmp_path):
    odd = replace(rows[0], credit='Jane "J" Doe, freesound\rand\nothers', licence="CC-BY 3.0")
    write_table([odd, *rows[1:]], tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv", required=COLUMNS) == by_path([odd, *rows[1:]])


@pytest.mark.parametrize("kind", ["emergency", "suppressor"])
def test_a_table_that_travels_with_a_model_is_written_as_it_was(kind, tmp_path):
    (table,) = (shipped_models() / kind).rglob("recordings.csv")
    write_table(read_table(table, required=COLUMNS), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == table.read_bytes()


def test_excel_may_have_saved_it(rows, tmp_path):
    write_table(rows, tmp_path / "t.csv")
    text = (tmp_path / "t.csv").read_text()
    (tmp_path / "t.csv").write_bytes(("\ufeff" + text.replace("\n", "\r\n")).encode())
    assert len(read_table(tmp_path / "t.csv", required=COLUMNS)) == len(rows)


def test_a_missing_column_is_named(tmp_path):
    (tmp_path / "t.csv").write_text("path,kind,split\n")
    with pytest.raises(InputError, match="'group' is missing"):
        read_table(tmp_path / "t.csv", required=NEEDED)


def test_what_is_not_required_may_be_missing_and_what_is_not_known_may_be_there(rows, tmp_path):
    lines = [f"{row.path},{row.kind},{row.group},{row.split},5" for row in rows]
    (tmp_path / "t.csv").write_text("\n".join(["path,kind,group,split,stars", *lines]))
    assert read_table(tmp_path / "t.csv", required=NEEDED) == [
        replace(row, licence="") for row in rows
    ]
    with pytest.raises(InputError, match="'credit' is missing"):
        read_table(tmp_path / "t.csv", required=COLUMNS)


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


def test_licences_that_must_not_ship_are_named(rows):
    assert restricted_licences(rows) == []
    rows[:2] = [replace(rows[0], licence="CC BY-NC 3.0"), replace(rows[1], licence="")]
    assert restricted_licences(rows) == ["CC BY-NC 3.0", "unknown"]


def test_rows_are_chosen_in_the_order_of_the_table(rows):
    names = [row.path for row in chosen(rows, "speech", "train")]
    assert names == ["speech/1.wav", "speech/2.wav"]


def test_the_digest_is_that_of_columns_and_contents(rows, root):
    digest = data_digest(rows, root, NEEDED)
    assert digest == data_digest(reversed(rows), root, NEEDED)
    moved = [replace(rows[0], split="train"), *rows[1:]]
    assert digest != data_digest(moved, root, NEEDED)
    renamed = [replace(rows[0], group="somebody"), *rows[1:]]
    assert digest != data_digest(renamed, root, NEEDED)
    assert data_digest(rows, root, WITHOUT_GROUP) == data_digest(renamed, root, WITHOUT_GROUP)


@pytest.mark.parametrize(
    ("columns", "digest"),
    [
        (NEEDED, "cb817431a9f97985f210ce509be50fac030e438cbbebf4bca28824889c82fbb7"),
        (
            ("path", "kind", "split"),
            "3ec2be316a1d0792457bf688255e2d47e37dbb5f81176f52af6641af717723f2",
        ),
    ],
)
def test_the_cards_of_models_can_still_be_compared(rows, root, columns, digest):
    # As each training computed it when it had code of its own.
    assert data_digest(rows, root, columns) == digest
