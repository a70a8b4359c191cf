from __future__ import annotations

import os
import time
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import pytest

from anc_core.errors import InputError
from anc_core.jobs.scan import Scan, scan, sort_key

NFC = unicodedata.normalize("NFC", "é.wav")
NFD = unicodedata.normalize("NFD", "é.wav")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(*names: str) -> None:
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(name))  # every file has other bytes


def names(result: Scan) -> list[str]:
    return [str(found.path) for found in result.found]


def texts(paths: Iterable[Path]) -> list[str]:
    return [str(path) for path in paths]


# ----------------------------------------------------------------------------- what words mean


def test_folder_is_searched_to_any_depth_for_recordings_of_any_case() -> None:
    make("in/b.WAV", "in/a/c.flac", "in/a/b/d.Mp3", "in/notes.txt")
    assert names(scan(["in"])) == ["in/a/b/d.Mp3", "in/a/c.flac", "in/b.WAV"]


def test_flat_search_stays_in_the_folder() -> None:
    make("in/b.wav", "in/a/c.wav")
    assert names(scan(["in"], recursive=False)) == ["in/b.wav"]


def test_named_file_is_taken_whatever_it_is_called() -> None:
    make("noise", ".DS_Store", "-rf", "x.txt")
    assert names(scan(["noise", ".DS_Store", "-rf", "x.txt"])) == [
        "-rf",
        ".DS_Store",
        "noise",
        "x.txt",
    ]


@pytest.mark.parametrize(
    "word", ["", "nowhere.wav", "no/*.wav", "x" * 300, "a\0b.wav", "a\0*.wav", "\ud800.wav"]
)
def test_word_that_means_nothing_is_missing_and_no_more(word: str) -> None:
    make("good.wav")
    result = scan([word, "good.wav"])
    assert result.missing == [word]
    assert names(result) == ["good.wav"]


@pytest.mark.parametrize("inputs", ["in", Path("in")])
def test_single_path_instead_of_a_list_is_refused(inputs: str | Path) -> None:
    with pytest.raises(InputError, match="must be a list"):
        scan(inputs)


def test_no_words_find_nothing() -> None:
    assert scan([]) == Scan()


def test_existing_name_wins_over_its_meaning_as_a_pattern() -> None:
    make("take[1].wav", "take1.wav")
    assert names(scan(["take[1].wav"])) == ["take[1].wav"]


def test_glob_takes_what_matches() -> None:
    make("a1.wav", "a2.flac", "b1.wav")
    assert names(scan(["a*"])) == ["a1.wav", "a2.flac"]


def test_two_stars_reach_any_depth_but_nothing_hidden() -> None:
    make("in/a.wav", "in/x/b.wav", "in/x/y/c.wav", "in/.cache/d.wav", "in/x/e.txt")
    expected = ["in/a.wav", "in/x/b.wav", "in/x/y/c.wav"]
    assert names(scan(["in/**/*.wav"])) == expected
    assert names(scan([str(Path("in").absolute() / "**/*.wav")])) == texts(
        Path(name).absolute() for name in expected
    )
    assert names(scan(["**/y/*.wav"])) == ["in/x/y/c.wav"]
    assert names(scan(["in/**/y/**/*.wav"])) == ["in/x/y/c.wav"]
    assert names(scan(["in/**"], exclude=["*.txt"])) == expected


def test_folder_that_a_pattern_matches_is_searched() -> None:
    make("rec1/a.wav", "rec1/notes.txt", "rec2/b/c.wav", "rec3.wav")
    assert names(scan(["rec*"])) == ["rec1/a.wav", "rec2/b/c.wav", "rec3.wav"]


def test_include_and_exclude_choose_by_name_or_path() -> None:
    make("in/a.wav", "in/b.wav", "in/raw/a.wav", "in/x.pcm")
    assert names(scan(["in"], exclude=["raw/*"])) == ["in/a.wav", "in/b.wav"]
    assert names(scan(["in"], include=["a.*", "*.pcm"])) == ["in/a.wav", "in/raw/a.wav", "in/x.pcm"]


# ----------------------------------------------------------------------------- once


def test_path_that_is_reached_again_counts_once() -> None:
    make("in/a.wav", "in/b.wav")
    result = scan(["in/a.wav", "./in/a.wav", "in/../in/a.wav", "in", "in/*.wav", "in/a*"])
    assert [found.path.name for found in result.found] == ["a.wav", "b.wav"]
    assert len(result.repeated) == 6  # a: 2 spellings, the folder, 2 patterns; b: the pattern
    assert {path.name for path in result.repeated} == {"a.wav", "b.wav"}


