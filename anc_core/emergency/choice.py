"""Which head listens here: the promoted one, else the one that ships; and what if neither can.

Context: the head decides what passes untouched; without it an alarm could be suppressed unnoticed.
The weights ship with the program, so that they are missing or refused is a fault of the
installation and never a choice. Decision: a detector without a head protects everything, and the
session says why. Consequence: nobody loses an alarm to a damaged file, everybody sees at once that
no noise is removed, and the cure (reinstall) is in the message. Switching protection off in a
preset remains what it was: a choice.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from anc_core.bundles.bundle import Bundle, open_bundle
from anc_core.bundles.registry import active_bundle, shipped_models
from anc_core.emergency.figure_names import HEAD_SCHEMA
from anc_core.errors import ErrorCode, ModelBundleError

if TYPE_CHECKING:
    from anc_core.emergency.head import Head

KIND = "emergency"
MODEL_FILE = "trees.npz"
REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What the trade-off curve said.

    Attributes
    ----------
    protect, hold : float
        Log-odds, averaged over neighbouring cells, from which a stretch is protected, and while it
        goes on.
    count : float
        From which it may count as an event.
    """

    protect: float
    hold: float
    count: float


@dataclass(frozen=True, slots=True)
class HeadChoice:
    """What a detector listens with.

    Attributes
    ----------
    head : Head or None
    fault : str or None
        Why there is none.
    """

    head: Head | None = None
    fault: str | None = None


def choose_head(models: Path | None = None) -> HeadChoice:
    """Return the head in use, loaded.

    Parameters
    ----------
    models : Path, optional
        Folder of this installation's registry; that of the models that ship comes after it.
    """
    from anc_core.emergency.head import load_head  # brings kernels: only who listens pays

    try:
        return HeadChoice(load_head(_bundle_in_use(models)))
    except ModelBundleError as error:
        return HeadChoice(fault=f"{error.code}: {error}")


def head_id(models: Path | None = None) -> str:
    """Return what a session will remember of the head in use, :data:`REFUSED` where it is refused.

    Its files are checked against their digests, once a process, but it is not loaded: a plan of a
    thousand recordings asks for this.
    """
    try:
        bundle = _bundle_in_use(models)
        check_card(bundle)
        _check_file(bundle.path, bundle.digest)
    except ModelBundleError:
        return REFUSED
    return bundle.model_id


def check_card(bundle: Bundle) -> Thresholds:
    """Return the thresholds on the card of a head of this version's figures.

    Raises
    ------
    ModelBundleError
        MODEL_HASH if it is another's, or they make no sense.
    """
    schema = bundle.card.get("feature_schema")
    if schema != HEAD_SCHEMA:
        msg = (
            f"{bundle.model_id}: was trained on figures {schema!r}; this version has "
            f"{HEAD_SCHEMA!r}: train it again"
        )
        raise ModelBundleError(ErrorCode.MODEL_HASH, msg)
    try:
        card = bundle.card["thresholds"]
        said = [float(card[name]) for name in ("protect", "hold", "count")]
    except (KeyError, TypeError, ValueError):
        said = [math.nan] * 3
    protect, hold, count = said
    if not (all(map(math.isfinite, said)) and hold <= protect):
        msg = f"{bundle.model_id}: its card gives no thresholds that make sense; train it again"
        raise ModelBundleError(ErrorCode.MODEL_HASH, msg)
    return Thresholds(protect=protect, hold=hold, count=count)


def _bundle_in_use(models: Path | None) -> Bundle:
    folders = [shipped_models()] if models is None else [models, shipped_models()]
    return active_bundle(KIND, folders)


@functools.lru_cache(maxsize=4)
def _check_file(path: Path, digest: str) -> None:
    open_bundle(path, kind=KIND, digest=digest).read(MODEL_FILE)
