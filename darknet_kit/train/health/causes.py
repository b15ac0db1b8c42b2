"""Why an engine ended: the last things that it said, how it died, and what the kernel knows.

The engines' own words are those of AlexeyAB `src/utils.c`, `src/dark_cuda.c`, `src/parser.c` and
`src/data.c`, pjreddie's `src/` of the same names, hank-ai's calls of `darknet_fatal_error`, and of
CUDA, cuDNN and glibc.
"""

import re
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from darknet_kit.engine.xid import HOPELESS_XIDS, Xid
from darknet_kit.train.process import describe_end

_CHECK = "`dkit check DATA` lists every such file."
_BUILD = "`dkit build` makes an engine for this machine."
_WRONG_CFG = (
    r"doesn't correspond to|does not match either|must output image|No input parameters"
    r"|Type not recognized|layer type .* not recognized|policy must have steps|First section must"
    r"|has no sections|empty configuration file|config line #|duplicate key|should be numeric"
    r"|Assertion `l\.outputs == params\.inputs|name \".*\" is not supported|isn't supported"
    r"|batch=1 for|batch size should not be"
)
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an attempt failed: a stable code, a sentence, what to do, and what shows it."""

    code: str
    message: str
    cure: str = ""
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Death:
    """How an engine ended, and the traces that it left.

    `lines` are its last, errors first; `oom_line` and `crash_line` are the kernel's about this
    process, `oom_kills` how often the OOM killer struck in its control group meanwhile.
    """

    returncode: int
    lines: Sequence[str] = ()
    xids: Sequence[Xid] = ()
    oom_line: str = ""
    oom_kills: int = 0
    crash_line: str = ""


# The telling ones come first. {0} in a sentence stands for the pattern's group.
_SAID: tuple[tuple[str, str, str, str], ...] = (
    (
        "host-out-of-memory",
        r"possibly out of CPU RAM|std::bad_alloc|^(?!.*CUDA).*Cannot allocate memory",
        "the engine got no more memory of the machine (not of the GPU)",
        "Close other programs, or train on smaller images: the loaders hold many at once.",
    ),
    (
        "out-of-memory",
        r"(?i)out of memory|OUT_OF_MEMORY|MemoryAllocation|ALLOC_FAILED"
        r"|cuda (?:malloc|memory allocation) failed|cudaHostAlloc\W+failed",
        "the GPU is out of memory",
        "More subdivisions, a smaller width and height, random=0, or no mAP take less.",
    ),
    (
        "shared-memory-full",
        r"shared memory \(shm\)|/dev/shm",
        "shared memory (/dev/shm) is full",
        "Give the container more: docker run --shm-size=8g",
    ),
    (
        "disk-full",
        r"No space left on device|Disk quota exceeded"
        r"|cannot write: the disk (?:is full|quota is used up)",
        "the disk is full",
        "Free some space.",
    ),
    (
        "gpu-lost",
        r"(?i)GPU is lost|GPU_IS_LOST|fallen off the bus|cudaErrorDevicesUnavailable",
        "the GPU is gone",
        "Check its power and heat, then reboot. In a virtual machine, restart the guest.",
    ),
    (
        "no-gpu",
        r"(?i)no CUDA-capable device|invalid device ordinal|cudaErrorNoDevice|InvalidDevice",
        "CUDA finds no such GPU",
        "`dkit doctor` looks at GPU and driver; --gpus counts from 0.",
    ),
    (
        "old-driver",
        r"driver version is insufficient|InsufficientDriver|driver/library version mismatch"
        r"|unsupported display driver",
        "NVIDIA's driver and this engine's CUDA do not fit together",
        "Update the driver and reboot; `dkit doctor` tells both versions.",
    ),
    (
        "wrong-gpu-code",
        r"no kernel image is available|invalid device function|unsupported toolchain",
        "the engine holds no code for this GPU",
        _BUILD,
    ),
    (
        "cudnn-refused",
        r"CUDNN_STATUS_(?:BAD_PARAM|NOT_SUPPORTED)",
        "cuDNN refused a layer, as some versions do when the network is resized for mAP",
        "Train without mAP: dkit train DATA CFG --no-map",
    ),
    (
        "cuda-error",
        r"(?i)(?:CUDA|cuDNN)[a-z ]* error(?: prev)?: *(?!file|/)(\S.*)"
        r"|(illegal memory access.*|unspecified launch failure.*)"
        r"|((?:CUDNN|CUBLAS)_STATUS_\w+)|(cuBLAS)[a-z ]* error",
        "CUDA failed: {0}",
        "`dkit doctor` looks at GPU and driver; heat, power and overclocking are common reasons.",
    ),
    (
        "diverged",
        r"(layer \d+ holds NaN or infinite values)",
        "the training is lost: {0}",
        "Lower the learning_rate, and look at labels and anchors: dkit check",
    ),
    (
        "missing-library",
        r"error while loading shared libraries: ([^:\s]+)",
        "the engine misses the library {0}",
        _BUILD,
    ),
    (
        "missing-label",
        r"Couldn't open file: (?!\S*\b(?:train|valid|difficult)\.txt\b)(\S.*\.txt)"
        r"|failed to open annotation file (.*)|does not have a corresponding .txt .*?: (.*)",
        "the engine ends at an image without a label: {0}",
        _CHECK,
    ),
    (
        "bad-label",
        r"(invalid (?:class (?:id|ID)|coordinates?|annotation|width|height|ground truth).*)",
        "the engine ends at a label that it cannot take: {0}",
        _CHECK,
    ),
    (
        "missing-file",
        r"Couldn't open file: (\S.*)|config file does not exist: (.*)",
        "the engine does not find {0}",
        "Was it moved or deleted after the start?",
    ),
    (
        "wrong-weights",
        r"(expected to read \d+ fields.*|failure detected while reading weights.*)",
        "the engine does not accept the weights: {0}",
        "`dkit check CFG WEIGHTS` compares them layer by layer.",
    ),
    (
        "wrong-cfg",
        rf"((?:[^.!]*)(?:{_WRONG_CFG}).*)",
        "the engine does not accept the cfg: {0}",
        "`dkit check CFG` looks at the network.",
    ),
    (
        "unreadable-image",
        r"(Cannot load image.*|failed to load image.*|image filename does not exist.*"
        r"|Error in load_data_detection.*|OpenCV cannot load an image.*)",
        "the engine ends at an image that it cannot read: {0}",
        _CHECK,
    ),
)
_PATTERNS = tuple((code, re.compile(text), say, cure) for code, text, say, cure in _SAID)

_SIGNALS: dict[int, tuple[str, str, str]] = {
    signal.SIGILL: (
        "illegal-instruction",
        "the engine was built for another CPU (AVX, as a rule)",
        _BUILD,
    ),
    signal.SIGBUS: (
        "crashed",
        "the engine lost memory that it had mapped: a file was cut, or /dev/shm is full",
        "Give a container more shared memory: docker run --shm-size=8g",
    ),
    signal.SIGKILL: ("killed", "something killed the engine (SIGKILL)", ""),
    signal.SIGTERM: ("killed", "something ended the engine (SIGTERM)", ""),
    signal.SIGHUP: ("killed", "something ended the engine (SIGHUP)", ""),
    signal.SIGINT: ("killed", "something interrupted the engine (SIGINT)", ""),
}
_CANNOT_RUN, _NOT_FOUND = 126, 127  # of stdbuf, and of shells
_SHELL_SIGNAL = 128


def find_cause(death: Death) -> Cause:
    """Return why an engine failed, the most certain knowledge first.

    The driver's lesser errors may be those of another program, so they only speak for an engine
    that says nothing else, or no more than that CUDA failed.
    """
    said = find_said(death.lines)
    grave = [xid for xid in death.xids if xid.number in HOPELESS_XIDS]
    if grave:
        return _of_xid("gpu-lost", grave[0], death)
    if killed := _find_oom_kill(death):
        return killed
    if death.xids and (said is None or said.code == "cuda-error"):
        return _of_xid("cuda-error", death.xids[-1], death)
    ended = f"the engine ended early: {describe_end(death.returncode)}"
    return said or _find_died(death) or Cause("engine-ended", ended)


def _of_xid(code: str, xid: Xid, death: Death) -> Cause:
    evidence = tuple(one.line for one in death.xids)
    return Cause(code, f"{xid.meaning} (Xid {xid.number})", xid.cure, evidence)


def find_said(lines: Iterable[str]) -> Cause | None:
    """Return what an engine's last lines name as the cause, or None."""
    lines = list(lines)
    for code, pattern, message, cure in _PATTERNS:
        for line in lines:
            if match := pattern.search(line):
                what = next((group for group in match.groups() if group), "").strip()
                return Cause(code, message.format(what)[:_LONGEST], cure, (line,))
    return None


