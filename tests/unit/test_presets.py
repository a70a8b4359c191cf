from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from anc_core.errors import InputError
from anc_core.presets import (
    PRESETS,
    Preset,
    ProtectionParameters,
    SuppressionOverrides,
    SuppressionParameters,
    get_preset,
)
from anc_core.processors import neural, spectral


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_found_by_its_name(name: str) -> None:
    assert get_preset(name).name == name


@pytest.mark.parametrize("name", ["", "Default", "../default", "default\n"])
def test_unknown_preset_is_refused_with_all_that_there_are(name: str) -> None:
    with pytest.raises(InputError) as caught:
        get_preset(name)
    assert all(known in str(caught.value) for known in (repr(name), *PRESETS))


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda p: p.name)
def test_fallbacks_become_gentler_and_end(preset: Preset) -> None:
    seen = [preset]
    while (fallback := seen[-1].fallback) is not None:
        assert fallback in PRESETS
        assert fallback not in [p.name for p in seen]
        seen.append(PRESETS[fallback])
    # Where a preset names no limit, the neural engine has 40 dB and the spectral one 18 dB.
    limits = [p.suppression.max_attenuation_db or 40.0 for p in seen]
    depths = [limit * p.suppression.strength for limit, p in zip(limits, seen, strict=True)]
    assert depths == sorted(depths, reverse=True)


def test_overrides_change_what_they_name_and_nothing_else() -> None:
    changed = SuppressionOverrides(strength=0.5, link_channels=True).applied_to(PRESETS["field"])
    expected = PRESETS["field"].suppression.model_dump() | {"strength": 0.5, "link_channels": True}
    assert changed.suppression.model_dump() == expected
    assert changed.model_copy(update={"suppression": None}) == PRESETS["field"].model_copy(
        update={"suppression": None}
    )
    assert SuppressionOverrides().applied_to(PRESETS["field"]) == PRESETS["field"]


def test_a_fallback_stays_gentle_whatever_was_wanted() -> None:
    harsh = SuppressionOverrides(strength=1.0, max_attenuation_db=60.0, method="spectral")
    fallback = harsh.applied_to_gentler(PRESETS["gentle"]).suppression
    own = PRESETS["gentle"].suppression
    assert (fallback.strength, fallback.max_attenuation_db) == (
        own.strength,
        own.max_attenuation_db,
    )
    assert fallback.method == "spectral"
    mild = SuppressionOverrides(strength=0.1, max_attenuation_db=3.0)
    fallback = mild.applied_to_gentler(PRESETS["gentle"]).suppression
    assert (fallback.strength, fallback.max_attenuation_db) == (0.1, 3.0)
    # A preset that leaves the limit to the engine takes only what no engine would exceed.
    assert harsh.applied_to_gentler(PRESETS["default"]).suppression.max_attenuation_db is None
    assert mild.applied_to_gentler(PRESETS["default"]).suppression.max_attenuation_db == 3.0
    assert min(spectral.DEFAULT_MAX_ATTENUATION_DB, neural.DEFAULT_MAX_ATTENUATION_DB) == 18.0


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda p: p.name)
def test_preset_travels_through_json(preset: Preset) -> None:
    assert Preset.model_validate(json.loads(preset.model_dump_json())) == preset


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda p: p.name)
def test_every_preset_protects_emergency_sounds(preset: Preset) -> None:
    assert preset.protection.enabled
    assert preset.gate.max_event_attenuation_db == 1.0  # spec: safety_violation above 1 dB


def test_analyse_only_applies_nothing() -> None:
    assert not PRESETS["analyse-only"].apply_anc
    assert all(p.apply_anc for p in PRESETS.values() if p.name != "analyse-only")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("strength", -0.1),
        ("strength", 1.1),
        ("strength", float("nan")),
        ("max_attenuation_db", -1),
        ("max_attenuation_db", 81),
        ("frame_s", 0),
        ("snr_smoothing", 1.0),
        ("min_a_priori_snr_db", 1),
        ("residual_noise_db", -1),
        ("method", "magic"),
        ("strenght", 1),
    ],
)
def test_number_outside_its_range_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        SuppressionParameters(**{field: value})


def test_negative_guard_is_refused() -> None:
    with pytest.raises(ValidationError, match="guard_s"):
        ProtectionParameters(guard_s=-1)
