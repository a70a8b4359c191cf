"""The alarm detector on recordings and on synthesised alarms: what it protects, what it counts.

    python -m benchmarks.emergency --data DATA

DATA holds recordings and a ``manifest.csv`` (path, kind, category, speaker_or_fold). What the head
was trained on (the table in its bundle) is left out. The recordings of every class are divided in
turn into "tune" (thresholds were chosen on it) and "held out": that half was looked at many times
and had a say in the number of scenes and the count threshold, so it flatters. Synthesised alarms
come from ``anc_core.audio.synth``: other sounders than those of the training, but in the same rooms
(``synth.room``), so they are not wholly independent of it.
The tables go to standard output and to ``--out`` (default benchmarks/results/emergency.txt).
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from anc_core.audio.synth import alarm, alarm_on_intervals, room
from anc_core.bundles.registry import Registry, shipped_models
from anc_core.emergency import AlarmDetector
from anc_core.emergency.choice import HeadChoice, Thresholds, choose_head
from anc_core.emergency.decisions import CellBoard
from anc_core.emergency.findings import Finding, Kind
from anc_core.emergency.head import Head
from anc_core.emergency.scorer import SMOOTHING_CELLS
from anc_core.processors import EmergencyGuard, Suppressor, aligned

Samples = NDArray[np.float32]

RATE_HZ = 16_000
SEED = 20261130
MAX_CLIP_S = 30
"""What a board remembers of undecided cells."""
OUT = Path(__file__).with_name("results") / "emergency.txt"
HALVES = ("tune", "held out")
CONDITIONS = ("clean", "0 dB", "-5 dB", "speech")
CURVE = (-3.0, -2.5, -2.0, -1.75, -1.5, -1.25, -1.0, -0.75, -0.5, 0.0, 0.5, 1.0, 2.0)
BOOTSTRAPS = 2_000
MACHINES = ("air_conditioner", "drilling", "jackhammer", "engine_idling")
CYCLES_S = {
    "t3_3100": 4.0,
    "t3_520": 4.0,
    "t4": 5.7,
    "wail": 5.5,
    "yelp": 0.4,
    "hi_lo": 1.5,
    "slow_whoop": 4.0,
}
_RHYTHMS = (Kind.TEMPORAL_THREE, Kind.TEMPORAL_FOUR)


@dataclass(frozen=True, slots=True)
class Clip:
    """One sound to be judged."""

    condition: str
    """Of a siren; ``negative`` for what is none."""
    category: str
    recording: str
    half: str
    samples: Samples


@dataclass(frozen=True, slots=True)
class Heard:
    """What the detector made of a clip: the scores of its cells, and the events it counted."""

    clip: Clip
    learned: NDArray[np.float64]
    findings: list[Finding]
    """Of the rules that protect on their own."""
    num_events: int


class _Listening:
    """The trees, and what they said."""

    def __init__(self, head: Head) -> None:
        self._head = head
        self.said: list[NDArray[np.float64]] = []

    def scores(self, figures: NDArray[np.float32]) -> NDArray[np.float64]:
        self.said.append(self._head.trees.scores(figures))
        return self.said[-1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    choice = choose_head()
    if choice.head is None:
        raise SystemExit(choice.fault)
    started, seconds = time.process_time(), 0.0
    heard = []
    for clip in _clips(options.data):
        heard.append(_hear(clip, choice.head))
        seconds += len(clip.samples) / RATE_HZ
    speed = seconds / (time.process_time() - started)
    lines = [
        "The alarm detector",
        f"date      {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"command   python -m benchmarks.emergency --data {options.data.name}",
        f"head      {choice.head.model_id}, {choice.head.thresholds}",
        f"set       {len(heard)} clips, {seconds:.0f} s, {speed:.0f}x real time with decoding",
        "",
        *_curve(heard, choice.head.thresholds),
        *_operating_point(heard, choice.head.thresholds),
        *_false_alarms(heard),
        *_synthesised(options.data),
        *_lookalikes(),
    ]
    text = "\n".join(lines)
    print(text)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text + "\n", encoding="utf-8")


# ------------------------------------------------------------------------- the set


def _clips(data: Path) -> Iterator[Clip]:
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as file:
        manifest = {row["path"]: row for row in csv.DictReader(file)}
    trained = _trained_on()
    rng = np.random.default_rng(SEED)
    speech = [
        path
        for path, row in sorted(manifest.items())
        if row["category"].startswith("librispeech") and path not in trained
    ]
    talkers = {half: speech[i::2] for i, half in enumerate(HALVES)}
    halves = _halves(manifest)
    machines = {
        half: [p for p, row in sorted(manifest.items()) if row["category"] in MACHINES]
        for half in HALVES
    }
    for half, paths in machines.items():
        machines[half] = [path for path in paths if halves[path] == half]

    def load(path: str) -> Samples:
        samples, rate = sf.read(data / path, dtype="float32", always_2d=True)
        mono = samples[: MAX_CLIP_S * rate].mean(axis=1)
        return mono if rate == RATE_HZ else soxr.resample(mono, rate, RATE_HZ)

    def some(paths: list[str], num: int) -> Samples:
        other = load(paths[int(rng.integers(len(paths)))])
        return np.resize(np.roll(other, int(rng.integers(len(other)))), num)

    for path, row in sorted(manifest.items()):
        half = halves[path]
        category = row["category"]
        if path.startswith("emergency/siren"):
            siren = load(path)
            kind = (category, _recording(path), half)
            yield Clip("clean", *kind, siren)
            machine = some(machines[half], len(siren))
            yield Clip("0 dB", *kind, _mixed(siren, machine, 0.0))
            yield Clip("-5 dB", *kind, _mixed(siren, machine, -5.0))
            yield Clip("speech", *kind, _mixed(siren, some(talkers[half], len(siren)), 0.0))
        elif path.startswith(("emergency/", "esc10/")) or category in MACHINES:
            if path not in trained:
                yield Clip("negative", category, _recording(path), half, load(path))
        elif category.startswith("asterisk") and path not in trained:
            yield Clip("negative", "prompts", path, half, load(path))
    for half in HALVES:
        for path in talkers[half]:
            clean = load(path)
            yield Clip("negative", "speech", path, half, clean)
            noisy = _mixed(clean, some(machines[half], len(clean)), float(rng.uniform(0.0, 12.0)))
            yield Clip("negative", "speech in noise", path, half, noisy)


def _trained_on() -> set[str]:
    bundle = Registry(shipped_models()).active("emergency")
    assert bundle is not None
    table = bundle.read("recordings.csv").decode().splitlines()
    return {row["path"] for row in csv.DictReader(table) if row["split"] == "train"}


def _recording(path: str) -> str:
    return Path(path).name.split("-")[0] if "us8k" in path else Path(path).name


def _halves(manifest: dict[str, dict[str, str]]) -> dict[str, str]:
    """Return the half of every file: the recordings of a class in turn."""
    by_class: dict[str, set[str]] = {}
    for path, row in manifest.items():
        by_class.setdefault(row["category"], set()).add(_recording(path))
    place = {
        (category, name): HALVES[i % 2]
        for category, names in by_class.items()
        for i, name in enumerate(sorted(names))
    }
    return {path: place[row["category"], _recording(path)] for path, row in manifest.items()}


def _mixed(sound: Samples, other: Samples, snr_db: float) -> Samples:
    gain = _rms(sound) / _rms(other) * 10.0 ** (-snr_db / 20.0)
    return (sound + gain * other).astype(np.float32)


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) + 1e-9


# ------------------------------------------------------------------------- the detector


def _hear(clip: Clip, head: Head) -> Heard:
    model = _Listening(head)
    detector = AlarmDetector(
        RATE_HZ, choice=HeadChoice(Head(model, head.thresholds, head.model_id))
    )
    findings: list[Finding] = []
    paint = CellBoard.paint

    def noted(board: CellBoard, channel: int, finding: Finding) -> None:
        findings.append(finding)
        paint(board, channel, finding)

    with patch.object(CellBoard, "paint", noted):
        detector.process(clip.samples[:, np.newaxis])
        detector.flush()
    raw = np.concatenate(model.said)
    reach = SMOOTHING_CELLS
    learned = np.array(
        [raw[max(0, i - reach) : i + reach + 1].mean() for i in range(len(raw))], np.float64
    )
    return Heard(
        clip=clip,
        learned=learned,
        findings=[f for f in findings if f.is_standard or f.kind in _RHYTHMS],
        num_events=sum(event.is_emergency for event in detector.events),
    )


def _protected(heard: Heard, thresholds: Thresholds) -> NDArray[np.bool_]:
    """Return the cells that are protected with their guard, decided by the detector's own board."""
    board = CellBoard(1, 0.5, thresholds)
    num = len(heard.learned)
    for cell in range(num):
        board.learn(cell, float(heard.learned[cell]))
    for finding in heard.findings:
        board.paint(0, finding)
    protected = [decision.is_protected for decision in board.decide(num, num)]
    return np.convolve(protected, np.ones(3), mode="same") > 0


