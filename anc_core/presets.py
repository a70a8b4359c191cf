"""Presets as data: every number that shapes the sound, named, with its unit and its reason.

A preset is chosen by name and travels whole into the fingerprint and the sidecar, so a result can
always be traced to its numbers. ``fallback`` names the gentler preset that the quality gate tries
when the result of this one does not pass; the chain always ends at the untouched original.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from anc_core.errors import InputError
from anc_core.records import Record

_MILDEST_LIMIT_DB = 18.0
"""The least that any engine takes where a preset names no limit."""


class SuppressionParameters(Record):
    """How much noise is taken away and how carefully."""

    method: str = Field(default="auto", pattern="^(auto|spectral|neural)$")
    """``auto`` takes the best engine that is installed."""
    strength: float = Field(default=1.0, ge=0.0, le=1.0)
    """0 = the input bit for bit, 1 = the full gain; in between the gain in dB is scaled."""
    max_attenuation_db: float | None = Field(default=None, ge=0.0, le=80.0)
    """No time-frequency cell is lowered by more than this; 0 = the input bit for bit. By default
    what suits the engine: 18 dB hide the spectral one's errors, the neural one needs no floor."""
    frame_s: float = Field(default=0.04, ge=0.008, le=0.128)
    """Length of an analysis frame of the spectral engine; rounded up to a fast FFT length."""
    link_channels: bool = False
    """All channels get the same gain in each time-frequency cell, so that a stereo image stays
    where it is; channels that hear different things are better off each by itself."""
    do_no_harm: bool = True
    """Leave music, bird song and clean speech alone (see docs/harmless.md)."""
    snr_smoothing: float = Field(default=0.955, ge=0.0, lt=1.0)
    """Decision-directed smoothing of the a-priori SNR (Ephraim & Malah 1984, Eq. 51)."""
    min_a_priori_snr_db: float = Field(default=-25.0, ge=-60.0, le=0.0)
    """Floor of the a-priori SNR: lower is quieter but more musical (Cappé 1994)."""
    residual_noise_db: float = Field(default=35.0, ge=0.0, le=100.0)
    """Noise this far below the loud moments of its band is left alone by the spectral engine."""


class SuppressionOverrides(Record):
    """What a caller wants otherwise than the preset has it; empty = as the preset has it."""

    method: Literal["auto", "spectral", "neural"] | None = None
    """Engine; ``auto`` takes the best one that is installed."""
    strength: float | None = Field(default=None, ge=0.0, le=1.0)
    """0 = the input bit for bit, 1 = the full gain."""
    max_attenuation_db: float | None = Field(default=None, ge=0.0, le=80.0)
    """No time-frequency cell is lowered by more than this."""
    link_channels: bool | None = None
    """One gain for all channels: a stereo image stays where it is."""

    def applied_to(self, preset: Preset) -> Preset:
        """Return ``preset`` with these."""
        given = self.model_dump(exclude_none=True)
        return preset.model_copy(
            update={"suppression": preset.suppression.model_copy(update=given)}
        )

    def applied_to_gentler(self, preset: Preset) -> Preset:
        """Return a fallback with these, less what would make it harsher than it is."""
        own, harsher = preset.suppression, dict[str, None]()
        if self.strength is not None and self.strength > own.strength:
            harsher["strength"] = None
        limit_db = own.max_attenuation_db
        if self.max_attenuation_db is not None and self.max_attenuation_db > (
            _MILDEST_LIMIT_DB if limit_db is None else limit_db
        ):
            harsher["max_attenuation_db"] = None
        return self.model_copy(update=harsher).applied_to(preset)


class CancellationParameters(Record):
    """How noise is cancelled with a reference (mode ``cancel``)."""

    algorithm: str = "kalman"
    """Adaptive filter: kalman, nlms, apa, rls ... (docs/cancel.md)."""
    num_taps: int | None = Field(default=None, ge=1, le=65_536)
    """Length of the filter in samples; by default 0.5 s."""
    step_size: float | None = Field(default=None, gt=0.0, lt=2.0)
    """By default what suits the algorithm."""
    reference_channel: int | None = Field(default=None, ge=1, le=1024)
    """Channel, counted from 1, that is the reference: of the reference file if there is one (by
    default all of its channels), else of the recording itself, whose other channels are kept."""
    align: bool = True
    """Find and correct the delay of the reference and the drift of its clock."""
    max_delay_s: float = Field(default=1.0, gt=0.0, le=1.25)
    """Largest delay looked for, either way."""


