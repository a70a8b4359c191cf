from __future__ import annotations

import os
import sys
import unicodedata
from pathlib import Path

import pytest

from anc_core.errors import ErrorCode, InputError, SinkError
from anc_core.jobs import naming
from anc_core.jobs.naming import (
    check_allowed,
    check_collisions,
    existing_parent,
    inside,
    is_case_blind,
    mirrored,
)

NFC = unicodedata.normalize("NFC", "é.wav")
NFD = unicodedata.normalize("NFD", "é.wav")

# ----------------------------------------------------------------------------- mirrored


@pytest.mark.parametrize(
    ("source", "root", "expected"),
    [
        ("in/a/x.wav", "in", "out/a/x.wav"),
        ("./in/a/x.wav", "in/", "out/a/x.wav"),
        ("in/../in/x.wav", "in", "out/x.wav"),
        ("/data/x.wav", "/data", "out/x.wav"),
        ("/elsewhere/y/x.wav", "/data", "out/x.wav"),
        ("in/-rf.wav", "in", "out/-rf.wav"),
    ],
)
def test_tree_below_the_root_is_mirrored(source: str, root: str, expected: str) -> None:
    assert mirrored(Path(source), Path(root), Path("out")) == Path(expected)


def test_same_name_in_two_folders_gets_two_places() -> None:
    places = {mirrored(Path(f"in/{f}/x.wav"), Path("in"), Path("out")) for f in "ab"}
    assert len(places) == 2


@pytest.mark.parametrize(
    ("name", "suffix", "expected"),
    [
        ("x.m4a", ".flac", "x.flac"),
        ("x", ".wav", "x.wav"),
        ("a.b.mp3", ".wav", "a.b.wav"),
        (".hidden", ".wav", ".hidden.wav"),
        ("x.WAV", None, "x.WAV"),
    ],
)
def test_suffix_is_replaced_where_the_format_changes(
    name: str, suffix: str | None, expected: str
) -> None:
    assert mirrored(Path("in", name), Path("in"), Path("out"), suffix) == Path("out", expected)


@pytest.mark.parametrize(
    "stem", ["x" * 251, "녹" * 83 + "xx", "😀" * 62 + "xxx", os.fsdecode(b"\xff" * 251)]
)
def test_new_suffix_never_overflows_the_limit_of_names(stem: str, tmp_path: Path) -> None:
    source = tmp_path / f"{stem}.m4a"
    assert len(os.fsencode(source.name)) == 255
    target = mirrored(source, tmp_path, tmp_path, ".flac")
    target.touch()  # the file system agrees
    assert target.suffix == ".flac"
    assert len(os.fsencode(target.name)) <= 255


def test_shortened_names_stay_different() -> None:
    names = ["x" * 250 + end + ".m4a" for end in "ab"]
    targets = {mirrored(Path("in", name), Path("in"), Path("out"), ".flac") for name in names}
    assert len(targets) == 2


# ----------------------------------------------------------------------------- inside, allowed