def test_absolute_and_relative_spelling_are_one_file(here: Path) -> None:
    make("a.wav")
    result = scan(["a.wav", here / "a.wav"])
    assert len(result.found) == len(result.repeated) == 1


def test_link_and_file_are_one_recording_hard_links_are_two_names() -> None:
    make("in/a.wav")
    Path("in/b.wav").symlink_to("a.wav")
    Path("in/c.wav").hardlink_to("in/a.wav")
    result = scan(["in"])
    assert names(result) == ["in/a.wav", "in/c.wav"]  # the planner compares content
    assert texts(result.repeated) == ["in/b.wav"]


def test_settings_of_a_manifest_are_kept_where_its_folder_is_named_too() -> None:
    make("in/a.wav", "in/b.wav")
    Path("list.csv").write_text("path,preset\nin/b.wav,gentle\n")
    for inputs in (["in", "list.csv"], ["list.csv", "in"]):
        result = scan(inputs)
        assert [(f.path.name, f.row and f.row.preset) for f in result.found] == [
            ("a.wav", None),
            ("b.wav", "gentle"),
        ]
        assert len(result.repeated) == 1


# ----------------------------------------------------------------------------- links


def test_loop_of_links_ends() -> None:
    make("in/a.wav", "in/sub/b.wav")
    Path("in/sub/up").symlink_to("..")
    Path("in/self").symlink_to(".")
    assert names(scan(["in"])) == ["in/a.wav", "in/sub/b.wav"]


def test_two_stars_are_not_lost_in_loops_of_links() -> None:
    make("in/a.wav", "in/sub/b.wav")
    for name in ("one", "two", "three"):
        Path("in", name).symlink_to(".")
    start = time.monotonic()
    assert names(scan(["in/**/*.wav"])) == ["in/a.wav", "in/sub/b.wav"]
    assert time.monotonic() - start < 5  # glob.glob would look at 3^40 paths


def test_folder_is_found_under_its_own_name_rather_than_a_links() -> None:
    make("in/real/a.wav")
    Path("in/a_link").symlink_to("real")
    assert names(scan(["in"])) == ["in/real/a.wav"]


def test_link_to_a_folder_outside_is_followed() -> None:
    make("outside/a.wav", "in/b.wav")
    Path("in/more").symlink_to("../outside")
    assert names(scan(["in"])) == ["in/b.wav", "in/more/a.wav"]


def test_dead_and_self_referring_links_are_found_so_that_they_fail_with_a_reason() -> None:
    Path("in").mkdir()
    Path("in/dead.wav").symlink_to("gone")
    Path("in/me.wav").symlink_to("me.wav")
    assert names(scan(["in", "in/me.wav"])) == ["in/dead.wav", "in/me.wav"]


def test_folder_that_cannot_be_read_is_not_passed_over_in_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make("in/a.wav", "in/closed/b.wav")
    scandir = os.scandir

    def refuse(path: str):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may read everything
    result = scan(["in"])
    assert names(result) == ["in/a.wav"]
    assert result.unreadable == ["in/closed"]


# ----------------------------------------------------------------------------- junk and outputs


def test_junk_is_ignored_and_counted() -> None:
    make("in/a.wav")
    junk = ["._a.wav", ".DS_Store", "Thumbs.db", "a.wav.part", ".~lock.a.wav#", "~a.wav", "a.wav~"]
    make(*(f"in/{name}" for name in (*junk, ".anc-f00.part", "a.wav.json", "notes.txt")))
    result = scan(["in"])
    assert names(result) == ["in/a.wav"]
    assert result.ignored == 10


def test_junk_is_ignored_by_patterns_too() -> None:
    make("in/a.wav", "in/~a.wav")
    result = scan(["in/*.wav"])
    assert names(result) == ["in/a.wav"]
    assert result.ignored == 1


@pytest.mark.parametrize("word", [".", "**/*.wav", "*/*.wav", "*"])
def test_outputs_of_the_first_run_are_no_inputs_of_the_second(word: str) -> None:
    make("in/a.wav", "cleaned/a.wav")
    assert names(scan([word], output_dir=Path("cleaned"))) == ["in/a.wav"]


