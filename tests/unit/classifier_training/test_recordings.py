"""Which clips there are, and which are of one recording."""

from __future__ import annotations

import pytest

from anc_core.classifier_training.recordings import data_digest, scan, without
from anc_core.classifier_training.records import Skipped
from anc_core.errors import InputError

NAMES = ("dog/a-1.wav", "dog/b-1.wav", "rain/a-2.wav", "rain/b-2.wav")


def _files(root, names=NAMES):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())  # scanning looks at no sample
    return root


@pytest.mark.parametrize(
    ("name", "recording"),
    [
        ("1-100032-A.ogg", "1"),
        ("100032-3-0-0.wav", "100032"),
        ("street_take2.wav", "street"),
        ("street.take2.wav", "street"),
        ("street.wav", "street"),
    ],
)
def test_a_recording_is_what_precedes_the_first_separator(tmp_path, name, recording):
    data = scan(_files(tmp_path, (*NAMES, f"dog/{name}")))
    assert [clip.recording for clip in data.clips if clip.path == f"dog/{name}"] == [recording]


def test_groups_finds_the_recording_in_the_file_name(tmp_path):
    data = scan(_files(tmp_path), r"^(\w)")
    assert data.recordings == ["a", "b"]
    assert data.categories == ["dog", "rain"]
    assert [clip.path for clip in data.clips] == sorted(NAMES)


def test_a_category_with_a_single_recording_is_named_with_the_cure(tmp_path):
    _files(tmp_path, (*NAMES, "cat/x_1.wav", "cat/x_2.wav"))
    with pytest.raises(InputError, match=r"'cat' has a single recording, 'x'.*groups") as refused:
        scan(tmp_path)
    assert "what precedes" in str(refused.value)
    data = scan(tmp_path, r"^(.*)\.wav$")
    assert "cat" in data.categories


@pytest.mark.parametrize(
    ("names", "groups", "said"),
    [
        ((), None, "at least 2 categories are needed, none was found"),
        (("dog/a.wav", "dog/b.wav"), None, "only 'dog' was found"),
        (("a.wav", "b.wav"), None, "none was found"),  # not in folders
        (NAMES, "(", "is no regular expression"),
        (NAMES, "a", "has 0 groups"),
        (NAMES, "^(a)", "finds no recording in this name"),
        (NAMES, "^(x?)", "finds no recording in this name"),
    ],
)
def test_what_cannot_be_trained_is_refused(tmp_path, names, groups, said):
    with pytest.raises(InputError, match=said.replace("(", r"\(")):
        scan(_files(tmp_path, names), groups)


def test_no_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="is no folder"):
        scan(tmp_path / "none")


def test_the_same_content_counts_once_and_hidden_files_not_at_all(tmp_path):
    _files(tmp_path, (*NAMES, "dog/._c-1.wav", ".cache/d-1.wav", "dog/notes.txt"))
    (tmp_path / "rain" / "c-1.wav").write_bytes(NAMES[0].encode())
    data = scan(tmp_path)
    assert [clip.path for clip in data.clips] == sorted(NAMES)
    assert data.skipped == (Skipped(path="rain/c-1.wav", reason="the same content as dog/a-1.wav"),)


def test_licences_are_those_of_the_file_or_of_its_folder(tmp_path):
    _files(tmp_path)
    (tmp_path / "licences.csv").write_text("path,licence\ndog,CC0\ndog/b-1.wav,CC-BY\n")
    found = {clip.path: clip.licence for clip in scan(tmp_path).clips}
    assert found == dict(zip(sorted(NAMES), ("CC0", "CC-BY", "", ""), strict=True))
    (tmp_path / "licences.csv").write_text("file\n")
    with pytest.raises(InputError, match="column 'licence' is missing"):
        scan(tmp_path)


def test_too_few_usable_clips_are_an_error(tmp_path):
    data = scan(_files(tmp_path, (*NAMES, "dog/c-1.wav", "rain/c-1.wav")))
    left = without(data, [Skipped(path="dog/a-1.wav", reason="silent")])
    assert "dog/a-1.wav" not in {clip.path for clip in left.clips}
    both = [Skipped(path=f"dog/{name}-1.wav", reason="silent") for name in "ab"]
    with pytest.raises(InputError, match=r"'dog' has a single recording.*dog/a-1.wav: silent"):
        without(data, both)


def test_mostly_unusable_clips_are_an_error(tmp_path):
    names = [f"{kind}/{number}.wav" for kind in ("dog", "rain") for number in range(5)]
    data = scan(_files(tmp_path, names))
    bad = [
        Skipped(path=f"{kind}/{number}.wav", reason="is no audio")
        for kind in ("dog", "rain")
        for number in range(3)
    ]
    with pytest.raises(InputError, match=r"6 of 10 files can't be used.*is no audio"):
        without(data, bad)


def test_the_digest_is_of_contents_and_not_of_names(tmp_path):
    clips = scan(_files(tmp_path)).clips
    digest = data_digest(clips)
    assert data_digest(reversed(clips)) == digest
    renamed = [clip.model_copy(update={"path": f"x/{clip.path}"}) for clip in clips]
    assert data_digest(renamed) == digest
    for changed in ({"digest": "0"}, {"category": "cat"}, {"recording": "z"}):
        assert data_digest([clips[0].model_copy(update=changed), *clips[1:]]) != digest
