"""Where and how exactly the network computes."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from darknet_kit.errors import DkitError, ToolchainError, TrainError, UsageError


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A device and the precision of its convolutions; batch norm and losses are always fp32."""

    device: torch.device
    precision: str = "fp32"

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Return the context in which the network's body runs."""
        if self.precision != "bf16":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def describe(self) -> str:
        """Return device and precision in words."""
        if self.device.type == "cuda":
            return f"{torch.cuda.get_device_name(self.device)}, {self.precision}"
        doubt = ""
        if self.precision == "bf16" and not _computes_bf16():
            doubt = ", which this CPU only imitates: fp32 is much faster"
        return f"CPU with {torch.get_num_threads()} threads, {self.precision}{doubt}"

    @property
    def memory_format(self) -> torch.memory_format:
        """Return how images lie in memory: channels last, but on a CPU without AVX-512.

        There oneDNN takes a tenth longer over the backward pass of channels-last convolutions.
        """
        if self.device.type == "cpu" and torch.backends.cpu.get_cpu_capability() != "AVX512":
            return torch.contiguous_format
        return torch.channels_last


def choose_arithmetic(
    wanted: str | None = None, precision: str = "fp32", local_rank: int = 0
) -> Arithmetic:
    """Return the device that is asked for, else a GPU where there is one, else the CPU.

    Raises UsageError (`no-such-device`) for a word that names none, ToolchainError (`no-gpu`)
    for a GPU that is not there.
    """
    name = wanted or (f"cuda:{local_rank}" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda"):
            raise RuntimeError("this engine was never tried there")
    except RuntimeError as error:
        raise UsageError(
            f"there is no device {name!r}", code="no-such-device", hint="Take cpu, cuda or cuda:1."
        ) from error
    if device.type == "cuda":
        _require_gpu(device)
        torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = precision != "fp32"
        torch.backends.cudnn.allow_tf32 = precision != "fp32"
    return Arithmetic(device, precision)


def _computes_bf16() -> bool:
    """Tell whether the CPU has instructions for bf16; where PyTorch cannot tell, that it has."""
    tell = getattr(torch.cpu, "get_capabilities", None)
    return tell is None or any(found for name, found in tell().items() if "bf16" in name)


def _require_gpu(device: torch.device) -> None:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (device.index or 0) >= count:
        raise ToolchainError(
            f"PyTorch finds {count} GPUs here, so none is number {device.index or 0}",
            code="no-gpu",
            hint="`nvidia-smi` lists them; this may be PyTorch's build for the CPU.",
        )


@contextlib.contextmanager
def naming_memory_errors(batch: int, subdivisions: int, size: tuple[int, int]) -> Iterator[None]:
    """Turn PyTorch's ways to run out of memory into one sentence with its cure."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _is_memory(error):
            raise
        raise _memory_error(batch, subdivisions, size) from error


def _is_memory(error: RuntimeError) -> bool:
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or any(
        word in text for word in ("out of memory", "can't allocate memory", "ALLOC_FAILED")
    )


def _memory_error(batch: int, subdivisions: int, size: tuple[int, int]) -> DkitError:
    width, height = size
    more = f"subdivisions={subdivisions * 2} or " if batch > 1 else ""
    return TrainError(
        f"out of memory with mini-batches of {batch} images of {width} x {height}",
        code="out-of-memory",
        hint=f"Set {more}a smaller width and height in the cfg.",
    )
