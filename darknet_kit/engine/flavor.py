"""Tell which Darknet a program is, by running it with harmless words.

All three answer `version` differently: hank-ai's prints a banner, AlexeyAB's prints what it was
built with and then that it knows no such command, the original prints only the latter. AlexeyAB's
trees from before that start-up line are told from the original by `detector map` with a missing
file: who knows the function complains about the file, who does not is silent.
"""

import re
import signal
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine.answer import Answer, ask
from darknet_kit.errors import AnyPath, ToolchainError

_TIMEOUT_SECONDS = 20.0
_MISSING_FILE = "no-such-file.data"
_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07)")

_HANK_BANNER = re.compile(r"^Darknet [vV]\d+.*?(v\d+\.\d+\S*)|^\* Version +(v\d\S*)", re.M)
_ALEXEYAB_LINES = re.compile(
    r"GPU isn't used|CUDA-version: \d|OpenCV isn't used|OpenCV version: \d|CUDA status Error"
)
_UNKNOWN_COMMAND = "Not an option: version"
_NO_DRIVER = re.compile(
    r"driver version is insufficient|no CUDA-capable device|libcuda\.so|"
    r"CUDA Error: unknown error|forward compatibility was attempted"
)
# Of a program that cannot start here: text that only this flavour's binary holds.
_MARKS = {
    b"mAP_epochs": Flavor.ALEXEYAB,
    b"show_version_info": Flavor.HANK_AI,
    b"data/coco_val_5k.list": Flavor.ORIGINAL,
}


@dataclass(frozen=True, slots=True)
class Features:
    """What an engine was built with, as far as it tells at its start; None is "not told"."""

    gpu: bool | None = None
    cudnn: bool | None = None
    cudnn_half: bool | None = None
    opencv: bool | None = None

    def __str__(self) -> str:
        named = {
            "GPU": self.gpu,
            "cuDNN": self.cudnn,
            "half precision": self.cudnn_half,
            "OpenCV": self.opencv,
        }
        words = [name for name, present in named.items() if present]
        if self.gpu is False:
            words.insert(0, "CPU")
        return ", ".join(words) or "features not told"


UNTOLD = Features()


@dataclass(frozen=True, slots=True)
class Identity:
    """What a program turned out to be.

    `obstacle` says why it cannot work here, or is empty; `lacks_driver` that it is NVIDIA's
    driver that is missing or too old.
    """

    flavor: Flavor
    features: Features = UNTOLD
    version: str = ""
    obstacle: str = ""
    lacks_driver: bool = False


def detect_flavor(binary: AnyPath) -> Flavor:
    """Return the flavour of a darknet program. Raises ToolchainError where it is none."""
    return identify(binary).flavor


def identify(binary: AnyPath) -> Identity:
    """Run a program and tell which Darknet it is and what it was built with.

    It gets an empty folder to run in, nothing to read, and 20 seconds. Raises ToolchainError
    (`engine-does-not-start`, `not-darknet`).
    """
    path = Path(binary).absolute()
    answer = _ask(path, "version")
    identity = parse_identity(answer.text)
    if identity is None and _UNKNOWN_COMMAND in answer.text:
        identity = Identity(_tell_by_map(path))
    if identity is None:
        identity = _tell_by_content(path)
    obstacle = _find_obstacle(answer)
    if identity is not None:
        return replace(identity, obstacle=obstacle, lacks_driver=bool(_NO_DRIVER.search(obstacle)))
    if obstacle:
        raise ToolchainError(
            f"this program does not start: {obstacle}",
            code="engine-does-not-start",
            hint="Build one for this machine with `dkit build`.",
            path=path,
        )
    raise ToolchainError(
        "this program does not answer like any Darknet",
        code="not-darknet",
        hint="Name a darknet binary, or build one with `dkit build`.",
        path=path,
    )


def parse_identity(text: str) -> Identity | None:
    """Read what `darknet version` printed, both streams; None where that tells nothing."""
    plain = _ANSI.sub("", text)
    banner = _HANK_BANNER.search(plain)
    if banner:
        return Identity(Flavor.HANK_AI, _parse_hank_features(plain), banner[1] or banner[2])
    if _ALEXEYAB_LINES.search(plain):
        return Identity(Flavor.ALEXEYAB, _parse_alexeyab_features(plain))
    return None


def _parse_alexeyab_features(text: str) -> Features:
    gpu = "GPU isn't used" not in text
    told = not gpu or "CUDA-version:" in text
    return Features(
        gpu=gpu,
        cudnn="cuDNN: " in text if told else None,
        cudnn_half="CUDNN_HALF=1" in text if told else None,
        opencv=_tell(text, yes="OpenCV version:", no="OpenCV isn't used"),
    )


def _parse_hank_features(text: str) -> Features:
    gpu = _tell(text, yes="CUDA runtime version", no="compiled to use the CPU")
    cudnn = None if gpu is None else gpu and "cuDNN" in text and "cuDNN is DISABLED" not in text
    return Features(gpu=gpu, cudnn=cudnn, cudnn_half=cudnn, opencv=True)


def _tell(text: str, *, yes: str, no: str) -> bool | None:
    if yes in text:
        return True
    return False if no in text else None


def _ask(path: Path, *words: str) -> Answer:
    with tempfile.TemporaryDirectory(prefix="dkit-") as folder:
        return ask(
            [path, *words],
            folder=folder,
            environment={"QT_QPA_PLATFORM": "minimal"},
            timeout=_TIMEOUT_SECONDS,
        )


def _tell_by_map(path: Path) -> Flavor:
    answer = _ask(path, "detector", "map", _MISSING_FILE, "no-such-file.cfg")
    return Flavor.ALEXEYAB if _MISSING_FILE in answer.text else Flavor.ORIGINAL


def _tell_by_content(path: Path) -> Identity | None:
    if not path.is_file():  # a device or a pipe would never end
        return None
    try:
        content = path.read_bytes()
    except OSError:
        return None
    for mark, flavor in _MARKS.items():
        if mark in content:
            return Identity(flavor)
    return None


def _find_obstacle(answer: Answer) -> str:
    """Say why a program could not do even this; it is empty where it answered."""
    if answer.error:
        return answer.error
    plain = re.sub(r"^.*: (?=error while loading)", "", _ANSI.sub("", answer.text), flags=re.M)
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    for line in lines:
        if _NO_DRIVER.search(line):
            return f"it is built for an NVIDIA GPU, and the driver is missing or too old ({line})"
    if answer.returncode == -signal.SIGILL:
        return "it was built for another CPU (illegal instruction)"
    if answer.returncode is not None and (answer.returncode < 0 or answer.returncode >= 126):
        return lines[-1] if lines else f"it ended with code {answer.returncode}"
    return ""
