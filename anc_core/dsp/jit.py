"""Compile a kernel with numba: once for each signature, cached wherever that is possible.

Context: numba keeps compiled code beside the source or under the home folder. A read-only install
without a home folder (containers, Nix) has neither, and numba then raises *at import*.
Decision: try numba's own places, then a folder in the temporary directory that only this user can
write to, then no cache at all. Consequence: the worst case costs some seconds a process and never
an error. Importing a kernel module compiles or loads its kernels, so whoever imports it lazily
pays only when a kernel is needed.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import os
import tempfile
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from anc_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

# NaN and infinity keep their meaning (no "nnan", no "ninf"): with them LLVM would delete the
# isfinite() guards. Sums may be reordered for SIMD; the order depends on array lengths only.
_FAST_MATH = {"reassoc", "contract", "arcp", "nsz"}

UNSIGNED = np.uint64
"""Type of an index that cannot be negative: Numba need not test it, and a loop over it becomes SIMD
code without a slice, whose array would be counted and released at each sample."""

_KERNEL_MODULES = (
    "anc_core.dsp.adaptive_fxlms",
    "anc_core.dsp.adaptive_guard",
    "anc_core.dsp.adaptive_kalman_kernel",
    "anc_core.dsp.adaptive_lms_kernel",
    "anc_core.dsp.adaptive_notch",
    "anc_core.dsp.adaptive_projection",
    "anc_core.dsp.adaptive_rls",
    "anc_core.dsp.adaptive_watch",
    "anc_core.dsp.auxiliary_schedule",
    "anc_core.dsp.block_gradient",
    "anc_core.dsp.clicks",
    "anc_core.dsp.content_kernels",
    "anc_core.dsp.finite_kernels",
    "anc_core.dsp.frame_kernels",
    "anc_core.dsp.hum",
    "anc_core.dsp.identification_phases",
    "anc_core.dsp.noise_floor",
    "anc_core.dsp.online_identification_kernel",
    "anc_core.dsp.path_filter",
    "anc_core.dsp.rank_kernels",
    "anc_core.dsp.ridge_mask",
    "anc_core.dsp.selective_kernel",
    "anc_core.dsp.suppression",
    "anc_core.dsp.toeplitz",
    "anc_core.emergency.cell_figures",
    "anc_core.emergency.decisions",
    "anc_core.emergency.head",
    "anc_core.emergency.lasting",
    "anc_core.emergency.paths",
    "anc_core.emergency.rhythm_kernels",
    "anc_core.emergency.ridges",
    "anc_core.emergency.sweeps",
    "anc_core.emergency.tracks",
    "anc_core.emergency.yelps",
    "anc_core.features.frame_kernels",
    "anc_core.metrics.frame_kernels",
    "anc_core.metrics.sound_kernels",
)

_KERNELS_BY_DTYPE: list[Callable[[DTypeLike], Any]] = []


def jit(signature: str) -> Callable[[Kernel], Kernel]:
    """Return a decorator that compiles a kernel for ``signature`` at once.

    Parameters
    ----------
    signature : str
        Numba's notation, for example ``"void(float32[::1], float32)"``. There is exactly this
        specialisation: a call with other types is an error, not another compilation.

    Notes
    -----
    The kernel releases the GIL. Numba renews its cache when a kernel's own file changes, but not
    when one does from which it takes constants or other kernels; so a digest of all files that
    stand behind it is part of its name, and so is one of its signature: Numba keeps one index for
    all signatures of a name, and of two processes that add one each at the same time, one can leave
    its code under the signature of the other, for good.
    """

    def decorate(function: Kernel) -> Kernel:
        import numba

        named = _named_apart(function, signature)

        def compiled(*, cache: bool) -> Any:  # noqa: ANN401 - numba ships no types
            # error_model "numpy": a division by zero gives inf and not an exception, whose branch
            # would keep the loop from becoming SIMD code.
            return numba.njit(
                signature, cache=cache, nogil=True, fastmath=_FAST_MATH, error_model="numpy"
            )(named)

        try:
            return compiled(cache=True)  # type: ignore[no-any-return]
        except RuntimeError as error:
            if "no locator available" not in str(error):
                raise
        folder = private_cache_folder()
        # What NUMBA_CACHE_DIR would set; numba reads it whenever it looks for a place.
        numba.config.CACHE_DIR = folder  # type: ignore[attr-defined]
        return compiled(cache=bool(folder))  # type: ignore[no-any-return]

    return decorate


def part_of_kernel(function: Kernel) -> Kernel:
    """Make ``function`` callable from kernels of its own file, for whatever types they have.

    It is compiled together with the kernel that calls it. Loops over rows belong into such parts:
    in a long kernel every slice of an array would be counted and released at each sample.
    """
    import numba

    compiled: Any = numba.njit(nogil=True, fastmath=_FAST_MATH, error_model="numpy")
    return compiled(function)  # type: ignore[no-any-return]


def inlined(function: Kernel) -> Kernel:
    """Make ``function`` a piece of the kernels of its own file that call it, at the place itself.

    For the few lines that run with every sample: a call would put all that is in registers into
    memory, and what it returns as well. It takes no slices (see :func:`part_of_kernel`).
    """
    import numba

    compiled: Any = numba.njit(
        nogil=True, fastmath=_FAST_MATH, error_model="numpy", forceinline=True
    )
    return compiled(function)  # type: ignore[no-any-return]


def jit_by_dtype(signature: str) -> Callable[[Kernel], Callable[[DTypeLike], Kernel]]:
    """Return a decorator that makes of a kernel a function: floating-point type -> kernel.

    Parameters
    ----------
    signature : str
        As for :func:`jit`; ``real`` in it stands for the type.

    Notes
    -----
    Compiled or loaded when first asked for: float32 is what the platform uses, float64 is for
    those who ask, and nobody pays for both.
    """

    def decorate(function: Kernel) -> Callable[[DTypeLike], Kernel]:
        found: dict[Any, Kernel] = {}

        def for_dtype(dtype: DTypeLike) -> Kernel:
            # First what costs nothing: samples are asked for their kernels with every chunk.
            if isinstance(dtype, np.dtype) and dtype in found:
                return found[dtype]
            known = check_dtype(dtype)
            if known not in found:
                found[known] = jit(signature.replace("real", known.name))(function)
            return found[known]

        _KERNELS_BY_DTYPE.append(for_dtype)
        return for_dtype

    return decorate


def check_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return ``dtype`` if kernels exist for it, else raise :class:`InputError`."""
    try:
        known = np.dtype(dtype)
    except TypeError:
        known = np.dtype(object)
    if known not in {np.dtype(np.float32), np.dtype(np.float64)}:
        msg = f"dtype is {dtype!r}; it must be float32 or float64"
        raise InputError(msg)
    return known


