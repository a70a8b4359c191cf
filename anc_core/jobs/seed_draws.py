"""What happened to made-up recordings: everything random of ``anc db seed``, drawn in arrays."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from anc_core.jobs.seed_world import (
    ALARMS,
    FAILURE_SHARES,
    FAILURES,
    NOISE_CANCELLATION_DB,
    NOISES,
    PRESET_CANCELLATION_DB,
    REMARKS,
    RHYTHMS,
    SILENCE,
    USERS,
    World,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

OK, DEGRADED, SKIPPED, FAILED = range(4)
STATUSES = ("ok", "degraded", "skipped", "failed")
_STATUS_SHARES = (0.935, 0.03, 0.012, 0.023)

WINDOW_S, HOP_S = 1.0, 0.5
"""Windows of the classifier: a second, every half second of every channel."""
_LATE_SHARE = 0.01
_ALARM_SHARE = 0.006
_NEVER = -1


class Plant(StrEnum):
    """An anomaly of the last day, for a report to find."""

    FAILURE_BURST = "failure-burst"
    """Three in ten sessions fail with NO_SPACE."""
    NEGATIVE_CANCELLATION = "negative-cancellation"
    """One session in eight became noisier."""
    SILENT_DEVICE = "silent-device"
    """The busiest recorder sends nothing."""
    MISSED_SCHEDULE = "missed-schedule"
    """The daily cleanup of failed sessions did not run."""
    SAFETY_VIOLATION = "safety-violation"
    """An alarm lost 4.2 dB."""


@dataclass(slots=True)
class Draws:
    """A few thousand sessions as arrays of one length, and their windows and intervals end to end.

    Times are Unix seconds, UTC. Where a session failed its figures are NaN.
    """

    device: NDArray[np.int64]
    user: NDArray[np.int64]
    status: NDArray[np.int64]
    failure: NDArray[np.int64]
    remark: NDArray[np.int64]
    """Index of a remark, -1 = none."""
    recorded_s: NDArray[np.float64]
    started_s: NDArray[np.float64]
    duration_s: NDArray[np.float64]
    main: NDArray[np.int64]
    other: NDArray[np.int64]
    """A second noise between ``from_s`` and ``to_s``, -1 = none; index of ``NAMES``."""
    from_s: NDArray[np.float64]
    to_s: NDArray[np.float64]
    attenuation_db: NDArray[np.float64]
    """Largest loss inside an alarm."""
    cancellation_db: NDArray[np.float64]
    snr_db: NDArray[np.float64]
    speech_db: NDArray[np.float64]
    rtf: NDArray[np.float64]
    level_dbfs: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.device)


def draw_sessions(
    rng: np.random.Generator, world: World, day: date, count: int, plants: Collection[Plant]
) -> Draws:
    """Return ``count`` sessions recorded on ``day`` with the anomalies ``plants``."""
    shares = world.shares.copy()
    if Plant.SILENT_DEVICE in plants:
        shares[0] = 0.0
        shares /= shares.sum()
    device = rng.choice(len(shares), count, p=shares)
    status = rng.choice(len(STATUSES), count, p=_STATUS_SHARES)
    failure = rng.choice(len(FAILURES), count, p=FAILURE_SHARES)
    if Plant.FAILURE_BURST in plants:
        burst = rng.random(count) < 0.3
        status[burst], failure[burst] = FAILED, len(FAILURES)
    draws = _figures(rng, world, device, status, failure, _moments(rng, world, day, device))
    if Plant.NEGATIVE_CANCELLATION in plants:
        worse = (rng.random(count) < 0.125) & ~np.isnan(draws.cancellation_db)
        draws.cancellation_db[worse] = -rng.uniform(1.0, 6.0, int(worse.sum()))
    if Plant.SAFETY_VIOLATION in plants:
        _violate(draws, 0)
    return draws


def draw_names(
    rng: np.random.Generator, draws: Draws, start_s: NDArray[np.float64], session: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the name that each window bears, given its start and its session's index."""
    middle_s = start_s + WINDOW_S / 2
    inside = (middle_s >= draws.from_s[session]) & (middle_s < draws.to_s[session])
    names = np.where(inside, draws.other[session], draws.main[session])
    unsure = (rng.random(len(names)) < 0.02) & ~inside
    return np.where(unsure, NOISES.index("unknown"), names)


