"""The words of labels are those of the program."""

from __future__ import annotations

from anc_core.classifier.model import KIND as CLASSIFIER
from anc_core.denoiser.inference import KIND as SUPPRESSOR
from anc_core.emergency import events
from anc_core.emergency.choice import KIND as EMERGENCY
from anc_core.monitoring.families import FAMILIES
from anc_core.monitoring.readings import EMERGENCY_TYPES, MODEL_KINDS


def test_the_emergency_types_are_the_detectors() -> None:
    assert set(EMERGENCY_TYPES) == set(events._RANK)


def test_the_models_are_those_that_are_in_use() -> None:
    assert set(MODEL_KINDS) == {CLASSIFIER, SUPPRESSOR, EMERGENCY}


def test_names_follow_the_conventions() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES) > 30
    for family in FAMILIES:
        assert family.name.startswith("anc_")
        assert family.name.endswith("_total") is (family.kind == "counter"), family.name
        assert family.help.endswith(".")
        assert not {"job", "instance", "session_id", "path"} & set(family.labels)