def test_output_folder_behind_a_link_is_left_out() -> None:
    make("in/a.wav", "elsewhere/a.wav")
    Path("in/cleaned").symlink_to("../elsewhere")
    assert names(scan(["in"], output_dir=Path("elsewhere"))) == ["in/a.wav"]


@pytest.mark.parametrize("word", ["in", "in/*.wav", "in/**/*.wav"])
def test_search_that_begins_in_the_output_folder_finds_its_files(word: str) -> None:
    # Input = output is a mistake that the planner must see: "nothing to do" would hide it.
    make("in/a.wav")
    assert names(scan([word], output_dir=Path("in"))) == ["in/a.wav"]


# ----------------------------------------------------------------------------- names and order


@pytest.mark.parametrize(
    "name",
    [
        "녹음 파일.wav",
        "😀.wav",
        "שלום.wav",
        "a b 'c' \"d\".wav",
        "line\nbreak.wav",
        "-rf.wav",
        "*.wav",
        "x" * 251 + ".wav",
        os.fsdecode(b"caf\xe9.wav"),
        NFC,
        NFD,
    ],
)
def test_any_name_is_found_as_it_is(name: str) -> None:
    make(f"in/{name}")
    for word in ("in", f"in/{name}", "in/*", "in/**/*"):
        assert names(scan([word])) == [f"in/{name}"]


def test_composed_and_decomposed_name_are_two_files_in_a_fixed_order() -> None:
    make(f"in/{NFD}", f"in/{NFC}")
    if len(list(Path("in").iterdir())) < 2:
        pytest.skip("this file system takes both forms for one name")
    assert (
        names(scan(["in"]))
        == names(scan([f"in/{NFC}", f"in/{NFD}"]))
        == sorted([f"in/{NFC}", f"in/{NFD}"])
    )


def test_order_is_that_of_the_composed_form() -> None:
    # Composed é sorts after z, decomposed e + accent would sort before f.
    make(f"in/{NFD}", "in/f.wav", "in/z.wav")
    assert names(scan(["in"])) == ["in/f.wav", "in/z.wav", f"in/{NFD}"]


def test_order_does_not_depend_on_that_of_the_words() -> None:
    make("a.wav", "b.wav", "c.wav")
    assert scan(["c.wav", "a.wav", "b.wav"]).found == scan(["a.wav", "b.wav", "c.wav"]).found


def test_sort_key_tells_equal_looking_names_apart() -> None:
    assert sort_key(Path(NFC)) != sort_key(Path(NFD))
    assert sort_key(Path(NFC))[0] == sort_key(Path(NFD))[0]


# ----------------------------------------------------------------------------- roots


@pytest.mark.parametrize(
    ("words", "root"),
    [
        (["in"], "in"),
        (["in/a.wav"], "in"),
        (["in/*.wav"], "in"),
        (["in/**/*.wav"], "in"),
        (["in/su*/b.wav"], "in"),
        (["i*/a.wav"], "."),
        (["in/a.wav", "in/sub/b.wav"], "in"),
        (["in/sub", "in/other"], "in"),
    ],
)
def test_output_tree_starts_where_the_words_stop_being_fixed(words: list[str], root: str) -> None:
    make("in/a.wav", "in/sub/b.wav", "in/other/c.wav")
    roots = {found.root.absolute() for found in scan(words).found}
    assert roots == {Path(root).absolute()}


# ----------------------------------------------------------------------------- manifests


def test_manifest_is_expanded_with_its_errors() -> None:
    make("in/a.wav")
    Path("in/list.csv").write_text("path,mode\na.wav,\nb.wav,loud\ngone.wav,\n")
    result = scan(["in/list.csv"])
    assert names(result) == ["in/a.wav", "in/gone.wav"]  # what is gone fails with its reason
    assert [error.row for error in result.row_errors] == [3]


def test_manifest_inside_a_folder_is_not_expanded() -> None:
    make("in/a.wav")
    Path("in/list.csv").write_text("path\n/etc/passwd\n")
    assert names(scan(["in"])) == ["in/a.wav"]
    assert names(scan(["in/*.csv"])) == ["/etc/passwd"]  # a pattern names it, a folder does not


def test_thousands_of_files_are_found_in_a_second() -> None:
    for folder in range(20):
        Path(f"in/{folder}").mkdir(parents=True)
        for index in range(100):
            Path(f"in/{folder}/{index}.wav").touch()
    start = time.process_time()
    assert len(scan(["in"]).found) == 2_000
    assert time.process_time() - start < 2  # measured: 0.1 s
