"""Other packages' adaptive filters, as ``benchmarks.adaptive`` times them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Prepare = Callable[[], Callable[[], np.ndarray]]


@dataclass(frozen=True)
class Peer:
    """A filter of another package.

    ``build(x, d, num_taps, step, path)`` imports the package, and returns what prepares a run that
    returns the error signal; ``path`` is that of filtered-x.
    """

    name: str
    algorithm: str
    kind: str
    """"sample" or "block": how it learns. A block has to be heard before it is learnt from."""
    build: Callable[[np.ndarray, np.ndarray, int, float, np.ndarray | None], Prepare]
    length: int = 32
    """Samples it runs over for each tap: enough to converge, and not more than it has to."""


def _padasip(kind: str, **options: float) -> Callable[..., Prepare]:
    def build(x, d, num_taps, step, path):  # noqa: ANN001, ANN202
        import padasip

        windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, (num_taps - 1, 0)), num_taps)[
            :, ::-1
        ]
        choices = {"mu": step, **options}

        def prepare() -> Callable[[], np.ndarray]:
            one = getattr(padasip.filters, kind)(n=num_taps, w="zeros", **choices)
            return lambda: one.run(d, windows)[1]

        return prepare

    return build


def _adaptfilt(name: str, **options: float) -> Callable[..., Prepare]:
    def build(x, d, num_taps, step, path):  # noqa: ANN001, ANN202
        import adaptfilt

        learn = getattr(adaptfilt, name)
        # Its error begins where the first window is full.
        heard, wanted = np.pad(x, (num_taps - 1, 0)), np.pad(d, (num_taps - 1, 0))
        return lambda: lambda: learn(heard, wanted, num_taps, step, **options)[1]

    return build


def _adafilt(name: str, **options: float) -> Callable[..., Prepare]:
    def build(x, d, num_taps, step, path):  # noqa: ANN001, ANN202
        import adafilt

        def prepare() -> Callable[[], np.ndarray]:
            sizes = {"blocklength": num_taps} if "Block" in name else {}
            steps = {} if "alpha" in options else {"stepsize": step}
            one = getattr(adafilt, name)(length=num_taps, **sizes, **steps, **options)
            return lambda: one(x, d, sec_path_coeff=path, sec_path_est=path)[2]

        return prepare

    return build


def _pyroomacoustics(name: str, **options: float) -> Callable[..., Prepare]:
    def build(x, d, num_taps, step, path):  # noqa: ANN001, ANN202
        from pyroomacoustics import adaptive

        steps = {} if "lmbd" in options else {"mu": step}

        def prepare() -> Callable[[], np.ndarray]:
            one = getattr(adaptive, name)(num_taps, **steps, **options)

            def run() -> np.ndarray:
                for sample, wanted in zip(x, d, strict=True):
                    one.update(sample, wanted)
                return one.w

            return run

        return prepare

    return build


PEERS = (
    Peer("padasip FilterNLMS", "nlms", "sample", _padasip("FilterNLMS")),
    Peer("adaptfilt nlms", "nlms", "sample", _adaptfilt("nlms")),
    Peer("adafilt LMSFilter", "nlms", "sample", _adafilt("LMSFilter")),
    Peer("pyroomacoustics NLMS", "nlms", "sample", _pyroomacoustics("NLMS")),
    Peer("adafilt FastBlockLMSFilter", "nlms", "block", _adafilt("FastBlockLMSFilter"), 256),
    Peer("padasip FilterAP", "apa", "sample", _padasip("FilterAP", order=4, ifc=1e-3)),
    Peer("adaptfilt ap", "apa", "sample", _adaptfilt("ap", K=4)),
    Peer("padasip FilterRLS", "rls", "sample", _padasip("FilterRLS", mu=0.999)),
    Peer("adafilt RLSFilter", "rls", "sample", _adafilt("RLSFilter", alpha=1.0005)),
    Peer("pyroomacoustics RLS", "rls", "sample", _pyroomacoustics("RLS", lmbd=0.999)),
    Peer("adafilt LMSFilter", "fxnlms", "sample", _adafilt("LMSFilter"), 64),
)
