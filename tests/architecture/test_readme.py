"""What a stranger reads and types first: README, Makefile, constraints."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PIN = re.compile(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!+_-]+)")


def make_targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.MULTILINE))


def pins() -> dict[str, Version]:
    found = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        match = PIN.fullmatch(line)
        assert match, f"{line!r} is not name==version"
        found[canonicalize_name(match[1])] = Version(match[2])
    return found


def installed_requirements(extras: tuple[str, ...]) -> dict[str, Version]:
    """Return all that is installed because this project needs it, itself left out."""
    found: dict[str, Version] = {}
    todo = [("anc-platform", frozenset(extras))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        name, wanted = item = todo.pop()
        if item in seen:
            continue
        seen.add(item)
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue  # for another system, or an extra that is not installed here
        found[canonicalize_name(name)] = Version(package.version)
        for text in package.requires or ():
            requirement = Requirement(text)
            marker = requirement.marker
            if marker is None or any(
                marker.evaluate({"extra": extra}) for extra in ({""} | wanted)
            ):
                todo.append((requirement.name, frozenset(requirement.extras)))
    del found["anc-platform"]
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_that_is_written_about_exists(document: Path) -> None:
    code = re.findall(r"```.*?```|`[^`\n]+`", document.read_text(encoding="utf-8"), re.DOTALL)
    named = {
        word
        for piece in code
        for line in re.findall(r"\bmake ((?:[a-z][a-z-]*\b(?!=) ?)+)", piece)
        for word in line.split()
    }
    assert named <= make_targets()


def test_targets_that_strangers_type_exist_and_are_listed() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"demo", "test", "check", "help"} <= make_targets()
    for target in make_targets():
        assert re.search(rf"^{target}:.*## \S", makefile, re.MULTILINE), f"{target} has no help"
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == make_targets()


def test_every_link_in_the_documents_leads_somewhere() -> None:
    for document in DOCUMENTS:
        for link in re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8")):
            if "://" not in link and not link.startswith("mailto:"):
                assert (document.parent / link).exists(), f"{document.name}: {link}"


def test_constraints_are_names_and_versions_each_once() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert len(pins()) == len(lines)


def test_everything_that_is_installed_for_the_project_is_pinned() -> None:
    needed = installed_requirements(("dev", "codecs", "postgres"))
    assert len(needed) > 50
    assert sorted(set(needed) - set(pins())) == []


def test_what_is_installed_has_the_pinned_version() -> None:
    pinned = pins()
    needed = installed_requirements(("dev", "codecs", "postgres"))
    other = {n: str(v) for n, v in needed.items() if n in pinned and pinned[n] != v}
    assert other == {}


def test_fastapi_is_one_that_prefect_can_import() -> None:
    # fastapi 0.151 dropped Body(min_items), which Prefect 3.8 uses when its server is imported.
    assert Version("0.139") <= pins()["fastapi"] < Version("0.151")
