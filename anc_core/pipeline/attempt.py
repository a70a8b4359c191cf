"""One attempt at a recording: one pass, the gate on the temporary file, then the rename."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from anc_core.audio import (
    AudioReader,
    AudioWriter,
    chunk_size_for,
    length_tolerance,
    open_reader,
    open_writer,
    output_format,
)
from anc_core.errors import ErrorCode, SourceChangedError, SourceError, WarningCode
from anc_core.files import SourceIdentity, check_unchanged, copy_atomic, digest_file
from anc_core.metrics import GateFigures, SessionMeter
from anc_core.pipeline import gate
from anc_core.pipeline.engine import Bypass, WithReference, build_canceller, build_suppressor
from anc_core.pipeline.hearing import Hearing
from anc_core.pipeline.reference import ReferenceTrack
from anc_core.pipeline.request import RecordingRequest
from anc_core.pipeline.stopwatch import Stopwatch
from anc_core.pipeline.stream import OnProgress, StreamResult, run_stream
from anc_core.presets import Preset
from anc_core.processors import EmergencyGuard, FixedIntervals, Processor
from anc_core.records import Event, Mode, Remark

if TYPE_CHECKING:
    from anc_core.emergency import AlarmDetector

_MAX_NON_FINITE_SHARE = 0.001  # spec row 10: above this the recording is damaged, not blemished


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A result that passed the gate and is ready to be delivered."""

    reader: AudioReader
    preset: Preset | None
    stream: StreamResult
    events: tuple[Event, ...]
    detector: AlarmDetector | None
    hearing: Hearing
    remarks: tuple[Remark, ...]
    chunk_size: int
    clipped_samples_out: int
    output_digest: str | None
    latency: int
    model_id: str | None
    stopwatch: Stopwatch


