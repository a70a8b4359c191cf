"""Which models there are, which was in use when, and what puts another into use.

Two registries count: this installation's, then the one that ships. A model of the latter that is
promoted is copied to the former: what ships is never written to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from anc_core.bundles.bundle import Bundle
from anc_core.bundles.registry import Registry, shipped_models
from anc_core.classifier.model import KIND as CLASSIFIER
from anc_core.classifier.models import find_classifier, named_bundle
from anc_core.classifier.validation import ModelValidation, validate_bundle
from anc_core.denoiser.inference import KIND as SUPPRESSOR
from anc_core.errors import ErrorCode, InputError, ModelBundleError
from anc_core.jobs.model_rows import note_model
from anc_core.jobs.naming import check_named
from anc_core.records import Record
from anc_core.settings import Settings
from anc_core.store import open_database, record_audit

KINDS = (CLASSIFIER, SUPPRESSOR)
HERE, SHIPPED = "here", "shipped"


class ModelVersion(Record):
    """One version of a model."""

    kind: str
    version: str
    place: str
    """``here`` (this installation's registry) or ``shipped``."""
    in_use: bool
    model_id: str | None = None
    path: str
    scores: dict[str, float] = Field(default_factory=dict)
    """As its card tells them, nested names joined by dots."""
    fault: str | None = None
    """Why it can't be used."""


class Promotion(Record):
    """A version was put into use."""

    kind: str
    version: str
    place: str
    at: str
    """UTC; it was in use from then to the next promotion in the same place."""
    reason: str


class ModelList(Record):
    """The models of an installation."""

    models: tuple[ModelVersion, ...]
    history: tuple[Promotion, ...]
    named: str | None = None
    """Classifier that ``ML_MODEL_PATH`` names: it is used whatever is promoted."""


class ScoreRow(Record):
    """A score of two models."""

    name: str
    first: float | None
    second: float | None
    difference: float | None
    """second - first."""


class ModelComparison(Record):
    """Two versions by what was measured when they were trained."""

    kind: str
    first: str
    second: str
    same_data: bool
    """Both were trained and judged on the same recordings: the scores can be compared."""
    scores: tuple[ScoreRow, ...]
    only_first: tuple[str, ...] = ()
    """Classes that the second does not know."""
    only_second: tuple[str, ...] = ()


def list_models(settings: Settings, kind: str | None = None) -> ModelList:
    """Return the versions of ``kind`` (of all kinds by default) and what was in use when."""
    kinds = KINDS if kind is None else (_known(kind),)
    named = settings.ml_model_path
    return ModelList(
        models=tuple(model for k in kinds for model in _versions(settings, k)),
        history=tuple(entry for k in kinds for entry in _history(settings, k)),
        named=None if named is None or CLASSIFIER not in kinds else str(named),
    )


def promote_model(
    settings: Settings, kind: str, version: str, *, reason: str, actor: str
) -> ModelVersion:
    """Put a version into use, once all its files and, of a classifier, its answers were checked.

    Raises
    ------
    InputError
        If the kind is unknown.
    ModelBundleError
        If there is no such version, or it is not what it should be.
    """
    own = Registry(settings.models_dir)
    bundle = _get(settings, _known(kind), version)
    if kind == CLASSIFIER:
        refuse_invalid(bundle)
    bundle = own.add(bundle)
    own.promote(kind, version, reason=reason)
    note_model(
        settings,
        bundle,
        action="promote-model",
        detail={"reason": reason},
        actor=actor,
        promoted=True,
    )
    return described(bundle, in_use=True)


def rollback_model(settings: Settings, kind: str, *, actor: str) -> ModelVersion:
    """Put the version before the present one back into use: at the end the one that ships.

    Raises
    ------
    InputError
        If the kind is unknown.
    ModelBundleError
        MODEL_MISSING where there was none before.
    """
    own = Registry(settings.models_dir)
    used = [entry["version"] for entry in own.history(_known(kind))]
    shipped = Registry(shipped_models()).active(kind)
    if used and len(set(used)) == 1 and shipped is not None and shipped.version not in used:
        reason = f"rollback from {used[-1]}"
        return promote_model(settings, kind, shipped.version, reason=reason, actor=actor)
    bundle = own.rollback(kind)
    note_model(
        settings,
        bundle,
        action="rollback-model",
        detail={"reason": f"from {used[-1]}"},
        actor=actor,
        promoted=True,
    )
    return described(bundle, in_use=True)


def compare_models(
    settings: Settings, kind: str, second: str, first: str | None = None
) -> ModelComparison:
    """Compare the scores of ``second`` with those of ``first``, by default the one in use.

    Raises
    ------
    InputError
        If the kind is unknown.
    ModelBundleError
        If one of them is missing or damaged.
    """
    one = _in_use(settings, _known(kind)) if first is None else _get(settings, kind, first)
    other = _get(settings, kind, second)
    before, after = _scores(one), _scores(other)
    names = list(dict.fromkeys([*before, *after]))
    classes, others = (list(bundle.card.get("classes", [])) for bundle in (one, other))
    digests = {str(bundle.card.get("data", {}).get("digest")) for bundle in (one, other)}
    return ModelComparison(
        kind=kind,
        first=one.version,
        second=other.version,
        same_data=len(digests) == 1 and digests != {"None"},
        scores=tuple(_row(name, before.get(name), after.get(name)) for name in names),
        only_first=tuple(name for name in classes if name not in others),
        only_second=tuple(name for name in others if name not in classes),
    )


def validate_classifier(
    settings: Settings, model_path: Path | None = None, *, actor: str
) -> ModelValidation:
    """Check a classifier, by default the one in use, and note in the store what was found.

    Parameters
    ----------
    settings : Settings
    model_path : Path, optional
        As of :func:`anc_core.load_classifier`.
    actor : str
        Who asks.

    Raises
    ------
    SinkError
        PERMISSION: ``model_path`` lies outside the allowed folders.
    """
    own = (settings.models_dir, shipped_models())
    check_named([model_path], settings.allowed_roots, own=own)

    def find() -> Bundle:
        if model_path is not None:
            return named_bundle(settings.models_dir, model_path)
        bundle = find_classifier(
            settings.models_dir, model=settings.ml_model_path, scaler=settings.ml_scaler_path
        )
        if bundle is None:
            msg = f"no noise classifier is in use in {settings.models_dir}; train or promote one"
            raise ModelBundleError(ErrorCode.MODEL_MISSING, msg)
        return bundle

    result = validate_bundle(find)
    failed = [check.name for check in result.checks if not check.ok]
    subject = result.model_id or str(model_path or settings.ml_model_path or CLASSIFIER)
    database = open_database(settings.resolved_database_url)
    try:
        with database.begin() as db:
            detail = {"valid": result.valid, "failed": failed}
            record_audit(db, "validate-model", subject, detail, actor)
    finally:
        database.dispose()
    return result


def _known(kind: str) -> str:
    if kind not in KINDS:
        msg = f"kind {kind!r} is unknown; choose one of {', '.join(KINDS)}"
        raise InputError(msg)
    return kind


def _registries(settings: Settings) -> dict[str, Registry]:
    return {HERE: Registry(settings.models_dir), SHIPPED: Registry(shipped_models())}


def _get(settings: Settings, kind: str, version: str) -> Bundle:
    registries = _registries(settings)
    for registry in registries.values():
        if version in registry.versions(kind):
            return registry.get(kind, version)
    known = sorted({v for registry in registries.values() for v in registry.versions(kind)})
    msg = f"there is no {kind} {version!r}; there is {', '.join(known) or 'none'}"
    raise ModelBundleError(ErrorCode.MODEL_MISSING, msg)


def _in_use(settings: Settings, kind: str) -> Bundle:
    for registry in _registries(settings).values():
        bundle = registry.active(kind)
        if bundle is not None:
            return bundle
    msg = f"no {kind} is in use; name both versions"
    raise ModelBundleError(ErrorCode.MODEL_MISSING, msg)


def _versions(settings: Settings, kind: str) -> Iterator[ModelVersion]:
    active: tuple[str, str] | None = None
    for place, registry in _registries(settings).items():
        history = registry.history(kind)
        if history and active is None:
            active = place, history[-1]["version"]
        promoted = {history[-1]["version"]} if history else set()
        for version in sorted({*registry.versions(kind), *promoted}):
            in_use = active == (place, version)
            try:
                bundle = registry.get(kind, version)
                for name in bundle.files:
                    bundle.read(name)
            except ModelBundleError as error:
                path, fault = str(registry.folder / kind / version), f"{error.code}: {error}"
                yield ModelVersion(
                    kind=kind, version=version, place=place, in_use=in_use, path=path, fault=fault
                )
            else:
                yield described(bundle, place, in_use=in_use)


def _history(settings: Settings, kind: str) -> Iterator[Promotion]:
    for place, registry in reversed(_registries(settings).items()):
        for entry in registry.history(kind):
            yield Promotion(
                kind=kind,
                version=entry["version"],
                place=place,
                at=entry["at"],
                reason=entry["reason"],
            )


def described(bundle: Bundle, place: str = HERE, *, in_use: bool) -> ModelVersion:
    """Return the record of a whole bundle."""
    return ModelVersion(
        kind=bundle.kind,
        version=bundle.version,
        place=place,
        in_use=in_use,
        model_id=bundle.model_id,
        path=str(bundle.path),
        scores=_scores(bundle),
    )


def _scores(bundle: Bundle) -> dict[str, float]:
    def numbers(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
        for name, value in values.items():
            if isinstance(value, Mapping):
                yield from numbers(value, f"{prefix}{name}.")
            elif isinstance(value, int | float) and not isinstance(value, bool):
                yield prefix + name, float(value)

    scores = bundle.card.get("scores", {})
    return dict(numbers(scores)) if isinstance(scores, Mapping) else {}


def _row(name: str, first: float | None, second: float | None) -> ScoreRow:
    difference = None if first is None or second is None else round(second - first, 6)
    return ScoreRow(name=name, first=first, second=second, difference=difference)


def refuse_invalid(bundle: Bundle) -> None:
    """Raise the first finding of a validation as :class:`ModelBundleError`."""
    result = validate_bundle(lambda: bundle)
    for check in result.checks:
        if check.error_code is not None:
            msg = f"it is not put into use: {check.name}: {check.message}"
            raise ModelBundleError(check.error_code, msg)
