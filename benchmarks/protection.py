"""What the two layers of protection save of a siren, and what the ridges cost: one run, one core.

    python -m benchmarks.protection --data DATA

Systems: the suppressor alone; with the bypass of what is recognised; with the ridges that last, in
both strictnesses, without the bypass and with it (the platform as it is).

Sirens: all recordings of the folder, stitched from their clips, alone, in noise and under speech;
every second recording was there when the numbers were chosen ("tune"), the rest not ("held out").
Loss: energy of the siren in its tracks, in dB. A cell's gain is what the processor took of the
siren's own spectrum there, ``1 - <s, in - out> / <s, s>`` over 3 bins and 5 frames, so that the
noise around does not count. The tracks are found in the clean recording with other frames, another
background and another linking than the platform's: partly circular all the same, and blind to what
no track holds. Synthesised alarms need no tracks: there the whole signal counts.

Cost: on the mixtures of :mod:`benchmarks.mixtures` and on noise alone. Speed: whole recordings from
file to file, CPU seconds.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from anc_core.arrays import Chunk
from anc_core.audio.synth import ALARM_KINDS, alarm, noise, voice
from anc_core.emergency import AlarmDetector
from anc_core.metrics.quality import QualityMeter
from anc_core.pipeline import process_recording
from anc_core.presets import PRESETS, ProtectionParameters
from anc_core.processors import EmergencyGuard, Suppressor, aligned
from benchmarks.mixtures import build_set

OUT = Path(__file__).with_name("results") / "protection.txt"
SYSTEMS = {
    "suppressor alone": ("off", False),
    "bypass": ("off", True),
    "ridges": ("default", False),
    "ridges, strict": ("strict", False),
    "bypass + ridges": ("default", True),
    "bypass + strict": ("strict", True),
}
"""Strictness of the ridges, and whether what is recognised passes."""
SPEED_S = 60.0
REPEATS = 3

RATE_HZ = 16_000
LONGEST_S = 20.0
_FRAME, _HOP = 1_024, 256
_HIGHEST_HZ, _LOWEST_HZ = 7_500.0, 250.0
_MIN_TRACK = 16  # frames of 16 ms
_REACH_OCTAVES = 0.1

Samples = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scene:
    """A siren and what is heard with it, both as they are in the mixture."""

    name: str
    condition: str
    is_tune: bool
    siren: Samples
    other: Samples


def siren_scenes(data: Path) -> Iterator[Scene]:
    """Yield every recording in every condition."""
    noises = steady_noises(data)
    voices = sorted((data / "clean_speech").glob("librispeech_train*/*"))
    for index, (name, siren) in enumerate(stitched_sirens(data / "emergency" / "siren").items()):
        hiss = _as_long(_load(noises[(7 * index) % len(noises)]), len(siren))
        spoken = [_load(voices[(5 * index + i) % len(voices)]) for i in range(4)]
        speech = _as_long(np.concatenate(spoken), len(siren))
        yield Scene(name, "clean", index % 2 == 0, siren, np.zeros(len(siren)))
        for condition, other, snr_db in (
            ("noise 0 dB", hiss, 0.0),
            ("noise +5 dB", hiss, -5.0),
            ("speech -5 dB", speech, 5.0),
            ("speech 0 dB", speech, 0.0),
            ("speech +5 dB", speech, -5.0),
        ):
            scaled = other * _rms(siren) / _rms(other) * 10 ** (-snr_db / 20)
            scale = min(1.0, 0.9 / float(np.abs(siren + scaled).max()))
            yield Scene(name, condition, index % 2 == 0, siren * scale, scaled * scale)


def stitched_sirens(folder: Path) -> dict[str, Samples]:
    """Return every recording, its clips joined where they overlap, as far as it lasts 20 s."""
    clips: dict[str, list[tuple[int, int, Path]]] = defaultdict(list)
    for path in folder.iterdir():
        recording, _, occurrence, part = path.stem.rsplit("-", 3)
        clips[recording].append((int(occurrence), int(part), path))
    return {name: _stitched(parts) for name, parts in sorted(clips.items())}


def _stitched(parts: list[tuple[int, int, Path]]) -> Samples:
    whole = np.zeros(0)
    for _, _, path in sorted(parts):
        clip = _load(path)
        whole = np.concatenate([whole, clip[_overlap(whole, clip) :]])
    return whole[: int(LONGEST_S * RATE_HZ)]


def _overlap(whole: Samples, clip: Samples) -> int:
    """Return how many samples of ``clip`` the end of ``whole`` holds: clips hop by 2 s."""
    for half_seconds in range(7, 0, -1):
        length = half_seconds * RATE_HZ // 2
        if length <= min(len(whole), len(clip)):
            likeness = np.corrcoef(whole[-length:], clip[:length])[0, 1]
            if likeness > 0.8:
                return length
    return 0


def steady_noises(data: Path) -> list[Path]:
    """Return steady noises, none of them a siren: rain, sea, wind, helicopters, machines."""
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    kinds = {"rain", "sea_waves", "helicopter", "air_conditioner", "engine_idling", "jackhammer"}
    wanted = [r["path"] for r in rows if r["category"] in kinds and not _is_held_back(r)]
    return [data / path for path in sorted(wanted)]


def _is_held_back(row: dict[str, str]) -> bool:
    """Return whether the suppression benchmark judges on this one."""
    return bool(re.search(r"/5-\d", row["path"])) or row["speaker_or_fold"].startswith("fold2")


def _load(path: Path) -> Samples:
    audio, rate = sf.read(path, dtype="float64", always_2d=True)
    return soxr.resample(audio.mean(axis=1), rate, RATE_HZ)


def _as_long(audio: Samples, length: int) -> Samples:
    loud = np.flatnonzero(np.abs(audio) > 1e-4)  # some are padded with silence
    return np.resize(audio[loud[0] : loud[-1] + 1], length)


def _rms(audio: Samples) -> float:
    return float(np.sqrt(np.mean(audio**2)))


# --------------------------------------------------------------------------- loss


def spectra(audio: Samples) -> NDArray[np.complex128]:
    """Return the spectra of frames of 64 ms every 16 ms."""
    padded = np.pad(audio, _FRAME)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP]
    return np.fft.rfft(frames * np.hanning(_FRAME), axis=1)


def siren_tracks(siren: Samples) -> NDArray[np.bool_]:
    """Return which cells of :func:`spectra` are on a lasting tonal track of a clean siren."""
    level = 20 * np.log10(np.abs(spectra(siren)) + 1e-9)
    bin_hz = RATE_HZ / _FRAME
    low, high = int(_LOWEST_HZ / bin_hz), int(_HIGHEST_HZ / bin_hz)
    near = np.lib.stride_tricks.sliding_window_view(np.pad(level, ((0, 0), (40, 40))), 81, axis=1)
    background = np.repeat(np.median(near[:, ::8], axis=2), 8, axis=1)[:, : level.shape[1]]
    is_peak = np.zeros(level.shape, bool)
    middle = level[:, 1:-1]
    is_peak[:, 1:-1] = (middle > level[:, :-2]) & (middle >= level[:, 2:])
    is_peak &= (level > background + 12.0) & (level > level.max() - 45.0)
    is_peak[:, :low] = is_peak[:, high:] = False
    cells = np.zeros(level.shape, bool)
    for track in _linked([np.flatnonzero(row) for row in is_peak]):
        if len(track) >= _MIN_TRACK:
            frames, bins = np.array(track).T
            for offset in (-1, 0, 1):
                cells[frames, bins + offset] = True
    return cells


def _linked(peaks: list[NDArray[np.intp]]) -> list[list[tuple[int, int]]]:
    """Return the peaks of all frames, each with the nearest of the frame before."""
    done: list[list[tuple[int, int]]] = []
    open_tracks: list[list[tuple[int, int]]] = []
    for frame, bins in enumerate(peaks):
        free = set(bins.tolist())
        going_on = []
        for track in sorted(open_tracks, key=len, reverse=True):
            nearest = min(free, key=lambda k: abs(np.log2(k / track[-1][1])), default=None)
            if nearest and abs(np.log2(nearest / track[-1][1])) <= max(
                _REACH_OCTAVES, 1.5 / track[-1][1]
            ):
                free.discard(nearest)
                track.append((frame, nearest))
                going_on.append(track)
            else:
                done.append(track)
        open_tracks = going_on + [[(frame, k)] for k in free]
    return done + open_tracks


@dataclass(frozen=True, slots=True)
class Loss:
    """What a siren lost."""

    mean_db: float
    share_over_3_db: float
    """Of the seconds in which it sounds."""


def track_loss(scene: Scene, output: Samples, cells: NDArray[np.bool_]) -> Loss:
    """Return what ``output`` lacks of the siren of ``scene`` in ``cells``."""
    siren = spectra(scene.siren)
    taken = spectra(scene.siren + scene.other - output)
    own = _around(np.abs(siren) ** 2)
    gain = 1.0 - _around((np.conj(siren) * taken).real) / np.maximum(own, 1e-20)
    power = np.where(cells, np.abs(siren) ** 2, 0.0)
    left = power * np.maximum(gain, 0.0) ** 2
    second = len(power) // 62 * 62
    by_second = power[:second].reshape(-1, 62, power.shape[1]).sum(axis=(1, 2))
    left_by_second = left[:second].reshape(-1, 62, power.shape[1]).sum(axis=(1, 2))
    sounding = by_second > 1e-3 * by_second.max()
    losses = _db(left_by_second[sounding] / by_second[sounding])
    return Loss(float(_db(left.sum() / power.sum())), float(np.mean(losses < -3.0)))


def _around(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums over 5 frames and 3 bins."""
    padded = np.pad(values, ((2, 2), (1, 1)))
    over_time = sum(padded[i : i + len(values)] for i in range(5))
    return sum(over_time[:, k : k + values.shape[1]] for k in range(3))


