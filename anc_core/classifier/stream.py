"""Names for the noises of a recording: a window of a second every half second, of each channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.arrays import (
    Chunk,
    as_columns,
    check_chunk,
    check_num_channels,
    check_sample_rate,
)
from anc_core.classifier.levels import StretchLevels
from anc_core.classifier.model import NoiseModel
from anc_core.dsp.finite import tame
from anc_core.features import WindowFeatures, WindowVectors
from anc_core.records import Window, WindowTable
from anc_core.windows import SILENCE, UNKNOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray

SILENCE_DBFS = -70.0
"""A softer window is silence, whatever its spectrum is like: below the noise of most recorders."""

WINDOW_S = 1.0
_SHORTEST_S = 0.5
"""A stream shorter than this is called ``unknown``: half a window is no ground for a name."""
_CHUNK_S = 10


class NoiseClassifier:
    """A trained classifier of noises.

    Parameters
    ----------
    model : NoiseModel

    See Also
    --------
    anc_core.load_classifier : loads the one in use.
    """

    def __init__(self, model: NoiseModel) -> None:
        self._model = model

    @property
    def classes(self) -> tuple[str, ...]:
        """Names that windows may bear, besides ``silence`` and ``unknown``."""
        return self._model.classes

    @property
    def model_id(self) -> str:
        """What sessions remember of it."""
        return self._model.model_id

    def predict(self, audio: NDArray[Any], sample_rate: float) -> list[Window]:
        """Return the windows of ``audio``.

        Parameters
        ----------
        audio : floating point, shape (n,) or (n, num_channels)
            Full scale +-1; non-finite samples count as 0. Any length, 0 included.
        sample_rate : float
            Hz, 1 000 to 768 000.

        Returns
        -------
        list of Window
            In order of time, then of channel; see :class:`NoiseStream`.

        Raises
        ------
        InputError
            If shape, type or rate is not as above.
        """
        columns, rate = as_columns(audio), check_sample_rate(sample_rate)
        stream = self.stream(rate, columns.shape[1])
        windows: list[Window] = []
        for start in range(0, len(columns), _CHUNK_S * rate):
            windows += stream.process(columns[start : start + _CHUNK_S * rate])
        windows += stream.flush()
        return windows

    def stream(self, sample_rate: float, num_channels: int = 1) -> NoiseStream:
        """Return what listens to a stream of chunks."""
        return NoiseStream(self._model, sample_rate, num_channels)


class NoiseStream:
    """Chunks in, named windows out.

    Parameters
    ----------
    model : NoiseModel
    sample_rate : float
        Hz, 1 000 to 768 000.
    num_channels : int
        Each has windows of its own.

    Notes
    -----
    Windows of one second, one every half second, and a last one that ends with the stream; any
    split of the stream gives the same windows, at most 17 s late. The level is that of the input as
    it came, below -70 dBFS the window is ``silence`` and the model is not asked.
    """

    def __init__(self, model: NoiseModel, sample_rate: float, num_channels: int = 1) -> None:
        self._model = model
        self._rate = check_sample_rate(sample_rate)
        self._num_channels = check_num_channels(num_channels)
        self._features = WindowFeatures(self._rate, num_channels)
        self._levels = StretchLevels(self._rate, num_channels)

    def process(self, chunk: Chunk) -> WindowTable:
        """Listen to ``chunk`` (num_samples >= 0, num_channels); return the windows that are ready.

        Raises
        ------
        InputError
            If ``chunk`` has another shape or is not floating point.
        ModelBundleError
            If the model can't be run.
        """
        chunk = tame(check_chunk(chunk, self._num_channels))
        self._levels.put(chunk)
        return self._named(self._features.process_tame(chunk))

    def flush(self) -> WindowTable:
        """Return the windows of the rest, and begin anew."""
        self._levels.finish()
        windows = self._named(self._features.flush())
        self._levels.reset()
        return windows

    def reset(self) -> None:
        """Forget everything heard so far."""
        self._features.reset()
        self._levels.reset()

    def _named(self, batches: list[WindowVectors]) -> WindowTable:
        tables = []
        # One batch at a time: sums of floats depend on how many are taken together.
        for batch in batches:
            tables.append(self._name(batch))
            self._levels.forget(float(batch.start_s[-1]))
        return WindowTable.joined(tables)

    def _name(self, batch: WindowVectors) -> WindowTable:
        duration_s = self._levels.num_samples / self._rate
        # Frames of a stream that is no window long end before it does; its window is all of it.
        end_s = np.minimum(batch.start_s + max(batch.length_s, WINDOW_S), duration_s)
        powers = self._levels.mean_power(batch.start_s, end_s)
        levels = 10.0 * np.log10(powers, out=np.full_like(powers, -np.inf), where=powers > 0.0)
        is_audible = levels >= SILENCE_DBFS
        names = (*self._model.names, SILENCE)
        name = np.full(powers.shape, len(names) - 1)
        confidence = np.ones(powers.shape)
        if duration_s < _SHORTEST_S:
            name[is_audible], confidence[is_audible] = names.index(UNKNOWN), 0.0
        else:
            name[is_audible], confidence[is_audible] = self._model.label(batch.vectors[is_audible])
        num_channels = self._num_channels
        return WindowTable.of_columns(
            start_s=np.repeat(batch.start_s, num_channels),
            end_s=np.repeat(end_s, num_channels),
            channel=np.tile(np.arange(num_channels), len(batch)),
            name=name.ravel(),
            names=names,
            confidence=np.minimum(confidence, 1.0).ravel(),
            level_dbfs=np.where(powers > 0.0, levels, np.nan).ravel(),
        )
