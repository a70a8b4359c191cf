"""Speed of the adaptive filters on one core, beside other packages and C written by hand.

    python -m pip install padasip adafilt adaptfilt pyroomacoustics    # what is missing is skipped
    OMP_NUM_THREADS=1 python -m benchmarks.adaptive | tee benchmarks/results/adaptive.txt

White noise through a random decaying path, noise floor at -60 dB, step size 0.5 (filtered-x: 0.1,
its modified form 0.4). Within one run all take turns, several times; the best processor time
counts. The residual is the power of the error over that of the primary, in the last fifth of what
each ran through: it shows that all do the same work.
"""

from __future__ import annotations

import argparse
import math
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import process_time

import numpy as np

from anc_core.dsp.adaptive_filter import build_filter
from anc_core.dsp.adaptive_guard import BLOCK
from anc_core.dsp.fxlms_controller import FxlmsController, FxlmsParameters
from anc_core.processors import ReferenceCanceller
from benchmarks.adaptive_c import Compiled, compiled
from benchmarks.adaptive_peers import PEERS

Prepare = Callable[[], Callable[[], np.ndarray]]

RATE = 48_000
STEP, FILTERED_STEP, MODIFIED_STEP = 0.5, 0.1, 0.4
CONTROL_TAPS, PATH_TAPS = 512, 256
OURS, C, SAMPLE = "ours", "C", "sample"
CHUNK = 480


@dataclass(frozen=True, eq=False)
class Case:
    """One way to do a task: ``prepare`` makes a fresh state, what it returns is timed."""

    name: str
    kind: str
    num_samples: int
    prepare: Prepare


@dataclass(frozen=True)
class Task:
    """What is to be done: cancel in ``primary`` what ``reference`` explains."""

    title: str
    reference: np.ndarray
    primary: np.ndarray
    cases: list[Case]


# ------------------------------------------------------------------------ the signals


def decaying(rng: np.random.Generator, num_taps: int, delay: int = 0) -> np.ndarray:
    times = np.arange(num_taps)
    path = rng.normal(size=num_taps) * np.exp(-6.0 * times / num_taps) * (times >= delay)
    return path / np.linalg.norm(path)