def _db(ratio: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return 10 * np.log10(np.maximum(ratio, 1e-10))


# --------------------------------------------------------------------------- systems


class Played:
    """An inner processor that was run before: the same output for every system."""

    latency = 0

    def __init__(self, output: Chunk) -> None:
        self.num_channels = output.shape[1]
        self._output = output
        self.reset()

    def process(self, chunk: Chunk) -> Chunk:
        """Return as many samples as ``chunk`` has."""
        self._place += len(chunk)
        return self._output[self._place - len(chunk) : self._place]

    def flush(self) -> Chunk:
        """Return nothing: all has come out."""
        return self._output[:0]

    def reset(self) -> None:
        """Begin again."""
        self._place = 0


def outputs_of(mixture: Samples, method: str) -> Iterator[tuple[str, Samples]]:
    """Yield the output of every system."""
    columns = mixture.astype(np.float32)[:, np.newaxis]
    suppressed = _run(Suppressor(RATE_HZ, method=method), columns)
    for name, (ridges, bypasses) in SYSTEMS.items():
        parameters = ProtectionParameters(ridges=ridges)
        detector = AlarmDetector(RATE_HZ, parameters=parameters, keep_ridges=True)
        if not bypasses:
            detector.protected = lambda start, stop: []
        guard = EmergencyGuard(Played(suppressed), detector, sample_rate=RATE_HZ)
        yield name, _run(guard, columns)[:, 0].astype(np.float64)


def _run(processor: object, columns: Chunk) -> Chunk:
    parts = np.split(columns, range(RATE_HZ, len(columns), RATE_HZ))
    return np.concatenate(list(aligned(parts, processor)))


# --------------------------------------------------------------------------- tables


def siren_table(data: Path, method: str) -> list[str]:
    """Return the loss of the real sirens: mean, worst recording, seconds that lose over 3 dB."""
    losses: dict[tuple[str, str, bool], list[Loss]] = defaultdict(list)
    left_out = []
    for scene in siren_scenes(data):
        if scene.condition == "clean":
            cells = siren_tracks(scene.siren)
        if cells.sum() < 0.2 * len(cells):
            left_out += [scene.name.rsplit("_", 1)[1]] if scene.condition == "clean" else []
            continue
        for name, output in outputs_of(scene.siren + scene.other, method):
            losses[name, scene.condition, scene.is_tune].append(track_loss(scene, output, cells))
        print(scene.name, scene.condition, file=sys.stderr, flush=True)
    conditions = list(dict.fromkeys(condition for _, condition, _ in losses))
    lines = []
    for is_tune in (True, False):
        count = len(losses[next(iter(SYSTEMS)), "clean", is_tune])
        lines += [f"real sirens, {'tune' if is_tune else 'held out'}: {count} recordings"]
        lines += [f"{'':<18}" + "".join(f"{condition:>21}" for condition in conditions)]
        for name in SYSTEMS:
            rows = [losses[name, condition, is_tune] for condition in conditions]
            lines += [f"{name:<18}" + "".join(f"{_summary(row):>21}" for row in rows)]
        lines += [""]
    return [*lines, f"without tracks, left out: {', '.join(left_out) or 'none'}", ""]


def _summary(losses: list[Loss]) -> str:
    means = [loss.mean_db for loss in losses]
    share = np.mean([loss.share_over_3_db for loss in losses])
    return f"{np.mean(means):.2f} / {min(means):.1f} / {100 * share:.0f}%"


def alarm_table(method: str) -> list[str]:
    """Return the loss of synthesised alarms, as loud as pink noise and 5 dB below it."""
    others = {
        "noise 0 dB": noise("pink", 12.0, RATE_HZ, seed=5, level_dbfs=-20.0),
        "noise +5 dB": noise("pink", 12.0, RATE_HZ, seed=5, level_dbfs=-15.0),
        "speech 0 dB": voice(12.0, RATE_HZ, seed=6, level_dbfs=-20.0),
    }
    lines = []
    for condition, other in others.items():
        lines += [f"synthesised alarms, {condition}"]
        lines += [f"{'':<18}" + "".join(f"{kind:>11}" for kind in ALARM_KINDS)]
        table = defaultdict(list)
        for kind in ALARM_KINDS:
            siren = alarm(kind, 12.0, RATE_HZ, seed=3).astype(np.float64)
            for name, output in outputs_of(siren + other, method):
                taken = np.sum(siren * (siren + other - output)) / np.sum(siren**2)
                table[name].append(float(_db(max(1.0 - taken, 1e-3) ** 2)))
        lines += [
            f"{name:<18}" + "".join(f"{loss:>11.2f}" for loss in table[name]) for name in SYSTEMS
        ]
        lines += [""]
    return lines


def speech_table(data: Path, method: str) -> list[str]:
    """Return what the ridges cost a voice, beside the same without them."""
    meter = QualityMeter()
    gains: dict[str, list[dict]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        mixtures = build_set(Path(folder), data)
        for mixture in mixtures:
            noisy, _ = sf.read(mixture.noisy, dtype="float32")
            clean, _ = sf.read(mixture.clean, dtype="float32")
            for name, output in outputs_of(noisy.astype(np.float64), method):
                if name in ("bypass", "bypass + ridges", "bypass + strict"):
                    measured = meter.measure(output.astype(np.float32), RATE_HZ, target=clean)
                    gains[name].append(measured.figures)
            print(mixture.id, file=sys.stderr, flush=True)
    lines = [
        f"cost on {len(mixtures)} mixtures of speech and noise (0 to 15 dB): mean change by the"
    ]
    lines += [
        "ridges, with the bypass before and after; 95 % interval of a bootstrap over the clips"
    ]
    for name in ("bypass + ridges", "bypass + strict"):
        cells = []
        for figure, digits in (("pesq", 3), ("estoi", 4), ("si_sdr_db", 2)):
            changes = [
                after[figure] - before[figure]
                for after, before in zip(gains[name], gains["bypass"], strict=True)
            ]
            draws = np.random.default_rng(0).choice(changes, (4_000, len(changes))).mean(axis=1)
            low, high = np.quantile(draws, [0.025, 0.975])
            worst = f", worst {min(changes):+.2f}" if figure == "pesq" else ""
            cells.append(
                f"{figure} {np.mean(changes):+.{digits}f} [{low:+.{digits}f},{high:+.{digits}f}]"
                f"{worst}"
            )
        lines.append(f"{name:<18}" + "   ".join(cells))
    return [*lines, ""]


def noise_table(data: Path, method: str) -> list[str]:
    """Return the change of level of noises alone, 4 clips of a kind."""
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    kinds = ("rain", "sea_waves", "helicopter", "chainsaw", "air_conditioner", "engine_idling")
    kinds += ("drilling", "jackhammer", "car_horn", "street_music", "children_playing")
    table: dict[str, list[float]] = defaultdict(list)
    for kind in kinds:
        paths = sorted(r["path"] for r in rows if r["category"] == kind and _is_held_back(r))
        levels = defaultdict(list)
        for path in paths[:: max(1, len(paths) // 4)][:4]:
            audio = _load(data / path)
            for name, output in outputs_of(audio, method):
                levels[name].append(float(_db(np.sum(output**2) / np.sum(audio**2))))
        for name in SYSTEMS:
            table[name].append(float(np.mean(levels[name])))
    lines = ["level of noises alone, change in dB, mean of 4 clips of recordings held back"]
    lines += [f"{'':<18}" + "".join(f"{kind[:10]:>11}" for kind in kinds) + f"{'mean':>8}"]
    for name in SYSTEMS:
        cells = "".join(f"{level:>11.1f}" for level in table[name])
        lines.append(f"{name:<18}{cells}{np.mean(table[name]):>8.1f}")
    return [*lines, ""]


def speed_table(data: Path) -> list[str]:
    """Return how fast whole recordings are, seconds of audio per CPU second."""
    speech = np.concatenate(
        [_load(path) for path in sorted((data / "clean_speech").glob("librispeech_train*/*"))[:8]]
    )[: int(SPEED_S * RATE_HZ)]
    hiss = 0.1 * _rms(speech) * np.random.default_rng(1).standard_normal(len(speech))
    siren = alarm("wail", len(speech) / RATE_HZ, RATE_HZ, seed=1)
    siren = 0.3 * siren * _rms(speech) / _rms(siren.astype(np.float64))
    with tempfile.TemporaryDirectory() as folder:
        places = {"speech in noise": speech + hiss, "the same and a wail": speech + hiss + siren}
        lines = [
            f"speed from file to file, {SPEED_S:.0f} s at 16 kHz: seconds of audio a CPU second"
        ]
        lines += [
            f"{'':<22}" + "".join(f"{'ridges ' + r:>17}" for r in ("off", "default", "strict"))
        ]
        for name, audio in places.items():
            source, sink = Path(folder) / "in.wav", Path(folder) / "out.wav"
            sf.write(source, audio, RATE_HZ, subtype="PCM_16")
            speeds = dict.fromkeys(("off", "default", "strict"), 0.0)
            for _ in range(REPEATS + 1):  # in turn, so that a busy minute hits all
                for ridges in speeds:
                    speeds[ridges] = max(speeds[ridges], _speed(source, sink, ridges))
            lines.append(f"{name:<22}" + "".join(f"{speed:>17.0f}" for speed in speeds.values()))
    return lines


def _speed(source: Path, sink: Path, ridges: str) -> float:
    own = PRESETS["default"]
    protection = own.protection.model_copy(update={"ridges": ridges})
    PRESETS["benchmark"] = own.model_copy(update={"protection": protection, "name": "benchmark"})
    summary = process_recording(source, sink, preset="benchmark")
    metrics = summary.metrics
    return summary.duration_s / (metrics.cpu_s - metrics.warmup_s)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with a manifest.csv")
    parser.add_argument("--methods", default="neural,spectral", help="engines, by commas")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    lines = [
        "Protection of sirens: what it saves and what it costs",
        f"date      {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"command   python -m benchmarks.protection --data {options.data.name.upper()}",
        "losses    mean of the recordings / worst recording / seconds that lose over 3 dB",
        "levels    of the noise or the speech, against the siren's",
        "",
    ]
    for method in options.methods.split(","):
        lines += [f"== engine: {method}", ""]
        for table in (alarm_table(method), speech_table(options.data, method)):
            lines += table
        for table in (noise_table(options.data, method), siren_table(options.data, method)):
            lines += table
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    lines += speed_table(options.data)
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
