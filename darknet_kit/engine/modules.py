"""What PyTorch and OpenCV of this Python say of themselves, each asked in a process of its own.

They are heavy, and may fail at their import in any way, a crash included.
"""

import importlib.util
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from darknet_kit.engine.answer import ask

_TORCH = """
import json, torch
usable = torch.cuda.is_available()
print(json.dumps({
    "version": torch.__version__,
    "cuda": torch.version.cuda or "",
    "usable": usable,
    "architectures": torch.cuda.get_arch_list() if usable else [],
}))
"""
_OPENCV = """
import json, re, cv2
windows = re.search(r"GUI: *(.*)", cv2.getBuildInformation())
print(json.dumps({"version": cv2.__version__, "windows": windows[1].strip() if windows else ""}))
"""
_MULTIPLY = """
import json, sys, time, torch
device = "cuda" if torch.cuda.is_available() else "cpu"
a = torch.arange(1 << 20, dtype=torch.float32).remainder(7).reshape(1024, 1024)
exact = (a.double() @ a.double().T)
begun = time.perf_counter()
b = a.to(device)
result = (b @ b.T).cpu()
seconds = time.perf_counter() - begun
print(json.dumps({
    "device": torch.cuda.get_device_name(0) if device == "cuda" else "the CPU",
    "seconds": seconds,
    "right": bool(torch.equal(result.double(), exact)),
}))
"""
_DECODE = """
import json, sys, time, cv2
cv2.setNumThreads(1)
contents = [open(path, "rb").read() for path in sys.argv[1:]]
import numpy
begun, done = time.perf_counter(), 0
for content in contents:
    done += cv2.imdecode(numpy.frombuffer(content, numpy.uint8), cv2.IMREAD_COLOR) is not None
    if time.perf_counter() - begun > 3:
        break
print(json.dumps({"images": done, "seconds": time.perf_counter() - begun}))
"""
_PATIENCE = 120.0  # seconds: the first import of PyTorch from a network disk


class Told(msgspec.Struct, frozen=True):
    """What was answered; `error` is the last line of what went wrong, and then the rest is empty.

    `remark` is the last line printed beside the answer, such as why CUDA cannot be used.
    """

    version: str = ""
    cuda: str = ""
    usable: bool = False
    architectures: tuple[str, ...] = ()
    windows: str = ""
    device: str = ""
    seconds: float = 0.0
    right: bool = False
    images: int = 0
    remark: str = ""
    error: str = ""


def has_module(name: str) -> bool:
    """Tell whether this Python has a package of this name, without importing it."""
    return importlib.util.find_spec(name) is not None


def ask_torch() -> Told:
    """Ask PyTorch for its version, its CUDA, and whether that works here."""
    return _ask(_TORCH)


def ask_opencv() -> Told:
    """Ask OpenCV for its version, and what it draws windows with."""
    return _ask(_OPENCV)


def multiply() -> Told:
    """Let PyTorch multiply matrices of whole numbers, on a GPU where it can use one.

    In single precision the products are exact, so that there is one right result.
    """
    return _ask(_MULTIPLY)


def decode(images: Sequence[str]) -> Told:
    """Let OpenCV decode images on one core for at most three seconds."""
    return _ask(_DECODE, images)


def _ask(program: str, arguments: Sequence[str] = ()) -> Told:
    answer = ask([sys.executable, "-c", program, *arguments], timeout=_PATIENCE)
    remarks: list[Any] = [line.strip() for line in answer.stderr.splitlines() if line.strip()]
    last = str(remarks[-1]) if remarks else ""
    lines = answer.stdout.splitlines()
    if not answer.ok or not lines:
        ended = f"it ended with code {answer.returncode}"
        return Told(error=answer.error or last or ended)
    try:
        told = msgspec.json.decode(lines[-1], type=Told)
    except msgspec.MsgspecError as error:
        return Told(error=str(error))
    return msgspec.structs.replace(told, remark=last)
