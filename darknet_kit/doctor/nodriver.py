"""Why no driver holds a GPU that is on the bus: not installed, not for this kernel, not signed."""

import re

from darknet_kit.doctor.cards import Card
from darknet_kit.doctor.check import Check, found
from darknet_kit.doctor.machine import Machine
from darknet_kit.doctor.nvrm import find_failed_start, find_refusal
from darknet_kit.doctor.surroundings import Surroundings

_SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
# Where distributions put modules, below lib/modules/KERNEL; some in a folder of their own there.
_PLACES = ("updates/dkms", "kernel/drivers/video", "kernel/nvidia", "extra", "updates", "nvidia")
_MODULE = re.compile(r"nvidia(-current)?\.ko(\.(xz|zst|gz))?")


def explain_no_driver(machine: Machine, around: Surroundings, card: Card, kernel_log: str) -> Check:
    """Return the check that says why this card has no driver."""
    if around.container:
        told = f"{card}: no driver holds it on the host of this container"
        return found("no-driver", told, "Install NVIDIA's driver on the host, not here.")
    failed = find_failed_start(kernel_log, card.address)
    if failed and machine.has("sys/module/nvidia"):
        return found("start-failed", f"{card}: {failed}")
    running = machine.kernel()
    kernels = [name for name in machine.names("lib/modules") if _has_module(machine, name)]
    if running in kernels:
        return _explain_not_loaded(machine, card, running, kernel_log)
    if kernels:
        told = f"{card}: no module for {running}, but for {', '.join(kernels)}"
        return found("driver-other-kernel", told)
    return found("no-driver", f"{card}: no driver holds it, and none is installed")


def _explain_not_loaded(machine: Machine, card: Card, running: str, kernel_log: str) -> Check:
    refusal = find_refusal(kernel_log)
    if refusal or machine.read_bytes(_SECURE_BOOT)[-1:] == b"\1":
        told = refusal or "the module is installed and not loaded"
        return found("secure-boot", f"{card}: {told}")
    return found(
        "no-driver",
        f"{card}: NVIDIA's module for {running} is installed and not loaded",
        "`modprobe nvidia` as root says why; `dmesg` has its words.",
    )


def _has_module(machine: Machine, kernel: str) -> bool:
    """Tell whether NVIDIA's module is installed for a kernel."""
    home = f"lib/modules/{kernel}"
    if re.search(r"/nvidia(-current)?\.ko", machine.read(f"{home}/modules.dep")):
        return True
    folders = [f"{home}/{place}" for place in _PLACES]
    folders += [f"{one}/{name}" for one in folders for name in machine.names(one) if "nv" in name]
    return any(_MODULE.fullmatch(name) for one in folders for name in machine.names(one))
