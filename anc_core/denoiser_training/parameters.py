"""All numbers of a training, by name; no library is needed to read them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import cos, pi
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkParameters:
    """Sizes of the network."""

    num_channels: int = 16
    bottleneck: int = 128
    hidden: int = 128
    decoder_channels: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class MixingParameters:
    """What is mixed how often; shares are probabilities."""

    clip_s: float = 4.112
    """257 hops of 16 ms: 256 frames."""
    min_snr_db: float = -6.0
    max_snr_db: float = 20.0
    clean_share: float = 0.05
    """Speech without noise: the network must learn to leave it alone."""
    noise_only_share: float = 0.04
    recorded_noise_share: float = 0.52
    babble_share: float = 0.13
    """The rest of the mixtures get synthetic noise."""
    second_noise_share: float = 0.3
    room_share: float = 0.3
    speed_share: float = 0.6
    """Speech and noise at another speed, and so at another pitch."""
    band_limit_share: float = 0.15
    """Telephone and other narrow bands."""
    clipping_share: float = 0.04
    companding_share: float = 0.05
    """Mu-law at 8 bit (ITU-T G.711), as in telephone archives."""
    silence_share: float = 0.05
    """A stretch of digital silence, as in edited recordings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingParameters:
    """How the network is trained."""

    seed: int = 1
    num_steps: int = 20_000
    batch_size: int = 8
    """Mixtures a step and process."""
    num_processes: int = 2
    """Part of the recipe: another number is another batch."""
    learning_rate: float = 2e-3
    warmup_steps: int = 200
    decay_share: float = 0.35
    """Last part of the steps, in which the rate falls to 0 along a cosine; constant before."""
    weight_decay: float = 0.01
    max_gradient_norm: float = 0.5
    ema_decay: float = 0.999
    """Of the running mean of the weights, which is what is exported."""
    num_synthetic: int = 1600
    synthetic_s: float = 5.0
    validate_every: int = 500
    checkpoint_every: int = 100
    num_validation: int = 64
    network: NetworkParameters = field(default_factory=NetworkParameters)
    mixing: MixingParameters = field(default_factory=MixingParameters)

    def as_dict(self) -> dict[str, Any]:
        """Return all numbers by name, JSON types only."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainingParameters:
        """Return the parameters that :meth:`as_dict` gave."""
        values = dict(values)
        network = NetworkParameters(**values.pop("network"))
        mixing = MixingParameters(**values.pop("mixing"))
        return cls(network=network, mixing=mixing, **values)

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of a step: a ramp, a plateau, a cosine down to 0."""
        decay_start = self.num_steps * (1.0 - self.decay_share)
        rate = self.learning_rate * min(1.0, (step + 1) / self.warmup_steps)
        if step > decay_start:
            done = (step - decay_start) / (self.num_steps - decay_start)
            rate *= 0.5 * (1.0 + cos(pi * min(done, 1.0)))
        return rate
