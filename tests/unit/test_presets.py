from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from anc_core.errors import InputError
from anc_core.presets import (
    PRESETS,
    Preset,
    ProtectionParameters,
    SuppressionParameters,
    get_preset,
)


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
