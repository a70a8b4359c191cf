"""Compare suppressors over a folder: what each gains, what it harms, how fast it is.

``plan_comparison`` -> :meth:`Comparer.compare` for each recording -> ``conclude_comparison``; the
command line and the flow share these steps. Of each recording at most ``max_seconds`` are held in
memory and judged, so a folder of long ones needs no more memory than one of short ones.

Figures are those of the strongest channel. With a clean reference: PESQ, ESTOI, SI-SDR. Without:
DNSMOS P.835 and the level figures of :class:`anc_core.metrics.SessionMeter`. Definitions:
``docs/compare.md``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.arrays import Chunk
from anc_core.audio import StreamResampler, open_reader
from anc_core.dsp.levels import SILENCE_POWER
from anc_core.errors import AncError, InputError
from anc_core.files import printable, write_text_atomic
from anc_core.jobs.compare_figures import (
    choose_examples,
    files_csv,
    first_reasons,
    mean_of,
    summarise_systems,
)
from anc_core.jobs.compare_records import (
    CompareRequest,
    Comparison,
    ComparisonPlan,
    FileComparison,
    Pair,
    SystemOnFile,
)
from anc_core.jobs.naming import check_named
from anc_core.jobs.scan import RECORDING_SUFFIXES, Found, scan
from anc_core.jobs.systems import System, parse_systems
from anc_core.metrics import SessionMeter
from anc_core.metrics.quality import (
    QUALITY_FIGURES,
    FigureUnavailableError,
    QualityMeter,
    lag_samples,
    metric_versions,
    speech_gain_db,
    without_lag,
)
from anc_core.processors import EmergencyGuard, Processor, aligned
from anc_core.records import Status
from anc_core.settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

_log = logging.getLogger(__name__)

_CHUNK_S = 1.0
_LEVEL_FIGURES = ("cancellation_db", "snr_improvement_db", "speech_level_change_db")


# --------------------------------------------------------------------------- plan


def plan_comparison(request: CompareRequest, settings: Settings) -> ComparisonPlan:
    """Find the recordings and their references, and which systems can be had; write nothing.

    Raises
    ------
    InputError
        If a folder is missing or a system unknown.
    SinkError
        PERMISSION: a folder, a model, or what a link in a folder leads to lies outside the allowed
        folders.
    """
    systems = parse_systems(request.systems)
    named = (request.folder, request.output_dir, request.clean)
    check_named([*named, *(system.file for system in systems)], settings.allowed_roots)
    for source in (request.folder, request.clean):
        if source is not None and not source.is_dir():
            raise InputError(f"{printable(source)}: is no folder")
    found = _recordings(request)
    chosen = _sample(found, request.max_files)
    references = _References(request.clean)
    pairs = tuple(references.pair(recording, request.folder) for recording in chosen)
    for pair in pairs:
        check_named([pair.source, pair.clean], settings.allowed_roots)
    unavailable = {}
    for system in systems:
        try:
            system.build(16_000, 1)
        except AncError as err:
            unavailable[system.label] = str(err)
    return ComparisonPlan(
        request=request,
        pairs=pairs,
        labels=tuple(system.label for system in systems),
        unavailable=unavailable,
        left_out=len(found) - len(chosen),
    )


def _recordings(request: CompareRequest) -> list[Found]:
    result = scan([request.folder], recursive=request.recursive, output_dir=request.output_dir)
    if request.clean is None or request.clean.resolve() == request.folder.resolve():
        return result.found
    clean = request.clean.resolve()
    if not clean.is_relative_to(request.folder.resolve()):
        return result.found
    return [item for item in result.found if not item.file.resolve().is_relative_to(clean)]


def _sample(found: Sequence[Found], count: int | None) -> list[Found]:
    """Return ``count`` of ``found``, drawn with a fixed seed, in their order.

    Not every n-th: what makes test sets cycles through its conditions, and would be met in step.
    """
    if count is None or count >= len(found):
        return list(found)
    chosen = np.random.default_rng(0).choice(len(found), count, replace=False)
    return [found[index] for index in sorted(chosen)]


class _References:
    """Clean references by relative path, by relative path without suffix, by stem."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._by_stem: dict[str, list[Path]] = {}
        self._by_path: dict[Path, Path] = {}
        if folder is None:
            return
        for item in scan([folder]).found:
            relative = item.file.relative_to(folder)
            self._by_path.setdefault(relative.with_suffix(""), item.file)
            self._by_stem.setdefault(relative.stem, []).append(item.file)

    def pair(self, recording: Found, folder: Path) -> Pair:
        relative = recording.file.relative_to(folder)
        clean, reason = self._find(relative)
        return Pair(source=recording.file, name=printable(relative), clean=clean, no_clean=reason)

    def _find(self, relative: Path) -> tuple[Path | None, str | None]:
        if self._folder is None:
            return None, "no folder of clean references was given"
        exact = self._folder / relative
        if exact.suffix.lower() in RECORDING_SUFFIXES and exact.is_file():
            return exact, None
        if (same := self._by_path.get(relative.with_suffix(""))) is not None:
            return same, None
        candidates = self._by_stem.get(relative.stem, [])
        if len(candidates) == 1:
            return candidates[0], None
        if candidates:
            return None, f"{len(candidates)} clean references are named {relative.stem!r}"
        return None, f"no clean reference is named {relative.stem!r}"


