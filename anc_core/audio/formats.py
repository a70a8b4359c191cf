"""Which container and sample format an output gets: the source's own wherever that is faithful.

Measured with libsndfile 1.2.2 (tests/unit/audio/test_round_trips.py holds it to it): the pairs of
container and subtype below keep length and, the lossy ones apart, every bit. GSM and the ADPCMs pad
to whole blocks, DWVW fails, ALAC of more than 16 bits breaks on noise: these become PCM.
"""

from __future__ import annotations

from dataclasses import dataclass

from anc_core.errors import WarningCode
from anc_core.records import Remark


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFormat:
    """Container and sample format, in libsndfile's words; beyond it, FFmpeg's in capitals."""

    container: str
    """``WAV``, ``WAVEX``, ``RF64``, ``W64``, ``FLAC``, ``OGG``, ``MP3``, ``AIFF``, ``CAF`` ..."""
    subtype: str
    """``PCM_S8``, ``PCM_U8``, ``PCM_16`` ... ``FLOAT``, ``ULAW``, ``VORBIS``, ``AAC`` ..."""
    endian: str = "FILE"
    """``FILE`` = as the container has it by default; ``LITTLE`` or ``BIG``."""


_WAVE = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")
_SIGNED = ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")

WRITABLE: dict[str, tuple[str, ...]] = {
    "WAV": _WAVE,
    "WAVEX": _WAVE,
    "RF64": _WAVE,
    "W64": _WAVE,
    # 8-bit mono of odd length: libsndfile counts the pad byte as a sample, so 16 bits and more.
    "AIFF": ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"),
    "AU": _SIGNED,
    "CAF": (*_SIGNED, "ALAC_16"),
    "FLAC": ("PCM_S8", "PCM_16", "PCM_24"),
    "NIST": ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "ULAW", "ALAW"),
    "OGG": ("VORBIS", "OPUS"),
    "MP3": ("MPEG_LAYER_III",),
}
"""Containers that are written, each with the subtypes that keep the length."""

# Best first: what holds the samples of a subtype where the subtype itself does not exist.
_SUBSTITUTES: dict[str, tuple[str, ...]] = {
    "PCM_S8": ("PCM_U8", "PCM_16"),
    "PCM_U8": ("PCM_S8", "PCM_16"),
    "PCM_24": ("PCM_32",),
    "PCM_32": ("PCM_24",),
    "FLOAT": ("PCM_24",),
    "DOUBLE": ("FLOAT", "PCM_24"),
    "ALAC_20": ("PCM_24",),
    "ALAC_32": ("PCM_32", "PCM_24"),
}
# Laws, ADPCMs and the lossy codecs carry no more than 16 bits of meaning.
_LAST_RESORT = ("PCM_16", "VORBIS", "MPEG_LAYER_III")

# The first suffix of a container is the one given to an output that needs another.
_SUFFIXES: dict[str, tuple[str, ...]] = {
    "WAV": (".wav", ".wave", ".bwf"),
    "WAVEX": (".wav", ".wave", ".bwf"),
    "RF64": (".wav", ".wave", ".bwf", ".rf64"),
    "W64": (".w64",),
    "AIFF": (".aiff", ".aif", ".aifc"),
    "AU": (".au", ".snd"),
    "CAF": (".caf",),
    "FLAC": (".flac",),
    "NIST": (".sph", ".nist"),
    "OGG": (".ogg", ".oga", ".opus"),
    "MP3": (".mp3", ".mp2", ".mpga"),
}
_CONTAINER_OF_SUFFIX = {
    suffix: container
    for container in reversed(WRITABLE)  # so that .wav means WAV
    for suffix in _SUFFIXES[container]
}
# Read by one library or the other, never written: a file under such a name would be a lie.
_READ_ONLY_SUFFIXES = {
    ".m4a": "MP4",
    ".m4b": "MP4",
    ".mp4": "MP4",
    ".mov": "MP4",
    ".3gp": "MP4",
    ".alac": "MP4",
    ".aac": "AAC",
    ".amr": "AMR",
    ".wma": "ASF",
    ".asf": "ASF",
    ".webm": "MATROSKA",
    ".mka": "MATROSKA",
    ".mkv": "MATROSKA",
    ".avi": "AVI",
    ".ape": "APE",
    ".wv": "WV",
    ".mpc": "MPC",
    ".tta": "TTA",
    ".dsf": "DSF",
    ".voc": "VOC",
    ".ircam": "IRCAM",
    ".sf": "IRCAM",
    ".paf": "PAF",
    ".svx": "SVX",
    ".8svx": "SVX",
    ".iff": "SVX",
    ".avr": "AVR",
    ".pvf": "PVF",
    ".xi": "XI",
    ".htk": "HTK",
    ".sds": "SDS",
    ".sd2": "SD2",
    ".mat": "MAT5",
    ".wve": "WVE",
}
_WAVE_FAMILY = {"WAV", "WAVEX", "RF64"}
# Same meaning, other sign convention: an 8-bit sample is the same sample.
_SAME_SAMPLES = {"PCM_S8", "PCM_U8"}


