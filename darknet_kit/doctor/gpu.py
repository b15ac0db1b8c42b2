"""GPU: is one there, does its driver work, and if not, which of the known reasons is it."""

import re
from collections.abc import Iterator, Sequence

from darknet_kit.doctor.cards import Card, find_cards
from darknet_kit.doctor.check import Check, found
from darknet_kit.doctor.machine import Machine
from darknet_kit.doctor.nodriver import explain_no_driver
from darknet_kit.doctor.nvrm import find_failed_start, find_fall, find_missing_window
from darknet_kit.doctor.surroundings import ALLOW_GPU, Surroundings, find_surroundings
from darknet_kit.doctor.system import GIB
from darknet_kit.doctor.virtual import VFIO
from darknet_kit.engine.cuda import show_capability
from darknet_kit.engine.nvml import GpuFacts, NvmlFacts
from darknet_kit.engine.xid import find_xids

_NVIDIA = "nvidia"
_NO_NVML = frozenset({"library-not-found", "driver-not-loaded"})
_LOST = frozenset({"gpu-is-lost", "reset-required"})
_MUCH = 1 * GIB  # a desktop holds less
_SHARE_OF_POWER = 0.95
_SPEEDS = {1: 2.5, 2: 5.0, 3: 8.0, 4: 16.0, 5: 32.0, 6: 64.0}  # GT/s of the generations
# How guests of others than QEMU get room for a card's memory.
_ROOM = {
    "VMware": "Add `pciPassthru.use64bitMMIO = TRUE` and `pciPassthru.64bitMMIOSizeGB = 64` to the "
    "guest's .vmx, and start it with EFI.",
    "Hyper-V": "On the host: `Set-VM NAME -HighMemoryMappedIoSpace 33280MB "
    "-GuestControlledCacheTypes $true`.",
}


def check_cards(machine: Machine, nvml: NvmlFacts, kernel_log: str) -> Iterator[Check]:
    """Say of each card what keeps it from working; of a machine without one, where to get it."""
    cards = find_cards(machine)
    around = find_surroundings(machine)
    if not cards and not nvml.gpus:
        yield _explain_absence(machine, around)
    hidden = machine.environment.get("CUDA_VISIBLE_DEVICES")
    if nvml.gpus and hidden is not None and not re.match(r"\d|GPU-|MIG-", hidden.strip()):
        yield found("gpus-hidden", f"CUDA_VISIBLE_DEVICES={hidden!r}")
    working = {gpu.bus_id[-12:].lower() for gpu in nvml.gpus if not gpu.error}
    unplaced = "" in working  # a GPU works, and NVML does not say which card it is
    silent = []  # NVIDIA's driver holds them, its library does not show them, nothing says why
    for card in cards:
        if card.address.lower() in working or (unplaced and card.driver == _NVIDIA):
            continue
        told = list(_check_card(machine, card, kernel_log))
        yield from told
        if card.driver == _NVIDIA and not told:
            silent.append(card)
    if silent or (around.wsl and nvml.error and nvml.error not in _NO_NVML):
        yield from _check_driver(machine, around, nvml, silent, kernel_log)


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
        yield from _check_state(gpu)
        if card:
            yield from _check_link(gpu, card)


def check_xids(kernel_log: str) -> Iterator[Check]:
    """Count the errors of GPUs that the driver has reported."""
    # A line without a number is told with the card, as `gpu-lost`.
    xids = [xid for xid in find_xids(kernel_log.splitlines()) if xid.card]
    if xids:
        last = xids[-1]
        numbers = ", ".join(str(number) for number in sorted({xid.number for xid in xids}))
        told = f"{len(xids)} in the kernel log ({numbers}); the last, {last.number}"
        yield found("xid", f"{told}, of {last.card}: {last.meaning}", last.cure)


def _explain_absence(machine: Machine, around: Surroundings) -> Check:
    if "nvidia,tegra" in machine.read("proc/device-tree/compatible"):
        return found("integrated-gpu", machine.read("proc/device-tree/model") or "nvidia,tegra")
    if around.wsl:
        what = "/dev/dxg is there, and" if machine.has("dev/dxg") else "no /dev/dxg, and"
        cure = "Install NVIDIA's driver in Windows, not here; `wsl --update`, `wsl --shutdown`."
        return found("no-gpu", f"{what} the driver's library shows no GPU", cure)
    others = [name for name in machine.names("sys/class/drm") if re.fullmatch(r"card\d+", name)]
    other = "; what draws the screen is another maker's" if others else ""
    told = f"no NVIDIA GPU on the PCI bus{other}"
    if machine.has("proc/driver/nvidia/version") and around.container in ALLOW_GPU:
        return found("no-gpu", f"{told}, but its driver is", ALLOW_GPU[around.container])
    if around.hypervisor == "VirtualBox":
        cure = "VirtualBox passes no GPU on: take KVM, VMware ESXi, Hyper-V or WSL 2."
        return found("no-gpu", f"{told} of this virtual machine", cure)
    if around.hypervisor:
        cure = "To use one of the host's, pass it through to this guest; or train on the CPU."
        return found("no-gpu", f"{told} of this virtual machine", cure)
    return found("no-gpu", told)