# --------------------------------------------------------------------------- work


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is judged of a recording."""

    noisy: Chunk
    clean: NDArray[np.float32] | None
    """Of the strongest channel, at the recording's rate."""
    sample_rate: int
    channel: int
    is_excerpt: bool


class Comparer:
    """Run the systems of a plan on its recordings, one after the other, in this process.

    Parameters
    ----------
    plan : ComparisonPlan
        What :func:`plan_comparison` found.
    """

    def __init__(self, plan: ComparisonPlan) -> None:
        self._request = plan.request
        self._systems = [
            system
            for system in parse_systems(plan.request.systems)
            if system.label not in plan.unavailable
        ]
        self._meter = QualityMeter()
        self._warm: set[str] = set()

    def compare(self, pair: Pair) -> FileComparison:
        """Return the figures of every system on one recording; what fails is a line of its own."""
        result = FileComparison(
            name=pair.name,
            source_path=str(pair.source),
            clean_path=None if pair.clean is None else str(pair.clean),
            status=Status.OK,
        )
        try:
            loaded = self.load(pair)
            return self._compare_loaded(result, loaded, pair)
        except AncError as err:
            code = getattr(err, "code", None)
            failure = {"error_code": None if code is None else str(code), "reason": str(err)}
        except Exception as err:  # noqa: BLE001 - one bad file never stops the rest
            _log.exception("%s: could not be compared", pair.name)
            failure = {"error_code": "INTERNAL", "reason": f"{type(err).__name__}: {err}"}
        return result.model_copy(update={"status": Status.FAILED, **failure})

    def _compare_loaded(self, result: FileComparison, loaded: Loaded, pair: Pair) -> FileComparison:
        rate, channel = loaded.sample_rate, loaded.channel
        before = self._meter.measure(loaded.noisy[:, channel], rate, target=loaded.clean)
        reasons = dict(before.null_reasons)
        if loaded.clean is None and pair.no_clean is not None:
            reasons = {
                name: pair.no_clean if reason == "no clean reference" else reason
                for name, reason in reasons.items()
            }
        lines = [self._try_system(system, loaded, before.figures) for system in self._systems]
        failed = [line for line in lines if line.status is Status.FAILED]
        status = Status.OK
        if failed:
            status = Status.FAILED if len(failed) == len(lines) else Status.DEGRADED
        return result.model_copy(
            update={
                "status": status,
                "reason": failed[0].reason if failed else None,
                "sample_rate": rate,
                "num_channels": loaded.noisy.shape[1],
                "measured_s": len(loaded.noisy) / rate,
                "is_excerpt": loaded.is_excerpt,
                "before": before.figures,
                "null_reasons": reasons,
                "systems": tuple(lines),
            }
        )

    def load(self, pair: Pair) -> Loaded:
        """Return what is judged of ``pair``.

        Raises
        ------
        SourceError
            As :func:`anc_core.audio.open_reader`.
        """
        noisy, rate, is_excerpt = _read(pair.source, self._request.max_seconds)
        channel = int(np.argmax(np.square(noisy, dtype=np.float64).sum(axis=0)))
        if pair.clean is None:
            return Loaded(noisy, None, rate, channel, is_excerpt)
        reference, reference_rate, _ = _read(pair.clean, self._request.max_seconds)
        column = channel if reference.shape[1] == noisy.shape[1] else 0
        clean = _at_rate(reference[:, [column]], reference_rate, rate)[:, 0]
        length = min(len(noisy), len(clean))
        return Loaded(noisy[:length], clean[:length], rate, channel, is_excerpt)

    def run(self, system: System, loaded: Loaded) -> tuple[Chunk, float]:
        """Return the aligned output of ``system``, as long as the input, and its CPU seconds.

        Raises
        ------
        AncError
            If the system cannot work on it.
        """
        processor = self._processor(system, loaded)
        size = max(round(_CHUNK_S * loaded.sample_rate), 1)
        if system.label not in self._warm:  # kernels and models load outside of the clock
            processor.process(loaded.noisy[: 2 * size])
            processor.reset()
            self._warm.add(system.label)
        chunks = [loaded.noisy[at : at + size] for at in range(0, len(loaded.noisy), size)]
        started = time.process_time()
        parts = list(aligned(chunks, processor))
        cpu_s = time.process_time() - started
        empty = np.zeros((0, loaded.noisy.shape[1]), np.float32)
        output = np.concatenate([empty, *parts])
        if output.shape != loaded.noisy.shape:
            msg = f"{system.label}: returned {len(output)} samples for {len(loaded.noisy)}"
            raise InputError(msg)
        # Else its figures would be null, and its means better for the recordings it ruined.
        if _is_silent(output) and not _is_silent(loaded.noisy):
            raise InputError(f"{system.label}: the output is silent")
        return output, cpu_s

    @property
    def systems(self) -> tuple[System, ...]:
        """Those that can be had here."""
        return tuple(self._systems)

    def _processor(self, system: System, loaded: Loaded) -> Processor:
        rate, width = loaded.sample_rate, loaded.noisy.shape[1]
        processor = system.build(rate, width)
        if not self._request.protect:
            return processor
        from anc_core.emergency import AlarmDetector

        detector = AlarmDetector(rate, width, keep_ridges=True)
        return EmergencyGuard(processor, detector, sample_rate=rate)

    def _try_system(
        self, system: System, loaded: Loaded, before: dict[str, float | None]
    ) -> SystemOnFile:
        try:
            output, cpu_s = self.run(system, loaded)
            return self._judge(system, loaded, output, before, cpu_s)
        except AncError as err:
            reason = str(err)
        except Exception as err:  # noqa: BLE001 - a peer's fault is its line, not the run's end
            _log.exception("%s failed", system.label)
            reason = f"{type(err).__name__}: {err}"
        return SystemOnFile(system=system.label, status=Status.FAILED, reason=reason)

    def _judge(
        self,
        system: System,
        loaded: Loaded,
        output: Chunk,
        before: dict[str, float | None],
        cpu_s: float,
    ) -> SystemOnFile:
        rate, clean = loaded.sample_rate, loaded.clean
        noisy = loaded.noisy[:, loaded.channel]
        lag = lag_samples(output[:, loaded.channel], noisy, rate)
        heard = without_lag(output[:, loaded.channel], lag)
        quality = self._meter.measure(heard, rate, target=clean)
        meter = SessionMeter(rate, loaded.noisy.shape[1])
        meter.update(loaded.noisy, output)
        levels = meter.compute().figures
        reasons = quality.null_reasons | {
            name: levels["null_reasons"].get(name, "not to be had")
            for name in _LEVEL_FIGURES
            if levels[name] is None
        }
        speech_level, kind = levels["speech_level_change_db"], "estimated"
        if clean is not None:
            try:
                speech_level, kind = speech_gain_db(heard, noisy, clean), "measured"
                reasons.pop("speech_level_change_db", None)
            except FigureUnavailableError as err:
                _log.debug("%s: %s", system.label, err)
        return SystemOnFile(
            system=system.label,
            status=Status.OK,
            figures=quality.figures,
            gains={
                name: _difference(quality.figures[name], before[name]) for name in QUALITY_FIGURES
            },
            cancellation_db=levels["cancellation_db"],
            snr_improvement_db=levels["snr_improvement_db"],
            speech_level_change_db=speech_level,
            speech_level_kind=kind,
            residual_lag_samples=lag,
            cpu_s=cpu_s,
            null_reasons=reasons,
        )


