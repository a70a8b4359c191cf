"""Find the recordings that the words of a user mean: files, folders, globs and manifests.

Recordings of buckets are found by :mod:`anc_core.jobs.remote_scan`, by the same rules.

The order is that of the NFC-normalised path, so it is the same on every machine. A path that is
reached twice (named twice, ``./a`` and ``a``, overlapping globs, a link) counts once.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from anc_core.errors import InputError, RecordingError
from anc_core.files import SourceIdentity
from anc_core.jobs.manifest import ManifestRow, RowError, is_manifest, read_manifest
from anc_core.jobs.naming import Where, check_allowed, real_name
from anc_core.jobs.remote_scan import Wanted, objects_of
from anc_core.remote.address import RemotePath, is_url, local, place

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

_ANY_DEPTH = "**"


@dataclass(frozen=True, slots=True)
class Found:
    """A recording that was found, and the folder that its output's tree starts from."""

    path: Where
    root: Where
    row: ManifestRow | None = None
    identity: SourceIdentity | None = None
    """Of an object of a bucket, whose listing tells it."""

    @property
    def file(self) -> Path:
        """``path``, for who works on files of this machine only."""
        return local(self.path)


@dataclass(slots=True)
class Scan:
    """What a search found."""

    found: list[Found] = field(default_factory=list)
    repeated: list[Where] = field(default_factory=list)
    """Paths that were reached again."""
    missing: list[str] = field(default_factory=list)
    """Words that mean no file."""
    unreadable: list[str] = field(default_factory=list)
    """Folders that could not be searched."""
    refused: list[tuple[str, RecordingError | InputError]] = field(default_factory=list)
    """URLs that lead to nothing usable, and why."""
    row_errors: list[RowError] = field(default_factory=list)
    ignored: int = 0


def scan(
    inputs: Sequence[str | Path],
    *,
    recursive: bool = True,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    output_dir: Where | None = None,
    roots: Sequence[Where] = (),
) -> Scan:
    """Expand ``inputs``.

    Parameters
    ----------
    inputs : sequence of path or str
        Files, folders, glob patterns (``**`` = any depth) and manifests (``.csv``, ``.jsonl``), or
        URLs of such. A folder that a pattern matches is searched as if it were named.
    recursive : bool
        Search subfolders of folders.
    include, exclude : sequence of str
        Patterns of file names or of paths below a folder; apply to folders and globs.
    output_dir : path, optional
        Not searched where it lies below an input, so that a second run does not take the first
        one's outputs for inputs.
    roots : sequence of path, optional
        If there are any, no manifest outside of them is read and no bucket searched. What is found
        on the disk may lie outside.

    Raises
    ------
    InputError
        If a manifest cannot be read at all.
    SinkError
        PERMISSION: a manifest lies outside ``roots``.
    RemoteUnreachableError
        If a bucket gave no answer.
    """
    if isinstance(inputs, str | Path):
        msg = f"inputs must be a list of paths, not the single {inputs!r}"
        raise InputError(msg)
    walker = _Walker(recursive, include, exclude, output_dir, roots)
    for word in inputs:
        walker.expand(word)
    return walker.finish()


@dataclass(frozen=True, slots=True)
class _Candidate:
    path: Where
    root: Where | None = None
    row: ManifestRow | None = None
    identity: SourceIdentity | None = None

    @property
    def base(self) -> Where:
        """Where its tree starts: a manifest may lie in another place than what it names."""
        is_near = self.root is not None and _store_of(self.root) == _store_of(self.path)
        return self.root if self.root is not None and is_near else self.path.parent

    @property
    def order(self) -> tuple[str, str]:
        return sort_key(self.path)


