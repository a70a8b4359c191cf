"""Drawn sessions as rows of the store's tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from anc_core.dsp.levels import level_db
from anc_core.jobs.seed_draws import (
    DEGRADED,
    FAILED,
    HOP_S,
    SKIPPED,
    STATUSES,
    WINDOW_S,
    Draws,
    draw_names,
)
from anc_core.jobs.seed_world import (
    EVIDENCE,
    FAILURES,
    NAMES,
    NOISES,
    PRESETS,
    REMARKS,
    SILENCE,
    SITES,
    USERS,
    World,
    device_name,
)
from anc_core.records import METRICS_VERSION, Metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RATE = 16_000
_ALL_FAILURES = (*FAILURES, ("NO_SPACE", "31.2 MB are needed, 0.0 MB are free on /out"))
_NO_METRICS = Metrics().model_dump()


class WindowRow(NamedTuple):
    """A row of ``noise_detections``, which is a window too."""

    session_id: str
    position: int
    start_s: float
    end_s: float
    channel: int
    noise_type: str
    confidence: float
    level_dbfs: float | None


class IntervalRow(NamedTuple):
    """A row of ``processing_metrics``, see ``INTERVAL_COLUMNS``."""

    session_id: str
    position: int
    number: int
    start_s: float
    end_s: float
    input_rms_dbfs: float | None
    output_rms_dbfs: float | None
    noise_floor_dbfs: float | None
    attenuation_db: float | None
    protected_share: float


# A tuple has an index of its own.
INTERVAL_COLUMNS = tuple("index" if name == "number" else name for name in IntervalRow._fields)


def windows_of(
    rng: np.random.Generator, draws: Draws, ids: list[str], num_channels: NDArray[np.int64]
) -> list[list[WindowRow]]:
    """Return the windows of each session."""
    heard = np.where(draws.status >= SKIPPED, 0, num_channels)
    per_channel = np.maximum(np.ceil((draws.duration_s - WINDOW_S) / HOP_S).astype(int), 0) + 1
    counts = per_channel * heard
    session = np.repeat(np.arange(len(draws)), counts)
    position = _positions(counts)
    channel = position % np.maximum(heard, 1)[session]
    # The last window ends with the recording.
    start_s = np.maximum(
        np.minimum(
            (position // np.maximum(heard, 1)[session]) * HOP_S,
            draws.duration_s[session] - WINDOW_S,
        ),
        0.0,
    )
    end_s = np.minimum(start_s + WINDOW_S, draws.duration_s[session])
    names = draw_names(rng, draws, start_s, session)
    level = np.round(draws.level_dbfs[session] + rng.normal(0.0, 2.0, len(session)), 3)
    confidence = np.where(names == SILENCE, 1.0, np.round(rng.beta(6.0, 2.0, len(session)), 4))
    columns = (
        session.tolist(),
        position.tolist(),
        np.round(start_s, 3).tolist(),
        np.round(end_s, 3).tolist(),
        channel.tolist(),
        names.tolist(),
        confidence.tolist(),
        level.tolist(),
    )
    rows = [
        WindowRow(ids[s], at, start, end, ch, NAMES[name], sure, dbfs)
        for s, at, start, end, ch, name, sure, dbfs in zip(*columns, strict=True)
    ]
    return _split(rows, counts)


def intervals_of(rng: np.random.Generator, draws: Draws, ids: list[str]) -> list[list[IntervalRow]]:
    """Return the intervals of each session, a second each."""
    counts = np.where(draws.status >= SKIPPED, 0, np.ceil(draws.duration_s).astype(int))
    session = np.repeat(np.arange(len(draws)), counts)
    position = _positions(counts)
    end_s = np.minimum(position + 1.0, draws.duration_s[session])
    level = np.round(draws.level_dbfs[session] + rng.normal(0.0, 2.5, len(session)), 3)
    lost = np.nan_to_num(draws.cancellation_db, nan=0.0)[session] * 0.8
    loss = np.round(lost + rng.normal(0.0, 0.5, len(session)), 3)
    columns = (
        session.tolist(),
        position.tolist(),
        position.astype(float).tolist(),
        end_s.tolist(),
        level.tolist(),
        np.round(level - loss, 3).tolist(),
        np.round(level - 8.0, 3).tolist(),
        loss.tolist(),
    )
    rows = [
        IntervalRow(ids[s], at, at, start, end, before, after, floor, less, 0.0)
        for s, at, start, end, before, after, floor, less in zip(*columns, strict=True)
    ]
    return _split(rows, counts)


EVENT_COLUMNS = (
    "session_id",
    "position",
    "noise_type",
    "start_s",
    "end_s",
    "is_emergency",
    "channels",
    "peak_confidence",
    "mean_confidence",
    "window_count",
    "evidence",
    "max_attenuation_db",
)


def events_of(draws: Draws, index: int, windows: list[WindowRow]) -> Iterator[tuple[Any, ...]]:
    """Yield the events of a session: its main noise, and the other one."""
    if not windows:
        return
    spans = []
    if draws.main[index] != SILENCE:
        spans.append((int(draws.main[index]), 0.0, float(draws.duration_s[index])))
    if draws.other[index] >= 0:
        spans.append(
            (int(draws.other[index]), float(draws.from_s[index]), float(draws.to_s[index]))
        )
    position = 0
    for name, start_s, end_s in spans:
        own = [row for row in windows if row.noise_type == NAMES[name]]
        if not own:
            continue
        alarm = name - len(NOISES)
        confidences = [row.confidence for row in own]
        yield (
            windows[0].session_id,
            position,
            NAMES[name],
            start_s,
            end_s,
            alarm >= 0,
            sorted({row.channel for row in own}),
            max(confidences),
            min(sum(confidences) / len(own), 1.0),
            len(own),
            EVIDENCE[alarm] if alarm >= 0 else "",
            float(draws.attenuation_db[index]) if alarm >= 0 else None,
        )
        position += 1


def session_row(
    draws: Draws, world: World, index: int, session_id: str, intervals: list[IntervalRow]
) -> dict[str, Any]:
    """Return the row of ``audio_sessions``, less batch and model."""
    status, device = int(draws.status[index]), int(draws.device[index])
    recorded = datetime.fromtimestamp(float(draws.recorded_s[index]), UTC)
    started_s, duration_s = float(draws.started_s[index]), float(draws.duration_s[index])
    metrics = _metrics(draws, index, intervals)
    name = f"{device_name(device)}/{recorded:%Y%m%d-%H%M%S}-{session_id}.wav"
    preset = PRESETS[int(world.preset[device])]
    failed, remark = status == FAILED, int(draws.remark[index])
    started = datetime.fromtimestamp(started_s, UTC)
    row: dict[str, Any] = {
        "id": session_id,
        "fingerprint": f"fingerprint-of-{session_id}",
        "status": STATUSES[status],
        "source_path": f"/audio/{name}",
        "source_bytes": 44 + 2 * round(duration_s * _RATE) * int(world.num_channels[device]),
        "source_digest": f"digest-of-{session_id}",
        "duration_s": None if failed else duration_s,
        "sample_rate": None if failed else _RATE,
        "num_channels": None if failed else int(world.num_channels[device]),
        "num_samples": None if failed else round(duration_s * _RATE),
        "container": None if failed else "WAV",
        "subtype": None if failed else "PCM_16",
        "recorded_at": recorded,
        "device_id": device_name(device),
        "user_id": USERS[int(draws.user[index])],
        "site": SITES[int(world.site[device])],
        "mode": "suppress",
        "preset": preset,
        "apply_anc": True,
        "parameters": {},
        "output_path": None if status >= SKIPPED else f"/out/{name}",
        "preset_used": None if status >= SKIPPED else preset,
        "num_chunks": int(np.ceil(duration_s)),
        "protected": [],
        "warnings": [],
        "metrics_version": METRICS_VERSION,
        "metrics": metrics,
        **{name: metrics[name] for name in METRIC_NAMES},
        "attempt": 1,
        "created_at": started,
        "started_at": started,
        "finished_at": datetime.fromtimestamp(started_s + (metrics["wall_s"] or 0.05), UTC),
        "on_hold": False,
    }
    if failed:
        code, words = _ALL_FAILURES[int(draws.failure[index])]
        row |= {"error_code": code, "error_message": f"/audio/{name}: {words}"}
    elif status == SKIPPED:
        row |= {"error_code": "NO_AUDIO", "reason": "the file holds no samples"}
    elif draws.attenuation_db[index] > 1.0:
        row |= {"error_code": "SAFETY", "reason": "an alarm lost 4.2 dB: the input was delivered"}
    elif status == DEGRADED:
        reason = "the voice lost 3.1 dB: the preset gentle was delivered"
        row |= {"error_code": "SPEECH_LOSS", "preset_used": "gentle", "reason": reason}
    if remark >= 0 and not failed:
        code, words = REMARKS[remark]
        row["warnings"] = [{"code": code, "message": words}]
    if draws.other[index] >= len(NOISES) and status < SKIPPED:
        row["protected"] = [[float(draws.from_s[index]), float(draws.to_s[index])]]
    return row


METRIC_NAMES = (
    "cancellation_db",
    "snr_improvement_db",
    "speech_level_change_db",
    "input_rms_dbfs",
    "output_rms_dbfs",
    "real_time_factor",
    "wall_s",
)


def _metrics(draws: Draws, index: int, intervals: list[IntervalRow]) -> dict[str, Any]:
    if not intervals:
        return _NO_METRICS
    duration_s, rtf = float(draws.duration_s[index]), float(draws.rtf[index])
    before, after = _energy_means(intervals)
    levels = np.percentile([row.input_rms_dbfs for row in intervals], (90, 50, 10)).round(1)
    values = {
        "input_rms_dbfs": before,
        "output_rms_dbfs": after,
        "input_l10_dbfs": float(levels[0]),
        "input_l50_dbfs": float(levels[1]),
        "input_l90_dbfs": float(levels[2]),
        "cancellation_db": _figure(draws.cancellation_db[index]),
        "snr_improvement_db": _figure(draws.snr_db[index]),
        "speech_level_change_db": _figure(draws.speech_db[index]),
        "noise_only_s": round(0.4 * duration_s, 3),
        "speech_s": round(0.5 * duration_s, 3),
        "residual_lag_samples": 0,
        "wall_s": rtf * duration_s,
        "decode_s": 0.1 * rtf * duration_s,
        "classify_s": 0.25 * rtf * duration_s,
        "suppress_s": 0.5 * rtf * duration_s,
        "real_time_factor": rtf,
        "speed_x": 1.0 / rtf,
    }
    return _NO_METRICS | values


def _energy_means(intervals: list[IntervalRow]) -> tuple[float | None, float | None]:
    length_s = np.array([row.end_s - row.start_s for row in intervals])
    levels = np.array([(row.input_rms_dbfs, row.output_rms_dbfs) for row in intervals], dtype=float)
    power = length_s @ 10.0 ** (levels / 10.0) / length_s.sum()
    return level_db(float(power[0])), level_db(float(power[1]))


def _figure(value: float) -> float | None:
    return None if isnan(value) else round(float(value), 3)


def _positions(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0, 1, 2 ... anew for each of ``counts``."""
    ends = counts.cumsum()
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)


def _split(rows: list[Any], counts: NDArray[np.int64]) -> list[list[Any]]:
    ends = [0, *counts.cumsum().tolist()]
    return [rows[start:end] for start, end in pairwise(ends)]
