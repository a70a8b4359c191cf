"""Other people's suppressors as processors: RNNoise from its package, any ONNX model by its path.

They run at a rate and in blocks of their own. :class:`PeerProcessor` brings the stream to that rate
and back, takes the model's delay away and keeps the laws of ``processors.base``. Nothing is
imported before a peer is built; one whose package is missing raises :class:`PeerMissingError`.

What an ONNX file must look like is written in ``docs/compare.md``, "Your own model".
"""

from __future__ import annotations

import ctypes
import json
import sys
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from anc_core.arrays import Chunk, check_chunk, check_num_channels, check_sample_rate
from anc_core.audio.resample import StreamResampler
from anc_core.dsp.buffer import SampleBuffer
from anc_core.dsp.finite import tame
from anc_core.errors import AncError, InputError
from anc_core.files import printable

MAX_WHOLE_S = 300.0
"""A model without a block length gets the whole recording at once; longer ones are refused."""

_MAX_MAGNITUDE = np.float32(8.0)
"""+18 dBFS: no network was trained beyond, and a recurrent one may never recover from it."""

_MAX_BLOCK = 1 << 20
_INT16_SCALE = np.float32(32_768.0)

Samples = NDArray[np.float32]


class PeerMissingError(AncError):
    """The package of a peer is not installed; the message says which."""


class PeerError(AncError):
    """A peer did not do what its contract says."""


class Engine(Protocol):
    """One channel of a peer at the peer's own rate."""

    @property
    def sample_rate(self) -> int:
        """Hz."""

    @property
    def block_length(self) -> int | None:
        """Samples of every call; ``None`` = the whole recording in one call."""

    @property
    def delay(self) -> int:
        """Samples by which its output comes late."""

    def process(self, block: Samples) -> Samples:
        """Return the output for ``block``, both float32 (block_length,), full scale +-1."""

    def reset(self) -> None:
        """Forget everything heard so far."""