class _Walker:
    def __init__(
        self,
        recursive: bool,
        include: Sequence[str],
        exclude: Sequence[str],
        output_dir: Where | None,
        roots: Sequence[Where],
    ) -> None:
        self.roots = roots
        self.recursive, self.include, self.exclude = recursive, include, exclude
        self.remote_output = output_dir if isinstance(output_dir, RemotePath) else None
        on_disk = output_dir is not None and self.remote_output is None
        self.output_dir = real_name(output_dir) if on_disk and output_dir is not None else None
        self.result = Scan()
        self.candidates: list[_Candidate] = []

    def expand(self, word: str | Path) -> None:
        if is_url(word):
            where = place(word)
            if isinstance(where, RemotePath):
                self._expand_url(where)
                return
            word = where
        # os.path answers for impossible names (too long, a NUL, "") where Path raises or says ".".
        if os.path.isdir(word):  # noqa: PTH112
            self._expand_folder(Path(word), root=Path(word))
        elif os.path.lexists(word):
            self._expand_file(Path(word))
        elif glob.has_magic(str(word)):
            self._expand_glob(str(word))
        else:
            self.result.missing.append(str(word))

    def finish(self) -> Scan:
        """Drop repeated paths, order the rest, and give every one its root."""
        candidates = sorted(self.candidates, key=lambda c: c.order)
        shared = _shared_roots({c.base for c in candidates})
        chosen: dict[str, _Candidate] = {}
        # Stable: what a manifest says of a recording is not lost where a folder holds it, too.
        for candidate in sorted(candidates, key=lambda c: c.row is None):
            real = real_name(candidate.path)
            if chosen.setdefault(real, candidate) is not candidate:
                self.result.repeated.append(candidate.path)
        for candidate in sorted(chosen.values(), key=lambda c: c.order):
            root = shared[_store_of(candidate.path)]
            found = Found(candidate.path, root, candidate.row, candidate.identity)
            self.result.found.append(found)
        return self.result

    def _expand_url(self, where: RemotePath) -> None:
        if is_manifest(where):
            self._expand_file(where)
            return
        wanted = Wanted(self._is_wanted, recursive=self.recursive, skipped=self.remote_output)
        try:
            check_allowed(where, self.roots)
            listed = objects_of(where, wanted)
        except RecordingError as err:
            self.result.refused.append((str(where), err))
            return
        self.result.refused += [(name, err) for name, err in listed.refused]
        for found in listed.objects:
            if is_manifest(found.place):
                self._expand_file(found.place)
            else:
                self.candidates.append(
                    _Candidate(found.place, listed.root, identity=found.identity)
                )

    def _expand_file(self, path: Where, root: Where | None = None) -> None:
        if not is_manifest(path):
            self.candidates.append(_Candidate(path, root))
            return
        check_allowed(path, self.roots)
        rows, errors = read_manifest(path)
        self.result.row_errors += errors
        self.candidates += [_Candidate(row.path, path.parent, row) for row in rows]

    def _expand_folder(self, top: Path, *, root: Path) -> None:
        for folder, names in _walk(top, self._skipped_below(top), self._note_unreadable):
            for name in names:
                path = Path(folder, name)
                if self._is_wanted(path, str(path.relative_to(top)), any_suffix=False):
                    self.candidates.append(_Candidate(path, root))
            if not self.recursive:
                break

    def _expand_glob(self, pattern: str) -> None:
        root = Path(os.path.dirname(pattern[: _magic_start(pattern)]))  # noqa: PTH120 - "a/" is "a"
        skipped = self._skipped_below(root)
        matches = [Path(name) for name in dict.fromkeys(_matches(pattern, skipped))]
        if not matches:
            self.result.missing.append(pattern)
        for path in matches:
            if skipped is not None and Path(os.path.realpath(path)).is_relative_to(skipped):
                continue
            if not path.is_dir():
                if self._is_wanted(path, path.name, any_suffix=True):
                    self._expand_file(path, root)
            elif _ANY_DEPTH not in pattern:
                self._expand_folder(path, root=root)

    def _skipped_below(self, top: Path) -> str | None:
        """Return the output folder, unless the search begins in it: that is no mistake to hide."""
        if self.output_dir is None or Path(os.path.realpath(top)).is_relative_to(self.output_dir):
            return None
        return self.output_dir

    def _note_unreadable(self, err: OSError) -> None:
        self.result.unreadable.append(str(err.filename))

    def _is_wanted(self, path: Where, relative: str, *, any_suffix: bool) -> bool:
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


