"""Attenuation on an acoustic path beside the best causal filter, for a folder of noises.

    python -m benchmarks.duct --primary PRIMARY --secondary SECONDARY FOLDER [FOLDER ...]

Defaults untouched; figures are those of the last 4 s of 14 s, recordings are repeated to that
length. White and pink noise come first. FOLDER may be a pattern. ``--bank`` names the recordings
that the fixed filters of ``sfanc`` are made of; take others than those of the table.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from anc_core import build_filter_bank, simulate_anc
from anc_core.audio import StreamResampler, open_reader
from anc_core.audio.path_files import read_path
from anc_core.jobs.scan import scan

RATE = 16_000
SECONDS = 14
TURN_S = 4


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
            samples = loaded(item.path)
            if np.mean(np.abs(samples) < 1e-6) > 0.1:
                continue  # digital silence: nothing to cancel for much of the time
            times = -(-SECONDS * RATE // len(samples))
            yield (
                f"{item.path.parent.name}/{item.path.name}"[:46],
                np.tile(samples, times)[: SECONDS * RATE],
            )


def loaded(path: Path) -> np.ndarray:
    with open_reader(path) as reader:
        samples = np.concatenate(list(reader.chunks()))[:, :1]
        rate = reader.sample_rate
    if rate != RATE:
        resampler = StreamResampler(rate, RATE, 1)
        samples = np.concatenate([resampler.process(samples), resampler.flush()])
    return samples[:, 0]


def in_turn(noises: list[np.ndarray]) -> np.ndarray:
    """Return the noises one after the other, all at one level."""
    parts = [noise[: TURN_S * RATE] for noise in noises]
    return np.concatenate([0.1 * part / part.std() for part in parts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--primary", required=True)
    parser.add_argument("--secondary", required=True)
    parser.add_argument("--taps", type=int, default=512)
    parser.add_argument("--path-taps", type=int, default=256, help="of the secondary path")
    parser.add_argument("--per-folder", type=int, default=3)
    parser.add_argument("--algorithm", nargs="+", default=["fxnlms", "fxnlms-plain"])
    parser.add_argument("--bank", nargs="+", type=Path, help="recordings for sfanc")
    parser.add_argument("--filters", type=int, default=8, help="of the bank")
    options = parser.parse_args()
    primary, _ = read_path(options.primary)
    secondary = read_path(options.secondary)[0][: options.path_taps]
    banks = {}
    if options.bank is not None:
        known = [loaded(item.path) for item in scan(options.bank).found]
        banks["sfanc"] = build_filter_bank(
            known,
            RATE,
            primary,
            secondary,
            num_filters=options.filters,
            num_taps=options.taps,
        )
        print(f"bank: {len(banks['sfanc'])} filters from {len(known)} recordings")
    print(f"{'noise':46} bound  " + "  ".join(f"{name:>19}" for name in options.algorithm))
    gaps: dict[str, list[float]] = {name: [] for name in options.algorithm}
    noises = [*synthetic(), *recorded(options.folders, options.per_folder)]
    for name, noise in noises:
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
                filter_bank=banks.get(algorithm),
                bound=bound is None,
            )
            bound = bound if bound is not None else result.wiener_db
            reached = result.figures.steady_cancellation_db
            gaps[algorithm].append(bound - reached)
            trips = sum(event.kind in {"tripped", "cleared", "latched"} for event in result.events)
            settled = result.convergence_s
            after = "     -" if settled is None else f"{settled:5.2f}s"
            gap = f"({bound - reached:+5.1f})"
            cells.append(f"{reached:5.1f} {gap}{'*' if trips else ' '}{after}")
        print(f"{name:46} {bound:5.1f}  " + "  ".join(cells), flush=True)
    for name, values in gaps.items():
        within = np.mean(np.array(values) <= 1.5)
        print(
            f"{name}: {len(values)} noises, gap {np.median(values):.2f} dB in the median and "
            f"{max(values):.2f} at most, within 1.5 dB: {100 * within:.0f} %"
        )
    for name in options.algorithm:
        result = simulate_anc(
            in_turn([noise for _, noise in noises]).astype(np.float32),
            RATE,
            primary,
            secondary,
            num_taps=options.taps,
            algorithm=name,
            filter_bank=banks.get(name),
            bound=False,
        )
        print(
            f"{name}: all in turn, {TURN_S} s each, {result.cancellation_db:.1f} dB over the whole"
        )


if __name__ == "__main__":
    main()
