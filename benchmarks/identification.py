"""Online identification of a secondary path: what it reaches, what it costs, what it recovers from.

    python -m benchmarks.identification --primary PRIMARY --secondary SECONDARY [FOLDER ...]

Two tables. White noise, with and without: a perfect estimate, none, a wrong one, and a path that
changes after half of the time. Then noises, the path changing its sign after half of the time.
Figures are those of the last 4 s before the change and of the last 4 s.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import hilbert

from anc_core.audio.path_files import read_path
from anc_core.processors import AcousticSimulator
from benchmarks.duct import RATE, recorded, synthetic

HALF_S = 14
FINAL_S = 4


def turned(path: np.ndarray, degrees: float) -> np.ndarray:
    other = np.imag(hilbert(np.concatenate([path, np.zeros(len(path))])))[: len(path)]
    return np.cos(np.radians(degrees)) * path - np.sin(np.radians(degrees)) * other


def attenuation_db(disturbance: np.ndarray, error: np.ndarray) -> float:
    last = slice(-FINAL_S * RATE, None)
    return 10 * np.log10(np.sum(disturbance[last] ** 2) / np.sum(error[last] ** 2))


def run(
    noise: np.ndarray,
    change: np.ndarray | None,
    *paths: np.ndarray,
    **options: Any,  # noqa: ANN401 - those of the simulator
) -> str:
    """Return one line: attenuation before and after, misalignment, cost of the noise, events."""
    simulator = AcousticSimulator(RATE, *paths, **options)
    cells, events, trace = [], [], []
    for half in range(2):
        if half and change is not None:
            simulator.controller.set_secondary_path(change)
        one = simulator.simulate(noise.astype(np.float32)[:, np.newaxis])
        events += simulator.controller.drain_events()
        trace = simulator.controller.drain_trace()
        cells.append(f"{attenuation_db(one.disturbance, one.error_signal):6.1f}")
        if trace:
            level = trace[-1].auxiliary_db
            cells[-1] += f" ({trace[-1].misalignment_db:6.1f}, {level:6.1f})"
    times = [f"{event.time_s:.1f} {event.kind}" for event in events if event.kind != "armed"]
    more = f" ... {len(times)} events" if len(times) > 6 else ""
    return "  ".join(f"{cell:24}" for cell in cells) + "; ".join(times[:6]) + more


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--primary", required=True)
    parser.add_argument("--secondary", required=True)
    parser.add_argument("--taps", type=int, default=512)
    parser.add_argument("--path-taps", type=int, default=256, help="of the secondary path")
    parser.add_argument("--per-folder", type=int, default=1)
    options = parser.parse_args()
    primary = read_path(options.primary)[0]
    secondary = read_path(options.secondary)[0][: options.path_taps]
    paths = (primary, secondary)
    wrong = turned(secondary, 120)
    late = np.concatenate([np.zeros(20), secondary])
    noises = [*synthetic(), *recorded(options.folders, options.per_folder)]
    white = noises[0][1]
    print("white noise; dB before and after (misalignment, auxiliary noise over the residual)")
    for name, change, estimate in (
        ("path as believed", None, secondary),
        ("estimate 120 degrees wrong", None, wrong),
        ("path changes its sign", -secondary, secondary),
        ("path 20 samples later", late, secondary),
        ("path 4 times as strong", 4 * secondary, secondary),
    ):
        shared = {"num_taps": options.taps, "secondary_path_estimate": estimate}
        print(f"{name:32} off  {run(white, change, *paths, **shared)}")
        shared["online_identification"] = True
        print(f"{'':32} on   {run(white, change, *paths, **shared)}", flush=True)
    shared = {"num_taps": options.taps, "online_identification": True}
    print(f"{'nothing believed':32} on   {run(white, None, *paths, **shared)}")
    print("\nfrom nothing; the path changes its sign; beside it what a perfect estimate reaches")
    for name, noise in noises:
        known = run(noise, None, *paths, num_taps=options.taps)
        print(f"{name[:44]:44} {known[:6]} {run(noise, -secondary, *paths, **shared)}", flush=True)


if __name__ == "__main__":
    main()