def _at(thresholds: Thresholds, protect: float) -> Thresholds:
    gap = thresholds.protect - thresholds.hold
    return Thresholds(protect=protect, hold=protect - gap, count=thresholds.count)


# ------------------------------------------------------------------------- the tables


def _shares(
    heard: list[Heard], thresholds: Thresholds, half: str
) -> tuple[dict[str, dict[str, float]], dict[str, list[tuple[float, int]]]]:
    """Return the share per siren recording and condition, and (share, cells) per negative clip."""
    sirens: dict[str, dict[str, list[float]]] = {name: {} for name in CONDITIONS}
    others: dict[str, list[tuple[float, int]]] = {}
    for one in heard:
        if one.clip.half != half:
            continue
        cells = _protected(one, thresholds)
        if one.clip.condition == "negative":
            others.setdefault(one.clip.category, []).append((float(cells.mean()), len(cells)))
        else:
            by_recording = sirens[one.clip.condition]
            by_recording.setdefault(one.clip.recording, []).append(float(cells.mean()))
    means = {
        name: {recording: float(np.mean(shares)) for recording, shares in found.items()}
        for name, found in sirens.items()
    }
    return means, others


def _pooled(others: dict[str, list[tuple[float, int]]]) -> float:
    every = [pair for pairs in others.values() for pair in pairs]
    return sum(share * num for share, num in every) / sum(num for _, num in every)