def _moments(
    rng: np.random.Generator, world: World, day: date, device: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return when each recording began, by the rhythm of its device."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    cumulative = RHYTHMS.cumsum(axis=1)[world.rhythm[device]]
    hour = np.minimum((rng.random(len(device))[:, None] > cumulative).sum(axis=1), 23)
    moments: NDArray[np.float64] = midnight + (hour + rng.random(len(device))) * 3600.0
    return moments.round(3)


def _figures(
    rng: np.random.Generator,
    world: World,
    device: NDArray[np.int64],
    status: NDArray[np.int64],
    failure: NDArray[np.int64],
    recorded_s: NDArray[np.float64],
) -> Draws:
    count = len(device)
    duration_s = rng.lognormal(2.2, 0.6, count).clip(1.0, 600.0).round(3)
    duration_s[status == SKIPPED] = 0.0
    cumulative = world.noise_shares.cumsum(axis=1)[device]
    main = np.minimum((rng.random(count)[:, None] > cumulative).sum(axis=1), len(NOISES) - 1)
    alarmed = rng.random(count) < _ALARM_SHARE
    second = np.where(rng.random(count) < 0.35, rng.integers(0, SILENCE, count), _NEVER)
    other = np.where(alarmed, len(NOISES) + rng.integers(0, len(ALARMS), count), second)
    from_s = np.round(duration_s * rng.uniform(0.0, 0.5, count), 3)
    to_s = np.round(from_s + (duration_s - from_s) * rng.uniform(0.3, 1.0, count), 3)
    to_s[other == _NEVER] = from_s[other == _NEVER]
    cancellation = (
        NOISE_CANCELLATION_DB[main]
        + PRESET_CANCELLATION_DB[world.preset[device]]
        + rng.normal(0.0, 2.0, count)
    )
    cancellation[(main == SILENCE) | (rng.random(count) < 0.03)] = np.nan
    rtf = 0.02 * world.speed[device] * rng.lognormal(0.0, 0.3, count)
    nothing = (status == FAILED) | (status == SKIPPED)
    for figure in (cancellation, rtf):
        figure[nothing] = np.nan
    wait_s = rng.lognormal(7.0, 0.8, count)
    late = rng.random(count) < _LATE_SHARE
    wait_s[late] += rng.uniform(1.0, 2.0, int(late.sum())) * 86_400.0
    return Draws(
        device=device,
        user=rng.integers(0, len(USERS), count),
        status=status,
        failure=failure,
        remark=np.where(rng.random(count) < 0.06, rng.integers(0, len(REMARKS), count), _NEVER),
        recorded_s=recorded_s,
        started_s=np.round(recorded_s + duration_s + wait_s, 3),
        duration_s=duration_s,
        main=main,
        other=other,
        from_s=from_s,
        to_s=to_s,
        attenuation_db=np.round(rng.uniform(0.0, 0.4, count), 3),
        cancellation_db=cancellation,
        snr_db=0.8 * cancellation + rng.normal(0.0, 1.0, count),
        speech_db=np.where(nothing, np.nan, rng.normal(-0.2, 0.3, count)),
        rtf=rtf,
        level_dbfs=np.where(main == SILENCE, -78.0, world.level_dbfs[device])
        + rng.normal(0.0, 3.0, count),
    )


def _violate(draws: Draws, index: int) -> None:
    """Make one session an alarm that was attenuated."""
    draws.status[index], draws.remark[index] = DEGRADED, _NEVER
    draws.duration_s[index] = 12.0
    draws.other[index], draws.from_s[index], draws.to_s[index] = len(NOISES), 2.0, 10.0
    draws.attenuation_db[index] = 4.2
    draws.cancellation_db[index], draws.snr_db[index] = 8.0, 6.0
    draws.speech_db[index], draws.rtf[index] = -0.1, 0.02
