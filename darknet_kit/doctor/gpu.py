"""GPU: is one there, does its driver work, and if not, which of the known reasons is it."""

import re
from collections.abc import Iterator

from darknet_kit.doctor.cards import Card, find_cards
from darknet_kit.doctor.check import Check, found
from darknet_kit.doctor.machine import Machine
from darknet_kit.doctor.surroundings import Surroundings, find_surroundings
from darknet_kit.doctor.virtual import VFIO
from darknet_kit.engine.cuda import show_capability
from darknet_kit.engine.nvml import GpuFacts, NvmlFacts

_NVIDIA = "nvidia"
_XID = re.compile(r"NVRM: Xid \(([^)]*)\): ?(\d+)(.*)", re.ASCII)
_UNSIGNED = re.compile(
    r"nvidia.*(?:key was rejected|required key not available|unsigned module)|"
    r"(?:loading of unsigned module|module signature|lockdown).*nvidia|"
    r"Loading of (?:unsigned )?module(?: with unavailable key)? is rejected",
    re.I,
)
_SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_NO_NVML = frozenset({"library-not-found", "driver-not-loaded"})
_LOST = frozenset({"gpu-is-lost", "reset-required"})
_ALLOW = {
    "Docker": "Start the container with `--gpus all`; the host needs nvidia-container-toolkit.",
    "Podman": "Start the container with `--device nvidia.com/gpu=all`; the host needs "
    "nvidia-container-toolkit.",
    "LXC": "Give the container the files in its configuration: `lxc.cgroup2.devices.allow: "
    "c 195:* rwm` and `lxc.mount.entry: /dev/nvidia0 dev/nvidia0 none bind,optional,create=file`; "
    "likewise nvidiactl and nvidia-uvm.",
    "Kubernetes": "Ask for `nvidia.com/gpu: 1` in the pod's limits; the node needs NVIDIA's device "
    "plugin.",
}


def check_cards(machine: Machine, nvml: NvmlFacts, kernel_log: str) -> Iterator[Check]:
    """Say of each card what keeps it from working; of a machine without one, where to get it."""
    cards = find_cards(machine)
    around = find_surroundings(machine)
    if not cards and not nvml.gpus:
        yield _explain_absence(machine, around)
    for card in cards:
        yield from _check_card(machine, card, kernel_log)
    if any(card.driver == _NVIDIA for card in cards) or nvml.gpus or around.wsl:
        yield from _check_driver(machine, around, nvml)


def check_gpus(machine: Machine, nvml: NvmlFacts) -> Iterator[Check]:
    """Describe each GPU that the driver can use, and what would slow it down."""
    cards = {card.address.lower(): card for card in find_cards(machine)}
    for gpu in nvml.gpus:
        if gpu.error:
            code = "gpu-lost" if gpu.error in _LOST else "nvml-failed"
            yield found(code, f"GPU {gpu.index}: NVML says {gpu.error}")
            continue
        card = cards.get(gpu.bus_id[-12:].lower())
        yield found("gpu", _describe(gpu, card))
        if gpu.persistence is False:
            yield found("no-persistence", f"GPU {gpu.index}: persistence mode is off")
        if card and 0 < card.width < card.widest < 64:  # a guest may read 63 or 255 for unknown
            told = f"GPU {gpu.index} at {card.address}: {card.width} of {card.widest} lanes"
            yield found("narrow-link", told)


def check_xids(kernel_log: str) -> Iterator[Check]:
    """Count the errors of GPUs that the driver has reported."""
    xids = _XID.findall(kernel_log)
    if xids:
        place, number, rest = xids[-1]
        said = rest.strip(" ,")
        told = f"{len(xids)} in the kernel log, the last: Xid {number} of {place}: {said[:120]}"
        yield found("xid", told)


def _explain_absence(machine: Machine, around: Surroundings) -> Check:
    if around.wsl:
        has_door = machine.has("dev/dxg")
        what = "/dev/dxg is there, and" if has_door else "no /dev/dxg, and"
        cure = "Install NVIDIA's driver in Windows, not here; `wsl --update`, `wsl --shutdown`."
        return found("no-gpu", f"{what} the driver's library shows no GPU", cure)
    others = [name for name in machine.names("sys/class/drm") if re.fullmatch(r"card\d+", name)]
    other = "; there is another maker's, which Darknet cannot use" if others else ""
    told = f"no NVIDIA GPU on the PCI bus{other}"
    if around.container in _ALLOW and machine.has("proc/driver/nvidia/version"):
        return found("no-gpu", told, _ALLOW[around.container])
    if around.hypervisor:
        return found(
            "no-gpu",
            f"{told} of this virtual machine",
            "To use one of the host's, pass it through to this guest; or train on the CPU.",
        )
    return found("no-gpu", told)