class Attempt:
    """One pass with one preset (``None`` = deliver the original)."""

    def __init__(
        self,
        request: RecordingRequest,
        preset: Preset | None,
        before: SourceIdentity,
        *,
        source_digest: str,
        token: str,
        on_progress: OnProgress | None,
        hearing: Hearing | None = None,
    ) -> None:
        self.request = request
        self.preset = preset
        self.before = before
        self.source_digest = source_digest
        self.token = token
        self.on_progress = on_progress
        self.hearing = hearing
        """What an earlier attempt heard already; else what this one does."""
        self.stopwatch = Stopwatch()
        self._stack = ExitStack()
        self._copies = False
        self._model_id: str | None = None
        self._lacks_weights = False
        self._track: ReferenceTrack | None = None
        self._with_reference: WithReference | None = None

    @contextmanager
    def run(self) -> Iterator[Outcome]:
        """Yield what was found; :meth:`deliver` then gives the output its name.

        Raises
        ------
        GateError
            If the result may not be delivered; nothing is left behind.
        RecordingError, SourceChangedError
            As :func:`anc_core.pipeline.process_recording`.
        """
        with self._stack:
            yield self._run(self._stack)

    def deliver(self) -> None:
        """Give the output its name, if one was asked for.

        Raises
        ------
        SinkError
            If it cannot be renamed or copied there.
        SourceChangedError
            If the source, of which the output is to be a copy, changed meanwhile.
        """
        self._stack.close()  # renames the output
        sink = self.request.sink
        if self._copies and sink is not None:
            copy_atomic(self.request.source, sink, token=self.token)
            if digest_file(sink) != self.source_digest:
                sink.unlink()
                msg = f"{self.request.source}: changed while it was copied"
                raise SourceChangedError(msg)

    def _run(self, stack: ExitStack) -> Outcome:
        reader, chunk_size = self._open_source(stack)
        with self.stopwatch.time("warmup"):
            detector = self._detector(reader)
            hearing = self.hearing = self.hearing or Hearing(
                self.request.classifier, reader.sample_rate, reader.num_channels
            )
            guard = EmergencyGuard(
                self._processor(reader, chunk_size, stack),
                detector or FixedIntervals([]),
                sample_rate=reader.sample_rate,
                fade_s=self.request.preset.protection.fade_s,
            )
        writer, remarks = self._open_sink(reader, stack)
        stream = run_stream(
            reader.chunks(chunk_size),
            guard=guard,
            hearing=hearing,
            meter=SessionMeter(reader.sample_rate, reader.num_channels),
            writer=writer,
            stopwatch=self.stopwatch,
            on_progress=self.on_progress,
        )
        _refuse_damaged(reader, stream)
        events = _measured_events(detector, stream, reader.sample_rate)
        with self.stopwatch.time("encode"):
            output_digest = self._verify(reader, stream, events, writer)
        written = writer.remarks if writer is not None else ()
        return Outcome(
            reader=reader,
            preset=self.preset,
            stream=stream,
            events=events,
            detector=detector,
            hearing=hearing,
            remarks=reader.remarks
            + stream.meter.remarks
            + written
            + remarks
            + self._engine_remarks()
            + hearing.remarks
            + _detector_remarks(detector)
            + self._reference_remarks(stream.num_samples),
            chunk_size=chunk_size,
            clipped_samples_out=writer.clipped_samples if writer is not None else 0,
            output_digest=output_digest,
            latency=guard.latency,
            model_id=self._model_id,
            stopwatch=self.stopwatch,
        )

    def _open_source(self, stack: ExitStack) -> tuple[AudioReader, int]:
        """Return the reader and the size of its chunks."""
        request = self.request
        channels = None
        if request.mode is Mode.CANCEL and request.apply_anc:
            with open_reader(request.source) as whole:
                self._track = ReferenceTrack(request, whole.num_channels)
            channels = self._track.primary_channels
        reader = stack.enter_context(
            open_reader(
                request.source,
                max_duration_s=request.settings.max_duration_s,
                max_bytes=request.settings.max_source_bytes,
                channels=channels,
            )
        )
        chunk_size = chunk_size_for(
            reader.sample_rate,
            reader.declared_num_samples,
            requested=request.chunk_size,
            default_s=request.settings.chunk_s,
        )
        return reader, chunk_size

    def _open_sink(
        self, reader: AudioReader, stack: ExitStack
    ) -> tuple[AudioWriter | None, tuple[Remark, ...]]:
        """Return the writer, if samples are to be written, and what its format deserves to say."""
        sink = self.request.sink
        target, remark = output_format(reader.format, None if sink is None else sink.suffix)
        # A byte copy is the only original that stays bit for bit in every codec.
        self._copies = (
            self.preset is None
            and not self.request.splits_channels
            and _may_be_copied(self.request, remark)
        )
        if sink is None or self._copies:
            return None, ()
        writer = stack.enter_context(
            open_writer(
                sink,
                sample_rate=reader.sample_rate,
                num_channels=reader.num_channels,
                format=target,
                tags=reader.tags,
                num_samples_hint=reader.declared_num_samples,
                token=self.token,
            )
        )
        return writer, () if remark is None else (remark,)

    def _verify(
        self,
        reader: AudioReader,
        stream: StreamResult,
        events: tuple[Event, ...],
        writer: AudioWriter | None,
    ) -> str | None:
        """Send the finished result through the gate; return the digest of the output to be."""
        temp = writer.finish() if writer is not None else None
        self._check_gate(reader, stream, events, temp)
        check_unchanged(self.request.source, self.before)
        if temp is not None:
            return digest_file(temp)
        return None if self.request.sink is None else self.source_digest

    def _processor(self, reader: AudioReader, chunk_size: int, stack: ExitStack) -> Processor:
        if self.preset is None:
            return Bypass(reader.num_channels)
        request = self.request
        if request.mode is Mode.SUPPRESS:
            suppressor = build_suppressor(
                self.preset,
                reader.sample_rate,
                reader.num_channels,
                request.settings.models_dir,
            )
            self._model_id = suppressor.model_id
            self._lacks_weights = suppressor.lacks_weights
            return suppressor
        track = self._track
        assert track is not None  # noqa: S101 - _open_source() saw to it
        canceller = build_canceller(
            request.cancellation, reader.sample_rate, reader.num_channels, track.num_channels
        )
        chunks = track.chunks(canceller, chunk_size)
        stack.callback(chunks.close)
        self._with_reference = WithReference(canceller, chunks, track.num_channels)
        return self._with_reference

    def _engine_remarks(self) -> tuple[Remark, ...]:
        """Return what deserves to be said of the engine: that it was not the one meant."""
        if not self._lacks_weights:
            return ()
        message = "the neural weights are missing or refused; the spectral engine did the work"
        return (Remark(code=WarningCode.MODEL_UNAVAILABLE, message=message),)

    def _reference_remarks(self, num_samples: int) -> tuple[Remark, ...]:
        if self._track is None or self._with_reference is None:
            return ()
        one = self._with_reference
        return self._track.remarks(one.canceller, one.num_missing, num_samples)

    def _detector(self, reader: AudioReader) -> AlarmDetector | None:
        protection = self.request.preset.protection
        if not protection.enabled:
            return None
        # They bring compiled kernels: only who works pays.
        from anc_core.emergency import AlarmDetector
        from anc_core.emergency.choice import choose_head

        # A canceller takes only what its reference heard, above all the tones of machines: to give
        # those back would undo its work.
        return AlarmDetector(
            reader.sample_rate,
            reader.num_channels,
            parameters=protection,
            keep_ridges=self.preset is not None and self.request.mode is Mode.SUPPRESS,
            choice=choose_head(self.request.settings.models_dir),
        )

    def _check_gate(
        self,
        reader: AudioReader,
        stream: StreamResult,
        events: tuple[Event, ...],
        temp: Path | None,
    ) -> None:
        losses = [e.max_attenuation_db for e in events if e.max_attenuation_db is not None]
        losses += [loss for _, loss in stream.meter.stretch_attenuation if loss is not None]
        in_file = None
        tolerance = 0
        if temp is not None:
            with open_reader(temp) as written:
                in_file = written.declared_num_samples
                tolerance = length_tolerance(written.format)
        figures = stream.meter.gate
        gate.check(
            gate.GateInput(
                samples_in=stream.num_samples,
                samples_out=stream.num_samples_out,
                samples_in_file=in_file,
                length_tolerance=tolerance,
                all_finite=figures.all_finite,
                residual_lag_samples=figures.residual_lag_samples,
                longest_new_silence_s=figures.longest_new_silence_s,
                speech_level_change_db=self._speech_level_change_db(figures),
                max_event_attenuation_db=max(losses, default=None),
            ),
            self.request.preset.gate,
        )

    def _speech_level_change_db(self, figures: GateFigures) -> float | None:
        """Return what the gate judges the voice by: where there is a reference, it knows better."""
        witnessed = None
        if self._with_reference is not None:
            witnessed = self._with_reference.witness.level_change_db()
        return figures.speech_level_change_db if witnessed is None else witnessed


