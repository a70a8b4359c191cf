"""What imports what, and what each entrance costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {
    "distributed",
    "fsspec",
    "s3fs",
    "scipy",
    "librosa",
    "numba",
    "prefect",
    "sqlalchemy",
    "soundfile",
    "soxr",
    "av",
    "torch",
    "matplotlib",
}


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after ``code``."""
    report = f"""
import sys
sys.argv = ["anc", "--help"]
try:
    {code}
except SystemExit as end:
    assert not end.code, end.code
import json
sys.stdout.write("\\n" + json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""
    finished = subprocess.run(
        [sys.executable, "-c", report],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,  # seconds of imports; a loaded machine takes minutes
    )
    assert finished.returncode == 0, finished.stderr
    return set(json.loads(finished.stdout.splitlines()[-1]))


def test_import_contracts_are_kept() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    if not command.exists():
        pytest.skip("import-linter is not installed (extra: dev)")
    finished = subprocess.run(
        [command, "--no-cache"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


@pytest.mark.parametrize(
    "code",
    [
        "import anc_core",
        "import anc_core.pipeline, anc_core.processors, anc_core.emergency",
        "import anc_core.audio, anc_core.metrics, anc_core.dsp, anc_core.jobs",
        "import anc_core.features, anc_core.classifier.models, anc_core.classifier.stream",
        "import flows",
        "import flows.cli",
    ],
)
def test_importing_a_package_loads_nothing_heavy(code: str) -> None:
    assert loaded_by(code) & HEAVY == set()


@pytest.mark.parametrize(
    "code",
    ["import anc_core", "import anc_core.api_metrics", "import flows", "import flows.cli"],
)
def test_entrances_do_not_even_load_numpy(code: str) -> None:
    assert loaded_by(code) & {"numpy", "pydantic"} == set()


def test_help_of_the_command_line_loads_nothing_heavy() -> None:
    code = "import runpy; runpy.run_module('flows', run_name='__main__')"
    assert loaded_by(code) & (HEAVY | {"numpy", "pydantic"}) == set()


@pytest.mark.parametrize("module", ["anc_core.jobs.scan", "anc_core.jobs.pool"])
def test_finding_and_sharing_need_neither_audio_nor_database(module: str) -> None:
    assert loaded_by(f"import {module}") & (HEAVY - {"soundfile", "soxr"}) == set()


def test_core_works_where_scipy_librosa_and_prefect_are_missing() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / "anc_core").rglob("*.py"))
        if "migrations" not in path.parts and path.name != "__init__.py"
    ]
    assert len(modules) > 50
    # Not "are not loaded": numba loads scipy by itself where it is installed.
    missing = "sys.modules.update(dict.fromkeys(['scipy', 'librosa', 'prefect']))"
    assert "anc_core" in loaded_by(f"{missing}; import {', '.join(modules)}")
