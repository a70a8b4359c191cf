"""Many recordings in few figures: means, harm, speed, a table of files, what is worth hearing."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from anc_core.jobs.compare_records import (
    ComparisonPlan,
    FileComparison,
    SystemOnFile,
    SystemSummary,
)
from anc_core.jobs.csv_cells import number_cell, text_cell
from anc_core.metrics.quality import QUALITY_FIGURES
from anc_core.records import Status

PESQ_HARM = 0.1
"""A loss of PESQ beyond this counts as harm: less than what two listeners could agree on."""

_RANKING = ("pesq", "dnsmos_ovrl", "estoi", "si_sdr_db")
"""What recordings are ranked by for the page: the first of these that was measured."""


def summarise_systems(
    plan: ComparisonPlan, files: Sequence[FileComparison]
) -> tuple[SystemSummary, ...]:
    """Return one line a system, in the order they were asked for."""
    return tuple(
        SystemSummary(system=label, status=Status.SKIPPED, reason=plan.unavailable[label])
        if label in plan.unavailable
        else _summarise(label, files)
        for label in plan.labels
    )


def _summarise(label: str, files: Sequence[FileComparison]) -> SystemSummary:
    measured = [(file, line) for file in files for line in file.systems if line.system == label]
    lines = [line for _, line in measured if line.status is Status.OK]
    failures = [line for _, line in measured if line.status is Status.FAILED]
    audio_s = sum(file.measured_s or 0.0 for file, line in measured if line.status is Status.OK)
    cpu_s = sum(line.cpu_s or 0.0 for line in lines)
    falls = [gain < -PESQ_HARM for line in lines if (gain := line.gains.get("pesq")) is not None]
    levels = [x for line in lines if (x := line.speech_level_change_db) is not None]
    lags = [lag for line in lines if (lag := line.residual_lag_samples) is not None]
    means = {name: mean_of(line.figures.get(name) for line in lines) for name in QUALITY_FIGURES}
    status = Status.OK
    if failures:
        status = Status.DEGRADED if lines else Status.FAILED
    return SystemSummary(
        system=label,
        status=status,
        reason=failures[0].reason if failures else None,
        files=len(lines),
        failed=len(failures),
        means=means,
        gains={name: mean_of(line.gains.get(name) for line in lines) for name in QUALITY_FIGURES},
        counts={
            name: sum(line.figures.get(name) is not None for line in lines)
            for name in QUALITY_FIGURES
        },
        pesq_fell_share=sum(falls) / len(falls) if falls else None,
        cancellation_db=mean_of(line.cancellation_db for line in lines),
        snr_improvement_db=mean_of(line.snr_improvement_db for line in lines),
        speech_level_change_db=mean_of(levels),
        worst_speech_level_change_db=max(levels, key=abs, default=None),
        largest_lag_samples=max(lags, key=abs, default=None),
        audio_s=audio_s,
        cpu_s=cpu_s,
        speed_x=audio_s / cpu_s if cpu_s > 0.0 and audio_s > 0.0 else None,
        null_reasons=first_reasons(lines),
    )


def first_reasons(lines: Iterable[SystemOnFile | FileComparison]) -> dict[str, str]:
    """Return why a figure is missing, where it is missing everywhere."""
    lines = list(lines)
    names = {name for line in lines for name in line.null_reasons}
    return {
        name: next(iter(line.null_reasons[name] for line in lines))
        for name in sorted(names)
        if all(name in line.null_reasons for line in lines)
    }


def mean_of(values: Iterable[float | None]) -> float | None:
    """Return the mean of those that are known, or ``None``."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def files_csv(files: Sequence[FileComparison]) -> str:
    """Return one row for each recording and system, figures empty where there are none.

    Text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    names = [*QUALITY_FIGURES, *(f"{name}_gain" for name in QUALITY_FIGURES)]
    others = [
        *("cancellation_db", "snr_improvement_db", "speech_level_change_db"),
        *("residual_lag_samples", "cpu_s"),
    ]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["file", "system", "status", "measured_s", *names, *others, "reason"])
    for file in files:
        rows = file.systems or (SystemOnFile(system="", status=file.status, reason=file.reason),)
        unprocessed = SystemOnFile(system="unprocessed", status=Status.OK, figures=file.before)
        for line in (*([unprocessed] if file.before else []), *rows):
            figures = [line.figures.get(name) for name in QUALITY_FIGURES]
            gains = [line.gains.get(name) for name in QUALITY_FIGURES]
            rest = [getattr(line, name) for name in others]
            writer.writerow(
                [
                    *(text_cell(file.name), text_cell(line.system), line.status.value),
                    *(number_cell(x) for x in (file.measured_s, *figures, *gains, *rest)),
                    text_cell(line.reason or ""),
                ]
            )
    return text.getvalue()


def choose_examples(
    files: Sequence[FileComparison], count: int
) -> list[tuple[FileComparison, str]]:
    """Return the recordings that are worth listening to, and why: the worst first, then the best.

    They are ranked by the mean gain of all systems in the first of PESQ, DNSMOS overall, ESTOI and
    SI-SDR that was measured, else by the change of the noise.
    """
    usable = [file for file in files if any(s.status is Status.OK for s in file.systems)]
    for figure in _RANKING:
        scores = [mean_of(line.gains.get(figure) for line in file.systems) for file in usable]
        if any(score is not None for score in scores):
            break
    else:
        figure = "cancellation_db"
        scores = [mean_of(line.cancellation_db for line in file.systems) for file in usable]
    ranked = sorted(
        ((score, file) for score, file in zip(scores, usable, strict=True) if score is not None),
        key=lambda item: item[0],
    )
    unranked = [(file, "") for score, file in zip(scores, usable, strict=True) if score is None]
    num_worst = (count + 1) // 2 if len(ranked) > count else len(ranked)
    worst = [(file, _why("least", figure, score)) for score, file in ranked[:num_worst]]
    rest = ranked[num_worst:][::-1]
    best = [(file, _why("most", figure, score)) for score, file in rest]
    if len(ranked) <= count:
        worst = [(file, _why("", figure, score)) for score, file in ranked]
    return [*worst, *best, *unranked][:count]


_FIGURE_WORDS = {
    "pesq": "PESQ",
    "dnsmos_ovrl": "DNSMOS overall",
    "estoi": "ESTOI",
    "si_sdr_db": "SI-SDR in dB",
    "cancellation_db": "noise cancelled in dB",
}


def _why(rank: str, figure: str, score: float) -> str:
    among = f"among those that gained {rank}: " if rank else ""
    return f"{among}{_FIGURE_WORDS[figure]} {score:+.2f} on average over the systems"