class ProtectionParameters(Record):
    """When a stretch passes untouched because an emergency sound is heard in it."""

    enabled: bool = True
    """``False`` turns both layers off: stretches that pass, and ridges that are kept."""
    threshold: float = Field(default=0.5, ge=0.0, le=1.0)
    """Detector score from which a window is protected; lower protects more."""
    guard_s: float = Field(default=0.5, ge=0.0, le=10.0)
    """Protected on both sides of every detection."""
    ridges: Literal["off", "default", "strict"] = "default"
    """Tones and sweeps that last keep their level everywhere, recognised or not; ``strict`` keeps
    what is weaker or less clean as well, and costs more noise."""
    fade_s: float = Field(default=0.02, gt=0.0, le=1.0)
    """Raised-cosine crossfade outside the guard, so that switching does not click."""


class GateParameters(Record):
    """What a result must satisfy before it is delivered."""

    max_speech_loss_db: float = Field(default=3.0, gt=0.0)
    """SPEECH_LOSS: speech frames may not become quieter than this (target: within 1 dB)."""
    max_speech_gain_db: float = Field(default=1.5, gt=0.0)
    """SPEECH_LOSS: nor louder than this."""
    max_new_silence_s: float = Field(default=1.0, gt=0.0)
    """NEW_SILENCE: longest stretch of digital silence where the input was active."""
    max_event_attenuation_db: float = Field(default=1.0, gt=0.0)
    """SAFETY: largest loss inside a protected event."""


class Preset(Record):
    """A named set of numbers."""

    name: str
    description: str
    apply_anc: bool = True
    suppression: SuppressionParameters = Field(default_factory=SuppressionParameters)
    protection: ProtectionParameters = Field(default_factory=ProtectionParameters)
    gate: GateParameters = Field(default_factory=GateParameters)
    fallback: str | None = None


_ALL = (
    Preset(
        name="default",
        description="Speech and sound archives: clearly less noise, the voice untouched.",
        fallback="gentle",
    ),
    Preset(
        name="gentle",
        description="As little as helps: for recordings that are transcribed or judged by ear.",
        suppression=SuppressionParameters(max_attenuation_db=9.0, strength=0.8),
    ),
    Preset(
        name="strong",
        description="As quiet as possible between the words; some colouring is accepted.",
        suppression=SuppressionParameters(max_attenuation_db=60.0, min_a_priori_snr_db=-30.0),
        fallback="default",
    ),
    Preset(
        name="call-centre",
        description="Telephone and headset speech: steady residual noise, no gating between words.",
        suppression=SuppressionParameters(max_attenuation_db=15.0),
        fallback="gentle",
    ),
    Preset(
        name="field",
        description="Outdoor recordings: long frames for steady wind and engines, wide guards.",
        suppression=SuppressionParameters(max_attenuation_db=12.0, frame_s=0.064),
        protection=ProtectionParameters(guard_s=1.0),
        fallback="gentle",
    ),
    Preset(
        name="safety",
        description="Where a missed siren is worse than noise: weaker tones and sweeps stay too.",
        protection=ProtectionParameters(ridges="strict", guard_s=1.0),
        fallback="gentle",
    ),
    Preset(
        name="analyse-only",
        description="Measure and store; an output, if asked for, is the input bit for bit.",
        apply_anc=False,
    ),
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in _ALL}


def get_preset(name: str) -> Preset:
    """Return the preset ``name``.

    Raises
    ------
    InputError
        If there is none of that name; the message lists those there are.
    """
    try:
        return PRESETS[name]
    except KeyError:
        msg = f"preset {name!r} is unknown; choose one of {', '.join(PRESETS)}"
        raise InputError(msg) from None
