from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest
from scipy.signal import lfilter

from anc_core.audio.filter_files import export_filter
from anc_core.audio.path_files import read_path
from anc_core.errors import InputError

TAPS = np.random.default_rng(1).normal(size=48) * np.exp(-np.arange(48) / 8)


@pytest.mark.parametrize(
    ("name", "tolerance"), [("f.json", 0.0), ("f.wav", 2.0**-24 * np.abs(TAPS).max())]
)
def test_what_was_written_is_read_back(tmp_path, name, tolerance):
    export_filter(TAPS, tmp_path / name, sample_rate=48_000)
    taps, rate = read_path(tmp_path / name)
    np.testing.assert_allclose(taps, TAPS, atol=tolerance, rtol=0)
    assert rate == 48_000


MAIN = """
#include <stdio.h>
#include <stdint.h>
#include "f.h"
int main(void) {{ for (int k = 0; k < F_NUM_TAPS; ++k) printf("%.9g\\n", (double)f[k]); return 0; }}
"""


@pytest.mark.parametrize(("kind", "bits"), [("float", 0), ("q15", 15), ("q31", 31)])
def test_header_compiles_to_the_numbers(tmp_path, kind, bits):
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc to compile the header with")
    written = export_filter(TAPS, tmp_path / "f.h", sample_rate=16_000, format=kind)
    (tmp_path / "main.c").write_text(MAIN.format())
    program = tmp_path / "main"
    subprocess.run(
        [compiler, "-Wall", "-Werror", "-std=c99", "-o", program, tmp_path / "main.c"], check=True
    )
    printed = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    values = np.array([float(line) for line in printed.split()])
    if bits:
        values *= 2.0 ** (written.shift - bits)
    # Half a step of the format; floats keep 24 bits.
    step = 2.0 ** (written.shift - bits) if bits else 2.0**-23
    np.testing.assert_allclose(values, TAPS, atol=0.51 * step * max(1.0, np.abs(TAPS).max()))


def test_fixed_point_uses_its_range_and_tells_its_error(tmp_path):
    written = export_filter(100 * TAPS, tmp_path / "f.h", sample_rate=16_000, format="q15")
    header = (tmp_path / "f.h").read_text()
    assert written.shift > 0
    # 16 bits over 48 taps: between 60 and 100 dB below the filter.
    assert -100 < written.error_db < -60
    assert f"{written.error_db:.0f}"[:2] in header


def test_sections_are_stable_and_close(tmp_path):
    decay = 0.9 ** np.arange(200) * np.cos(0.3 * np.arange(200))
    written = export_filter(decay, tmp_path / "f.json", sample_rate=16_000, format="sos")
    sections = np.array(json.loads((tmp_path / "f.json").read_text())["sections"])
    impulse = np.zeros(200)
    impulse[0] = 1.0
    response = impulse
    for row in sections.reshape(-1, 5):
        response = lfilter(row[:3], [1.0, *row[3:]], response)
        assert np.abs(np.roots([1.0, *row[3:]])).max() < 1.0
    response = np.concatenate([np.zeros(written.delay_samples), response])[:200]
    # One resonance of two poles: the fit is exact but for what the 200 taps cut off (-183 dB).
    error_db = 10 * np.log10(np.sum((response - decay) ** 2) / np.sum(decay**2))
    assert error_db < -60.0
    assert written.error_db < -60.0


def test_unknown_format_and_bad_name_are_refused(tmp_path):
    with pytest.raises(InputError, match="flac"):
        export_filter(TAPS, tmp_path / "f.flac", sample_rate=16_000)
    with pytest.raises(InputError, match="1st filter"):
        export_filter(TAPS, tmp_path / "f.h", sample_rate=16_000, name="1st filter")


def test_nothing_is_left_where_writing_fails(tmp_path):
    with pytest.raises(InputError):
        export_filter(np.array([np.nan]), tmp_path / "f.h", sample_rate=16_000)
    assert list(tmp_path.iterdir()) == []
