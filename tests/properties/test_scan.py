"""Laws of the search: whatever the tree and the words, everything is found once, in one order."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from anc_core.jobs.scan import scan, sort_key

FOLDERS = ["", "a", "a/b", "é", "e\u0301", "sp ace", "a/-x"]
NAMES = ["1.wav", "2.WAV", "n.txt", "._1.wav", "é.flac", "e\u0301.flac", "caf\udce9.wav"]
PATHS = [os.path.join(folder, name) for folder in FOLDERS for name in NAMES]  # noqa: PTH118
# (where the link lies, what it points to): up, to itself, sideways, to nothing.
LINKS = [("a/up", ".."), ("self", "."), ("side", "a"), ("a/dead.wav", "gone"), ("l.wav", "1.wav")]

TREES = st.tuples(
    st.lists(st.sampled_from(PATHS), unique=True, max_size=12),
    st.lists(st.sampled_from(LINKS), unique=True, max_size=5),
)
WORDS = st.lists(
    st.sampled_from([".", "a", "./a", "**/*.wav", "*", "a/*", "é", "1.wav", "a/../1.wav", "x"]),
    max_size=5,
)


def grow(top: Path, files: list[str], links: list[tuple[str, str]]) -> None:
    for name in files:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for name, target in links:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)


@given(TREES, WORDS)
def test_each_file_is_found_once_in_the_order_of_its_name(tree, words: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        grow(Path(folder), *tree)
        words = [os.path.join(folder, word) for word in words]  # noqa: PTH118
        result = scan(words)
        paths = [found.path for found in result.found]
        assert len({os.path.realpath(path) for path in paths}) == len(paths)
        assert paths == sorted(paths, key=sort_key)
        assert all(os.path.lexists(path) for path in paths)
        again = scan(list(reversed(words)))
        assert {os.path.realpath(f.path) for f in again.found} == {
            os.path.realpath(path) for path in paths
        }
        assert len(again.repeated) == len(result.repeated)


@given(TREES)
def test_folder_gives_every_recording_below_it(tree) -> None:
    files, links = tree
    with tempfile.TemporaryDirectory() as folder:
        grow(Path(folder), files, links)
        found = {os.path.realpath(f.path) for f in scan([folder]).found}
        suffixes = (".wav", ".flac")
        wanted = [name for name in files if name.lower().endswith(suffixes) and "._" not in name]
        assert {os.path.realpath(Path(folder, name)) for name in wanted} <= found