def _check_card(machine: Machine, card: Card, kernel_log: str) -> Iterator[Check]:
    around = find_surroundings(machine)
    fall = find_fall(kernel_log, card.address)
    window = find_missing_window(kernel_log, card.address)
    if card.lost or (fall and card.driver in ("", _NVIDIA)):
        told = "its PCI configuration reads 0xff" if card.lost else ""
        yield found("gpu-lost", f"{card}: {'; '.join(filter(None, (told, fall)))}")
    elif card.unmapped or window:
        windows = ", ".join(f"BAR {number}" for number in card.unmapped)
        told = f"no address for {windows}" if windows else window
        yield found("bar-not-assigned", f"{card}: {told}", _ROOM.get(around.hypervisor, ""))
    elif card.driver == "nouveau":
        yield found("nouveau-bound", f"{card}: driver nouveau")
    elif card.driver == VFIO:
        if around.hypervisor:
            yield found("vfio-in-guest", f"{card}: driver {VFIO} in a guest")
    elif card.driver and card.driver != _NVIDIA:
        yield found("other-driver", f"{card}: driver {card.driver}")
    elif not card.driver:
        yield explain_no_driver(machine, around, card, kernel_log)


def _check_driver(
    machine: Machine,
    around: Surroundings,
    nvml: NvmlFacts,
    silent: Sequence[Card],
    kernel_log: str,
) -> Iterator[Check]:
    """Say why cards that NVIDIA's driver holds are not shown by its library."""
    inside = f" in {around.container}" if around.container else ""
    if nvml.error == "lib-rm-version-mismatch":
        loaded = machine.read("sys/module/nvidia/version") or "another version"
        yield found(
            "driver-mismatch", f"{loaded} is loaded{_name_library(machine)}; NVML: {nvml.error}"
        )
    elif not around.wsl and not _has_device_files(machine):
        allow = ALLOW_GPU.get(around.container, "")
        yield found("no-device-files", f"no /dev/nvidia0 or /dev/nvidiactl{inside}", allow)
    elif nvml.error == "no-permission":
        yield found("no-gpu-access", "NVML says no-permission")
    elif nvml.error in _NO_NVML:
        yield found(
            "no-nvml", f"NVML says {nvml.error}{inside}", ALLOW_GPU.get(around.container, "")
        )
    elif nvml.error in _LOST:
        yield found("gpu-lost", f"NVML says {nvml.error}")
    elif nvml.error and nvml.error != "timeout":  # that is told already
        yield found("nvml-failed", f"NVML says {nvml.error} ({nvml.message})")
    elif not nvml.error and not any(gpu.error for gpu in nvml.gpus):
        for card in silent:
            told = find_failed_start(kernel_log, card.address) or "NVML does not show it"
            yield found("start-failed", f"{card}: {told}")


def _name_library(machine: Machine) -> str:
    """Return the version in the name of the driver's library, which NVML is."""
    for folder in ("usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/lib/aarch64-linux-gnu", "usr/lib"):
        name = machine.target(f"{folder}/libnvidia-ml.so.1")
        if name:
            return f", {name} is installed"
    return ""


def _has_device_files(machine: Machine) -> bool:
    names = machine.names("dev")
    return "nvidiactl" in names and any(re.fullmatch(r"nvidia\d+", name) for name in names)


def _check_state(gpu: GpuFacts) -> Iterator[Check]:
    if gpu.prohibited:
        yield found("gpu-prohibited", f"GPU {gpu.index}: compute mode Prohibited")
    if gpu.persistence is False:
        yield found("no-persistence", f"GPU {gpu.index}: persistence mode is off")
    if gpu.memory and gpu.memory_used and gpu.memory_used > _MUCH:
        used, total = gpu.memory_used / GIB, gpu.memory / GIB
        yield found("gpu-busy", f"GPU {gpu.index}: {used:.1f} of {total:.1f} GiB are in use")
    limit, usual = gpu.power_limit, gpu.power_limit_default
    if limit and usual and limit < _SHARE_OF_POWER * usual:
        yield found("power-limited", f"GPU {gpu.index}: {limit:g} of {usual:g} W")


def _check_link(gpu: GpuFacts, card: Card) -> Iterator[Check]:
    """Compare lanes and generation with what the card could do; at rest it lowers the speed."""
    if 0 < card.width < card.widest <= 16:  # a guest may read 63 or 255 for unknown
        told = f"GPU {gpu.index} at {card.address}: {card.width} of {card.widest} lanes"
        yield found("narrow-link", told)
    fastest = re.match(r"[\d.]+", card.fastest)
    most = _SPEEDS.get(gpu.pcie_generation_most or 0, 0.0)
    if fastest and 0 < most < float(fastest[0]):
        told = f"GPU {gpu.index}: the slot gives {most:g} GT/s, the card can do {fastest[0]}"
        yield found("slow-link", told)


def _describe(gpu: GpuFacts, card: Card | None) -> str:
    words = [f"GPU {gpu.index}: {gpu.name or 'unnamed'}"]
    if gpu.capability:
        words.append(f"compute capability {show_capability(gpu.capability)}")
    if gpu.memory:
        words.append(f"{gpu.memory / GIB:.1f} GiB")
    width = gpu.pcie_width or (card.width if card else 0)
    generation = gpu.pcie_generation_most or gpu.pcie_generation or ""
    if width:
        words.append(f"PCIe {generation} x{width}".replace("  ", " "))
    if card and card.window:
        words.append(f"window of {card.window >> 20:,} MiB")
    if gpu.ecc:
        words.append("ECC")
    if gpu.display:
        words.append("with a screen")
    if gpu.mig:
        words.append("divided (MIG)")
    return ", ".join(words)