def _named_apart(function: Kernel, signature: str) -> Kernel:
    source = inspect.getsourcefile(function)
    if source is not None:
        base = function.__qualname__.split("-")[0]
        types = hashlib.sha256(signature.encode()).hexdigest()[:8]
        function.__qualname__ = f"{base}-{_digest_behind(Path(source))}-{types}"
    return function


@cache
def _digest_behind(source: Path) -> str:
    """Return a digest of the files of this package that ``source`` imports, and of theirs."""
    seen: set[Path] = set()
    waiting = set(_imported(source))
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting |= _imported(path)
    digest = hashlib.sha256()
    for path in sorted(seen):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


@cache
def _imported(source: Path) -> frozenset[Path]:
    """Return the files of this package from which ``source`` imports at its top level."""
    root = Path(__file__).parents[2]
    found: set[Path] = set()
    for statement in ast.parse(source.read_bytes()).body:
        if isinstance(statement, ast.ImportFrom) and statement.module:
            module = root.joinpath(*statement.module.split("."))
            candidates = [module, *(module / name.name for name in statement.names)]
            found.update(path.with_suffix(".py") for path in candidates)
    return frozenset(path for path in found if path.is_file())


def private_cache_folder() -> str:
    """Return a temporary folder that only this user can write to, or ``""`` if there is none.

    Cached kernels are pickles: one that somebody else could have written is not safe to load.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"anc-kernels-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return ""
    is_private = not folder.is_symlink() and (
        os.name == "nt" or (status.st_uid == user and not status.st_mode & 0o022)
    )
    return str(folder) if is_private and os.access(folder, os.W_OK) else ""


def warmup(*dtypes: DTypeLike) -> None:
    """Compile or load every kernel now, so that no recording pays for it.

    Parameters
    ----------
    dtypes : {"float32", "float64"}
        For what; "float32", in which recordings are processed, if none is given.
    """
    for module in _KERNEL_MODULES:
        import_module(module)
    for kernel in _KERNELS_BY_DTYPE:
        for dtype in dtypes or (np.float32,):
            kernel(dtype)