def output_format(
    source: AudioFormat, sink_suffix: str | None
) -> tuple[AudioFormat, Remark | None]:
    """Return the format of the output of a recording, and a remark if it is not the source's.

    Parameters
    ----------
    source : AudioFormat
        Of the recording.
    sink_suffix : str or None
        Of the output's name, such as ``".wav"``; one that names no known container, or ``None``,
        asks for the source's container.

    Returns
    -------
    format : AudioFormat
        The source's; or the container that ``sink_suffix`` names with the nearest subtype that
        loses least; FLAC or WAV where the container cannot be written.
    remark : Remark or None
        CODEC_MISMATCH, saying what became of what.
    """
    container = _target_container(source, sink_suffix)
    subtype = _target_subtype(source, container, sink_suffix)
    endian = source.endian if container == source.container else "FILE"
    target = AudioFormat(container=container, subtype=subtype, endian=endian)
    if target == source:
        return source, None
    same_samples = subtype == source.subtype or {subtype, source.subtype} <= _SAME_SAMPLES
    if same_samples and {container, source.container} <= _WAVE_FAMILY:
        return target, None
    message = (
        f"the source is {source.container} {source.subtype}, the output {container} {subtype}: "
        f"{_reason(source, container, sink_suffix)}"
    )
    return target, Remark(code=WarningCode.CODEC_MISMATCH, message=message)


def output_suffix(target: AudioFormat, suffix: str) -> str:
    """Return ``suffix`` if an output in ``target`` may bear it, else the one it should bear.

    Examples
    --------
    >>> output_suffix(AudioFormat(container="FLAC", subtype="PCM_16"), ".m4a")
    '.flac'
    >>> output_suffix(AudioFormat(container="WAV", subtype="PCM_16"), ".WAV")
    '.WAV'
    """
    lower = suffix.lower()
    if lower in _SUFFIXES[target.container]:
        return suffix
    known = lower in _CONTAINER_OF_SUFFIX or lower in _READ_ONLY_SUFFIXES
    return _SUFFIXES[target.container][0] if known else suffix


def expected_suffix(suffix: str) -> str:
    """Return what :func:`output_suffix` will say of a recording of which only the name is known.

    Its content may know better.

    Examples
    --------
    >>> expected_suffix(".m4a"), expected_suffix(".voc"), expected_suffix(".WAV")
    ('.flac', '.wav', '.WAV')
    """
    container = _READ_ONLY_SUFFIXES.get(suffix.lower())
    if container is None:
        return suffix
    return ".wav" if container in _READ_BY_LIBSNDFILE else ".flac"


def length_tolerance(audio_format: AudioFormat) -> int:
    """Return by how many samples a decoder may miss the length that was encoded.

    0 wherever the length is part of the format. MP3 counts in frames of 1152 samples and says the
    rest in an extension of LAME that not every decoder reads; Opus counts at 48 kHz whatever the
    rate, so one sample at 8 kHz may be lost in rounding.
    """
    return {"MPEG_LAYER_III": 1152, "OPUS": 1}.get(audio_format.subtype, 0)


def suffix_mismatch(audio_format: AudioFormat, suffix: str) -> Remark | None:
    """Return a CODEC_MISMATCH remark if a file's name promises another container than it is."""
    lower = suffix.lower()
    if lower in _SUFFIXES.get(audio_format.container, ()):
        return None
    promised = _CONTAINER_OF_SUFFIX.get(lower) or _READ_ONLY_SUFFIXES.get(lower)
    if promised is None or promised == audio_format.container:
        return None
    # One codec, three wrappings; names of these are used for one another everywhere.
    if {promised, audio_format.container} <= {"AAC", "MP4", "MATROSKA"}:
        return None
    message = (
        f"the name ends in {suffix}, the content is {audio_format.container} "
        f"{audio_format.subtype}; the content was believed"
    )
    return Remark(code=WarningCode.CODEC_MISMATCH, message=message)


def _target_container(source: AudioFormat, sink_suffix: str | None) -> str:
    lower = (sink_suffix or "").lower()
    own = source.container
    if own in WRITABLE:
        if lower in _SUFFIXES[own]:
            return own if _fits(source, own) else "FLAC"
        wanted = _CONTAINER_OF_SUFFIX.get(lower)
        if wanted is None and lower in _READ_ONLY_SUFFIXES:
            return "FLAC"
        return wanted or (own if _fits(source, own) else "FLAC")
    # libsndfile's rarer containers hold plain PCM and go to WAV; what FFmpeg reads goes to FLAC.
    fallback = "WAV" if own in _READ_BY_LIBSNDFILE else "FLAC"
    return _CONTAINER_OF_SUFFIX.get(lower, fallback)


_READ_BY_LIBSNDFILE = {
    "AVR", "HTK", "IRCAM", "MAT4", "MAT5", "MPC2K", "PAF", "PVF", "SD2", "SVX", "VOC",
    "WVE", "XI",
}  # fmt: skip


def _fits(source: AudioFormat, container: str) -> bool:
    """Tell whether ``container`` holds the subtype, or at least something lossless."""
    subtypes = WRITABLE[container]
    return source.subtype in subtypes or "PCM_16" in subtypes


def _target_subtype(source: AudioFormat, container: str, sink_suffix: str | None) -> str:
    subtypes = WRITABLE[container]
    if source.subtype in subtypes:
        return source.subtype
    if container == "OGG" and (sink_suffix or "").lower() == ".opus":
        return "OPUS"
    # FFmpeg's lossless codecs are told apart by their depth alone: WAVPACK_24, FLAC_16.
    substitutes = ("PCM_24",) if source.subtype.endswith("_24") else ()
    wanted = (*_SUBSTITUTES.get(source.subtype, substitutes), *_LAST_RESORT)
    return next(subtype for subtype in wanted if subtype in subtypes)


def _reason(source: AudioFormat, container: str, sink_suffix: str | None) -> str:
    lower = (sink_suffix or "").lower()
    if container == source.container:
        return f"{source.subtype} cannot be written without changing the length"
    if _CONTAINER_OF_SUFFIX.get(lower) == container:
        return f"its name ends in {sink_suffix}"
    return f"{source.container} {source.subtype} cannot be written here"
