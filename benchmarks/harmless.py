"""What a suppressor does to what it should leave alone, by kind of sound.

    python -m benchmarks.harmless DATA_DIR [--method auto] [--limit 30] [--clean-speech]

DATA_DIR holds folders of recordings; each folder is one kind. Prints a row a kind: recordings, mean
strength, share of them below 0.9, change of level by the engine alone and with the do-no-harm
detector around it, recordings that lose more than 1 dB with it.

With ``--clean-speech`` the folders hold speech without noise, and the row goes on with PESQ of the
output against the input (mean, least, recordings below 4.2) and the number of recordings whose
level changes by more than 0.5 dB. PESQ needs the extra ``compare``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile as sf

from anc_core.metrics.quality import FigureUnavailableError, pesq_mos
from anc_core.presets import SuppressionParameters
from anc_core.processors import Suppressor, aligned

SUFFIXES = {".wav", ".flac", ".ogg", ".mp3"}
SILENCE = 1e-4
"""-80 dBFS: clips that were padded to one length are cut to what they hold."""
LOSS_DB = 1.0
LEAST_PESQ = 4.2
MOST_CHANGE_DB = 0.5


def main() -> None:
    """Measure every folder that holds recordings."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--method", default="auto", help="engine: auto, neural or spectral")
    parser.add_argument("--limit", type=int, default=30, help="recordings of each kind")
    parser.add_argument("--clean-speech", action="store_true", help="judge by PESQ as well")
    arguments = parser.parse_args()
    header = f"{'kind':40s} {'n':>3s} {'strength':>8s} {'< 0.9':>6s} {'engine':>8s} {'mix':>8s}"
    print(header, " > 1 dB", " PESQ least < 4.2 > 0.5 dB" * arguments.clean_speech)
    for folder in sorted({path.parent for path in arguments.data.rglob("*") if is_audio(path)}):
        paths = sorted(path for path in folder.iterdir() if is_audio(path))[: arguments.limit]
        rows = np.array([measured(path, arguments) for path in paths])
        name = str(folder.relative_to(arguments.data))
        print(f"{name:40.40s} {len(rows):3d}", *columns(rows, clean_speech=arguments.clean_speech))


def is_audio(path: Path) -> bool:
    """Return whether the name of ``path`` is that of a recording."""
    return path.suffix.lower() in SUFFIXES


def measured(path: Path, arguments: argparse.Namespace) -> tuple[float, float, float, float]:
    """Return mean strength, change of level by the engine and by the mix in dB, and PESQ."""
    audio, sample_rate = sf.read(path, dtype="float32", always_2d=True)
    heard = np.flatnonzero(np.abs(audio).max(axis=1) > SILENCE)
    if len(heard):
        audio = audio[heard[0] : heard[-1] + 1]
    outputs, strength = [], 1.0
    for do_no_harm in (False, True):
        parameters = SuppressionParameters(method=arguments.method, do_no_harm=do_no_harm)
        suppressor = Suppressor(sample_rate, audio.shape[1], parameters=parameters)
        outputs.append(np.concatenate([audio[:0], *aligned([audio], suppressor)]))
        strength = suppressor.content.mean_strength if suppressor.content else strength
    score = np.nan
    if arguments.clean_speech:
        try:
            score = pesq_mos(outputs[1][:, 0], audio[:, 0], sample_rate)
        except FigureUnavailableError as error:
            print(f"{path.name}: {error}")
    return strength, change_db(outputs[0], audio), change_db(outputs[1], audio), score


def change_db(output: np.ndarray, audio: np.ndarray) -> float:
    """Return the level of ``output`` over that of ``audio`` in dB."""
    powers = [np.mean(np.square(x, dtype=np.float64)) + 1e-20 for x in (output, audio)]
    return float(10.0 * np.log10(powers[0] / powers[1]))


def columns(rows: np.ndarray, *, clean_speech: bool) -> Iterator[str]:
    """Yield the columns of a kind whose recordings are the ``rows``."""
    strength, engine_db, mix_db, scores = rows.T
    yield f"{strength.mean():8.3f} {np.mean(strength < 0.9):6.2f}"
    yield f"{engine_db.mean():5.1f} dB {mix_db.mean():5.1f} dB {np.sum(mix_db < -LOSS_DB):7d}"
    known = scores[np.isfinite(scores)]
    if clean_speech and len(known):
        yield f"{known.mean():6.2f} {known.min():5.2f} {np.sum(known < LEAST_PESQ):5d}"
        yield f"{np.sum(np.abs(mix_db) > MOST_CHANGE_DB):8d}"


if __name__ == "__main__":
    main()
