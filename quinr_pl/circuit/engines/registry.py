"""The engines by name, and the choice among them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import yaml
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.protocol import Engine
from quinr_pl.class_paths import find_class
from quinr_pl.errors import QuinrError
from quinr_pl.registry import Registry

EngineLike = str | Engine | dict[str, Any]
"""An engine, or what describes one: see :func:`make_engine`."""

ENGINES: Registry[str, type[Engine]] = Registry(
    "engine",
    "quinr_pl.engines",
    {
        "auto": "quinr_pl.circuit.engines.registry:AutoEngine",
        # The fastest first: auto takes the first exact one that serves the device.
        "cpu": "quinr_pl.circuit.engines.cpu.engine:CpuEngine",
        "cuda": "quinr_pl.circuit.engines.cuda.engine:CudaEngine",
        "triton": "quinr_pl.circuit.engines.triton.engine:TritonEngine",
        "torch": "quinr_pl.circuit.engines.torch_adjoint:TorchEngine",
        "lightning_vjp": "quinr_pl.circuit.engines.lightning_vjp:LightningVjpEngine",
        "lightning": "quinr_pl.circuit.engines.lightning:LightningEngine",
        "shots": "quinr_pl.circuit.engines.shots:ShotsEngine",
        "noisy": "quinr_pl.circuit.engines.noisy:NoisyEngine",
        "device": "quinr_pl.circuit.engines.device:DeviceEngine",
    },
)


class AutoEngine(Engine):
    """On each device the fastest exact engine that serves it."""

    name = "auto"
    exact = True

    def on(self, device: torch.device) -> Engine:
        """The fastest exact engine that serves a device."""
        for name in ENGINES:
            kind = ENGINES[name]
            if kind.exact and kind is not AutoEngine and not (engine := kind()).refusal(device):
                return engine
        raise AssertionError("torch serves every device")

    def probabilities(
        self, ansatz: Ansatz, angles: Tensor, weights: Tensor, states: Sequence[int] | None = None
    ) -> Tensor:
        """Probabilities of basis states; see `Engine.probabilities`."""
        return self.on(angles.device).probabilities(ansatz, angles, weights, states)


def make_engine(engine: EngineLike = "auto") -> Engine:
    """The engine that a description names; an engine stays what it is.

    Args:
        engine: A name, with which options have their defaults: ``cpu`` (fused and batched, for the CPU),
            ``cuda`` and ``triton`` (fused and batched, for CUDA), ``torch`` (batched, for any torch device),
            ``lightning`` (PennyLane's lightning.qubit, the reference), ``lightning_vjp`` (the same simulator
            without the QNode), ``shots`` (frequencies of finitely many measurements), ``noisy`` (errors in
            gates and measurements), ``device`` (any PennyLane device, by its name), ``auto``: the fastest
            exact one of each device; or the name of an engine that another package offers, or its import
            path.
            Or a name and options. As a mapping, ``{"shots": 1000, "seed": 0}``: one key names the engine,
            and its value is the engine's first option; the others are further options. As a text,
            ``shots=1000,seed=0``: the same, and the name comes first.
            Or a mapping with the keys ``class_path`` and ``init_args``.

    Raises:
        QuinrError: If there is no such engine, or it does not have such options.
    """
    if isinstance(engine, Engine):
        return engine
    described = _described(engine) if isinstance(engine, str) else dict(engine)
    if "class_path" in described:
        return _built(_class(described["class_path"]), described.get("init_args") or {}, engine)
    name = _name_in(described, engine)
    first, options = described.pop(name), described
    kind = _class(name)
    if first is not None:
        leading = next(iter(_options(kind)), None)
        if leading is None:
            raise QuinrError(f"engine {engine}: {name} has no options; give the name alone")
        options[leading] = first
    return _built(kind, options, engine)


def choose(engine: EngineLike = "auto", device: torch.device | str = "cpu") -> Engine:
    """The engine that computes for tensors of a device.

    Args:
        engine: An engine or its description; see :func:`make_engine`.
        device: Where angles and weights will lie.

    Raises:
        QuinrError: If there is no such engine, or it cannot serve that device.
    """
    return make_engine(engine).on(torch.device(device))


def _described(text: str) -> dict[str, Any]:
    """The mapping that a text stands for: ``{...}`` as in YAML, or ``NAME``, ``NAME=VALUE,OPTION=VALUE``."""
    try:
        if text.startswith("{"):
            return dict(yaml.safe_load(text))
        pairs = [item.partition("=") for item in text.split(",")]
        return {key.strip(): yaml.safe_load(value) if equals else None for key, equals, value in pairs}
    except (yaml.YAMLError, ValueError, TypeError):
        raise QuinrError(
            f"engine {text}: give a name, or a name and options such as shots=1000,seed=0"
        ) from None


def _name_in(described: Mapping[str, Any], told: Any) -> str:
    """The key that names the engine: all other keys are options of that one."""
    if len(described) == 1:
        return next(iter(described))
    for key in described:
        if key in ENGINES and described.keys() - {key} <= _options(ENGINES[key]).keys():
            return key
    names = [key for key in described if key in ENGINES]
    if not names:
        raise QuinrError(
            f"engine {told}: none of {', '.join(map(str, described))} is one of {', '.join(ENGINES)}"
        )
    raise QuinrError(f"engine {told}: {names[0]} has {_told_options(ENGINES[names[0]])}")


def _class(name: Any) -> type[Engine]:
    if isinstance(name, str) and "." in name:
        return find_class(name, Engine, "engine")
    return ENGINES[name]


def _built(kind: type[Engine], options: Mapping[str, Any], told: Any) -> Engine:
    if unknown := options.keys() - _options(kind).keys():
        raise QuinrError(
            f"engine {told}: {kind.name} has {_told_options(kind)}, and not {', '.join(sorted(unknown))}"
        )
    for option, parameter in _options(kind).items():
        if parameter.default is inspect.Parameter.empty and option not in options:
            raise QuinrError(f"engine {told}: {kind.name} needs {option}; give it, as in {kind.name}=VALUE")
    return kind(**options)


def _options(kind: type[Engine]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(kind).parameters


def _told_options(kind: type[Engine]) -> str:
    return f"the options {', '.join(_options(kind))}" if _options(kind) else "no options"
