"""Do no harm: where there is nothing to gain, the input passes instead of an engine's output.

Context: a suppressor takes for noise whatever is not speech, so music and bird song lose, and a
clean voice can only get worse. Decision: the content of the recording is judged for itself, with
seconds of look-ahead (:mod:`anc_core.dsp.content`), and the output is a mixture of what the engine
made and of the input. Consequence: any engine whose output is aligned with its input can stand
inside; it runs all the time, so that its state is right when it is needed again, and so that one
that knows speech can be asked whether there was any.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from anc_core.arrays import Chunk, check_chunk
from anc_core.dsp.buffer import SampleBuffer
from anc_core.dsp.content import HALF_WINDOW, ContentMeter
from anc_core.dsp.content_model import strength_of
from anc_core.dsp.finite import energy, repair
from anc_core.dsp.levels import power_to_db
from anc_core.dsp.slow_curve import SlowCurve
from anc_core.metrics.findings import bandwidth_hz
from anc_core.processors.aligned import Undelayed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anc_core.processors.base import Processor

_CLEAN_SPEECH = 2
"""Place of clean speech among the scores: music, bird song, clean speech."""

_NO_VOICE_DB = (-12.0, -20.0)
"""What an engine that knows speech leaves of the sound around: from the first on it doubts that
there is a voice, at the second it is sure that there is none."""
_NO_VOICE_BONUS = 0.8
"""What that is worth to music and bird song, in log odds. Their thresholds are high for the sake of
voices over music; where there is no voice less certainty will do. 15 instead of 10 of 24 roosters
of ESC-10 (folds 1 to 4) lose less than 1 dB then, and 26 instead of 15 of 192 sounds of its other
kinds but crying babies are spared for more than a tenth of the time, 13 of them chainsaws."""

_NARROWBAND_SHARE = 0.55
"""Of the Nyquist frequency: 4 kHz at 16 kHz is narrow, 7 kHz (wideband telephony) is not."""
_NARROWBAND_HZ = 4_400.0
"""However high the rate: a telephone line ends at 3.4 to 4 kHz."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentSummary:
    """What the detector made of a recording.

    Attributes
    ----------
    duration_s : float
        Judged; whole frames of 64 ms.
    music_s, bird_song_s, clean_speech_s : float
        Time in which the strength was lowered for this reason; the strongest reason counts.
    mean_strength : float
        Of the engine, 0 to 1; 1 for a recording without a frame.
    bandwidth_hz : float or None
        Where the sound ends in a cliff; None if it does not.
    is_narrowband : bool
        The cliff lies at telephone bandwidth, below what the sample rate has room for.
    """

    duration_s: float
    music_s: float
    bird_song_s: float
    clean_speech_s: float
    mean_strength: float
    bandwidth_hz: float | None
    is_narrowband: bool