def sort_key(path: Where) -> tuple[str, str]:
    """Return the NFC form of ``path``: the order of a batch is the same on every machine.

    The path itself decides between two names that differ in their composition only.
    """
    return unicodedata.normalize("NFC", str(path)), str(path)


def _walk(
    top: Path | str, skipped: str | None, on_error: Callable[[OSError], None]
) -> Iterator[tuple[str, list[str]]]:
    """Yield (folder, its file names) of ``top`` and all below it, each folder once.

    Links to folders are followed when everything else was seen, so that a folder is known by its
    own name where it has one here; a loop of links ends where it began.
    """
    visited: set[tuple[int, int]] = set()  # (device, inode)
    starts = [str(top)]
    for start in starts:  # grows on the way
        for folder, subfolders, names in os.walk(start, onerror=on_error):
            status = os.stat(folder)  # noqa: PTH116 - os.walk yields str
            key = (status.st_dev, status.st_ino)
            if key in visited or os.path.realpath(folder) == skipped:
                subfolders.clear()
                continue
            visited.add(key)
            subfolders.sort()
            below = [os.path.join(folder, name) for name in subfolders]  # noqa: PTH118
            starts += filter(os.path.islink, below)
            yield folder, names


def _matches(pattern: str, skipped: str | None) -> Iterator[str]:
    """Yield what ``pattern`` matches; unlike :mod:`glob`, ``**`` cannot be lost in a loop of links.

    Two links to their own folder give :mod:`glob` 2^40 paths to look at.
    """
    head, any_depth, tail = _split_at_any_depth(pattern)
    if not any_depth:
        yield from sorted(glob.glob(pattern))  # noqa: PTH207 - any anchor
        return
    for top in sorted(glob.glob(head)):  # noqa: PTH207
        for folder, _ in _walk(top, skipped, lambda _: None):
            if not _is_hidden(os.path.relpath(folder, top)):
                yield from _matches(os.path.join(glob.escape(folder), tail), skipped)  # noqa: PTH118


def _split_at_any_depth(pattern: str) -> tuple[str, bool, str]:
    parts = Path(pattern).parts
    if _ANY_DEPTH not in parts:
        return pattern, False, ""
    cut = parts.index(_ANY_DEPTH)
    below = parts[cut + 1 :] or ("*",)
    return str(Path(*parts[:cut])), True, str(Path(*below))


def _is_hidden(relative: str) -> bool:
    return any(part.startswith(".") for part in Path(relative).parts)


def _magic_start(pattern: str) -> int:
    return min(i for i, char in enumerate(pattern) if char in "*?[")


def _store_of(path: Where) -> tuple[str, ...]:
    """Return what tells one tree from another: the disk is one, every bucket is one."""
    return (path.protocol, path.parts[0]) if isinstance(path, RemotePath) else ()


def _shared_roots(folders: Collection[Where]) -> dict[tuple[str, ...], Where]:
    """Return the deepest folder of each tree that holds all of its ``folders``.

    The output mirrors what is below it.
    """
    trees: defaultdict[tuple[str, ...], set[Where]] = defaultdict(set)
    for folder in folders:
        trees[_store_of(folder)].add(folder)
    return {
        tree: next(iter(ours)) if len(ours) == 1 else _shared_root(ours)
        for tree, ours in trees.items()
    }


def _shared_root(folders: Collection[Where]) -> Where:
    remote = [folder for folder in folders if isinstance(folder, RemotePath)]
    if remote:
        return RemotePath(remote[0].protocol, os.path.commonpath([one.key for one in remote]))
    absolute = [os.path.abspath(str(folder)) for folder in folders]  # noqa: PTH100 - links stay links
    return Path(os.path.commonpath(absolute))
