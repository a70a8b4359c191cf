"""One embedded Prefect server for all flow tests of a run: entering it takes tens of seconds."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """Start Prefect's own test server, with patience for a loaded machine."""
    from prefect.testing.utilities import prefect_test_harness

    import flows.common  # noqa: F401 - applies the project's settings first

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Prefect's start-up is not ours to mend
        with prefect_test_harness(server_startup_timeout=300):
            yield


@pytest.fixture
def store_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of a fresh database that the flows under test use."""
    url = f"sqlite:///{tmp_path / 'store' / 'anc.db'}"
    monkeypatch.setenv("ANC_DATABASE_URL", url)
    return url


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the flow tests in one process under xdist, so that they share their server.

    First, because xdist reads the groups in this same hook.
    """
    for item in items:
        if "prefect_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.flow)
            item.add_marker(pytest.mark.xdist_group("flow"))
