"""``adaptive.c``, compiled where there is a compiler, for ``benchmarks.adaptive``."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

Prepare = Callable[[], Callable[[], np.ndarray]]

SOURCE = Path(__file__).with_name("adaptive.c")
FLAGS = (
    "-O3 -march=native",
    "-O3 -march=native -ffast-math",
    "-O3 -march=native -ffast-math -funroll-loops -mprefer-vector-width=512",
)
"""Without -ffast-math sums stay in order and no compiler makes SIMD code of them."""

_REAL = {"float32": "float", "float64": "double"}


class Compiled:
    """The kernels of one set of flags."""

    def __init__(self, flags: str, folder: Path, compiler: str) -> None:
        self.flags = flags
        self._libraries = {}
        for dtype, real in _REAL.items():
            target = folder / f"{FLAGS.index(flags)}-{real}"
            part = target.with_suffix(".o")
            command = [compiler, *flags.split(), "-c", "-fPIC", f"-Dreal={real}"]
            subprocess.run([*command, str(SOURCE), "-o", str(part)], check=True)
            # Linked with -ffast-math a library makes all of the process round denormals to 0.
            library = target.with_suffix(".so")
            subprocess.run([compiler, "-shared", str(part), "-o", str(library)], check=True)
            self._libraries[dtype] = ctypes.CDLL(str(library))

    def nlms(self, x: np.ndarray, d: np.ndarray, num_taps: int, step: float) -> Prepare:
        """Return what prepares a run over reference ``x`` and primary ``d``."""

        def prepare() -> Callable[[], np.ndarray]:
            heard, error = np.pad(x, (num_taps, 0)), np.empty_like(d)
            weights = np.zeros(num_taps, x.dtype)
            delta = 1e-3 * num_taps * float(np.mean(x**2))

            def run() -> np.ndarray:
                self._call("nlms", heard, d, error, weights, len(d), num_taps, step, delta)
                return error

            return run

        return prepare

    def fxnlms(
        self, x: np.ndarray, d: np.ndarray, path: np.ndarray, num_taps: int, step: float
    ) -> Prepare:
        """Return the same for filtered-x NLMS whose loudspeaker is heard through ``path``."""
        return self._filtered("fxnlms", x, d, path, num_taps, step, 1e-3)

    def modified(
        self,
        x: np.ndarray,
        d: np.ndarray,
        path: np.ndarray,
        num_taps: int,
        step: float,
        share: float,
    ) -> Prepare:
        """Return the same for its modified form; ``share``: of new weights in their average."""
        return self._filtered("fxnlms_modified", x, d, path, num_taps, step, 1.0, share)

    def _filtered(
        self,
        name: str,
        x: np.ndarray,
        d: np.ndarray,
        path: np.ndarray,
        num_taps: int,
        step: float,
        regularization: float,
        *share: float,
    ) -> Prepare:
        def prepare() -> Callable[[], np.ndarray]:
            heard, error = np.pad(x, (num_taps, 0)), np.empty_like(d)
            weights = [np.zeros(num_taps, x.dtype) for _ in range(1 + len(share))]
            filtered, driven = np.zeros_like(heard), np.zeros(len(path) + len(d), x.dtype)
            reverse = path[::-1].copy()
            power = float(np.sum(path**2)) * num_taps * float(np.mean(x**2))
            arrays = (heard, d, error, *weights, reverse, filtered, driven)
            numbers = (len(d), num_taps, len(path), step, regularization * power, *share)

            def run() -> np.ndarray:
                self._call(name, *arrays, *numbers)
                return error

            return run

        return prepare

    def _call(self, name: str, *arguments: np.ndarray | float) -> None:
        dtype = next(one.dtype.name for one in arguments if isinstance(one, np.ndarray))
        self._libraries[dtype][f"{name}_{_REAL[dtype]}"](*map(_as_c, arguments))


def _as_c(value: np.ndarray | float) -> object:
    if isinstance(value, np.ndarray):
        return ctypes.c_void_p(value.ctypes.data)
    return ctypes.c_long(value) if isinstance(value, int) else ctypes.c_double(value)


def compiled(folder: Path, compiler: str = "cc") -> Iterator[Compiled]:
    """Yield the kernels for each set of flags; none, and a line that says so, without compiler."""
    for flags in FLAGS:
        try:
            yield Compiled(flags, folder, compiler)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"skipped: {compiler} {flags}: {error}", flush=True)
