"""Every test has its own home: none reads or writes what belongs to the person who runs it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from anc_core.logs import forget_configuration

# Before numpy is there: two runners with a BLAS of as many threads as cores spin for each other.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# In CI the same inputs every time: a red run is a change's fault. By hand: new ones every time.
settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("ci")

# A runner that was started in the background ignores Ctrl-C, and so would all its children.
signal.signal(signal.SIGINT, signal.default_int_handler)

_PREDECESSOR = ("AUDIO_SAMPLE_RATE", "AUDIO_CHUNK_SIZE", "ML_MODEL_PATH", "ML_SCALER_PATH")


_SERVER = "PREFECT_API_URL"


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = dict(os.environ)
    for name in before:
        ours = name.startswith("ANC_") and not name.startswith("ANC_TEST_")
        if ours or name in (*_PREDECESSOR, _SERVER):
            del os.environ[name]
    os.environ["ANC_HOME"] = str(tmp_path_factory.mktemp("home"))
    yield
    # What a command has set for its flow, a test's monkeypatch puts "back" for the next test.
    # Prefect's other settings are made once per process and stay.
    kept = {name: value for name, value in os.environ.items() if name.startswith("PREFECT_")}
    forget_configuration()  # of the log, by a command
    after = {**kept, **before}
    if _SERVER not in before:
        after.pop(_SERVER, None)
    # Only what differs: each change may move the array that C libraries read in other threads.
    for name in os.environ.keys() - after.keys():
        del os.environ[name]
    os.environ.update(
        {name: value for name, value in after.items() if os.environ.get(name) != value}
    )


@pytest.fixture
def realdata() -> Path:
    """Return the folder of real recordings, or skip."""
    folder = Path(
        os.environ.get("ANC_TEST_DATA", Path(__file__).parents[2] / "shared" / "data")
    ).resolve()
    if not (folder / "manifest.csv").is_file():
        pytest.skip(f"no recordings at {folder}; set ANC_TEST_DATA to their folder")
    return folder