class PeerProcessor:
    """Engines, one a channel, as a :class:`~anc_core.processors.Processor` at any sample rate.

    Parameters
    ----------
    sample_rate : float
        Hz, that of the stream.
    engines : sequence of Engine
        One a channel, all alike.

    Notes
    -----
    ``latency`` is 0: the delays of model and resamplers are taken away in here, samples are held
    back until they are complete. A model of a lower rate cuts what lies above its band. Non-finite
    samples count as 0, and magnitudes above 8 (+18 dBFS) as 8.
    """

    latency = 0

    def __init__(self, sample_rate: float, engines: Sequence[Engine]) -> None:
        self._num_channels = check_num_channels(len(engines))
        rate = check_sample_rate(sample_rate)
        self._engines = tuple(engines)
        self._rate, self._model_rate = rate, engines[0].sample_rate
        self._block_length, self._delay = engines[0].block_length, engines[0].delay
        self._to_model = StreamResampler(rate, self._model_rate, self._num_channels)
        self._from_model = StreamResampler(self._model_rate, rate, self._num_channels)
        self._waiting = SampleBuffer(self._num_channels)
        self._ready = SampleBuffer(self._num_channels)
        self.reset()

    @property
    def num_channels(self) -> int:
        """Columns of every chunk, in and out."""
        return self._num_channels

    def process(self, chunk: Chunk) -> Chunk:
        """Take ``chunk`` (num_samples, num_channels), return what is ready.

        Raises
        ------
        InputError
            If ``chunk`` has another shape or is not floating point, or the recording is too long
            for a model that needs it whole.
        PeerError
            If the model fails.
        """
        chunk = check_chunk(chunk, self._num_channels)
        self._num_in += len(chunk)
        if self._block_length is None and self._num_in > MAX_WHOLE_S * self._rate:
            msg = (
                f"the model takes a recording whole, {MAX_WHOLE_S:.0f} s at most; "
                "give it a block_length"
            )
            raise InputError(msg)
        limited = np.clip(tame(chunk), -_MAX_MAGNITUDE, _MAX_MAGNITUDE)
        self._waiting.put(self._to_model.process(limited))
        if self._block_length is not None:
            self._run_blocks(self._block_length)
        return self._emit()

    def flush(self) -> Chunk:
        """Return the rest, so that as many samples came out as in, and reset."""
        self._waiting.put(self._to_model.flush())
        if self._num_in:
            # One sample more than the input's length at the model's rate: rounded back to the
            # stream's rate it is never too short.
            wanted = -(-self._num_in * self._model_rate // self._rate) + 1 + self._delay
            missing = max(wanted - self._num_out_of_model - len(self._waiting), 0)
            block = self._block_length or wanted
            self._waiting.put_zeros(missing + -(missing + len(self._waiting)) % block)
            self._run_blocks(block if self._block_length else len(self._waiting))
        self._ready.put(self._from_model.flush())
        rest = self._emit()
        self.reset()
        return rest

    def reset(self) -> None:
        """Forget everything heard so far."""
        self._num_in = self._num_emitted = self._num_out_of_model = 0
        self._to_model.reset()
        self._from_model.reset()
        for engine in self._engines:
            engine.reset()
        self._waiting.clear()
        self._ready.clear()

    def _run_blocks(self, length: int) -> None:
        while len(self._waiting) >= length > 0:
            block = self._waiting.peek(length)
            output = np.empty_like(block)
            for index, engine in enumerate(self._engines):
                output[:, index] = self._checked(
                    engine, np.ascontiguousarray(block[:, index], np.float32)
                )
            self._waiting.drop(length)
            late = min(max(self._delay - self._num_out_of_model, 0), length)
            self._num_out_of_model += length
            self._ready.put(self._from_model.process(output[late:]))

    @staticmethod
    def _checked(engine: Engine, block: Samples) -> Samples:
        output = engine.process(block)
        if not np.isfinite(output).all():
            engine.reset()  # a state that is not finite would stay so
            return np.nan_to_num(output, nan=0.0, posinf=0.0, neginf=0.0)
        return output

    def _emit(self) -> Chunk:
        count = min(len(self._ready), self._num_in - self._num_emitted)
        output = self._ready.peek(count).copy()
        self._ready.drop(count)
        self._num_emitted += count
        return output


# --------------------------------------------------------------------------- RNNoise


def rnnoise(sample_rate: float, num_channels: int = 1) -> PeerProcessor:
    """Return RNNoise as the package pyrnnoise ships it.

    Parameters
    ----------
    sample_rate : float
        Hz; other rates than 48 kHz are brought to it and back.
    num_channels : int
        Every channel gets a state of its own.

    Raises
    ------
    PeerMissingError
        If pyrnnoise is not installed.

    References
    ----------
    J.-M. Valin, "A hybrid DSP/deep learning approach to real-time full-band speech enhancement",
    MMSP 2018.
    """
    library = _rnnoise_library()
    engines = [RnnoiseEngine(library) for _ in range(check_num_channels(num_channels))]
    return PeerProcessor(sample_rate, engines)


class RnnoiseEngine:
    """One channel of RNNoise.

    Parameters
    ----------
    library : ctypes.CDLL
        librnnoise.

    Notes
    -----
    The library is called directly: the package's own frames pass through 16-bit integers, and its
    import loads FFmpeg and matplotlib.
    """

    sample_rate = 48_000
    delay = 960
    """Overlap-add of 10 ms frames plus, since version 0.2, 10 ms that the network looks ahead."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self.block_length = int(library.rnnoise_get_frame_size())
        self._release: weakref.finalize[..., Any] | None = None
        self.reset()

    def process(self, block: Samples) -> Samples:
        """Return the output for one frame of 10 ms."""
        frame = block * _INT16_SCALE
        pointer = frame.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        self._library.rnnoise_process_frame(self._state, pointer, pointer)
        return frame / _INT16_SCALE

    def reset(self) -> None:
        """Begin with a new state."""
        if self._release is not None:
            self._release()
        self._state = self._library.rnnoise_create(None)
        self._release = weakref.finalize(self, self._library.rnnoise_destroy, self._state)


def _rnnoise_library() -> ctypes.CDLL:
    spec = find_spec("pyrnnoise")
    names = {"darwin": "librnnoise.dylib", "win32": "rnnoise.dll"}
    name = names.get(sys.platform, "librnnoise.so")
    if spec is None or spec.origin is None:
        raise PeerMissingError("pyrnnoise is not installed; pip install pyrnnoise")
    path = Path(spec.origin).with_name(name)
    try:
        library = ctypes.CDLL(str(path))
        library.rnnoise_create.argtypes = [ctypes.c_void_p]
        library.rnnoise_create.restype = ctypes.c_void_p
        library.rnnoise_destroy.argtypes = [ctypes.c_void_p]
        library.rnnoise_destroy.restype = None
        pointer = ctypes.POINTER(ctypes.c_float)
        library.rnnoise_process_frame.argtypes = [ctypes.c_void_p, pointer, pointer]
        library.rnnoise_process_frame.restype = ctypes.c_float
        library.rnnoise_get_frame_size.restype = ctypes.c_int
    except (OSError, AttributeError) as err:
        raise PeerMissingError(f"pyrnnoise holds no usable {name}: {err}") from err
    return library


# --------------------------------------------------------------------------- ONNX


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxContract:
    """What the file does not say by its shapes.

    Attributes
    ----------
    sample_rate : int
        Hz of its input and output.
    block_length : int or None
        Samples of a call; ``None`` = those of the input's fixed shape, else the whole recording.
    delay : int
        Samples by which the output comes late.
    """

    sample_rate: int
    block_length: int | None = None
    delay: int = 0

    @classmethod
    def of(cls, values: Mapping[str, object], name: str) -> OnnxContract:
        """Return the contract that ``values``, of the model ``name``, spell out.

        Raises
        ------
        InputError
            If a value is missing, unknown or out of range.
        """
        if "sample_rate" not in values:
            msg = (
                f"{name}: sample_rate is not given; write it into the model's metadata as "
                f'anc.sample_rate, or {{"sample_rate": 16000}} into {name}.json'
            )
            raise InputError(msg)
        known = {"sample_rate", "block_length", "delay"}
        if unknown := sorted(set(values) - known):
            msg = f"{name}: {unknown[0]!r} is unknown; known are {', '.join(sorted(known))}"
            raise InputError(msg)
        numbers = {key: _whole_number(value, f"{name}: {key}") for key, value in values.items()}
        check_sample_rate(numbers["sample_rate"])
        if not 1 <= numbers.get("block_length", 1) <= _MAX_BLOCK:
            msg = f"{name}: block_length is {numbers['block_length']}; 1 to {_MAX_BLOCK} is allowed"
            raise InputError(msg)
        if not 0 <= numbers.get("delay", 0) <= numbers["sample_rate"]:
            msg = f"{name}: delay is {numbers['delay']} samples; 0 to 1 s is allowed"
            raise InputError(msg)
        return cls(**numbers)


def onnx_model(path: Path | str, sample_rate: float, num_channels: int = 1) -> PeerProcessor:
    """Return the ONNX model at ``path`` as a processor.

    Parameters
    ----------
    path : path
        A waveform model that keeps the contract of ``docs/compare.md``.
    sample_rate : float
        Hz, that of the stream; brought to the model's and back.
    num_channels : int
        Every channel gets states of its own.

    Raises
    ------
    InputError
        If there is no such file, it is no ONNX model, or it breaks the contract.
    PeerMissingError
        If onnxruntime is not installed.
    """
    session, contract = load_onnx(path)
    engines = [
        OnnxEngine(session, contract, printable(path))
        for _ in range(check_num_channels(num_channels))
    ]
    return PeerProcessor(sample_rate, engines)


def load_onnx(path: Path | str) -> tuple[Any, OnnxContract]:
    """Return the session of the model at ``path``, on one thread, and its contract.

    Raises
    ------
    InputError, PeerMissingError
        As :func:`onnx_model`.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{printable(path)}: there is no such model file")
    try:
        import onnxruntime
    except ImportError as err:
        raise PeerMissingError("onnxruntime is not installed; pip install onnxruntime") from err
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as err:  # onnxruntime's errors have no base of their own
        msg = f"{printable(path)}: is no model that onnxruntime can load: {_first_line(err)}"
        raise InputError(msg) from err
    metadata = session.get_modelmeta().custom_metadata_map
    values: dict[str, object] = {
        key.removeprefix("anc."): value for key, value in metadata.items() if key.startswith("anc.")
    }
    values |= _beside(path)
    return session, OnnxContract.of(values, path.name)


def _beside(path: Path) -> dict[str, object]:
    """Return what ``MODEL.onnx.json`` says, for models whose metadata cannot be changed."""
    beside = path.with_name(path.name + ".json")
    if not beside.is_file():
        return {}
    try:
        values = json.loads(beside.read_text(encoding="utf-8"))
    except ValueError as err:
        raise InputError(f"{printable(beside)}: is no JSON: {err}") from err
    if not isinstance(values, dict):
        raise InputError(f"{printable(beside)}: must hold an object such as {{}}")
    return values


class OnnxEngine:
    """One channel of an ONNX waveform model, with its states.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        May be shared: it holds no state.
    contract : OnnxContract
        Rate, block length, delay.
    name : str
        For messages.

    Raises
    ------
    InputError
        If the model's inputs and outputs break the contract.
    """

    def __init__(self, session: Any, contract: OnnxContract, name: str) -> None:  # noqa: ANN401
        self._session, self._name = session, name
        self.sample_rate, self.delay = contract.sample_rate, contract.delay
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if not inputs or len(inputs) != len(outputs):
            msg = (
                f"{name}: {len(inputs)} inputs and {len(outputs)} outputs; one of audio each is "
                "needed, and as many states out as in"
            )
            raise InputError(msg)
        self._audio, *self._states = inputs
        self._check_audio(self._audio, outputs[0])
        self._check_states(self._states, outputs[1:])
        fixed = self._audio.shape[-1] if isinstance(self._audio.shape[-1], int) else None
        if None not in {fixed, contract.block_length} and fixed != contract.block_length:
            msg = f"{name}: block_length is {contract.block_length}, but its input holds {fixed}"
            raise InputError(msg)
        self.block_length: int | None = contract.block_length or fixed
        if self._states and self.block_length is None:
            raise InputError(f"{name}: has states, so it needs a block_length")
        self._state: dict[str, Samples] = {}
        self.reset()

    def process(self, block: Samples) -> Samples:
        """Return the output for one block.

        Raises
        ------
        PeerError
            If the model fails or returns another length.
        """
        shape = (1,) * (len(self._audio.shape) - 1) + (-1,)
        feed = {self._audio.name: block.reshape(shape), **self._state}
        try:
            output, *states = self._session.run(None, feed)
        except Exception as err:  # onnxruntime's errors have no base of their own
            raise PeerError(f"{self._name}: {_first_line(err)}") from err
        if np.size(output) != len(block):
            msg = f"{self._name}: returned {np.size(output)} samples for {len(block)}"
            raise PeerError(msg)
        self._state = dict(zip(self._state, states, strict=True))
        return np.asarray(output, np.float32).reshape(-1)

    def reset(self) -> None:
        """Begin with states of zeros."""
        self._state = {state.name: np.zeros(state.shape, np.float32) for state in self._states}

    def _check_audio(self, source: Any, sink: Any) -> None:  # noqa: ANN401 - onnxruntime's NodeArg
        for role, node in (("input", source), ("output", sink)):
            if node.type != "tensor(float)":
                msg = f"{self._name}: {role} {node.name!r} is {node.type}; it must be float32"
                raise InputError(msg)
        leading = source.shape[:-1]
        if not 1 <= len(source.shape) <= 3 or any(
            isinstance(size, int) and size != 1 for size in leading
        ):
            msg = (
                f"{self._name}: input {source.name!r} has shape {source.shape}; it must be "
                "(1, num_samples): one channel of a waveform"
            )
            raise InputError(msg)

    def _check_states(self, sources: Sequence[Any], sinks: Sequence[Any]) -> None:
        for source, sink in zip(sources, sinks, strict=True):
            is_fixed = all(isinstance(size, int) for size in source.shape)
            sizes_differ = any(
                isinstance(size, int) and size != wanted
                for size, wanted in zip(sink.shape, source.shape, strict=False)
            )
            if not is_fixed or len(sink.shape) != len(source.shape) or sizes_differ:
                msg = (
                    f"{self._name}: state {source.name!r} {source.shape} comes back as "
                    f"{sink.name!r} {sink.shape}; both must have one fixed shape"
                )
                raise InputError(msg)
            if source.type != "tensor(float)":
                msg = f"{self._name}: state {source.name!r} is {source.type}; it must be float32"
                raise InputError(msg)


def _whole_number(value: object, name: str) -> int:
    try:
        number = float(str(value))
    except ValueError:
        number = float("nan")
    if number != number // 1 or isinstance(value, bool):  # NaN is unequal to itself
        raise InputError(f"{name} is {value!r}; it must be a whole number")
    return int(number)


def _first_line(err: Exception) -> str:
    return str(err).strip().splitlines()[0][:300] if str(err).strip() else type(err).__name__