def scene(path: np.ndarray, num_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a white reference, and what of it arrives through ``path`` above the floor."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.1, num_samples)
    length = 1 << (num_samples + len(path)).bit_length()
    d = np.fft.irfft(np.fft.rfft(x, length) * np.fft.rfft(path, length), length)[:num_samples]
    return x, d + rng.normal(0, 1e-3 * d.std(), num_samples)


# ------------------------------------------------------------------------ who does it


def cancellers(algorithm: str, x: np.ndarray, d: np.ndarray, num_taps: int) -> Iterator[Case]:
    def case(dtype: str, guarded: bool, chunk: int, remark: str = "") -> Case:
        reference, primary = x[np.newaxis].astype(dtype), d.astype(dtype)

        def prepare() -> Callable[[], np.ndarray]:
            one = build_filter(
                algorithm,
                sample_rate=RATE,
                num_references=1,
                num_taps=num_taps,
                step_size=None if algorithm in {"kalman", "rls"} else STEP,
                guarded=guarded,
                dtype=dtype,
            )
            return lambda: np.concatenate(
                [
                    one.process(reference[:, at : at + chunk], primary[at : at + chunk])
                    for at in range(0, len(d), chunk)
                ]
            )

        guards = "" if guarded else ", no guards"
        return Case(f"{algorithm} {dtype}{guards}{remark}", OURS, len(d), prepare)

    for dtype in ("float32", "float64"):
        for guarded in (True, False):
            yield case(dtype, guarded, len(d))
    if algorithm == "nlms":
        yield case("float32", True, CHUNK, f", chunks of {CHUNK}")
        yield public_canceller(x, d, num_taps)


def public_canceller(x: np.ndarray, d: np.ndarray, num_taps: int) -> Case:
    primary, reference = (part[:, np.newaxis].astype(np.float32) for part in (d, x))

    def prepare() -> Callable[[], np.ndarray]:
        one = ReferenceCanceller(RATE, 1, 1, algorithm="nlms", num_taps=num_taps, step_size=STEP)
        return lambda: np.concatenate(
            [
                one.process(primary[at : at + 4_096], reference[at : at + 4_096])
                for at in range(0, len(d), 4_096)
            ]
        )[:, 0]

    return Case("ReferenceCanceller, chunks of 4096", OURS, len(d), prepare)


def controllers(x: np.ndarray, d: np.ndarray, path: np.ndarray) -> Iterator[Case]:
    def case(dtype: str, is_modified: bool, guarded: bool) -> Case:
        reference, noise = (part[:, np.newaxis].astype(dtype) for part in (x, d))
        parameters = FxlmsParameters(
            num_taps=CONTROL_TAPS,
            step_size=MODIFIED_STEP if is_modified else FILTERED_STEP,
            is_modified=is_modified,
            guarded=guarded,
        )

        def prepare() -> Callable[[], np.ndarray]:
            one = FxlmsController(RATE, path, parameters, dtype=dtype)
            return lambda: one.process(reference, noise)[0][:, 0]

        form = "fxnlms" if is_modified else "fxnlms-plain"
        name = f"{form} {dtype}{'' if guarded else ', no guards'}"
        return Case(name, OURS, len(d), prepare)

    for is_modified in (True, False):
        for dtype in ("float32", "float64"):
            for guarded in (True, False):
                yield case(dtype, is_modified, guarded)


def peers(
    algorithm: str,
    x: np.ndarray,
    d: np.ndarray,
    num_taps: int,
    step: float,
    path: np.ndarray | None = None,
) -> Iterator[Case]:
    for peer in PEERS:
        if peer.algorithm != algorithm:
            continue
        num_samples = min(peer.length * num_taps, len(x))
        try:
            prepare = peer.build(x[:num_samples], d[:num_samples], num_taps, step, path)
        except ImportError as error:
            print(f"skipped: {peer.name}: {error}", flush=True)
            continue
        yield Case(f"{peer.name} ({peer.kind})", peer.kind, num_samples, prepare)


# ------------------------------------------------------------------------ the tasks


def nlms_task(num_taps: int, builds: list[Compiled], num_samples: int) -> Task:
    x, d = scene(decaying(np.random.default_rng(1), num_taps), num_samples)
    cases = list(cancellers("nlms", x, d, num_taps))
    for build in builds:
        for dtype in ("float32", "float64"):
            prepare = build.nlms(x.astype(dtype), d.astype(dtype), num_taps, STEP)
            cases.append(Case(f"C {dtype}, {build.flags}", C, len(d), prepare))
    cases += peers("nlms", x, d, num_taps, STEP)
    return Task(f"NLMS, {num_taps} taps", x, d, cases)


def other_task(algorithm: str, title: str, num_taps: int, num_samples: int) -> Task:
    x, d = scene(decaying(np.random.default_rng(2), num_taps), num_samples)
    cases = [*cancellers(algorithm, x, d, num_taps), *peers(algorithm, x, d, num_taps, STEP)]
    return Task(f"{title}, {num_taps} taps", x, d, cases)


def filtered_task(builds: list[Compiled], num_samples: int) -> Task:
    rng = np.random.default_rng(3)
    # Its inverse is causal but for the delay, so that how much is cancelled is the filter's matter.
    path = 0.3 * decaying(rng, PATH_TAPS, 9)
    path[8] = 1.0
    x, d = scene(decaying(rng, CONTROL_TAPS, 40), num_samples)
    cases = list(controllers(x, d, path))
    share = 1.0 - math.exp(-BLOCK / RATE)
    for build in builds:
        for dtype in ("float32", "float64"):
            signals = [part.astype(dtype) for part in (x, d, path)]
            plain = build.fxnlms(*signals, CONTROL_TAPS, FILTERED_STEP)
            modified = build.modified(*signals, CONTROL_TAPS, MODIFIED_STEP, share)
            for form, prepare in (("modified", modified), ("plain", plain)):
                cases.append(Case(f"C {form} {dtype}, {build.flags}", C, len(d), prepare))
    cases += peers("fxnlms", x, d, CONTROL_TAPS, FILTERED_STEP, path)
    return Task(f"Filtered-x NLMS, {CONTROL_TAPS} taps, path of {PATH_TAPS}", x, d, cases)


# ------------------------------------------------------------------------ the measurement


def measure(task: Task, repeats: int) -> None:
    """Let all cases take turns, and print their table."""
    seconds = dict.fromkeys(task.cases, math.inf)
    outputs = {}
    for _ in range(repeats):
        for case in task.cases:
            run = case.prepare()
            begun = process_time()
            outputs[case] = run()
            seconds[case] = min(seconds[case], process_time() - begun)
    speeds = {case: case.num_samples / seconds[case] for case in task.cases}
    peer = max((speed for case, speed in speeds.items() if case.kind == SAMPLE), default=None)
    print(f"\n{task.title}\n{'':92}  M samples/s  x peer  x C  residual dB")
    for case, speed in speeds.items():
        likes = [speeds[one] for one in task.cases if case.kind == OURS and is_like(one, case)]
        print(
            f"{case.name:92}  {speed / 1e6:11.3f}"
            f"  {speed / peer if peer else math.nan:6.1f}"
            f"  {speed / max(likes) if likes else math.nan:4.2f}"
            f"  {residual_db(task, case, outputs[case]):9.1f}",
            flush=True,
        )


def is_like(one: Case, ours: Case) -> bool:
    """Return whether ``one`` is a C kernel for the same numbers as ``ours``."""
    dtype = "float64" if "float64" in ours.name else "float32"
    form = "plain" if "plain" in ours.name else "modified" if "fxnlms" in ours.name else ""
    return one.kind == C and dtype in one.name and form in one.name


def residual_db(task: Task, case: Case, output: np.ndarray) -> float:
    primary = task.primary[: case.num_samples]
    if len(output) < case.num_samples // 2:
        # Weights, newest sample first: what they leave, where there was no error to be had.
        output = primary - np.convolve(task.reference[: case.num_samples], output)[: len(primary)]
    last = slice(-(len(output) // 5), None)
    part = task.primary[len(output) - len(output) // 5 : len(output)]
    return 10.0 * math.log10(np.mean(np.square(output[last], dtype=float)) / np.mean(part**2))


def machine() -> str:
    """Return the processor's name."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, one core"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--samples", type=int, default=2**19, help="for our kernels and C")
    parser.add_argument("--compiler", default="cc")
    parser.add_argument("--tasks", nargs="+", default=["nlms", "fxnlms", "others"])
    options = parser.parse_args()
    print(f"{datetime.now(UTC):%Y-%m-%d}, python -m benchmarks.adaptive {' '.join(sys.argv[1:])}")
    print(f"{machine()}; NumPy {version('numpy')}, Numba {version('numba')}")
    with tempfile.TemporaryDirectory() as folder:
        builds = list(compiled(Path(folder), options.compiler))
        if "nlms" in options.tasks:
            for num_taps in (256, 1_024):
                measure(nlms_task(num_taps, builds, options.samples), options.repeats)
        if "fxnlms" in options.tasks:
            measure(filtered_task(builds, options.samples), options.repeats)
        if "others" in options.tasks:
            fewer = options.samples // 4
            for algorithm, title, num_taps in (
                ("ipnlms", "Proportionate NLMS", 256),
                ("apa", "Affine projection of order 4", 256),
                ("rls", "Recursive least squares", 64),
                ("kalman", "Kalman filter in the frequency domain", 1_024),
            ):
                measure(other_task(algorithm, title, num_taps, fewer), options.repeats)


if __name__ == "__main__":
    main()
