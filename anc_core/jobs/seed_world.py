"""The made-up installation that ``anc db seed`` tells of: recorders, places, habits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUM_DEVICES = 24
SITES = ("north-hall", "south-hall", "call-centre", "workshop", "road-side", "school")
USERS = tuple(f"user-{number:02d}" for number in range(1, 13))
PRESETS = ("default", "call-centre", "field", "gentle", "strong")
_PRESET_SHARES = (0.5, 0.2, 0.15, 0.08, 0.07)
PRESET_CANCELLATION_DB = np.array([0.0, -1.0, 0.5, -4.0, 3.0])

NOISES = (
    "air_conditioner",
    "engine_idling",
    "street_music",
    "children_playing",
    "drilling",
    "jackhammer",
    "dog_bark",
    "car_horn",
    "unknown",
    "silence",
)
SILENCE = NOISES.index("silence")
NOISE_CANCELLATION_DB = np.array([14.0, 12.0, 5.0, 5.5, 9.0, 8.0, 6.0, 6.0, 7.0, 0.0])
ALARMS = ("smoke_alarm", "siren", "co_alarm", "evacuation_tone")
EVIDENCE = (
    "T3 rhythm: 3 pulses of 0.50 s every 4.0 s at 3105 Hz, 2 cycles",
    "sweep: 640 Hz to 1490 Hz, 4.1 s a cycle, 3 cycles",
    "T4 rhythm: 4 pulses of 0.10 s every 5.7 s at 3190 Hz, 2 cycles",
    "sweep: 500 Hz to 1200 Hz, 3.5 s a cycle, 3 cycles",
)
NAMES = NOISES + ALARMS

MODELS = ("suppressor:2026.10.1", "suppressor:2026.11.2")
"""The second comes into use after two thirds of the time."""

_OFFICE = (1, 1, 1, 1, 1, 2, 3, 6, 12, 18, 20, 17, 11, 15, 19, 18, 14, 9, 6, 4, 3, 2, 1, 1)
_ROUND_THE_CLOCK = (5, 4, 3, 3, 4, 6, 9, 12, 12, 10, 9, 9, 10, 9, 9, 10, 12, 13, 11, 9, 8, 7, 6, 5)
RHYTHMS = np.array([_OFFICE, _ROUND_THE_CLOCK], dtype=float)
RHYTHMS /= RHYTHMS.sum(axis=1, keepdims=True)
"""Share of a day's recordings that begin in each hour, UTC."""

DAY_WEIGHTS = np.array([1.0, 1.05, 1.05, 1.0, 0.9, 0.5, 0.4])
"""Work from Monday to Sunday."""

FAILURES = (
    ("EMPTY_FILE", "the file has 0 bytes"),
    ("NOT_AUDIO", "this is text, not audio; name a recording"),
    ("NO_DATA_CHUNK", "WAV without a data chunk: recorded by a device that lost power?"),
    ("NON_FINITE", "1.7 % of the samples are NaN or infinite; at most 0.1 % are repaired"),
    ("TIMEOUT", "no answer from the worker within 3600 s"),
    ("INTERRUPTED", "the worker was stopped"),
)
FAILURE_SHARES = (0.25, 0.3, 0.15, 0.1, 0.1, 0.1)
REMARKS = (
    ("CLIPPED", "218 samples (0.08 %) are clipped, in channel 1"),
    ("DC_OFFSET", "channel 1 has a DC offset of 0.021"),
    ("NARROWBAND", "nothing above 3.4 kHz: telephone audio in a wider file"),
    ("HEADER_REPAIRED", "the header says 0 bytes of audio; the file's size was taken"),
)


@dataclass(frozen=True, slots=True)
class World:
    """Recorders with their habits, as arrays over devices."""

    shares: NDArray[np.float64]
    """Of all recordings, the busiest first; shape (devices,)."""
    site: NDArray[np.int64]
    preset: NDArray[np.int64]
    num_channels: NDArray[np.int64]
    level_dbfs: NDArray[np.float64]
    rhythm: NDArray[np.int64]
    noise_shares: NDArray[np.float64]
    """What it usually hears; shape (devices, noises)."""
    speed: NDArray[np.float64]
    """Factor on the real-time factor: sample rates and machines differ."""


def make_world(rng: np.random.Generator) -> World:
    """Return an installation; the same generator state gives the same one."""
    return World(
        shares=np.sort(rng.dirichlet(np.full(NUM_DEVICES, 3.0)))[::-1],
        site=np.arange(NUM_DEVICES) % len(SITES),
        preset=rng.choice(len(PRESETS), NUM_DEVICES, p=_PRESET_SHARES),
        num_channels=np.where(np.arange(NUM_DEVICES) % 5 < 2, 2, 1),
        level_dbfs=rng.normal(-34.0, 5.0, NUM_DEVICES),
        rhythm=(np.arange(NUM_DEVICES) % 3 == 0).astype(np.int64),
        noise_shares=rng.dirichlet(np.full(len(NOISES), 0.7), NUM_DEVICES),
        speed=rng.lognormal(0.0, 0.25, NUM_DEVICES),
    )


def device_name(device: int) -> str:
    """Return the id of a device, counted from 0."""
    return f"recorder-{device + 1:02d}"
