"""Take the noise out of a recording that has no reference: one face, several engines."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from anc_core.arrays import Chunk, check_sample_rate
from anc_core.denoiser.inference import load_gain_model
from anc_core.denoiser.models import find_bundle, find_model
from anc_core.errors import InputError
from anc_core.presets import SuppressionParameters
from anc_core.processors.base import Processor
from anc_core.processors.framewise import FramewiseSuppressor
from anc_core.processors.harmless import ContentSummary, HarmlessMix
from anc_core.processors.neural import MIN_SAMPLE_RATE_HZ, NeuralSuppressor
from anc_core.processors.spectral import SpectralSuppressor

NEURAL, SPECTRAL, AUTO = "neural", "spectral", "auto"


class Suppressor:
    """Lower every time-frequency cell by as much as it looks like noise.

    Parameters
    ----------
    sample_rate : float
        Hz, 1 000 to 768 000: the engine works at the recording's own rate.
    num_channels : int, default 1
        Each has gains of its own, unless ``parameters.link_channels``.
    parameters : SuppressionParameters, optional
        All numbers; default those of the preset ``default``.
    method : {"auto", "neural", "spectral"}, optional
        Overrides ``parameters.method``. ``auto`` takes the neural engine where its weights load and
        the sample rate is 8 kHz or more, and the spectral one elsewhere.
    strength : float, optional
        Overrides ``parameters.strength``: 0 to 1, scales the gain in dB.
    max_attenuation_db : float, optional
        Overrides ``parameters.max_attenuation_db``: 0 to 80.
    link_channels : bool, optional
        Overrides ``parameters.link_channels``: one gain for all channels.
    model : Path, optional
        Bundle of the neural engine, or a folder of models to look into before the one that ships.

    Attributes
    ----------
    engine : {"neural", "spectral"}
        Which one does the work.
    model_id : str or None
        The weights that do it.
    lacks_weights : bool
        The spectral engine does the work of the neural one, whose weights are missing or refused.

    Raises
    ------
    InputError
        If a parameter is out of its range.
    ModelBundleError
        If ``method`` is ``"neural"`` and its weights are missing, changed or of another version.

    Notes
    -----
    Where :class:`HarmlessMix` hears music, bird song or clean speech, the engine's output gives way
    to the input (``parameters.do_no_harm``). With ``strength`` 0 or ``max_attenuation_db`` 0 every
    finite sample passes bit for bit. Non-finite samples count as 0, and magnitudes above 1e9 as
    1e9.

    Examples
    --------
    >>> import numpy as np
    >>> from anc_core.processors import aligned
    >>> noise = np.random.default_rng(1).normal(0, 0.1, (16_000, 1)).astype(np.float32)
    >>> quiet = np.concatenate(list(aligned([noise], Suppressor(16_000))))
    >>> quiet.shape == noise.shape, bool(np.std(quiet[8000:]) < 0.2 * np.std(noise))
    (True, True)
    """

    def __init__(
        self,
        sample_rate: float,
        num_channels: int = 1,
        *,
        parameters: SuppressionParameters | None = None,
        method: str | None = None,
        strength: float | None = None,
        max_attenuation_db: float | None = None,
        link_channels: bool | None = None,
        model: Path | None = None,
    ) -> None:
        self.parameters = _with_overrides(
            parameters or SuppressionParameters(),
            method=method,
            strength=strength,
            max_attenuation_db=max_attenuation_db,
            link_channels=link_channels,
        )
        gain_model, wants_network = None, False
        if self.parameters.method == NEURAL:
            gain_model = load_gain_model(find_bundle(model))
        elif self.parameters.method == AUTO:
            wants_network = check_sample_rate(sample_rate) >= MIN_SAMPLE_RATE_HZ
            gain_model = find_model(model) if wants_network else None
        self.lacks_weights = wants_network and gain_model is None
        self.engine = SPECTRAL if gain_model is None else NEURAL
        self.model_id = None if gain_model is None else gain_model.model_id
        engine: FramewiseSuppressor
        if gain_model is None:
            engine = SpectralSuppressor(sample_rate, num_channels, parameters=self.parameters)
        else:
            engine = NeuralSuppressor(
                sample_rate, num_channels, model=gain_model, parameters=self.parameters
            )
        self._engine: Processor = engine
        self._mix: HarmlessMix | None = None
        if self.parameters.do_no_harm and not engine.is_bypass:
            self._engine = self._mix = HarmlessMix(
                engine, sample_rate, engine_knows_speech=gain_model is not None
            )

    @property
    def num_channels(self) -> int:
        """Columns of every chunk, in and out."""
        return self._engine.num_channels

    @property
    def content(self) -> ContentSummary | None:
        """What the do-no-harm detector found so far; None where it is off."""
        return None if self._mix is None else self._mix.content

    @property
    def latency(self) -> int:
        """Delay in samples, that of the engine."""
        return self._engine.latency

    def process(self, chunk: Chunk) -> Chunk:
        """Take ``chunk`` (num_samples, num_channels), return what is ready, delayed by `latency`.

        Raises
        ------
        InputError
            If ``chunk`` has another shape or is not floating point.
        """
        return self._engine.process(chunk)

    def flush(self) -> Chunk:
        """Return the rest, so that in all num_samples + latency came out, and reset."""
        return self._engine.flush()

    def reset(self) -> None:
        """Forget everything heard so far."""
        self._engine.reset()


def _with_overrides(
    parameters: SuppressionParameters, **overrides: float | str | None
) -> SuppressionParameters:
    """Return ``parameters`` with those of ``overrides`` that are not None, checked."""
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        # model_copy would not check the values.
        parameters = SuppressionParameters.model_validate({**parameters.model_dump(), **given})
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc']))} is {item['input']!r}: {item['msg']}"
            for item in error.errors()
        )
        raise InputError(problems) from None
    return parameters
