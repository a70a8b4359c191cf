"""Find the recordings that the words of a user mean: files, folders, globs and manifests.

The order is that of the NFC-normalised path, so it is the same on every machine. A path that is
reached twice (named twice, ``./a`` and ``a``, overlapping globs, a link) counts once.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from anc_core.errors import InputError
from anc_core.jobs.manifest import ManifestRow, RowError, is_manifest, read_manifest

RECORDING_SUFFIXES = frozenset(
    (
        *(".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3"),
        *(".mp2", ".aif", ".aiff", ".aifc", ".caf", ".au", ".snd", ".voc", ".sph", ".nist", ".gsm"),
        *(".m4a", ".m4b", ".mp4", ".aac", ".ac3", ".amr", ".wma", ".webm", ".mka", ".mkv", ".mov"),
    )
)
"""What a folder is searched for. A file that is named is taken whatever it is called."""

# Droppings of file systems and programs, and our own temporary files (spec row 26).
_JUNK = ("._*", ".DS_Store", "Thumbs.db", "desktop.ini", "*.part", "*~", "~*", ".~lock*", ".anc-*")


@dataclass(frozen=True, slots=True)
class Found:
    """A recording that was found, and the folder that its output's tree starts from."""

    path: Path
    root: Path
    row: ManifestRow | None = None


@dataclass(slots=True)
class Scan:
    """What a search found."""

    found: list[Found] = field(default_factory=list)
    repeated: list[Path] = field(default_factory=list)
    """Paths that were reached again."""
    missing: list[str] = field(default_factory=list)
    """Words that mean no file."""
    row_errors: list[RowError] = field(default_factory=list)
    ignored: int = 0


def scan(
    inputs: Sequence[str | Path],
    *,
    recursive: bool = True,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    output_dir: Path | None = None,
) -> Scan:
    """Expand ``inputs``.

    Parameters
    ----------
    inputs : sequence of path or str
        Files, folders, glob patterns (``**`` allowed) and manifests (``.csv``, ``.jsonl``).
    recursive : bool
        Search subfolders of folders.
    include, exclude : sequence of str
        Patterns of file names or of paths below a folder; apply to folders and globs.
    output_dir : path, optional
        Never searched, so that a second run does not take the first one's outputs for inputs.

    Raises
    ------
    InputError
        If a manifest cannot be read at all.
    """
    if isinstance(inputs, str | Path):
        msg = f"inputs must be a list of paths, not the single {inputs!r}"
        raise InputError(msg)
    walker = _Walker(recursive, include, exclude, output_dir)
    for word in inputs:
        walker.expand(word)
    return walker.finish()


class _Walker:
    def __init__(
        self,
        recursive: bool,
        include: Sequence[str],
        exclude: Sequence[str],
        output_dir: Path | None,
    ) -> None:
        self.recursive, self.include, self.exclude = recursive, include, exclude
        self.skip_dir = None if output_dir is None else os.path.realpath(output_dir)
        self.result = Scan()
        self.candidates: list[tuple[Path, Path | None, ManifestRow | None]] = []

    def expand(self, word: str | Path) -> None:
        path = Path(word)
        if path.is_dir():
            self.candidates += [(p, path, None) for p in self._walk(path)]
        elif os.path.lexists(path):
            if is_manifest(path):
                self._expand_manifest(path)
            else:
                self.candidates.append((path, None, None))
        elif glob.has_magic(str(word)):
            self._expand_glob(str(word))
        else:
            self.result.missing.append(str(word))

    def finish(self) -> Scan:
        """Drop repeated paths, order the rest, and give every one its root."""
        candidates = sorted(self.candidates, key=lambda c: sort_key(c[0]))
        roots = {root or path.parent for path, root, _ in candidates}
        shared = roots.pop() if len(roots) == 1 else _shared_root(roots)
        seen: set[str] = set()
        for path, _, row in candidates:
            real = os.path.realpath(path)
            if real in seen:
                self.result.repeated.append(path)
                continue
            seen.add(real)
            self.result.found.append(Found(path, shared, row))
        return self.result

    def _expand_manifest(self, path: Path) -> None:
        rows, errors = read_manifest(path)
        self.result.row_errors += errors
        self.candidates += [(row.path, path.parent, row) for row in rows]

    def _expand_glob(self, pattern: str) -> None:
        matches = [Path(p) for p in glob.iglob(pattern, recursive=True)]  # noqa: PTH207 - any anchor
        files = [p for p in matches if p.is_file()]
        if not files:
            self.result.missing.append(pattern)
        root = Path(pattern[: _magic_start(pattern)]).parent if files else Path()
        for path in files:
            if self._is_wanted(path, path.name, any_suffix=True):
                self.candidates.append((path, root, None))

    def _walk(self, top: Path) -> Iterator[Path]:
        visited: set[tuple[int, int]] = set()  # (device, inode): a loop of links ends
        for folder, subfolders, names in os.walk(top, followlinks=True):
            status = os.stat(folder)  # noqa: PTH116 - os.walk yields str
            key = (status.st_dev, status.st_ino)
            if key in visited or os.path.realpath(folder) == self.skip_dir:
                subfolders.clear()
                continue
            visited.add(key)
            if not self.recursive:
                subfolders.clear()
            for name in names:
                path = Path(folder, name)
                if self._is_wanted(path, str(path.relative_to(top)), any_suffix=False):
                    yield path

    def _is_wanted(self, path: Path, relative: str, *, any_suffix: bool) -> bool:
        def matches(patterns: Sequence[str]) -> bool:
            return any(
                fnmatch.fnmatch(path.name, p) or fnmatch.fnmatch(relative, p) for p in patterns
            )

        known = any_suffix or path.suffix.lower() in RECORDING_SUFFIXES
        chosen = matches(self.include) if self.include else known
        if matches(_JUNK) or not chosen or matches(self.exclude):
            self.result.ignored += 1
            return False
        return True


def sort_key(path: Path) -> str:
    """Return the NFC form of ``path``: the order of a batch is the same on every machine."""
    return unicodedata.normalize("NFC", str(path))


def _magic_start(pattern: str) -> int:
    return min(i for i, char in enumerate(pattern) if char in "*?[")


def _shared_root(folders: Collection[Path]) -> Path:
    """Return the deepest folder that holds all ``folders``: the output mirrors what is below it."""
    if not folders:
        return Path()
    absolute = [os.path.abspath(folder) for folder in folders]  # noqa: PTH100 - links stay links
    return Path(os.path.commonpath(absolute))
