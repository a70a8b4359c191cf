"""Speech sounds and how they follow each other: the score that the voice plays.

The words mean nothing; their sounds, rhythm and melody are those of running speech.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Formants = tuple[float, float, float]
Band = tuple[float, float, float]
"""(centre in Hz, dB an octave below it, dB an octave above it) of a hiss."""

SILENT_DB = -120.0
_NO_BAND: Band = (4_000.0, 6.0, 6.0)
_NEUTRAL: Formants = (500.0, 1_500.0, 2_500.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch in which the organs of speech head for one target (or move from one to another)."""

    duration_s: float
    formants_hz: Formants = _NEUTRAL
    end_formants_hz: Formants | None = None
    voicing_db: float = SILENT_DB
    """Level of the vocal folds; a stressed vowel is 0."""
    swell: float = 0.0
    """Share of the amplitude that rises and falls within the segment: syllables swell, 0 to 1."""
    tilt_hz: float = 5_000.0
    """Above it the source falls by 12 instead of 6 dB an octave: low = soft or muffled."""
    aspiration_db: float = SILENT_DB
    """Level of breath through the vocal tract."""
    frication_db: float = SILENT_DB
    """Level of the hiss at the constriction."""
    band: Band = _NO_BAND


# Male formants after Peterson & Barney (1952), Table II.
_VOWELS: tuple[tuple[Formants, Formants | None], ...] = (
    ((270.0, 2_290.0, 3_010.0), None),
    ((390.0, 1_990.0, 2_550.0), None),
    ((530.0, 1_840.0, 2_480.0), None),
    ((660.0, 1_720.0, 2_410.0), None),
    ((730.0, 1_090.0, 2_440.0), None),
    ((570.0, 840.0, 2_410.0), None),
    ((440.0, 1_020.0, 2_240.0), None),
    ((300.0, 870.0, 2_240.0), None),
    ((640.0, 1_190.0, 2_390.0), None),
    ((490.0, 1_350.0, 1_690.0), None),
    ((730.0, 1_150.0, 2_440.0), (400.0, 1_950.0, 2_550.0)),
    ((530.0, 1_800.0, 2_480.0), (320.0, 2_200.0, 2_800.0)),
    ((570.0, 950.0, 2_410.0), (380.0, 850.0, 2_300.0)),
    ((720.0, 1_250.0, 2_440.0), (430.0, 950.0, 2_300.0)),
)
_SCHWA: Formants = (500.0, 1_450.0, 2_450.0)

_LABIAL: Formants = (250.0, 850.0, 2_200.0)
_ALVEOLAR: Formants = (250.0, 1_750.0, 2_600.0)
_VELAR: Formants = (250.0, 1_900.0, 2_200.0)

_S: Band = (6_200.0, 16.0, 8.0)
_SH: Band = (3_200.0, 16.0, 9.0)
_F: Band = (5_500.0, 3.0, 4.0)
_BURST_P: Band = (900.0, 3.0, 6.0)
_BURST_T: Band = (4_300.0, 8.0, 6.0)
_BURST_K: Band = (2_000.0, 9.0, 7.0)


def _fricative(place: Formants, band: Band, level_db: float, *, voicing_db: float) -> Segment:
    voiced = voicing_db > SILENT_DB
    return Segment(
        duration_s=0.075 if voiced else 0.11,
        formants_hz=place,
        voicing_db=voicing_db,
        tilt_hz=500.0,
        frication_db=level_db,
        band=band,
    )


def _voiced(
    formants_hz: Formants, *, duration_s: float, voicing_db: float, tilt_hz: float
) -> Segment:
    return Segment(
        duration_s=duration_s, formants_hz=formants_hz, voicing_db=voicing_db, tilt_hz=tilt_hz
    )


def _voiceless_stop(place: Formants, burst: Band, level_db: float) -> tuple[Segment, ...]:
    return (
        Segment(duration_s=0.065, formants_hz=place),
        Segment(duration_s=0.012, formants_hz=place, frication_db=level_db, band=burst),
        Segment(
            duration_s=0.035,
            formants_hz=place,
            aspiration_db=-17.0,
            frication_db=level_db - 14.0,
            band=burst,
        ),
    )