def _of_class(pairs: list[tuple[float, int]]) -> float:
    return sum(share * num for share, num in pairs) / sum(num for _, num in pairs)


def _curve(heard: list[Heard], shipped: Thresholds) -> Iterator[str]:
    yield "Share of siren time protected (mean of recordings), guard included, by threshold"
    yield "non-siren: share of all its time; (classes): mean of its classes"
    for half in HALVES:
        yield f"{half:<10}{'non-siren':>10}{'(classes)':>11}" + "".join(
            f"{name:>9}" for name in CONDITIONS
        )
        for protect in CURVE:
            sirens, others = _shares(heard, _at(shipped, protect), half)
            classes = float(np.mean([_of_class(pairs) for pairs in others.values()]))
            yield f"{protect:>8.2f}  {_pooled(others):>10.3f}{classes:>11.3f}" + "".join(
                f"{np.mean(list(sirens[name].values())):>9.2f}" for name in CONDITIONS
            )
    yield ""


def _operating_point(heard: list[Heard], shipped: Thresholds) -> Iterator[str]:
    rng = np.random.default_rng(SEED)
    yield f"As shipped (protect {shipped.protect:g}), 95 % intervals over recordings"
    for half in HALVES:
        sirens, others = _shares(heard, shipped, half)
        for name in CONDITIONS:
            low, high = _interval(np.array(list(sirens[name].values())), rng)
            mean = np.mean(list(sirens[name].values()))
            yield f"{half:<10}siren {name:<8}{mean:>6.2f} [{low:.2f}, {high:.2f}]"
        yield f"{half:<10}non-siren time  {_pooled(others):.3f}"
        yield f"{half:<10}by class  " + ", ".join(
            f"{name} {_of_class(pairs):.2f}" for name, pairs in sorted(others.items())
        )
        yield f"{half:<10}by recording, clean / 0 dB: " + ", ".join(
            f"{recording} {share:.2f}/{sirens['0 dB'][recording]:.2f}"
            for recording, share in sorted(sirens["clean"].items())
        )
    yield ""


