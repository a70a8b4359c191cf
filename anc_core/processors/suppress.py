"""Take the noise out of a recording that has no reference: one face, several engines."""

from __future__ import annotations

from pydantic import ValidationError

from anc_core.arrays import Chunk
from anc_core.errors import InputError
from anc_core.presets import SuppressionParameters
from anc_core.processors.base import Processor
from anc_core.processors.spectral import SpectralSuppressor


class Suppressor:
    """Lower every time-frequency cell by as much as it looks like noise.

    Parameters
    ----------
    sample_rate : float
        Hz, 1 000 to 768 000: the engine works at the recording's own rate.
    num_channels : int, default 1
        Channels are independent of each other.
    parameters : SuppressionParameters, optional
        All numbers; default those of the preset ``default``.
    method : {"auto", "spectral"}, optional
        Overrides ``parameters.method``. Both mean :class:`SpectralSuppressor`.
    strength : float, optional
        Overrides ``parameters.strength``: 0 to 1, scales the gain in dB.
    max_attenuation_db : float, optional
        Overrides ``parameters.max_attenuation_db``: 0 to 80.

    Raises
    ------
    InputError
        If a parameter is out of its range, or ``method`` is ``"neural"``.

    Notes
    -----
    With ``strength`` 0 or ``max_attenuation_db`` 0 every finite sample passes bit for bit, with the
    same latency. Non-finite samples count as 0, and magnitudes above 1e9 as 1e9.

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
    ) -> None:
        self.parameters = _with_overrides(
            parameters or SuppressionParameters(),
            method=method,
            strength=strength,
            max_attenuation_db=max_attenuation_db,
        )
        self._engine: Processor = SpectralSuppressor(
            sample_rate, num_channels, parameters=self.parameters
        )

    @property
    def num_channels(self) -> int:
        """Columns of every chunk, in and out."""
        return self._engine.num_channels

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
    if parameters.method == "neural":
        msg = (
            "method 'neural': the neural engine is not part of this version; "
            "'auto' and 'spectral' are available"
        )
        raise InputError(msg)
    return parameters
