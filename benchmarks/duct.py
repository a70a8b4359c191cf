"""Attenuation on an acoustic path beside the best causal filter, for a folder of noises.

    python -m benchmarks.duct --primary PRIMARY --secondary SECONDARY FOLDER [FOLDER ...]

Defaults untouched; figures are those of the last 4 s of 14 s, recordings are repeated to that
length. White and pink noise come first.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from anc_core import simulate_anc
from anc_core.audio import StreamResampler, open_reader
from anc_core.audio.path_files import read_path
from anc_core.jobs.scan import scan

RATE = 16_000
SECONDS = 14


def synthetic() -> Iterator[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    num = SECONDS * RATE
    yield "white", rng.normal(0, 0.1, num)
    spectrum = np.fft.rfft(rng.normal(size=num))
    hz = np.fft.rfftfreq(num, 1 / RATE)
    spectrum[hz <= 20] = 0
    spectrum[hz > 20] /= np.sqrt(hz[hz > 20])
    pink = np.fft.irfft(spectrum, num)
    yield "pink above 20 Hz", 0.1 * pink / pink.std()


def recorded(folders: list[Path], per_folder: int) -> Iterator[tuple[str, np.ndarray]]:
    for folder in folders:
        found = scan([folder]).found
        for item in found[:: max(1, len(found) // per_folder)][:per_folder]:
            with open_reader(item.path) as reader:
                samples = np.concatenate(list(reader.chunks()))[:, :1]
                rate = reader.sample_rate
            if rate != RATE:
                resampler = StreamResampler(rate, RATE, 1)
                samples = np.concatenate([resampler.process(samples), resampler.flush()])
            if np.mean(np.abs(samples) < 1e-6) > 0.1:
                continue  # digital silence: nothing to cancel for much of the time
            times = -(-SECONDS * RATE // len(samples))
            yield (
                f"{folder.name}/{item.path.name}"[:46],
                np.tile(samples[:, 0], times)[: SECONDS * RATE],
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--primary", required=True)
    parser.add_argument("--secondary", required=True)
    parser.add_argument("--taps", type=int, default=512)
    parser.add_argument("--path-taps", type=int, default=256, help="of the secondary path")
    parser.add_argument("--per-folder", type=int, default=3)
    parser.add_argument("--algorithm", nargs="+", default=["fxnlms", "fxnlms-plain"])
    options = parser.parse_args()
    primary, _ = read_path(options.primary)
    secondary = read_path(options.secondary)[0][: options.path_taps]
    print(f"{'noise':46} bound  " + "  ".join(f"{name:>13}" for name in options.algorithm))
    gaps: dict[str, list[float]] = {name: [] for name in options.algorithm}
    for name, noise in [*synthetic(), *recorded(options.folders, options.per_folder)]:
        cells = []
        bound = None
        for algorithm in options.algorithm:
            result = simulate_anc(
                noise.astype(np.float32),
                RATE,
                primary,
                secondary,
                num_taps=options.taps,
                algorithm=algorithm,
                bound=bound is None,
            )
            bound = bound if bound is not None else result.wiener_db
            reached = result.figures.steady_cancellation_db
            gaps[algorithm].append(bound - reached)
            trips = sum(event.kind in {"tripped", "cleared", "latched"} for event in result.events)
            cells.append(f"{reached:5.1f} ({bound - reached:+5.1f}){'*' if trips else ' '}")
        print(f"{name:46} {bound:5.1f}  " + "  ".join(cells), flush=True)
    for name, values in gaps.items():
        within = np.mean(np.array(values) <= 1.5)
        print(f"{name}: median gap {np.median(values):.2f} dB, within 1.5 dB: {100 * within:.0f} %")


if __name__ == "__main__":
    main()
