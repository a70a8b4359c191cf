"""Compile a kernel with numba: once, for one signature, cached wherever that is possible.

Context: numba keeps compiled code beside the source or under the home folder. A read-only install
without a home folder (containers, Nix) has neither, and numba then raises *at import*.
Decision: try numba's own places, then a folder in the temporary directory that only this user can
write to, then no cache at all. Consequence: the worst case costs some seconds a process and never
an error. Importing a kernel module compiles or loads its kernels, so whoever imports it lazily
pays only when a kernel is needed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

# NaN and infinity keep their meaning (no "nnan", no "ninf"): with them LLVM would delete the
# isfinite() guards. Sums may be reordered for SIMD; the order depends on array lengths only.
_FAST_MATH = {"reassoc", "contract", "arcp", "nsz"}

_KERNEL_MODULES = (
    "anc_core.dsp.suppression",
    "anc_core.dsp.noise_floor",
    "anc_core.dsp.hum",
    "anc_core.dsp.clicks",
    "anc_core.dsp.nlms",
    "anc_core.dsp.content_kernels",
)


def jit(signature: str) -> Callable[[Kernel], Kernel]:
    """Return a decorator that compiles a kernel for ``signature`` at once.

    Parameters
    ----------
    signature : str
        Numba's notation, for example ``"void(float32[::1], float32)"``. There is exactly this
        specialisation: a call with other types is an error, not another compilation.

    Notes
    -----
    The kernel releases the GIL. Cached code is renewed when the kernel's own source file changes,
    not when a function it calls in another file does: keep the helpers of a kernel in its file.
    """

    def decorate(function: Kernel) -> Kernel:
        import numba

        def compiled(*, cache: bool) -> Any:  # noqa: ANN401 - numba ships no types
            # error_model "numpy": a division by zero gives inf and not an exception, whose branch
            # would keep the loop from becoming SIMD code.
            return numba.njit(
                signature, cache=cache, nogil=True, fastmath=_FAST_MATH, error_model="numpy"
            )(function)

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


def warmup() -> None:
    """Compile or load every kernel now, so that no recording pays for it."""
    for module in _KERNEL_MODULES:
        import_module(module)