def _check_card(machine: Machine, card: Card, kernel_log: str) -> Iterator[Check]:
    if card.lost:
        said = _find_line(kernel_log, card)
        told = f"{card}: its PCI configuration reads 0xff"
        yield found("gpu-lost", f"{told}; {said}" if said else told)
        return
    if card.unmapped:
        windows = ", ".join(f"BAR {number}" for number in card.unmapped)
        yield found("bar-not-assigned", f"{card}: no address for {windows}")
    if card.driver == _NVIDIA:
        return
    if card.driver == "nouveau":
        yield found("nouveau-bound", f"{card}: driver nouveau")
    elif card.driver == VFIO:
        if find_surroundings(machine).hypervisor:
            yield found("vfio-in-guest", f"{card}: driver {VFIO} in a guest")
    elif card.driver:
        yield found("other-driver", f"{card}: driver {card.driver}")
    elif find_surroundings(machine).container:
        told = f"{card}: no driver on the host of this container"
        yield found("no-driver", told, "Install NVIDIA's driver on the host, not here.")
    else:
        yield _explain_no_driver(machine, card, kernel_log)


def _find_line(kernel_log: str, card: Card) -> str:
    """Return the kernel's last word on a card that left the bus."""
    place = card.address.rpartition(".")[0]
    lines = [line for line in kernel_log.splitlines() if place in line and "fallen off" in line]
    return lines[-1].strip()[:160] if lines else ""


def _explain_no_driver(machine: Machine, card: Card, kernel_log: str) -> Check:
    running = machine.kernel()
    kernels = [name for name in machine.names("lib/modules") if _has_module(machine, name)]
    if running in kernels:
        refused = next((line for line in kernel_log.splitlines() if _UNSIGNED.search(line)), "")
        if refused or machine.read_bytes(_SECURE_BOOT)[-1:] == b"\1":
            told = refused.strip()[:160] or "Secure Boot is on, the module is not loaded"
            return found("secure-boot", f"{card}: {told}")
        return found(
            "no-driver",
            f"{card}: NVIDIA's module for {running} is installed and not loaded",
            "`modprobe nvidia` as root says why; `dmesg` has its words.",
        )
    if kernels:
        told = f"{card}: no module for {running}, but for {', '.join(kernels)}"
        return found("driver-other-kernel", told)
    return found("no-driver", f"{card}: no driver holds it, and none is installed")


def _has_module(machine: Machine, kernel: str) -> bool:
    """Tell whether NVIDIA's module is installed for a kernel, wherever distributions put it."""
    places = ("updates/dkms", "kernel/drivers/video", "kernel/nvidia", "extra", "updates", "nvidia")
    folders = [f"lib/modules/{kernel}/{place}" for place in places]
    folders += [f"{one}/{name}" for one in folders for name in machine.names(one) if "nv" in name]
    listed = machine.read(f"lib/modules/{kernel}/modules.dep")
    return bool(re.search(r"/nvidia(-current)?\.ko", listed)) or any(
        name.startswith(("nvidia.ko", "nvidia-current.ko"))
        for folder in folders
        for name in machine.names(folder)
    )


def _check_driver(machine: Machine, around: Surroundings, nvml: NvmlFacts) -> Iterator[Check]:
    if nvml.error == "lib-rm-version-mismatch":
        told = machine.read("sys/module/nvidia/version") or "of another version"
        yield found("driver-mismatch", f"the loaded module is {told}; NVML says {nvml.error}")
    elif not around.wsl and not _has_device_files(machine):
        told = (
            f"no /dev/nvidia0 or /dev/nvidiactl{f' in {around.container}' * bool(around.container)}"
        )
        yield found("no-device-files", told, _ALLOW.get(around.container, ""))
    elif nvml.error == "no-permission":
        yield found("no-gpu-access", "NVML says no-permission")
    elif nvml.error in _NO_NVML:
        cure = _ALLOW.get(around.container, "")
        yield found("no-nvml", f"NVML says {nvml.error}", cure)
    elif nvml.error in _LOST:
        yield found("gpu-lost", f"NVML says {nvml.error}")
    elif nvml.error:
        yield found("nvml-failed", f"NVML says {nvml.error} ({nvml.message})")


def _has_device_files(machine: Machine) -> bool:
    names = machine.names("dev")
    numbered = any(re.fullmatch(r"nvidia\d+", name) for name in names)
    return numbered and "nvidiactl" in names


def _describe(gpu: GpuFacts, card: Card | None) -> str:
    words = [f"GPU {gpu.index}: {gpu.name or 'unnamed'}"]
    if gpu.capability:
        words.append(f"compute capability {show_capability(gpu.capability)}")
    if gpu.memory:
        words.append(f"{gpu.memory / (1 << 30):.1f} GiB")
    if gpu.pcie_width and gpu.pcie_generation:
        words.append(f"PCIe {gpu.pcie_generation_most or gpu.pcie_generation} x{gpu.pcie_width}")
    elif card and card.width:
        words.append(f"PCIe x{card.width}")
    if gpu.mig:
        words.append("divided (MIG)")
    return ", ".join(words)
