"""The embedded engine seen from outside: a program of this Python's, which needs an extra.

PyTorch is heavy, so the engine is asked by starting it, as a darknet is; nothing is imported here.
"""

import importlib.util
import re
import sys
import tempfile

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine.answer import ask
from darknet_kit.engine.flavor import Features, Identity
from darknet_kit.engine.nvidia import find_driver
from darknet_kit.errors import ToolchainError

EMBEDDED_ARGV = (sys.executable, "-m", "darknet_kit.engine.torch")
# What it imports, and in which package that is.
_NEEDED = {"torch": "PyTorch", "numpy": "NumPy", "cv2": "OpenCV"}
_VERSION = re.compile(r"^darknet-kit \S+, PyTorch (\S+), (CPU|CUDA)", re.M)
_TIMEOUT_SECONDS = 120.0  # the first import of PyTorch from a network disk


def identify_embedded() -> Identity:
    """Start the embedded engine and tell what it computes on; `version` is PyTorch's.

    Its flavour is AlexeyAB's, whose command line, log, label rule and names of checkpoints it has.
    Raises ToolchainError (`no-torch`, `engine-does-not-start`).
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        named = " and ".join(_NEEDED[name] for name in missing)
        raise ToolchainError(
            f"the embedded engine needs {named}, which this Python does not have",
            code="no-torch",
            hint=f"pip install 'darknet-kit[torch]'{_name_build(missing)}",
        )
    with tempfile.TemporaryDirectory(prefix="dkit-") as folder:
        answer = ask([*EMBEDDED_ARGV, "version"], folder=folder, timeout=_TIMEOUT_SECONDS)
    told = _VERSION.search(answer.stdout)
    if told is None or not answer.ok:
        last = [line.strip() for line in answer.text.splitlines() if line.strip()][-1:]
        raise ToolchainError(
            f"the embedded engine does not start: {answer.error or ' '.join(last) or 'no word'}",
            code="engine-does-not-start",
            hint="Install it anew: pip install --force-reinstall 'darknet-kit[torch]'",
        )
    gpu = told[2] == "CUDA"
    features = Features(gpu=gpu, cudnn=gpu, opencv=True)
    return Identity(Flavor.ALEXEYAB, features, told[1])


def _name_build(missing: list[str]) -> str:
    """Say which of PyTorch's builds suits this machine; the default one brings CUDA along."""
    if "torch" not in missing:
        return ""
    if find_driver().gpus:
        return "\n  PyTorch's default build, which it brings, uses this machine's GPU."
    return (
        "\n  This machine has no GPU: install PyTorch's CPU build first, which is much smaller; "
        "PyTorch's own site shows the command."
    )