def _find_oom_kill(death: Death) -> Cause | None:
    """Return that the OOM killer took it, as the kernel's log or the control group says."""
    killed = death.returncode in (-signal.SIGKILL, _SHELL_SIGNAL + signal.SIGKILL)
    if not killed or not (death.oom_line or death.oom_kills):
        return None
    counted = f"the control group counts {death.oom_kills} more OOM kills than before"
    return Cause(
        "host-out-of-memory",
        "the kernel killed the engine because memory ran out (of the machine, not of the GPU)",
        "Close other programs, add memory or swap, or train on smaller images.",
        (death.oom_line or counted,),
    )


def _find_died(death: Death) -> Cause | None:
    """Return what the manner of its end tells."""
    code = death.returncode
    number = -code if code < 0 else code - _SHELL_SIGNAL
    if code in (_CANNOT_RUN, _NOT_FOUND):
        return Cause("engine-gone", "the engine is gone, or cannot be run any more", _BUILD)
    if number in _SIGNALS:
        return Cause(*_SIGNALS[number])
    if number > 0:
        evidence = (death.crash_line,) if death.crash_line else ()
        cure = "If it does so again at the same place, look at the images: `dkit check DATA`."
        message = f"the engine crashed: {describe_end(-number)}"
        return Cause("crashed", message, cure, evidence)
    return None