def _voiced_stop(place: Formants, burst: Band, level_db: float) -> tuple[Segment, ...]:
    return (
        _voiced(place, duration_s=0.05, voicing_db=-13.0, tilt_hz=200.0),
        Segment(
            duration_s=0.01,
            formants_hz=place,
            voicing_db=-9.0,
            tilt_hz=1_000.0,
            frication_db=level_db - 4.0,
            band=burst,
        ),
    )


_NASALS = (
    (_voiced((270.0, 1_050.0, 2_200.0), duration_s=0.07, voicing_db=-4.0, tilt_hz=500.0),),
    (_voiced((270.0, 1_500.0, 2_500.0), duration_s=0.065, voicing_db=-4.0, tilt_hz=500.0),),
)
_GLIDES = (
    (_voiced((360.0, 1_100.0, 2_700.0), duration_s=0.06, voicing_db=-3.0, tilt_hz=1_400.0),),
    (_voiced((350.0, 1_150.0, 1_500.0), duration_s=0.06, voicing_db=-3.0, tilt_hz=1_400.0),),
    (_voiced((290.0, 700.0, 2_200.0), duration_s=0.06, voicing_db=-3.0, tilt_hz=1_200.0),),
    (_voiced((280.0, 2_200.0, 3_000.0), duration_s=0.055, voicing_db=-3.0, tilt_hz=1_400.0),),
)
_FRICATIVES = (
    (_fricative(_ALVEOLAR, _S, -9.0, voicing_db=SILENT_DB),),
    (_fricative((250.0, 1_850.0, 2_500.0), _SH, -9.0, voicing_db=SILENT_DB),),
    (_fricative(_LABIAL, _F, -19.0, voicing_db=SILENT_DB),),
    (_fricative(_ALVEOLAR, _S, -15.0, voicing_db=-8.0),),
    (_fricative(_LABIAL, _F, -24.0, voicing_db=-7.0),),
    (_fricative((250.0, 1_400.0, 2_500.0), _F, -24.0, voicing_db=-7.0),),
    (Segment(duration_s=0.06, aspiration_db=-22.0, formants_hz=_SCHWA),),
)
_STOPS = (
    _voiceless_stop(_LABIAL, _BURST_P, -13.0),
    _voiceless_stop(_ALVEOLAR, _BURST_T, -8.0),
    _voiceless_stop(_VELAR, _BURST_K, -10.0),
    _voiced_stop(_LABIAL, _BURST_P, -13.0),
    _voiced_stop(_ALVEOLAR, _BURST_T, -11.0),
    _voiced_stop(_VELAR, _BURST_K, -12.0),
)
_CLASSES: tuple[tuple[tuple[Segment, ...], ...], ...] = (_STOPS, _FRICATIVES, _NASALS, _GLIDES, ())
# About how often English syllables begin and end so; the last class is "no consonant".
_ONSET_SHARES = (0.34, 0.31, 0.12, 0.17, 0.06)
_CODA_SHARES = (0.16, 0.22, 0.16, 0.06, 0.40)

