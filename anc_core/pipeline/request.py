"""What is asked of the pipeline for one recording, and the identity that follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anc_core.classifier.models import Choice, choose_classifier
from anc_core.emergency.choice import head_id
from anc_core.errors import ErrorCode, SinkError
from anc_core.pipeline.engine import check_algorithm, resolve_mode, suppression_model_id
from anc_core.pipeline.fingerprint import fingerprint
from anc_core.presets import (
    CancellationParameters,
    Preset,
    SuppressionOverrides,
    get_preset,
)
from anc_core.records import Mode
from anc_core.settings import Settings
from anc_core.version import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRequest:
    """What is to be done with one recording, validated: nothing is guessed later."""

    source: Path
    sink: Path | None
    mode: Mode
    preset: Preset
    apply_anc: bool
    reference: Path | None
    chunk_size: int | None
    settings: Settings
    suppression: SuppressionOverrides = field(default_factory=SuppressionOverrides)
    """In ``preset`` already; a fallback gets them as well."""
    cancellation: CancellationParameters = field(default_factory=CancellationParameters)
    model_id: str | None = None
    """Weights that will do the work, None where none are needed."""
    classifier: Choice = field(default_factory=Choice)
    """What names the noises; its id stands in ``parameters``."""
    parameters: dict[str, Any] = field(default_factory=dict)
    source_name: str | None = None
    """What the record calls ``source``, where that is a copy of something else; so of the next."""
    reference_name: str | None = None

    @classmethod
    def resolve(
        cls,
        source: Path | str,
        sink: Path | str | None = None,
        *,
        mode: Mode | str = Mode.AUTO,
        preset: str = "default",
        apply_anc: bool = True,
        reference: Path | str | None = None,
        suppression: SuppressionOverrides | None = None,
        cancellation: CancellationParameters | None = None,
        chunk_size: int | None = None,
        settings: Settings | None = None,
    ) -> RecordingRequest:
        """Validate the words of a call.

        Raises
        ------
        InputError
            If the mode, the preset or the algorithm is unknown or they contradict the reference.
        """
        changes = suppression or SuppressionOverrides()
        chosen = changes.applied_to(get_preset(preset))
        how = cancellation or CancellationParameters()
        check_algorithm(how.algorithm)
        has_reference = reference is not None or how.reference_channel is not None
        resolved = resolve_mode(mode, has_reference=has_reference)
        applied = apply_anc and chosen.apply_anc
        settings = settings or Settings()
        model_id = None
        if applied and resolved is Mode.SUPPRESS:
            model_id = suppression_model_id(chosen, settings.models_dir)
        parameters: dict[str, Any] = {
            "mode": resolved.value,
            "apply_anc": applied,
            "preset": chosen.model_dump(mode="json"),
            "output": None if sink is None else Path(sink).suffix.lower(),
        }
        classifier = Choice()
        if settings.name_noises:
            classifier = choose_classifier(
                settings.models_dir, model=settings.ml_model_path, scaler=settings.ml_scaler_path
            )
        if classifier.model_id is not None:
            parameters["classifier"] = classifier.model_id
        if chosen.protection.enabled:
            parameters["emergency_head"] = head_id(settings.models_dir)
        if resolved is Mode.CANCEL:
            parameters["cancellation"] = how.model_dump(mode="json")
        return cls(
            source=Path(source).absolute(),  # a record must hold from any working directory
            sink=None if sink is None else Path(sink).absolute(),
            mode=resolved,
            preset=chosen,
            apply_anc=applied,
            reference=None if reference is None else Path(reference).absolute(),
            chunk_size=chunk_size,
            settings=settings,
            suppression=changes,
            cancellation=how,
            model_id=model_id,
            classifier=classifier,
            parameters=parameters,
        )

    @property
    def splits_channels(self) -> bool:
        """Whether one channel of the recording is the reference of the others."""
        return self.apply_anc and self.mode is Mode.CANCEL and self.reference is None

    def fingerprint(self, source_digest: str, reference_digest: str | None) -> str:
        """Return the identity of the session that this request asks for."""
        return fingerprint(
            source_digest=source_digest,
            reference_digest=reference_digest,
            parameters=self.parameters,
            model_id=self.model_id,
            core_version=__version__,
        )


def refuse_same_file(source: Path, sink: Path) -> None:
    """Raise COLLISION if ``sink`` is ``source``, also through links or another spelling."""
    if sink.exists() and sink.samefile(source):
        msg = f"{sink}: the output is the input itself; name another output"
        raise SinkError(ErrorCode.COLLISION, msg)
