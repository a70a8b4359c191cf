"""The folder of the classifier that ships: free licences only, every fifth speaker left out."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf

from anc_core.classifier_training import default_folder
from anc_core.classifier_training.default_folder import is_free, prepare
from anc_core.classifier_training.recordings import scan
from anc_core.errors import InputError

COLUMNS = "path,kind,category,licence,speaker_or_fold\n"
NUM_SPEAKERS = 76


def row(root, path, kind, category, licence, speaker):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(list(path.encode()))
    sf.write(root / path, draw.normal(0, 0.1, 800), 16_000, subtype="PCM_16")
    return f'{path},{kind},{category},"{licence}",{speaker}\n'


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setattr(default_folder, "_NUM_CLIPS", 5)
    monkeypatch.setattr(default_folder, "_CLIP_S", 0.2)
    root = tmp_path / "data"
    lines = [
        row(root, f"s/{n}-1.wav", "clean_speech", "librispeech_x", "CC-BY 4.0", f"{n:03}")
        for n in range(NUM_SPEAKERS)
    ]
    esc = ("esc10", "CC-BY 3.0 (dataset ESC-10)")
    for name in ("1-7-A", "2-8-A", "1-114587-A"):
        lines.append(row(root, f"esc10/r/{name}.wav", esc[0], "rain", esc[1], name[0]))
        lines.append(row(root, f"esc10/h/{name}h.wav", esc[0], "helicopter", esc[1], name[0]))
    lines += [
        row(root, "n/1.wav", "noise", "drilling", "CC BY-NC 3.0 (UrbanSound8K", ""),
        row(root, "s/sa.wav", "clean_speech", "asterisk_it", "CC-BY-SA 3.0", "X"),
        row(root, "s/it.wav", "clean_speech", "asterisk_it", "CC-BY 3.0", "Carlo_M"),
    ]
    (root / "manifest.csv").write_text(COLUMNS + "".join(lines))
    return root


def test_what_is_free_is_sorted_into_categories(data, tmp_path):
    folder = tmp_path / "noises"
    prepare(data, folder)
    found = scan(folder)
    assert found.categories == ["babble", "hiss", "hum", "machine", "rain", "speech"]
    names = {clip.path for clip in found.clips}
    assert {"rain/1-7-A.wav", "rain/2-8-A.wav", "machine/1-7-Ah.wav"} <= names
    assert not any("114587" in name for name in names), "UrbanSound8K has it too"
    assert not any("sa.wav" in name or "drilling" in name for name in names)
    speech = {clip.recording for clip in found.clips if clip.category == "speech"}
    assert speech == {f"{n:03}" for n in range(NUM_SPEAKERS) if n % 5} | {"CarloM"}
    assert {clip.licence for clip in found.clips} == {
        "CC-BY 3.0",
        "CC-BY 3.0 (dataset ESC-10)",
        "CC-BY 4.0",
        "computed",
    }


def test_the_same_data_and_seed_give_the_same_folder(data, tmp_path):
    for name in ("a", "b"):
        prepare(data, tmp_path / name)
    first, second = scan(tmp_path / "a"), scan(tmp_path / "b")
    assert [(c.path, c.digest) for c in first.clips] == [(c.path, c.digest) for c in second.clips]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is missing"),
        ("path,kind\n", "column"),
        (COLUMNS + "a.wav,clean_speech,librispeech,CC0,1\n", "speakers are too few"),
    ],
)
def test_a_manifest_that_will_not_do_is_refused(tmp_path, text, said):
    sf.write(tmp_path / "a.wav", np.zeros(800), 16_000)
    if text is not None:
        (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        prepare(tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("licence", "free"),
    [
        ("CC0", True),
        ("public domain (LibriVox); package BSD", True),
        ("CC-BY 3.0 (dataset ESC-10; per clip CC0/CC-BY)", True),
        ("CC BY-NC 3.0 (UrbanSound8K", False),
        ("CC-BY-SA 3.0", False),
        ("CC-BY 4.0 (VoiceBank+DEMAND); repo CC BY-NC 4.0", False),
        ("GPL-2+ (game sound loop)", False),
        ("", False),
    ],
)
def test_only_free_licences_are_free(licence, free):
    assert is_free(licence) is free