class HarmlessMix:
    """Mix the output of ``engine`` with the input: all engine in noise, less where it would harm.

    Parameters
    ----------
    engine : Processor
        Suppressor of any kind that keeps the phase; new or reset.
    sample_rate : float
        Hz.
    engine_knows_speech : bool, default False
        The engine was trained to keep speech and nothing else. Then it needs no help with clean
        speech, and leaves that alone also between the words; and where it leaves nothing there is
        no voice, which makes music and bird song more likely.

    Notes
    -----
    ``output = s engine + (1 - s) input``. The strength ``s`` belongs to an instant, not to a
    channel: an instrument that is panned to one side must not lose its place. It moves in straight
    lines of half a second. Where it is 1 the engine's output passes bit for bit, where it is 0 the
    input does. Samples wait inside for the verdict, about 8 s of them, or 12 s where the engine is
    asked as well, after its own delay. Non-finite samples count as 0. :attr:`content` may be read
    until the next stream begins.

    Examples
    --------
    >>> from anc_core.processors import SpectralSuppressor, aligned
    >>> mix = HarmlessMix(SpectralSuppressor(16_000), 16_000)
    >>> noise = np.random.default_rng(1).normal(0, 0.1, (80_000, 1)).astype(np.float32)
    >>> quiet = np.concatenate(list(aligned([noise], mix)))
    >>> quiet.shape, mix.content.mean_strength
    ((80000, 1), 1.0)
    """

    def __init__(
        self, engine: Processor, sample_rate: float, *, engine_knows_speech: bool = False
    ) -> None:
        self._engine = Undelayed(engine)
        self._engine_knows_speech = engine_knows_speech
        self._meter = ContentMeter(sample_rate, engine.num_channels)
        self._curve = SlowCurve(self._meter.segment_length, self._meter.first_centre)
        self._original = SampleBuffer(engine.num_channels)
        self._processed = SampleBuffer(engine.num_channels)
        # The same samples once more, as far as they are not compared yet: what waits for a verdict
        # is long, and to look into the midst of it would join it each time.
        self._to_compare = (SampleBuffer(engine.num_channels), SampleBuffer(engine.num_channels))
        self._has_ended: bool = False
        self._has_delayed: bool = False
        self.reset()

    @property
    def num_channels(self) -> int:
        """Columns of every chunk, in and out."""
        return self._engine.processor.num_channels

    @property
    def latency(self) -> int:
        """Delay in samples: that of the engine after the look-ahead of the detector."""
        segments = self._curve.look_ahead + 1
        if self._engine_knows_speech:
            segments += HALF_WINDOW + 1
        look_ahead = self._meter.look_ahead + segments * self._meter.segment_length
        return self._engine.processor.latency + look_ahead

    @property
    def content(self) -> ContentSummary:
        """What has been decided so far; all of it after :meth:`flush`."""
        segment_s = self._meter.segment_length / self._meter.sample_rate
        spectrum = self._meter.mean_spectrum
        edge_hz = bandwidth_hz(spectrum, self._meter.sample_rate)
        room_hz = self._meter.sample_rate / 2.0
        limit_hz = min(_NARROWBAND_HZ, _NARROWBAND_SHARE * room_hz)
        return ContentSummary(
            duration_s=self._num_segments * segment_s,
            music_s=int(self._reasons[0]) * segment_s,
            bird_song_s=int(self._reasons[1]) * segment_s,
            clean_speech_s=int(self._reasons[2]) * segment_s,
            mean_strength=self._total_strength / self._num_segments if self._num_segments else 1.0,
            bandwidth_hz=edge_hz,
            is_narrowband=edge_hz is not None and edge_hz <= limit_hz,
        )

    def process(self, chunk: Chunk) -> Chunk:
        """Take ``chunk`` (num_samples, num_channels), return what is decided, delayed by `latency`.

        Raises
        ------
        InputError
            If ``chunk`` has another shape or is not floating point.
        """
        if self._has_ended:
            self.reset()
        chunk = repair(check_chunk(chunk, self.num_channels))
        self._original.put(chunk)
        processed = self._engine.process(chunk)
        self._processed.put(processed)
        if self._engine_knows_speech:
            self._to_compare[0].put(chunk)
            self._to_compare[1].put(processed)
        self._scores.extend(self._meter.push(chunk))
        return self._advance()

    def flush(self) -> Chunk:
        """Return the rest, so that in all num_samples + latency came out, and reset."""
        if self._has_ended:
            self.reset()
        rest = self._engine.flush()
        self._processed.put(rest)
        if self._engine_knows_speech:
            self._to_compare[1].put(rest)
        self._scores.extend(self._meter.flush())
        self._has_ended = True
        return self._advance()

    def reset(self) -> None:
        """Forget everything heard so far."""
        self._engine.reset()
        self._meter.reset()
        self._curve.reset()
        for buffer in (self._original, self._processed, *self._to_compare):
            buffer.clear()
        self._has_delayed = False
        self._has_ended = False
        self._num_mixed = 0
        # Segments that are scored but not judged; energies, in and out, of those around them.
        self._scores: deque[NDArray[np.float64]] = deque()
        self._energies: deque[tuple[float, float]] = deque()
        self._num_compared = 0
        self._num_segments = 0
        self._total_strength = 0.0
        self._reasons = np.zeros(3, np.int64)

    def _advance(self) -> Chunk:
        """Return what the samples so far have decided, after the delay."""
        self._compare()
        self._judge()
        if self._has_ended:
            self._curve.finish()
        delay = 0 if self._has_delayed else self.latency
        self._has_delayed = True
        return np.concatenate([np.zeros((delay, self.num_channels), np.float32), self._mixed()])

    def _compare(self) -> None:
        """Note how much the engine has left of each segment that it is through with."""
        while self._engine_knows_speech:
            length = self._meter.segment_length
            ready = min(map(len, self._to_compare))
            if ready < length and not (self._has_ended and ready > 0):
                return
            before, after = (buffer.take(min(ready, length)) for buffer in self._to_compare)
            self._num_compared += 1
            self._energies.append((energy(before), energy(after)))

    def _judge(self) -> None:
        """Turn scores into points of the strength curve, as far as all around them is known."""
        while self._scores and self._knows_surroundings():
            scores = self._scores.popleft()
            if self._engine_knows_speech:
                scores = scores + _NO_VOICE_BONUS * self._certainty_of_no_voice()
            strengths = strength_of(scores)
            if self._engine_knows_speech:
                strengths[_CLEAN_SPEECH] = 1.0
            strength = float(strengths.min())
            self._curve.put([strength])
            self._num_segments += 1
            if self._engine_knows_speech and self._num_segments > HALF_WINDOW:
                self._energies.popleft()
            self._total_strength += strength
            if strength < 1.0:
                self._reasons[int(strengths.argmin())] += 1

    def _knows_surroundings(self) -> bool:
        if not self._engine_knows_speech or self._has_ended:
            return True
        return self._num_compared > self._num_segments + HALF_WINDOW

    def _certainty_of_no_voice(self) -> float:
        """Return 0 to 1 for the next segment, from what is left of all around it."""
        num_before = min(self._num_segments, HALF_WINDOW)
        around = islice(self._energies, num_before + 1 + HALF_WINDOW)
        before, after = map(sum, zip(*around, strict=True))
        left_db = float(power_to_db(after / before)) if before > 0.0 else 0.0
        doubtful_db, sure_db = _NO_VOICE_DB
        return min(max((doubtful_db - left_db) / (doubtful_db - sure_db), 0.0), 1.0)

    def _mixed(self) -> Chunk:
        """Return the mixture of all that both sides have and whose strength is known."""
        ready = min(len(self._original), len(self._processed))
        if self._engine_knows_speech and not self._has_ended:
            ready = min(ready, self._num_compared * self._meter.segment_length - self._num_mixed)
        ready = int(min(ready, self._curve.num_final))
        if ready <= 0:
            return np.zeros((0, self.num_channels), np.float32)
        self._num_mixed += ready
        strength = self._curve.take(ready)[:, np.newaxis]
        original, processed = self._original.take(ready), self._processed.take(ready)
        if strength.min() == 1.0:
            return processed
        mixed = (strength * processed + (1.0 - strength) * original).astype(np.float32)
        return np.where(strength == 1.0, processed, np.where(strength == 0.0, original, mixed))