def _may_be_copied(request: RecordingRequest, format_remark: Remark | None) -> bool:
    """Return whether the source's bytes are what its output's name promises."""
    if format_remark is None or request.sink is None:
        return True
    return request.sink.suffix.lower() == request.source.suffix.lower()


def _refuse_damaged(reader: AudioReader, stream: StreamResult) -> None:
    if stream.num_samples == 0:
        raise SourceError(ErrorCode.NO_AUDIO, f"{reader.path}: no samples could be decoded")
    total = stream.num_samples * reader.num_channels
    if reader.non_finite_samples > _MAX_NON_FINITE_SHARE * total:
        msg = (
            f"{reader.path}: {reader.non_finite_samples} of {total} samples are NaN or infinite, "
            f"more than {_MAX_NON_FINITE_SHARE:.1%}; export the recording again"
        )
        raise SourceError(ErrorCode.NON_FINITE, msg)


def _detector_remarks(detector: AlarmDetector | None) -> tuple[Remark, ...]:
    """Return what is to be said of the detector: that it could not tell and let all pass."""
    if detector is None or detector.fault is None:
        return ()
    message = f"nothing was suppressed, as alarms could not be told from noise: {detector.fault}"
    return (Remark(code=WarningCode.MODEL_UNAVAILABLE, message=message),)


def _measured_events(
    detector: AlarmDetector | None, stream: StreamResult, sample_rate: int
) -> tuple[Event, ...]:
    """Return the events with the loss that was measured inside the stretches they touch."""
    if detector is None:
        return ()
    return tuple(
        event.model_copy(update={"max_attenuation_db": _worst_loss(event, stream, sample_rate)})
        for event in detector.events
    )


def _worst_loss(event: Event, stream: StreamResult, sample_rate: int) -> float | None:
    losses = [
        loss
        for (start, stop), loss in stream.meter.stretch_attenuation
        if loss is not None
        and start < event.end_s * sample_rate
        and stop > event.start_s * sample_rate
    ]
    return max(losses, default=None)
