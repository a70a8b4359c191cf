"""What the documents say exists: commands with their options, anchors, settings, jobs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from anc_core.settings import Settings, known_names
from deployments.schedules import JOBS
from flows.cli import cli

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def fenced(text: str) -> Iterator[str]:
    """Return the lines of code blocks, fenced or indented by four; continued lines are joined."""
    inside = False
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if line.startswith("```"):
            inside = not inside
        elif inside or line.startswith("    "):
            yield line.strip()


def commands(text: str) -> Iterator[tuple[str, bool]]:
    """Return each call of ``anc``, and whether it stands in a code block, to be typed as it is."""
    for line in fenced(text):
        if re.match(r"(\$ )?([A-Z_]+=\S+ )*anc ", line):
            yield re.sub(r"^(\$ )?([A-Z_]+=\S+ )*", "", line), True
    without_blocks = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for code in re.findall(r"`(anc [^`]+)`", without_blocks):
        yield re.sub(r"\s+", " ", code), False


def words_of(command: str) -> list[str]:
    """Split like a shell; comments, optional brackets and what follows a pipe are left out."""
    text = re.sub(r"\[[^]]*\]", "", command)
    text = re.split(r"\s(?:#|[|;&>]+|&&)(?:\s|$)", text, maxsplit=1)[0]
    return shlex.split(text)[1:]


def complaint(words: list[str], *, to_be_typed: bool = True) -> str | None:
    """Return what click says against a call; the files that it names need not be there."""
    command: click.Command = cli
    context = cli.make_context("anc", [], resilient_parsing=True)
    while isinstance(command, click.Group):
        if not words or words[0] in {"--help", "-h", "--version"}:
            return None
        name, *words = words
        found = command.get_command(context, name)
        if found is None:
            return f"there is no command {name!r}"
        command = found
    if "..." in words:  # something is left out: only the options' names can be looked at
        known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
        unknown = [word for word in words if word.startswith("--") and word not in known]
        return f"no such option: {unknown}" if unknown else None
    tolerated = ["does not exist"]
    if not to_be_typed:  # `anc serve --limit` names an option
        tolerated += ["Missing argument", "Missing option", "requires an argument"]
    try:
        # With its parent: click keeps the help option that a command was first asked with.
        command.make_context(command.name, list(words), parent=context)
    except click.UsageError as err:
        message = err.format_message()
        return None if any(part in message for part in tolerated) else message
    except click.exceptions.Exit:  # --help
        pass
    return None


@every_document
def test_every_command_in_the_documents_is_one(document: Path) -> None:
    wrong = {}
    for command, to_be_typed in commands(document.read_text(encoding="utf-8")):
        problem = complaint(words_of(command), to_be_typed=to_be_typed)
        if problem:
            wrong[command] = problem
    assert wrong == {}


def test_a_command_that_rotted_is_found() -> None:
    assert complaint(words_of("anc proces x.wav")) == "there is no command 'proces'"
    assert complaint(words_of("anc process x.wav --outptu y")) is not None
    assert complaint(words_of("anc db chekc")) == "there is no command 'chekc'"
    assert complaint(words_of("anc export -f xml")) is not None
    assert complaint(words_of("anc db seed --sessions many")) is not None
    assert complaint(words_of("anc batch in/ -o out/ --dry-run   # a comment")) is None


def test_the_guide_is_full_of_commands() -> None:
    text = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    assert len(list(commands(text))) > 30


def anchors(text: str) -> set[str]:
    """Return the names that headings get, as GitHub makes them."""
    found = set()
    outside = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for heading in re.findall(r"^#+ (.+)$", outside, flags=re.MULTILINE):
        plain = re.sub(r"[`*]", "", heading).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


@every_document
def test_every_anchor_that_is_linked_is_a_heading(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s#]*)#([^)\s]+)\)", document.read_text(encoding="utf-8"))
    wrong = [
        f"{link}#{anchor}"
        for link, anchor in links
        if "://" not in link
        and anchor
        not in anchors(((document.parent / link) if link else document).read_text(encoding="utf-8"))
    ]
    assert wrong == []


@every_document
def test_every_setting_that_is_named_exists(document: Path) -> None:
    named = set(re.findall(r"\bANC_[A-Z_]+[A-Z]\b", document.read_text(encoding="utf-8")))
    assert named <= known_names()


@every_document
def test_every_deployment_that_is_run_exists(document: Path) -> None:
    slugs = {job.slug for job in JOBS}
    for command, _ in commands(document.read_text(encoding="utf-8")):
        words = words_of(command)
        if words[:1] == ["run"] and len(words) > 1 and words[1].islower():
            assert words[1].rpartition("/")[2] in slugs, command


def test_every_setting_is_documented_somewhere() -> None:
    text = "\n".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)
    names = {f"ANC_{name.upper()}" for name in Settings.model_fields}
    missing = sorted(name for name in names if name not in text)
    assert missing == []


def test_every_document_is_reached_from_the_readme_or_the_index() -> None:
    starts = [ROOT / "README.md", ROOT / "docs" / "index.md"]
    reached = {
        (start.parent / link).resolve()
        for start in starts
        for link in re.findall(r"\]\(([^)#\s]+\.md)", start.read_text(encoding="utf-8"))
    }
    assert {document.resolve() for document in DOCUMENTS if document not in starts} <= reached
