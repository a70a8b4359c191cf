"""Measure a trained network on speakers and noises it never met, against what is in use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anc_core.denoiser.features import SAMPLE_RATE
from anc_core.denoiser.inference import GainModel
from anc_core.denoiser_training.mixing import Mixer
from anc_core.denoiser_training.parameters import TrainingParameters
from anc_core.denoiser_training.pools import open_pool
from anc_core.denoiser_training.records import Evaluation, Scores
from anc_core.metrics.quality import QualityMeter
from anc_core.processors import Processor, SpectralSuppressor, aligned
from anc_core.processors.neural import NeuralSuppressor

if TYPE_CHECKING:
    from numpy.typing import NDArray

SNRS_DB = (0.0, 5.0, 10.0, 15.0)
_SEED = 770_003
_HARM = 0.1
"""A mixture is harmed whose PESQ falls by more than this."""


def evaluate(
    candidate: GainModel,
    active: GainModel | None,
    run_dir: Path,
    parameters: TrainingParameters,
    *,
    num_mixtures: int = 48,
    report: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Measure ``candidate`` on mixtures of the validation pools.

    Parameters
    ----------
    candidate, active : GainModel
        The trained network, and that in use if there is one.
    run_dir, parameters
        The training and its numbers.
    num_mixtures : int
        Divided evenly among 0, 5, 10 and 15 dB SNR.
    report : callable
        Gets a line for each system.
    """
    mixtures = list(_mixtures(run_dir, parameters, num_mixtures))
    engines: dict[str, Callable[[], Processor]] = {
        "candidate": lambda: NeuralSuppressor(SAMPLE_RATE, model=candidate),
        "spectral": lambda: SpectralSuppressor(SAMPLE_RATE),
    }
    if active is not None:
        engines["active"] = lambda: NeuralSuppressor(SAMPLE_RATE, model=active)
    meter = QualityMeter()
    before = [_figures(meter, noisy, clean) for noisy, clean in mixtures]
    scores = {}
    for name, build in engines.items():
        after = [_figures(meter, _run(build(), noisy), clean) for noisy, clean in mixtures]
        scores[name] = _scores(before, after)
        report(f"{name}: {scores[name].model_dump_json()}")
    return Evaluation(
        candidate=scores["candidate"],
        spectral=scores["spectral"],
        active=scores.get("active"),
        active_model_id=None if active is None else active.model_id,
    )


def _mixtures(
    run_dir: Path, parameters: TrainingParameters, count: int
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    pools = [open_pool(run_dir, f"{kind}-validation") for kind in ("speech", "noise", "synthetic")]
    pairs = []
    for index in range(count):
        snr_db = SNRS_DB[index % len(SNRS_DB)]
        mixing = replace(
            parameters.mixing,
            clip_s=8.0,
            min_snr_db=snr_db,
            max_snr_db=snr_db,
            clean_share=0.0,
            noise_only_share=0.0,
            clipping_share=0.0,
            companding_share=0.0,
            silence_share=0.0,
            band_limit_share=0.0,
        )
        mixer = Mixer(pools[0], pools[1], pools[2], mixing, seed=_SEED)
        pairs.append(mixer.mixture(np.random.default_rng([_SEED, index])))
    return pairs


def _run(engine: Processor, noisy: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate(list(aligned([noisy[:, np.newaxis]], engine)))[:, 0]


Figures = dict[str, float | None]


def _figures(
    meter: QualityMeter, estimate: NDArray[np.float32], clean: NDArray[np.float32]
) -> Figures:
    return meter.measure(estimate, SAMPLE_RATE, target=clean).figures


def _scores(before: list[Figures], after: list[Figures]) -> Scores:
    def gains(name: str) -> list[float]:
        return [
            a - b
            for a, b in ((a[name], b[name]) for a, b in zip(after, before, strict=True))
            if a is not None and b is not None
        ]

    def mean(name: str) -> float | None:
        values = gains(name)
        return round(float(np.mean(values)), 4) if values else None

    pesq = gains("pesq")
    return Scores(
        pesq=mean("pesq"),
        estoi=mean("estoi"),
        si_sdr_db=mean("si_sdr_db"),
        dnsmos_ovrl=mean("dnsmos_ovrl"),
        harmed_share=float(np.mean([gain < -_HARM for gain in pesq])) if pesq else None,
        num_mixtures=len(before),
    )
