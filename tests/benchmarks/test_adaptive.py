"""What the benchmark of the adaptive filters compares does the same work; nothing here is timed."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from benchmarks import adaptive
from benchmarks.adaptive_c import compiled


def residuals(task):
    return {case.name: adaptive.residual_db(task, case, case.prepare()()) for case in task.cases}


@pytest.fixture
def builds(tmp_path):
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    return list(compiled(tmp_path))[:1]


def test_c_leaves_what_our_nlms_leaves(builds, monkeypatch):
    monkeypatch.setattr(adaptive, "PEERS", ())
    found = residuals(adaptive.nlms_task(32, builds, 2**17))
    # Theory: the floor of -60 dB and step / (2 - step) of it; 32 taps leave |x|² scattering.
    assert len(found) == 8
    for name, residual in found.items():
        assert residual == pytest.approx(-58.6, abs=0.5), name


def test_c_leaves_what_our_filtered_x_filters_leave(builds, monkeypatch):
    monkeypatch.setattr(adaptive, "PEERS", ())
    found = residuals(adaptive.filtered_task(builds, 16_384))
    ours = found["fxnlms-plain float64, no guards"]
    assert ours < -15.0
    # Only the usual power in the divisor of ours differs, by 0.1 % of the step.
    assert found[f"C plain float64, {builds[0].flags}"] == pytest.approx(ours, abs=0.1)


def test_loading_c_leaves_the_arithmetic_of_the_process_alone(tmp_path, builds):
    fast = list(compiled(tmp_path))  # those with -ffast-math too
    assert len(fast) == 3
    assert np.float32(1e-30) * np.float32(1e-15) > 0.0


def test_without_a_compiler_a_line_says_so(tmp_path, capsys):
    assert list(compiled(tmp_path, "no-such-compiler")) == []
    assert capsys.readouterr().out.count("skipped: no-such-compiler") == 3
