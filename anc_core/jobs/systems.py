"""The suppressors that a comparison knows by name: ours, our presets, and peers.

======================  ========================================================================
``spectral`` ``neural`` an engine of ours; ``auto`` the best that is installed
``preset:NAME``         our suppressor with the numbers of a preset
``rnnoise``             RNNoise from the package pyrnnoise
``onnx:PATH``           an ONNX model that keeps the contract of ``docs/compare.md``
======================  ========================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from anc_core.errors import InputError
from anc_core.files import printable
from anc_core.presets import get_preset
from anc_core.processors import Processor, Suppressor
from anc_core.processors.peers import onnx_model, rnnoise

OUR_ENGINES = ("auto", "spectral", "neural")
KNOWN = (*OUR_ENGINES, "preset:NAME", "rnnoise", "onnx:PATH")


@dataclass(frozen=True, slots=True)
class System:
    """A suppressor to be compared.

    Attributes
    ----------
    spec : str
        The words it was asked for by.
    label : str
        What tables and pages call it.
    build : callable
        (sample_rate, num_channels) -> a new :class:`~anc_core.processors.Processor`. Raises an
        :class:`~anc_core.errors.AncError` if it cannot be had here.
    file : path or None
        What ``build`` reads, where ``spec`` names a file.
    """

    spec: str
    label: str
    build: Callable[[int, int], Processor]
    file: Path | None = None


def parse_systems(specs: Sequence[str]) -> tuple[System, ...]:
    """Return the systems that ``specs`` name, each once, in their order.

    Raises
    ------
    InputError
        If there is none, or one of no such name; the message lists what there is.

    Examples
    --------
    >>> [system.label for system in parse_systems(["spectral", "preset:gentle", "spectral"])]
    ['spectral', 'preset:gentle']
    """
    systems = [parse_system(spec) for spec in dict.fromkeys(spec.strip() for spec in specs)]
    if not systems:
        raise InputError(f"name at least one system: {', '.join(KNOWN)}")
    count = Counter(system.label for system in systems)
    # Two models of the same file name are told apart by their paths.
    return tuple(
        system if count[system.label] == 1 else replace(system, label=system.spec)
        for system in systems
    )


def parse_system(spec: str) -> System:
    """Return the system that ``spec`` names.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    kind, _, rest = spec.partition(":")
    if spec in OUR_ENGINES:
        return System(spec, spec, lambda rate, width: Suppressor(rate, width, method=spec))
    if spec == "rnnoise":
        return System(spec, spec, rnnoise)
    if kind == "onnx" and rest:
        path = Path(rest)
        label = f"onnx:{printable(path.name)}"
        return System(spec, label, lambda rate, width: onnx_model(path, rate, width), path)
    if kind == "preset":
        preset = get_preset(rest)
        parameters = preset.suppression
        if not preset.apply_anc:
            parameters = parameters.model_copy(update={"strength": 0.0})
        return System(
            spec, spec, lambda rate, width: Suppressor(rate, width, parameters=parameters)
        )
    msg = f"system {spec!r} is unknown; choose from {', '.join(KNOWN)}"
    raise InputError(msg)
