"""A recording in, a clean recording and its summary out: the heart of the platform.

One pass per attempt (:mod:`anc_core.pipeline.attempt`); the quality gate looks at the finished
temporary file; if it says no, the gentler preset is tried and at last the original is delivered.
The output appears under its name complete or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from anc_core.classifier.events import events_in_order
from anc_core.errors import GateError, WarningCode
from anc_core.files import SourceIdentity, digest_file, identify
from anc_core.pipeline import sidecar
from anc_core.pipeline.attempt import Attempt, Outcome
from anc_core.pipeline.hearing import Hearing
from anc_core.pipeline.request import RecordingRequest, refuse_same_file
from anc_core.pipeline.stream import OnProgress
from anc_core.presets import PRESETS, CancellationParameters, Preset, SuppressionOverrides
from anc_core.records import (
    LevelSpan,
    Metrics,
    Mode,
    Remark,
    SessionSummary,
    Status,
    WindowTable,
)
from anc_core.settings import Settings
from anc_core.temporaries import own_token
from anc_core.version import __version__

ORIGINAL = "original"
"""``preset_used`` of a session whose output is the untouched input."""

_FIGURE_DIGITS = 4


def process_recording(
    source: Path | str,
    sink: Path | str | None = None,
    *,
    settings: Settings | None = None,
    mode: Mode | str = Mode.AUTO,
    apply_anc: bool = True,
    preset: str = "default",
    reference: Path | str | None = None,
    suppression: SuppressionOverrides | None = None,
    cancellation: CancellationParameters | None = None,
    chunk_size: int | None = None,
    session_id: str = "unsaved",
    on_progress: OnProgress | None = None,
) -> SessionSummary:
    """Remove the noise from one recording and measure what changed; no database is touched.

    Parameters
    ----------
    source : path
        The recording; never modified.
    sink : path, optional
        Where the result goes, replaced atomically; with ``<sink>.json`` beside it. ``None``
        measures without writing.
    settings : Settings, optional
        Defaults of this installation; read from the environment if not given.
    mode : {"auto", "suppress", "cancel"}
        ``auto`` cancels where there is a reference and suppresses otherwise.
    apply_anc : bool
        ``False`` analyses only: the output, if one is asked for, is the input bit for bit.
    preset : str
        A name in :data:`anc_core.presets.PRESETS`.
    reference : path, optional
        Recording of the noise alone, for ``cancel``; of any rate and length, a second late or
        early, by a clock of its own.
    suppression : SuppressionOverrides, optional
        What is wanted otherwise than the preset has it: method, strength, linked channels.
    cancellation : CancellationParameters, optional
        How to cancel; also which channel of the recording is its reference, if there is no file.
    chunk_size : int, optional
        Samples a chunk, 0.5 s to 5 s and never longer than the recording; it does not change the
        result.
    session_id : str
        Name of the session in the summary.
    on_progress : callable, optional
        Gets the number of samples read so far; may raise to stop the run, which leaves no output.

    Returns
    -------
    SessionSummary
        ``status`` is ``ok``, or ``degraded`` with ``reason`` if the quality gate had the gentler
        preset or the original delivered, or the input was truncated.

    Raises
    ------
    InputError
        If a parameter breaks its rule.
    RecordingError
        If the recording cannot be read or the output cannot be written; ``code`` says why.
    SourceChangedError
        If the file changed while it was read (worth another try).
    """
    request = RecordingRequest.resolve(
        source,
        sink,
        mode=mode,
        preset=preset,
        apply_anc=apply_anc,
        reference=reference,
        suppression=suppression,
        cancellation=cancellation,
        chunk_size=chunk_size,
        settings=settings,
    )
    before = identify(request.source)
    source_digest = digest_file(request.source)
    reference_digest = None if request.reference is None else digest_file(request.reference)
    return run_request(
        request,
        before=before,
        source_digest=source_digest,
        fingerprint=request.fingerprint(source_digest, reference_digest),
        session_id=session_id,
        token=own_token(),
        on_progress=on_progress,
    )


def run_request(
    request: RecordingRequest,
    *,
    before: SourceIdentity,
    source_digest: str,
    fingerprint: str,
    session_id: str,
    token: str,
    on_progress: OnProgress | None = None,
) -> SessionSummary:
    """Do what ``request`` says; see :func:`process_recording`, which prepares the arguments.

    ``token`` names the temporary files: who claimed the recording noted them with the claim, so
    that its successor removes what a process that was killed left behind.
    """
    if request.sink is not None:
        refuse_same_file(request.source, request.sink)
    started_at, started, cpu_started = datetime.now(UTC), time.perf_counter(), time.process_time()
    refused: list[GateError] = []
    hearing: Hearing | None = None
    for candidate in _ladder(request):
        attempt = Attempt(
            request,
            candidate,
            before,
            source_digest=source_digest,
            token=token,
            on_progress=on_progress,
            hearing=hearing,
        )
        try:
            with attempt.run() as outcome:
                summary = _summarise(request, outcome, refused).model_copy(
                    update={
                        "session_id": session_id,
                        "fingerprint": fingerprint,
                        "source_digest": source_digest,
                        "source_bytes": before.size,
                        "started_at": started_at,
                        "finished_at": datetime.now(UTC),
                    }
                )
                summary = _with_times(summary, outcome, started, cpu_started)
                with sidecar.announced(summary, token=token):
                    attempt.deliver()
        except GateError as err:
            refused.append(err)
            hearing = attempt.hearing  # of the input, which is the same
        else:
            return summary
    # The last rung is the untouched original: if even that fails the gate, the gate's own failure
    # is the truth to tell.
    raise refused[-1]


def _ladder(request: RecordingRequest) -> Iterator[Preset | None]:
    """Yield the presets to try, gentler and gentler; ``None`` = the original."""
    preset = request.preset if request.apply_anc else None
    while preset is not None:
        yield preset
        # Presets shape the suppressor: the canceller would do the same again.
        gentler = preset.fallback if request.mode is Mode.SUPPRESS else None
        preset = request.suppression.applied_to_gentler(PRESETS[gentler]) if gentler else None
    yield None


def _summarise(
    request: RecordingRequest, outcome: Outcome, refused: list[GateError]
) -> SessionSummary:
    reader, stream = outcome.reader, outcome.stream
    rate = reader.sample_rate
    remarks = outcome.remarks
    if reader.non_finite_samples:
        message = f"{reader.non_finite_samples} NaN or infinite samples were replaced by 0"
        remarks += (Remark(code=WarningCode.NON_FINITE_REPAIRED, message=message),)
    reasons = [f"{err.code}: {err}" for err in refused]
    reasons += [f"{r.code}: {r.message}" for r in remarks if r.code is WarningCode.TRUNCATED]
    used = ORIGINAL if outcome.preset is None else outcome.preset.name
    if refused:
        reasons.append(f"delivered with preset {used!r}")
    declared = reader.declared_num_samples
    return SessionSummary(
        status=Status.DEGRADED if reasons else Status.OK,
        session_id="",
        source_path=request.source_name or str(request.source),
        reference_path=request.reference_name
        or (None if request.reference is None else str(request.reference)),
        output_path=None if request.sink is None else str(request.sink),
        output_digest=outcome.output_digest,
        sidecar_path=None if request.sink is None else str(sidecar.sidecar_path(request.sink)),
        duration_s=stream.num_samples / rate,
        declared_duration_s=(
            declared / rate if declared is not None and declared != stream.num_samples else None
        ),
        sample_rate=rate,
        num_channels=reader.num_channels,
        num_samples=stream.num_samples,
        container=reader.format.container,
        subtype=reader.format.subtype,
        chunk_size=outcome.chunk_size,
        num_chunks=stream.num_chunks,
        mode=request.mode,
        preset=request.preset.name,
        preset_used=used,
        apply_anc=request.apply_anc,
        parameters=request.parameters,
        metrics=Metrics(
            **_rounded(stream.meter.figures),
            ridges_restored_s=round(stream.ridges_restored_s, _FIGURE_DIGITS),
            ridges_restored_share=round(stream.ridges_restored_share, 6),
            residual_lag_samples=stream.meter.gate.residual_lag_samples,
            non_finite_samples=reader.non_finite_samples,
            clipped_samples_out=outcome.clipped_samples_out,
            algorithmic_latency_ms=1e3 * outcome.latency / rate,
        ),
        intervals=stream.meter.intervals,
        level_spans=_of_file(stream.meter.level_spans, reader.source_channels),
        windows=WindowTable.joined(
            [
                WindowTable(outcome.detector.windows if outcome.detector else ()),
                outcome.hearing.windows,
            ]
        ).in_order(),
        events=events_in_order(outcome.events, outcome.hearing.events),
        protected=tuple((start / rate, stop / rate) for start, stop in stream.protected),
        warnings=remarks,
        error_code=refused[-1].code if refused else None,
        reason="; ".join(reasons) or None,
        model_id=outcome.model_id,
        core_version=__version__,
    )


def _of_file(
    spans: tuple[LevelSpan, ...], source_channels: tuple[int, ...]
) -> tuple[LevelSpan, ...]:
    """Return ``spans`` with channels numbered as in the file: so a calibration numbers them."""
    return tuple(
        span.model_copy(update={"channel": source_channels[span.channel]}) for span in spans
    )


def _rounded(figures: dict[str, Any]) -> dict[str, Any]:
    """Return ``figures`` as a reader can use them: 0.0001 dB is finer than any measurement."""

    def shorten(value: Any) -> Any:  # noqa: ANN401 - whatever a figure may be
        if isinstance(value, float):
            return round(value, _FIGURE_DIGITS)
        if isinstance(value, dict):
            return {key: shorten(item) for key, item in value.items()}
        return value

    return {name: shorten(value) for name, value in figures.items()}


def _with_times(
    summary: SessionSummary, outcome: Outcome, started: float, cpu_started: float
) -> SessionSummary:
    """Add the times; loading of kernels is reported apart and is no part of the speed."""
    seconds = outcome.stopwatch.seconds
    wall_s = max(time.perf_counter() - started - seconds["warmup"], np.finfo(float).tiny)
    audio_s = summary.duration_s or 0.0
    times = {
        "wall_s": wall_s,
        "cpu_s": time.process_time() - cpu_started,
        "decode_s": seconds["decode"],
        "classify_s": outcome.hearing.classify_s,
        "suppress_s": seconds["suppress"],
        "measure_s": seconds["measure"],
        "encode_s": seconds["encode"],
        "warmup_s": seconds["warmup"],
        "real_time_factor": wall_s / audio_s if audio_s else None,
        "speed_x": audio_s / wall_s if audio_s else None,
    }
    rounded = {name: None if value is None else round(value, 6) for name, value in times.items()}
    return summary.model_copy(update={"metrics": summary.metrics.model_copy(update=rounded)})
