"""Which head listens here: the promoted one, else the one that ships; and what if neither can.

Context: the head decides what passes untouched; without it an alarm could be suppressed unnoticed.
The weights ship with the program, so that they are missing or refused is a fault of the
installation and never a choice. Decision: a detector without a head protects everything, and the
session says why. Consequence: nobody loses an alarm to a damaged file, everybody sees at once that
no noise is removed, and the cure (reinstall) is in the message. Switching protection off in a
preset remains what it was: a choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from anc_core.bundles.registry import active_bundle, shipped_models
from anc_core.emergency.head import KIND, Head, load_head
from anc_core.errors import ModelBundleError


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
    """Return the head in use.

    Parameters
    ----------
    models : Path, optional
        Folder of this installation's registry; that of the models that ship comes after it.
    """
    folders = [shipped_models()] if models is None else [models, shipped_models()]
    try:
        return HeadChoice(load_head(active_bundle(KIND, folders)))
    except ModelBundleError as error:
        return HeadChoice(fault=f"{error.code}: {error}")
