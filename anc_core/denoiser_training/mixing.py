"""Mixtures made on the fly: speech x room x noise x level x channel, none ever heard twice.

Batch ``k`` of process ``r`` depends on the seed, ``k`` and ``r`` alone, so a training that was
killed goes on with the very mixtures it would have met.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anc_core.audio.synth import room_response
from anc_core.denoiser.features import SAMPLE_RATE
from anc_core.denoiser_training.parameters import MixingParameters
from anc_core.denoiser_training.pools import Pool, active_rms

Samples = NDArray[np.float32]
Generator = np.random.Generator


class Mixer:
    """Makes batches of mixtures from pools.

    Parameters
    ----------
    speech, recorded, synthetic : Pool
        Clips of speech, of recorded noise and of synthetic noise.
    parameters : MixingParameters
    seed : int
    """

    def __init__(
        self,
        speech: Pool,
        recorded: Pool,
        synthetic: Pool,
        parameters: MixingParameters,
        *,
        seed: int,
    ) -> None:
        self._speech = speech
        self._recorded = recorded
        self._synthetic = synthetic
        self._parameters = parameters
        self._seed = seed
        self.num_samples = round(parameters.clip_s * SAMPLE_RATE)
        lengths = np.diff(speech.starts)
        self._speech_shares = lengths / lengths.sum()
        self._rooms = _rooms(seed, count=160)

    def batch(self, step: int, rank: int, size: int) -> tuple[Samples, Samples]:
        """Return mixtures and their clean speech, float32, shape (size, num_samples) each."""
        rng = np.random.default_rng([self._seed, step, rank])
        pairs = [self.mixture(rng) for _ in range(size)]
        return np.stack([noisy for noisy, _ in pairs]), np.stack([clean for _, clean in pairs])

    def mixture(self, rng: Generator) -> tuple[Samples, Samples]:
        """Return one mixture and its clean speech."""
        p = self._parameters
        what = rng.random()
        clean = np.zeros(self.num_samples, np.float32)
        noise = np.zeros(self.num_samples, np.float32)
        if what >= p.noise_only_share:
            clean = self._voice(rng)
        if what < 1.0 - p.clean_share:
            snr_db = rng.uniform(p.min_snr_db, p.max_snr_db)
            noise = self._noise(rng) * np.float32(10.0 ** (-snr_db / 20.0))
        if rng.random() < p.band_limit_share:
            band = _band_limit(self.num_samples, rng)
            clean, noise = _filter(clean, band), _filter(noise, band)
        if rng.random() < p.silence_share:
            start, stop = np.sort(rng.integers(0, self.num_samples, 2))
            stop = min(stop, start + self.num_samples // 2)
            clean[start:stop] = noise[start:stop] = 0.0
        level = np.float32(10.0 ** (rng.uniform(-38.0, -18.0) / 20.0))
        clean, noisy = clean * level, (clean + noise) * level
        noisy = _distort(noisy, rng, p)
        return noisy, clean

    def _voice(self, rng: Generator) -> Samples:
        """Return speech of one speaker, unit active RMS, in a room or not, at any speed."""
        speed = rng.uniform(0.85, 1.2) if rng.random() < self._parameters.speed_share else 1.0
        wanted = int(self.num_samples * speed) + 1
        parts, total = list[Samples](), 0
        index = int(rng.choice(len(self._speech), p=self._speech_shares))
        group = self._speech.groups[index]
        same = np.flatnonzero(self._speech.groups == group)
        while total < wanted:
            part = self._speech.clip(index)
            if not parts and len(part) > wanted:
                start = int(rng.integers(len(part) - wanted + 1))
                part = part[start : start + wanted]
            pause = np.zeros(int(rng.uniform(0.0, 0.6) * SAMPLE_RATE), np.float32)
            parts += [part, pause]
            total += len(part) + len(pause)
            index = int(rng.choice(same))
        voice = _at_speed(np.concatenate(parts)[:wanted], speed, self.num_samples)
        curve = _random_curve(rng, 2.0) if rng.random() < 0.5 else None
        room = None
        if rng.random() < self._parameters.room_share:
            room = self._rooms[int(rng.integers(len(self._rooms)))]
        if curve is not None or room is not None:
            voice = _filter(voice, curve, room)
        return voice / active_rms(voice)

    def _noise(self, rng: Generator) -> Samples:
        """Return noise of one or two kinds, unit RMS."""
        p = self._parameters
        noise = self._one_noise(rng)
        if rng.random() < p.second_noise_share:
            other = self._one_noise(rng)
            noise = noise + other * np.float32(10.0 ** (rng.uniform(-15.0, 0.0) / 20.0))
        if rng.random() < 0.4:
            points = rng.normal(0.0, rng.uniform(1.0, 6.0), int(rng.integers(2, 7)))
            place = np.linspace(0, len(points) - 1, len(noise))
            gain_db = np.interp(place, np.arange(len(points)), points)
            noise = noise * (10.0 ** (gain_db / 20.0)).astype(np.float32)
        rms = float(np.sqrt(np.mean(np.square(noise))))
        return noise / max(rms, 1e-9)

    def _one_noise(self, rng: Generator) -> Samples:
        p = self._parameters
        which = rng.random()
        if which < p.babble_share:
            return self._babble(rng)
        pool = self._synthetic
        if which < p.babble_share + p.recorded_noise_share:
            pool = self._recorded
        speed = rng.uniform(0.75, 1.35) if rng.random() < p.speed_share else 1.0
        wanted = int(self.num_samples * speed) + 1
        noise = pool.excerpt(int(rng.integers(len(pool))), wanted, rng)
        noise = _at_speed(noise, speed, self.num_samples)
        room = None
        if rng.random() < 0.15:
            room = self._rooms[int(rng.integers(len(self._rooms)))]
        # Synthetic noise has a random spectrum already.
        curve = _random_curve(rng, 3.0) if pool is self._recorded else None
        if curve is not None or room is not None:
            noise = _filter(noise, curve, room)
        return noise / (float(np.sqrt(np.mean(np.square(noise)))) + 1e-9)

    def _babble(self, rng: Generator) -> Samples:
        """Return voices on top of each other: a crowd, a party, children."""
        babble = np.zeros(self.num_samples, np.float32)
        lift = rng.uniform(1.2, 1.7) if rng.random() < 0.3 else 1.0
        num_voices = int(rng.integers(3, 10))
        for _ in range(num_voices):
            speed = lift * rng.uniform(0.9, 1.1)
            index = int(rng.integers(len(self._speech)))
            voice = self._speech.excerpt(index, int(self.num_samples * speed) + 1, rng)
            # Linear interpolation: nobody hears its images in a crowd.
            place = np.arange(self.num_samples) * speed
            voice = np.interp(place, np.arange(len(voice)), voice).astype(np.float32)
            babble += voice * np.float32(10.0 ** (rng.uniform(-8.0, 0.0) / 20.0))
        room = self._rooms[int(rng.integers(len(self._rooms)))]
        babble = _filter(babble, _random_curve(rng, 2.0), room)
        return babble / (float(np.sqrt(np.mean(np.square(babble)))) + 1e-9)


def _rooms(seed: int, *, count: int) -> list[Samples]:
    rng = np.random.default_rng([seed, 77])
    return [
        room_response(
            SAMPLE_RATE,
            seed=rng,
            rt60_s=float(rng.uniform(0.1, 0.9)),
            distance_m=float(np.exp(rng.uniform(np.log(0.2), np.log(3.0)))),
        )
        for _ in range(count)
    ]


def _at_speed(samples: Samples, speed: float, num_samples: int) -> Samples:
    if speed == 1.0:
        return samples[:num_samples]
    import soxr

    # Rates as whole numbers of 1 per mille: soxr takes any pair.
    out = soxr.resample(samples, round(1000 * speed), 1000, quality="MQ")
    return np.resize(out, num_samples).astype(np.float32)


def _random_curve(rng: Generator, spread_db: float) -> Samples:
    """Return a random smooth gain over frequency, at 17 points from 0 to 8 kHz."""
    points = np.cumsum(rng.normal(0.0, spread_db / 2.0, 17))
    return np.asarray(points - points.mean(), np.float32)


def _band_limit(num_samples: int, rng: Generator) -> Samples:
    """Return gains in dB at 161 points from 0 to 8 kHz: a telephone, or a dull recorder."""
    frequency_hz = np.linspace(0, SAMPLE_RATE / 2, 161)
    if rng.random() < 0.6:
        low_hz, high_hz = rng.uniform(50, 350), rng.uniform(3200, 3950)
    else:
        low_hz, high_hz = 0.0, rng.uniform(3500, 7500)
    below = np.clip((low_hz - frequency_hz) / 100.0, 0.0, 1.0) * 30.0
    above = np.clip((frequency_hz - high_hz) / 150.0, 0.0, 1.0) * 100.0
    return (-below - above).astype(np.float32)


def _filter(samples: Samples, curve_db: Samples | None, room: Samples | None = None) -> Samples:
    """Return ``samples`` through a zero-phase gain curve and a room, the same length."""
    length = 2 * _fast_half(len(samples) + (len(room) if room is not None else 2000))
    spectrum = np.fft.rfft(samples, length)
    if room is not None:
        spectrum *= np.fft.rfft(room, length)
    if curve_db is not None:
        # Steps of 8 Hz are finer than any curve here.
        place = np.linspace(0, len(curve_db) - 1, 1024)
        gain = 10.0 ** (np.interp(place, np.arange(len(curve_db)), curve_db) / 20.0)
        repeats = -(-len(spectrum) // len(gain))
        spectrum *= np.repeat(gain.astype(np.float32), repeats)[: len(spectrum)]
    filtered: Samples = np.fft.irfft(spectrum, length)[: len(samples)].astype(np.float32)
    return filtered


def _fast_half(length: int) -> int:
    """Return a number of 2, 3, 5 alone that is at least half of ``length``."""
    half = (length + 1) // 2
    step = 1 << max(0, half.bit_length() - 4)
    return -(-half // step) * step


def _distort(noisy: Samples, rng: Generator, p: MixingParameters) -> Samples:
    """Return ``noisy`` as a bad recorder or a telephone line would deliver it."""
    if rng.random() < p.clipping_share:
        limit = np.float32(np.quantile(np.abs(noisy), rng.uniform(0.97, 0.9995)) + 1e-6)
        noisy = np.clip(noisy, -limit, limit)
    if rng.random() < p.companding_share:
        scale = np.float32(0.5 / (np.abs(noisy).max() + 1e-9))
        loud = np.sign(noisy) * np.log1p(255.0 * np.abs(noisy) * scale) / np.log(256.0)
        coarse = np.round(loud * 127.0) / 127.0
        noisy = (np.sign(coarse) * np.expm1(np.abs(coarse) * np.log(256.0)) / 255.0) / scale
    return noisy.astype(np.float32)
