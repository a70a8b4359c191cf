from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType

import pytest

import anc_core
import flows


def typed_names(package: ModuleType) -> set[str]:
    """Return what a type checker sees: the imports under ``if TYPE_CHECKING``."""
    tree = ast.parse(Path(package.__file__ or "").read_text(encoding="utf-8"))
    guarded = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    return {
        alias.asname or alias.name
        for block in guarded
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@pytest.mark.parametrize("package", [anc_core, flows])
def test_people_and_type_checkers_see_the_same_names(package: ModuleType) -> None:
    assert typed_names(package) == set(package.__all__)


@pytest.mark.parametrize("package", [anc_core, flows])
def test_names_are_sorted_and_unique(package: ModuleType) -> None:
    assert list(package.__all__) == sorted(set(package.__all__))


@pytest.mark.parametrize("package", [anc_core, flows])
def test_unknown_name_is_an_attribute_error_that_names_it(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match=r"'nonsense'"):
        package.nonsense  # noqa: B018
    assert not hasattr(package, "nonsense")


def test_settings_are_the_one_settings_class() -> None:
    from anc_core.settings import Settings

    assert anc_core.Settings is Settings
