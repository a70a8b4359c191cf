"""The package itself: light to import, and true to its list of names."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

from anc_core import store


def test_every_name_it_lists_is_there():
    for name in store.__all__:
        value = getattr(store, name)
        assert getattr(value, "__name__", name) == name  # a constant has none
    assert set(store.__all__) == set(store._HOME_OF)


def test_no_name_is_that_of_a_submodule():
    """Importing a submodule binds it in the package: the name would no longer be the function."""
    submodules = {module.name for module in pkgutil.iter_modules(store.__path__)}
    assert submodules.isdisjoint(store.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        store.nothing  # noqa: B018 - the access is the point


def test_importing_it_imports_no_sqlalchemy():
    code = "import sys, anc_core.store; print('sqlalchemy' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
