"""The folder of categories that the classifier which ships was trained on: a recipe, not the data.

Context: what ships may be given away, so nothing under a non-commercial or share-alike licence may
be in it, and a first run should name what people record. Decision: recordings of a manifest whose
licence is free, speech of four fifths of the speakers, and sounds that are computed. A computed
sound is a category where it is the real thing by its physics (hiss, mains hum). A fan and an engine
as they are computed are no likeness of an air conditioner or a car, which then are taken for a
helicopter; all three make one category that both are found in. Consequence: the categories are
few, one of them is called ``machine`` and no better, and all else is unknown.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anc_core.audio import open_reader
from anc_core.audio.synth import noise, room_response
from anc_core.classifier_training.recordings import LICENCES_FILE
from anc_core.errors import InputError
from anc_core.files import link_or_copy, printable, write_text_atomic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

MANIFEST_FILE = "manifest.csv"
SPEECH, BABBLE = "speech", "babble"

_RATE = 16_000
_CLIP_S = 5.0
_NUM_CLIPS = 40
"""Of each category that is computed: as many as ESC-10 has."""
_COMPUTED = {"hum": "hum", "white": "hiss", "pink": "hiss", "fan": "machine", "engine": "machine"}
"""What :func:`anc_core.audio.synth.noise` calls it -> category."""
_RENAMED = {"helicopter": "machine"}
"""Of ESC-10: at work all that turns low and steadily is taken for a helicopter, an air conditioner
as well; a name that holds for both is the better one."""
_NUM_TALKERS = (5, 12)
_NUM_BLOCKS = 5
"""Of speakers: those of one babble are not in the babble of another block."""

_SPEECH_SOURCES = ("librispeech", "librivox", "vctk", "asterisk_it", "asterisk_ru")
_SPEAKERS_LEFT_OUT = 5
"""Every fifth speaker of LibriSpeech is not heard in the training, to test with."""
_ALSO_IN_URBANSOUND8K = frozenset(
    ["114587", "116400", "163459", "170015", "180256", "199261", "203128", "30344", "59513"]
)
"""Freesound numbers of recordings that ESC-10 shares with the collection it is tested on."""


@dataclass(frozen=True, slots=True)
class _Row:
    path: str
    category: str
    licence: str
    speaker: str


def is_free(licence: str) -> bool:
    """Return whether what has this licence may be trained on and given away with credits.

    Examples
    --------
    >>> [is_free(text) for text in ("CC-BY 4.0", "CC BY-NC 3.0", "CC-BY-SA 3.0", "GPL-2+")]
    [True, False, False, False]
    """
    words = licence.replace("CC BY", "CC-BY").lower()
    if any(bad in words for bad in ("-nc", "-sa", "-nd")):
        return False
    return words.startswith(("cc-by 3.0", "cc-by 4.0", "cc0", "public domain"))


def prepare(data: Path, folder: Path, *, seed: int = 1) -> None:
    """Fill ``folder`` with one folder of clips for each category, and ``licences.csv``.

    Parameters
    ----------
    data : Path
        Recordings with their ``manifest.csv``: columns path, kind, category, licence,
        speaker_or_fold. Recordings are linked, or copied where links are impossible.
    folder : Path
        Made if absent. The name of a clip begins with what must not be divided: the fold of
        ESC-10, the speaker, the number of a computed clip.
    seed : int
        Of what is computed.

    Raises
    ------
    InputError
        If the manifest is missing, lacks a column, or has no speech.
    """
    rows = _rows(data / MANIFEST_FILE)
    licences = {}
    for row, name in _chosen(rows):
        link_or_copy(data / row.path, folder / name)
        licences[name] = row.licence
    speakers = _speakers(rows)
    if len(speakers) < _NUM_BLOCKS * _NUM_TALKERS[1]:
        msg = f"{printable(data)}: {len(speakers)} speakers are too few to make a babble of"
        raise InputError(msg)
    for name, samples, licence in _computed(data, speakers, np.random.default_rng(seed)):
        _write(folder / name, samples)
        licences[name] = licence
    lines = [f'{name},"{licence}"\n' for name, licence in sorted(licences.items())]
    write_text_atomic(folder / LICENCES_FILE, "path,licence\n" + "".join(lines))


def _rows(manifest: Path) -> list[_Row]:
    if not manifest.is_file():
        msg = f"{printable(manifest)}: is missing; it says which recording is what, and its licence"
        raise InputError(msg)
    with manifest.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = {"path", "kind", "category", "licence", "speaker_or_fold"} - set(
            reader.fieldnames or ()
        )
        if missing:
            msg = f"{printable(manifest)}: column {min(missing)!r} is missing"
            raise InputError(msg)
        return [
            _Row(row["path"], row["category"], row["licence"], row["speaker_or_fold"])
            for row in reader
            if row["kind"] in {"esc10", "clean_speech"} and is_free(row["licence"])
        ]


def _chosen(rows: list[_Row]) -> Iterator[tuple[_Row, str]]:
    """Yield what is trained on as it is, and its name in the folder."""
    left_out = _left_out_speakers(rows)
    for row in rows:
        name = Path(row.path).name
        if row.category.startswith(_SPEECH_SOURCES):
            if row.speaker not in left_out:
                speaker = "".join(filter(str.isalnum, row.speaker)) or Path(row.path).stem
                yield row, f"{SPEECH}/{speaker}-{name}"
        elif row.path.startswith("esc10/") and not _ALSO_IN_URBANSOUND8K & set(name.split("-")):
            yield row, f"{_RENAMED.get(row.category, row.category)}/{name}"


def _left_out_speakers(rows: list[_Row]) -> set[str]:
    speakers = sorted({row.speaker for row in rows if row.category.startswith("librispeech")})
    return set(speakers[::_SPEAKERS_LEFT_OUT])


def _speakers(rows: list[_Row]) -> list[_Row]:
    """Return a recording of each speaker of LibriSpeech that is trained on."""
    left_out = _left_out_speakers(rows)
    one = {row.speaker: row for row in rows if row.category.startswith("librispeech")}
    return [one[speaker] for speaker in sorted(one) if speaker not in left_out]


def _computed(
    data: Path, speakers: list[_Row], rng: np.random.Generator
) -> Iterator[tuple[str, Samples, str]]:
    for kind, category in _COMPUTED.items():
        for number in range(_NUM_CLIPS):
            mains_hz = float(rng.choice([50.0, 60.0])) if kind == "hum" else None
            samples = noise(kind, _CLIP_S, _RATE, seed=rng, level_dbfs=-26.0, mains_hz=mains_hz)
            yield f"{category}/computed{number}-{kind}.wav", samples, "computed"
    for number in range(_NUM_CLIPS):
        block = number % _NUM_BLOCKS
        talkers = speakers[block::_NUM_BLOCKS]
        chosen = rng.choice(len(talkers), int(rng.integers(*_NUM_TALKERS)), replace=False)
        samples = _babble([data / talkers[k].path for k in chosen], rng)
        yield f"{BABBLE}/block{block}-{number}.wav", samples, talkers[0].licence


def _babble(paths: list[Path], rng: np.random.Generator) -> Samples:
    """Return people talking at once, near and far in one room."""
    num_samples = round(_CLIP_S * _RATE)
    total = np.zeros(num_samples)
    for path in paths:
        with open_reader(path) as reader:
            voice = np.concatenate(list(reader.chunks(reader.sample_rate)))[:, 0]
        voice = np.resize(np.roll(voice, int(rng.integers(len(voice)))), num_samples)
        level = 10.0 ** (rng.uniform(-8.0, 0.0) / 20.0)
        total += level * voice / max(float(np.sqrt(np.mean(voice**2))), 1e-6)
    response = room_response(_RATE, seed=rng, rt60_s=rng.uniform(0.3, 0.9), distance_m=2.0)
    heard = np.fft.irfft(
        np.fft.rfft(total, 2 * num_samples) * np.fft.rfft(response, 2 * num_samples)
    )[:num_samples]
    scaled: Samples = (0.05 * heard / np.sqrt(np.mean(heard**2))).astype(np.float32)
    return scaled


def _write(path: Path, samples: Samples) -> None:
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, _RATE, subtype="PCM_16")
