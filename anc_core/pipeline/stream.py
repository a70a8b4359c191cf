"""One pass over the samples: detect, protect, cancel and measure at once, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from anc_core.arrays import Chunk
from anc_core.audio import AudioWriter
from anc_core.dsp.buffer import SampleBuffer
from anc_core.metrics import MeterResult, SessionMeter
from anc_core.pipeline.hearing import Hearing
from anc_core.pipeline.stopwatch import Stopwatch
from anc_core.processors import EmergencyGuard

OnProgress = Callable[[int], None]
"""Called after each chunk with the number of samples read so far; may raise to stop the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamResult:
    """What one pass found."""

    num_samples: int
    num_chunks: int
    num_samples_out: int
    meter: MeterResult
    protected: tuple[tuple[int, int], ...]
    ridges_restored_s: float
    ridges_restored_share: float


def run_stream(
    chunks: Iterable[Chunk],
    *,
    guard: EmergencyGuard,
    hearing: Hearing,
    meter: SessionMeter,
    writer: AudioWriter | None,
    stopwatch: Stopwatch,
    on_progress: OnProgress | None = None,
) -> StreamResult:
    """Send ``chunks`` through ``guard`` to ``writer`` and ``meter``.

    Parameters
    ----------
    chunks : iterable of Chunk
        The recording, shape (n, num_channels) each.
    guard : EmergencyGuard
        Wraps the canceller; its delay is removed here, so output and input stay aligned.
    hearing : Hearing
        Gets the input.
    meter : SessionMeter
        Gets aligned input and output.
    writer : AudioWriter or None
        Gets the output; ``None`` measures only.
    stopwatch : Stopwatch
        Collects ``decode``, ``suppress``, ``measure`` and ``encode``.
    on_progress : callable, optional
        See :data:`OnProgress`.
    """
    waiting = SampleBuffer(guard.num_channels)
    to_drop = guard.latency
    num_samples = num_chunks = num_out = 0

    def deliver(output: Chunk) -> None:
        nonlocal to_drop, num_out
        dropped = min(to_drop, len(output))
        to_drop -= dropped
        output = output[dropped : dropped + len(waiting)]
        if not len(output):
            return
        protected = guard.protected_within(num_out, num_out + len(output))
        with stopwatch.time("measure"):
            meter.update(waiting.take(len(output)), output, protected)
        num_out += len(output)
        if writer is not None:
            with stopwatch.time("encode"):
                writer.write(output)

    for chunk in stopwatch.timed("decode", chunks):
        num_samples += len(chunk)
        num_chunks += 1
        waiting.put(chunk)
        hearing.process(chunk)
        with stopwatch.time("suppress"):
            output = guard.process(chunk)
        deliver(output)
        if on_progress is not None:
            on_progress(num_samples)
    hearing.flush()
    with stopwatch.time("suppress"):
        output = guard.flush()
    deliver(output)
    with stopwatch.time("measure"):
        result = meter.compute()
    return StreamResult(
        num_samples=num_samples,
        num_chunks=num_chunks,
        num_samples_out=num_out,
        meter=result,
        protected=tuple(guard.protected),
        ridges_restored_s=guard.restored_s,
        ridges_restored_share=guard.restored_share,
    )
