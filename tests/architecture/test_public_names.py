"""``__all__`` tells the truth: each name is there, also as the first thing that is imported."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import anc_core
import flows

PACKAGES = ["anc_core", "anc_core.pipeline", "anc_core.processors", "anc_core.emergency"]
PACKAGES += ["anc_core.audio", "anc_core.metrics", "anc_core.store"]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_of_the_core_is_there(package: str) -> None:
    module = import_module(package)
    assert module.__all__
    for name in module.__all__:
        assert getattr(module, name) is not None, name


def test_every_flow_is_a_flow() -> None:
    from prefect import Flow

    assert {name for name in flows.__all__ if isinstance(getattr(flows, name), Flow)} == set(
        flows.__all__
    )


@pytest.mark.parametrize("name", anc_core.__all__)
def test_each_name_can_be_the_first_thing_that_is_imported(name: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", f"from anc_core import {name}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("name", [n for n in anc_core.__all__ if n != "__version__"])
def test_public_names_are_documented(name: str) -> None:
    assert len((getattr(anc_core, name).__doc__ or "").split()) > 3


def test_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert anc_core.__version__ == version("anc-platform")
