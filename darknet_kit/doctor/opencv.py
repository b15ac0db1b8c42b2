"""OpenCV: that of darknet, and that of this Python."""

from collections.abc import Iterator
from importlib import metadata

from darknet_kit.doctor.check import Check, found
from darknet_kit.engine.modules import ask_opencv, has_module
from darknet_kit.engine.toolchain import Toolchain

_PACKAGES = (
    *("opencv-python", "opencv-python-headless"),
    *("opencv-contrib-python", "opencv-contrib-python-headless"),
)


def check_development(toolchain: Toolchain) -> Iterator[Check]:
    """Look for what a darknet with OpenCV is built with."""
    code = "opencv-dev" if toolchain.opencv else "no-opencv-dev"
    yield found(code, toolchain.opencv.evidence)


def check_python_opencv() -> Iterator[Check]:
    """Import cv2 in a process of its own; count the packages that bring it."""
    packages = _list_packages()
    if len(packages) > 1:
        yield found("two-cv2", " and ".join(packages))
    if not has_module("cv2"):
        yield found("no-cv2", "there is no module cv2")
        return
    told = ask_opencv()
    if told.error:
        yield found("cv2-broken", told.error)
        return
    windows = "no windows" if told.windows in ("", "NONE") else f"windows by {told.windows}"
    by = f" ({packages[0]})" if packages else ""
    yield found("cv2", f"{told.version}{by}, {windows}")


def _list_packages() -> list[str]:
    installed = []
    for name in _PACKAGES:
        try:
            installed.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return installed