def _read(path: Path, max_seconds: float) -> tuple[Chunk, int, bool]:
    """Return the first ``max_seconds`` of ``path``, its rate, and whether there is more."""
    with open_reader(path) as reader:
        limit = round(max_seconds * reader.sample_rate)
        parts, count = [], 0
        for chunk in reader.chunks():
            parts.append(chunk)
            count += len(chunk)
            if count > limit:
                break
        return np.concatenate(parts)[:limit], reader.sample_rate, count > limit


def _at_rate(audio: Chunk, source_rate: int, target_rate: int) -> Chunk:
    resampler = StreamResampler(source_rate, target_rate, audio.shape[1])
    return np.concatenate([resampler.process(audio), resampler.flush()])


def _is_silent(audio: Chunk) -> bool:
    return not len(audio) or float(np.mean(np.square(audio, dtype=np.float64))) < SILENCE_POWER


def _difference(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


# --------------------------------------------------------------------------- conclusion


def conclude_comparison(
    plan: ComparisonPlan,
    files: Sequence[FileComparison],
    *,
    wall_s: float = 0.0,
    comparer: Comparer | None = None,
) -> Comparison:
    """Write ``comparison.json``, ``files.csv`` and ``audition.html``; return what they tell.

    Parameters
    ----------
    plan, files
        What was planned, and what became of each recording.
    wall_s : float
        Duration of the work.
    comparer : Comparer, optional
        One that is loaded already, for the page's sounds.

    Raises
    ------
    SinkError
        NO_SPACE or NOT_WRITABLE.
    """
    request = plan.request
    done = [file for file in files if file.status is not Status.FAILED]
    comparison = Comparison(
        folder=printable(request.folder),
        clean=None if request.clean is None else printable(request.clean),
        created_at=datetime.now(UTC),
        planned=len(plan.pairs),
        ok=len(done),
        failed=len(files) - len(done),
        left_out=plan.left_out,
        with_reference=sum(file.clean_path is not None for file in done),
        audio_s=sum(file.measured_s or 0.0 for file in done),
        wall_s=wall_s,
        max_seconds=request.max_seconds,
        protect=request.protect,
        nothing_to_do=not plan.pairs,
        before={name: mean_of(file.before.get(name) for file in done) for name in QUALITY_FIGURES},
        null_reasons=first_reasons(done),
        systems=summarise_systems(plan, files),
        files=tuple(files),
        metric_packages=metric_versions(),
    )
    if comparison.nothing_to_do:
        return comparison
    folder = request.output_dir
    paths: dict[str, Any] = {
        "json_path": str(folder / "comparison.json"),
        "csv_path": str(folder / "files.csv"),
    }
    write_text_atomic(folder / "files.csv", files_csv(files))
    paths |= _write_page(plan, comparison, comparer or Comparer(plan))
    comparison = comparison.model_copy(update=paths)
    write_text_atomic(folder / "comparison.json", comparison.to_json(indent=2))
    return comparison


# --------------------------------------------------------------------------- the page


def _write_page(
    plan: ComparisonPlan, comparison: Comparison, comparer: Comparer
) -> dict[str, str | None]:
    if plan.request.examples == 0:
        return {"page_reason": "no examples were asked for"}
    from anc_core.reports.audition import write_audition

    page = plan.request.output_dir / "audition.html"
    examples = _examples(plan, comparison, comparer)
    write_audition(page, comparison.model_dump(), examples)
    return {"page_path": str(page)}


def _examples(plan: ComparisonPlan, comparison: Comparison, comparer: Comparer) -> Iterator[Any]:
    """Yield the page's examples; outputs are computed again, so none had to be kept."""
    from anc_core.reports.audition import Example, Version

    pairs = {pair.name: pair for pair in plan.pairs}
    for file, why in choose_examples(comparison.files, plan.request.examples):
        loaded = comparer.load(pairs[file.name])
        versions = [Version("before", loaded.noisy[:, loaded.channel], file.before)]
        by_label = {line.system: line for line in file.systems}
        for system in comparer.systems:
            line = by_label.get(system.label)
            if line is not None and line.status is Status.OK:
                output, _ = comparer.run(system, loaded)
                versions.append(
                    Version(system.label, output[:, loaded.channel], line.figures, line.gains)
                )
        if loaded.clean is not None:
            versions.append(Version("clean reference", loaded.clean, {}))
        yield Example(file.name, why, loaded.sample_rate, versions)


# --------------------------------------------------------------------------- without a server


def compare_folder(
    request: CompareRequest,
    settings: Settings,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Compare without Prefect: the same plan, the same figures, the same files.

    Parameters
    ----------
    request : CompareRequest
        What is to be compared.
    settings : Settings
        Allowed folders.
    on_progress : callable, optional
        Gets (recordings done, recordings planned) after each.

    Raises
    ------
    InputError, SinkError
        As :func:`plan_comparison` and :func:`conclude_comparison`.
    """
    started = time.monotonic()
    plan = plan_comparison(request, settings)
    comparer = Comparer(plan)
    files = []
    for done, pair in enumerate(plan.pairs, 1):
        files.append(comparer.compare(pair))
        if on_progress is not None:
            on_progress(done, len(plan.pairs))
    return conclude_comparison(plan, files, wall_s=time.monotonic() - started, comparer=comparer)