_BREATH = Segment(
    duration_s=0.22, aspiration_db=-40.0, frication_db=-48.0, band=(1_800.0, 4.0, 7.0), swell=0.95
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accent:
    """A rise of the pitch on a stressed syllable, or its slow fall over a phrase."""

    start_s: float
    end_s: float
    semitones: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What is to be said: segments one after the other, and the melody over them."""

    segments: tuple[Segment, ...]
    phrases: tuple[tuple[float, float], ...]
    """(start_s, end_s) of every phrase; pauses lie between them."""
    accents: tuple[Accent, ...]


def plan_speech(duration_s: float, rng: np.random.Generator) -> Score:
    """Return a score that lasts at least ``duration_s``: phrases of 3 to 9 syllables and pauses.

    Notes
    -----
    3.8 to 5.0 syllables a second while speaking, pauses of 0.3 to 0.8 s, the last syllable of a
    phrase one third longer (final lengthening).
    """
    segments: list[Segment] = [_pause(rng.uniform(0.02, 0.05) * min(duration_s, 2.0))]
    phrases: list[tuple[float, float]] = []
    accents: list[Accent] = []
    syllables_per_s = rng.uniform(3.8, 5.0)
    now_s = segments[0].duration_s
    while now_s < duration_s:
        start_s = now_s
        count = int(rng.integers(3, 10))
        stressed = bool(rng.random() < 0.6)
        for index in range(count):
            syllable = _syllable(
                rng,
                syllables_per_s,
                stressed=stressed,
                last=index == count - 1,
                level_db=-2.5 * index / count,
            )
            length_s = sum(segment.duration_s for segment in syllable)
            if stressed:
                height = rng.uniform(2.0, 6.0) * (1.0 - 0.4 * index / count)
                accents.append(
                    Accent(start_s=now_s, end_s=now_s + 1.25 * length_s, semitones=height)
                )
            segments.extend(syllable)
            now_s += length_s
            stressed = not stressed if rng.random() < 0.8 else stressed
        phrases.append((start_s, now_s))
        rest_s = rng.uniform(0.3, 0.8)
        segments.extend(_rest(rest_s, rng))
        now_s += rest_s
    return Score(segments=tuple(segments), phrases=tuple(phrases), accents=tuple(accents))


def _pause(duration_s: float) -> Segment:
    return Segment(duration_s=duration_s)


def _rest(duration_s: float, rng: np.random.Generator) -> list[Segment]:
    """Return a pause; in the longer ones the talker takes breath."""
    if duration_s < 0.5 or rng.random() < 0.3:
        return [_pause(duration_s)]
    before_s = 0.6 * (duration_s - _BREATH.duration_s)
    return [_pause(before_s), _BREATH, _pause(duration_s - before_s - _BREATH.duration_s)]


def _syllable(
    rng: np.random.Generator,
    syllables_per_s: float,
    *,
    stressed: bool,
    last: bool,
    level_db: float,
) -> list[Segment]:
    onset = _consonant(rng, _ONSET_SHARES)
    coda = _consonant(rng, _CODA_SHARES)
    wanted_s = rng.uniform(0.65, 1.35) / syllables_per_s
    wanted_s *= (1.15 if stressed else 0.82) * (1.35 if last else 1.0)
    spent_s = sum(segment.duration_s for segment in (*onset, *coda))
    vowel = _vowel(rng, stressed=stressed)
    vowel = replace(vowel, duration_s=max(0.06, wanted_s - spent_s))
    loudness = level_db + rng.uniform(-1.0, 1.0)
    return [_louder(segment, loudness) for segment in (*onset, vowel, *coda)]


def _consonant(rng: np.random.Generator, shares: tuple[float, ...]) -> tuple[Segment, ...]:
    members = _CLASSES[int(rng.choice(len(shares), p=shares))]
    return members[int(rng.integers(len(members)))] if members else ()


def _vowel(rng: np.random.Generator, *, stressed: bool) -> Segment:
    start, end = _VOWELS[int(rng.integers(len(_VOWELS)))]
    if stressed:
        return Segment(
            duration_s=0.0,
            formants_hz=start,
            end_formants_hz=end,
            voicing_db=1.5,
            swell=0.7,
            aspiration_db=-34.0,
        )
    # Unstressed vowels are shorter, softer and drawn towards the middle of the mouth.
    centred = tuple(0.5 * vowel + 0.5 * schwa for vowel, schwa in zip(start, _SCHWA, strict=True))
    return Segment(
        duration_s=0.0,
        formants_hz=(centred[0], centred[1], centred[2]),
        voicing_db=-0.5,
        swell=0.7,
        tilt_hz=3_500.0,
        aspiration_db=-36.0,
    )


def _louder(segment: Segment, gain_db: float) -> Segment:
    return replace(
        segment,
        voicing_db=segment.voicing_db + gain_db,
        aspiration_db=segment.aspiration_db + gain_db,
        frication_db=segment.frication_db + gain_db,
    )