def _interval(values: NDArray[np.float64], rng: np.random.Generator) -> tuple[float, float]:
    drawn = rng.integers(len(values), size=(BOOTSTRAPS, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _false_alarms(heard: list[Heard]) -> Iterator[str]:
    yield "Counted false alarms (events that are reported as an emergency)"
    for half in (*HALVES, "both"):
        counted: dict[str, list[float]] = {}
        for one in heard:
            if one.clip.condition == "negative" and half in (one.clip.half, "both"):
                entry = counted.setdefault(one.clip.category, [0.0, 0.0])
                entry[0] += one.num_events
                entry[1] += len(one.clip.samples) / RATE_HZ / 3_600.0
        events, hours = (sum(column) for column in zip(*counted.values(), strict=True))
        yield (
            f"{half:<10}{events:.0f} in {hours:.2f} h = {events / hours:.1f} an hour; "
            + ", ".join(
                f"{name} {num:.0f} in {h:.2f} h"
                for name, (num, h) in sorted(counted.items())
                if num
            )
        )
    sirens = [one for one in heard if one.clip.condition == "clean"]
    found = {one.clip.recording for one in sirens if one.num_events}
    yield f"siren recordings of which at least one clip is counted: {len(found)} of " + str(
        len({one.clip.recording for one in sirens})
    )
    yield ""


def _synthesised(data: Path) -> Iterator[str]:
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as file:
        manifest = list(csv.DictReader(file))
    trained = _trained_on()
    noises = [
        row["path"]
        for row in manifest
        if row["category"] in (*MACHINES, "rain", "helicopter", "children_playing")
        and row["path"] not in trained
    ][::12]
    yield "Synthesised alarms in rooms, in recorded noise; SNR over the sounding time, whole band"
    yield "found: an emergency event within 1.5 cycles (1.5 s at least) of the first sound"
    yield "protected: share of the sounding time. loss: of the event, behind the suppressor, worst"
    yield f"{'kind':<12}{'SNR':>5}{'n':>5}{'found':>8}{'protected':>11}{'loss, dB':>10}"
    for snr_db in (5.0, -5.0):
        for kind, cycle_s in CYCLES_S.items():
            rng = np.random.default_rng(SEED)
            found, shares, losses = [], [], []
            for number, path in enumerate(noises):
                sounding_s = max(12.0, 3.2 * cycle_s)
                sound = alarm(kind, sounding_s, RATE_HZ, seed=number)
                on = np.zeros(len(sound) + 6 * RATE_HZ, np.bool_)
                for start_s, stop_s in alarm_on_intervals(kind, sounding_s):
                    on[int((3 + start_s) * RATE_HZ) : int((3 + stop_s) * RATE_HZ)] = True
                wet = room(
                    np.pad(sound, 3 * RATE_HZ),
                    RATE_HZ,
                    seed=number,
                    rt60_s=float(rng.uniform(0.2, 0.8)),
                    distance_m=float(rng.uniform(0.5, 3.0)),
                )
                recorded, rate = sf.read(data / path, dtype="float32", always_2d=True)
                noise = np.resize(soxr.resample(recorded.mean(axis=1), rate, RATE_HZ), len(wet))
                gain = _rms(wet[on]) / _rms(noise) * 10.0 ** (-snr_db / 20.0)
                mixture = (wet + gain * noise).astype(np.float32)
                is_found, share, loss = _judge(mixture, on, cycle_s)
                found.append(is_found)
                shares.append(share)
                losses += [] if loss is None else [loss]
            yield (
                f"{kind:<12}{snr_db:>5.0f}{len(found):>5}{np.mean(found):>8.2f}"
                f"{np.mean(shares):>11.2f}{max(losses, default=0.0):>10.2f}"
            )
    yield ""


def _judge(
    mixture: Samples, on: NDArray[np.bool_], cycle_s: float
) -> tuple[bool, float, float | None]:
    detector = AlarmDetector(RATE_HZ)
    guard = EmergencyGuard(Suppressor(RATE_HZ, 1), detector, sample_rate=RATE_HZ)
    output = np.concatenate(list(aligned([mixture[:, np.newaxis]], guard)))[:, 0]
    mask = np.zeros(len(mixture), np.bool_)
    for start, stop in guard.protected:
        mask[start:stop] = True
    events = [event for event in detector.events if event.is_emergency]
    latest = 3.0 + max(1.5 * cycle_s, 1.5)
    is_found = any(event.start_s <= latest and event.end_s > 3.0 for event in events)
    losses = []
    for event in events:
        part = slice(int(event.start_s * RATE_HZ), int(event.end_s * RATE_HZ))
        losses.append(20.0 * np.log10(_rms(mixture[part]) / _rms(output[part])))
    return is_found, float(mask[on].mean()), max(losses, default=None)


def _lookalikes() -> Iterator[str]:
    yield "Look-alikes counted as an emergency (20 of each, in pink noise 20 dB below)"
    for name, build in LOOKALIKES.items():
        counted = 0
        for seed in range(20):
            rng = np.random.default_rng((SEED, seed))
            sound = build(rng)
            hiss = np.cumsum(rng.standard_normal(len(sound))) * 1e-4
            hiss = np.convolve(np.diff(hiss, prepend=0.0), [1.0, 0.7, 0.4], mode="same")
            loud = _rms(sound[np.abs(sound) > 1e-3])
            detector = AlarmDetector(RATE_HZ)
            mixture = 0.1 * (sound + 0.1 * loud * hiss / _rms(hiss))
            detector.process(mixture.astype(np.float32)[:, np.newaxis])
            detector.flush()
            counted += any(event.is_emergency for event in detector.events)
        yield f"{name:<34}{counted:>3} of 20"


def _beep(hertz: float, length_s: float, decay_s: float = 10.0) -> NDArray[np.float64]:
    time_s = np.arange(int(length_s * RATE_HZ)) / RATE_HZ
    edge = np.clip(np.minimum(time_s, length_s - time_s) / 0.004, 0.0, 1.0)
    return edge * np.exp(-time_s / decay_s) * np.sin(2.0 * np.pi * hertz * time_s)


def _placed(length_s: float, parts: list[tuple[float, NDArray[np.float64]]]) -> NDArray[np.float64]:
    sound = np.zeros(int(length_s * RATE_HZ))
    for start_s, part in parts:
        first = int(start_s * RATE_HZ)
        room_left = sound[first : first + len(part)]
        room_left += part[: len(room_left)]
    return sound


def _low_battery(rng: np.random.Generator) -> NDArray[np.float64]:
    hertz = rng.uniform(2_800.0, 3_400.0)
    return _placed(100.0, [(at, _beep(hertz, rng.uniform(0.05, 0.15))) for at in (5.0, 45.0, 85.0)])


def _doorbell(rng: np.random.Generator) -> NDArray[np.float64]:
    high, low = rng.uniform(600.0, 900.0) * np.array([1.0, 0.8])
    strokes = [(2.0 + n, _beep(high, 0.9, 0.3)) for n in range(3)]
    return _placed(12.0, [*strokes, *((at + 0.5, _beep(low, 0.9, 0.3)) for at, _ in strokes)])


def _oven(rng: np.random.Generator) -> NDArray[np.float64]:
    hertz, num = rng.uniform(1_900.0, 2_300.0), int(rng.integers(3, 6))
    return _placed(12.0, [(3.0 + n, _beep(hertz, 0.45)) for n in range(num)])


def _reversing(rng: np.random.Generator) -> NDArray[np.float64]:
    hertz, on_s = rng.uniform(1_000.0, 1_400.0), rng.uniform(0.3, 0.5)
    return _placed(20.0, [(3.0 + 2 * n * on_s, _beep(hertz, on_s)) for n in range(14)])


def _dial_tone(rng: np.random.Generator) -> NDArray[np.float64]:
    ring = _beep(440.0, 2.0) + _beep(480.0, 2.0)
    return _placed(20.0, [(1.0 + 6.0 * n + rng.uniform(0.0, 0.1), ring) for n in range(3)])


LOOKALIKES = {
    "low battery, one chirp in 40 s": _low_battery,
    "doorbell, three times two strokes": _doorbell,
    "oven, three to five beeps, once": _oven,
    "lorry in reverse": _reversing,
    "telephone ringing out": _dial_tone,
}

if __name__ == "__main__":
    main()
