"""What a `.weights` file does not hold, kept beside it as `.state`, so that training goes on as if
it had never stopped.

A state belongs to the bytes of its weights: where those have changed since, by Darknet or by
another training, it is refused. State files may come from anywhere: only tensors and plain values
are read out of them, never code.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path

import torch
from torch import Tensor

from darknet_kit.core.files import replacing
from darknet_kit.engine.torch.training.optimizer import OptimizerState
from darknet_kit.errors import AnyPath, WeightsError

_FORMAT = 1
_WHOLE = ("seed", "examined_at", "failures")
_LARGEST = 1 << 62
_CURE = (
    "Training goes on from the weights, with a new momentum. Delete the file if it is not yours."
)


@dataclass(frozen=True, slots=True)
class TrainState:
    """A training between two iterations, without its weights.

    `optimizer` is from `DarknetOptimizer.state`, `average` from `MovingAverage.state`, `generators`
    from `read_generators`. `numbers` are what else its owner remembers, such as the best mAP.
    """

    iteration: int
    optimizer: OptimizerState
    average: dict[str, Tensor] = field(default_factory=dict)
    generators: dict[str, Tensor] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)


def state_path(weights: AnyPath) -> Path:
    """Return where the state of a weights file lies: `net_last.state` of `net_last.weights`."""
    return Path(weights).with_suffix(".state")


def write_state(weights: AnyPath, state: TrainState) -> None:
    """Write the state that belongs to a weights file, once that is written. Raises WriteError."""
    content = {one.name: getattr(state, one.name) for one in fields(state)}
    with replacing(state_path(weights), binary=True) as stream:
        torch.save(content | {"format": _FORMAT, "weights": _digest(weights)}, stream)


def read_state(weights: AnyPath) -> TrainState | None:
    """Read the state of a weights file; None where there is none.

    Raises WeightsError: `stale-state` where the weights have changed since, `damaged-state` where
    it is no state that can be read. Training can go on without it.
    """
    path = state_path(weights)
    if not path.exists():
        return None
    try:
        if not path.is_file():
            raise ValueError("a pipe would be waited for, a device read for ever")
        content = torch.load(path, map_location="cpu", weights_only=True)
        state = _parse(content)
        digest = content["weights"]
    except Exception as error:  # a damaged pickle may raise anything
        raise WeightsError(
            "this is no training state that can be read",
            code="damaged-state",
            hint=_CURE,
            path=path,
        ) from error
    if digest != _digest(weights):
        raise WeightsError(
            f"this training state belongs to other weights than {Path(weights).name} holds now",
            code="stale-state",
            hint=_CURE,
            path=path,
        )
    return state


def find_state(weights: AnyPath, tell: Callable[[str], object]) -> TrainState | None:
    """Return the state of a weights file; None where there is none, or, told, an unusable one."""
    try:
        return read_state(weights) if Path(weights).exists() else None
    except WeightsError as error:
        tell(f"note: {error}. {error.hint}\n")
        return None


def _parse(content: object) -> TrainState:
    """Check every type: what is read here goes into an optimizer without further questions."""
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ValueError("another format")
    iteration = content["iteration"]
    if type(iteration) is not int or iteration < 0:
        raise ValueError("iteration")
    optimizer = content["optimizer"]
    if not isinstance(optimizer, dict):
        raise ValueError("optimizer")
    numbers = content["numbers"]
    if not isinstance(numbers, dict) or not all(
        isinstance(name, str) and type(value) in (int, float) for name, value in numbers.items()
    ):
        raise ValueError("numbers")
    if any(type(value) is int and abs(value) > _LARGEST for value in numbers.values()) or not all(
        type(numbers.get(name, 0)) is int for name in _WHOLE
    ):
        raise ValueError("numbers")
    return TrainState(
        iteration=iteration,
        optimizer={str(name): _tensors(kept) for name, kept in optimizer.items()},
        average=_tensors(content["average"]),
        generators=_tensors(content["generators"]),
        numbers=numbers,
    )


def _tensors(kept: object) -> dict[str, Tensor]:
    if not isinstance(kept, dict):
        raise ValueError("no table of tensors")
    for name, value in kept.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ValueError("no tensor")
        if value.layout != torch.strided or value.device.type != "cpu":
            raise ValueError("a tensor without numbers")
    return kept


def _digest(weights: AnyPath) -> str:
    with open(weights, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_generators(device: torch.device) -> dict[str, Tensor]:
    """Return where PyTorch's generators of random numbers stand: dropout draws from them."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_generators(states: dict[str, Tensor], device: torch.device) -> None:
    """Let PyTorch's generators go on from where they stood, as far as the device is the same.

    Raises WeightsError (`damaged-state`).
    """
    try:
        if "cpu" in states:
            torch.set_rng_state(states["cpu"])
        if "cuda" in states and device.type == "cuda":
            torch.cuda.set_rng_state(states["cuda"], device)
    except (RuntimeError, TypeError) as error:
        raise WeightsError(
            "the training state holds no state of a generator", code="damaged-state", hint=_CURE
        ) from error