@pytest.mark.parametrize("name", ["x.wav", "a/b/x.wav", "a/../x.wav", "..x.wav", "-rf"])
def test_name_below_the_folder_is_taken(name: str, tmp_path: Path) -> None:
    assert inside(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize(
    "name", ["../x.wav", "../../etc/x", "/etc/passwd", "a/../../x.wav", ".", "a/..", "", "x\0.wav"]
)
def test_name_that_leaves_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        inside(tmp_path / "out", name)


def test_name_that_leaves_through_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/link").symlink_to("/tmp")
    with pytest.raises(InputError, match="leaves the output folder"):
        inside(tmp_path / "out", "link/x.wav")


def test_sibling_with_the_same_beginning_is_outside(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        inside(tmp_path / "out", "../output/x.wav")


def test_without_roots_everything_is_allowed() -> None:
    check_allowed(Path("/etc/passwd"), ())


def test_path_below_one_of_the_roots_is_allowed(tmp_path: Path) -> None:
    check_allowed(tmp_path / "b/x.wav", (tmp_path / "a", tmp_path / "b"))


@pytest.mark.parametrize("name", ["other/x.wav", "root/../other/x.wav", "rooted/x.wav"])
def test_path_outside_the_roots_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="ANC_ALLOWED_ROOTS") as caught:
        check_allowed(tmp_path / name, (tmp_path / "root",))
    assert caught.value.code is ErrorCode.PERMISSION


def test_link_out_of_the_roots_is_refused_and_one_between_them_is_not(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/out").symlink_to("/etc")
    (tmp_path / "in").symlink_to("root")
    with pytest.raises(SinkError):
        check_allowed(tmp_path / "root/out/passwd", (tmp_path / "root",))
    check_allowed(tmp_path / "in/x.wav", (tmp_path / "root",))


# ----------------------------------------------------------------------------- collisions


def pairs(*names: tuple[str, str], at: Path) -> list[tuple[Path, Path]]:
    return [(at / source, at / sink) for source, sink in names]


def test_different_outputs_do_not_collide(tmp_path: Path) -> None:
    plan = pairs(("in/a.wav", "out/a.wav"), ("in/b.wav", "out/b.wav"), at=tmp_path)
    check_collisions(plan, case_blind=True)


@pytest.mark.parametrize("other", ["out/x.wav", "out/./x.wav", "out/a/../x.wav"])
def test_two_sources_of_one_output_are_both_named(other: str, tmp_path: Path) -> None:
    plan = pairs(("in/x.m4a", "out/x.wav"), ("in/x.wav", other), at=tmp_path)
    with pytest.raises(SinkError, match=r"in/x\.m4a and .*in/x\.wav") as caught:
        check_collisions(plan, case_blind=False)
    assert caught.value.code is ErrorCode.COLLISION


@pytest.mark.parametrize(
    ("first", "second"), [("X.wav", "x.wav"), ("STRASSE.wav", "straße.wav"), (NFC, NFD)]
)
def test_names_that_a_case_blind_disk_takes_for_one_collide_there_only(
    first: str, second: str, tmp_path: Path
) -> None:
    plan = pairs((f"in/{first}", f"out/{first}"), (f"in/{second}", f"out/{second}"), at=tmp_path)
    check_collisions(plan, case_blind=False)
    with pytest.raises(SinkError):
        check_collisions(plan, case_blind=True)


def test_output_that_is_an_input_is_refused(tmp_path: Path) -> None:
    plan = pairs(("in/a.wav", "out/b.wav"), ("out/b.wav", "out/c.wav"), at=tmp_path)
    with pytest.raises(SinkError, match="is itself an input"):
        check_collisions(plan, case_blind=False)


def test_output_that_is_an_input_in_other_letters_is_refused(tmp_path: Path) -> None:
    plan = pairs(("a/X.WAV", "a/x.wav"), at=tmp_path)
    check_collisions(plan, case_blind=False)
    with pytest.raises(SinkError, match="is itself an input"):
        check_collisions(plan, case_blind=True)


def test_output_that_reaches_an_input_through_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").symlink_to("in")
    with pytest.raises(SinkError, match="is itself an input"):
        check_collisions(pairs(("in/a.wav", "out/a.wav"), at=tmp_path), case_blind=False)


# ----------------------------------------------------------------------------- the file system


def answers_in_other_case(folder: Path) -> bool:
    (folder / "Probe").touch()
    found = (folder / "pROBE").exists()
    (folder / "Probe").unlink()
    return found


@pytest.mark.parametrize("name", ["out", "not/there/yet", "."])
def test_case_blindness_is_seen_without_writing(name: str, tmp_path: Path) -> None:
    truth = answers_in_other_case(tmp_path)
    assert is_case_blind(tmp_path / name) is truth
    assert list(tmp_path.iterdir()) == []


def test_entries_of_the_folder_tell_before_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A case-blind stick, mounted on a case-aware disk: only what lies on it gives it away.
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "Voice.wav").touch()
    os.link(stick / "Voice.wav", stick / "vOICE.WAV")
    assert is_case_blind(stick)


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_names_without_letters_leave_it_to_the_systems_habit(
    system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(naming, "_on_file_system", lambda _: iter([Path("/123"), Path("/4 5")]))
    monkeypatch.setattr(sys, "platform", system)
    assert is_case_blind(Path("/123")) is (system != "linux")


def test_root_folder_has_an_answer_too() -> None:
    assert is_case_blind(Path("/123456789")) in {True, False}
    assert is_case_blind(Path("/")) in {True, False}


def test_nearest_existing_parent_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert existing_parent(Path("a/b/c")) == tmp_path
    assert existing_parent(tmp_path) == tmp_path
    assert existing_parent(tmp_path / ("x" * 300) / "y") == tmp_path
    (tmp_path / "file").touch()
    assert existing_parent(tmp_path / "file/below") == tmp_path / "file"
