"""Where a machine runs: on metal, in a virtual machine, in a container, below Windows."""

import re
from dataclasses import dataclass

from darknet_kit.doctor.machine import Machine

_DMI = "sys/class/dmi/id"
# What is in the vendor, product, board or firmware of a guest, and whose it is.
_MAKERS = (
    ("vmware", "VMware"),
    ("virtualbox", "VirtualBox"),
    ("innotek", "VirtualBox"),
    ("microsoft corporation virtual machine", "Hyper-V"),
    ("xen", "Xen"),
    ("hvm domu", "Xen"),
    ("parallels", "Parallels"),
    ("bhyve", "bhyve"),
    ("amazon ec2", "Amazon EC2"),
    ("google compute engine", "Google Compute Engine"),
    ("openstack", "KVM (OpenStack)"),
    ("proxmox", "KVM (Proxmox)"),
    ("qemu", "KVM/QEMU"),
    ("bochs", "KVM/QEMU"),
    ("seabios", "KVM/QEMU"),
    ("kvm", "KVM"),
    ("red hat", "KVM"),
)
_CLOCKS = (("kvm-clock", "KVM"), ("hyperv_clocksource_tsc_page", "Hyper-V"), ("xen", "Xen"))
# Files that say in which container their reader is.
_MARKS = (("run/.containerenv", "Podman"), (".dockerenv", "Docker"))
_CONTROL_GROUPS = (
    *(("kubepods", "Kubernetes"), ("docker", "Docker"), ("libpod", "Podman")),
    *(("lxc", "LXC"), ("machine.slice/systemd-nspawn", "systemd-nspawn")),
)

ALLOW_GPU = {
    "Docker": "Start the container with `--gpus all`; the host needs nvidia-container-toolkit.",
    "Podman": "Start the container with `--device nvidia.com/gpu=all`; the host needs "
    "nvidia-container-toolkit.",
    "LXC": "In the container's configuration: `lxc.cgroup2.devices.allow: c 195:* rwm` and "
    "`lxc.mount.entry: /dev/nvidia0 dev/nvidia0 none bind,optional,create=file`, likewise for "
    "nvidiactl and nvidia-uvm.",
    "Kubernetes": "Ask for `nvidia.com/gpu: 1` in the pod's limits; the node needs NVIDIA's device "
    "plugin.",
}
"""How a container gets the GPUs of its host, by the container's kind."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is around: the names of a hypervisor and a container are empty where there is none."""

    hypervisor: str = ""
    product: str = ""
    container: str = ""
    wsl: bool = False
    uefi: bool = False


def find_surroundings(machine: Machine, kernel_log: str = "") -> Surroundings:
    """Tell a guest from a host, and a container from either.

    Where a guest has no firmware tables, its clock or the kernel's log may name the hypervisor.
    """
    release = machine.kernel().lower()
    wsl = "microsoft" in release
    return Surroundings(
        hypervisor="" if wsl else _find_hypervisor(machine, kernel_log),
        product=machine.read(f"{_DMI}/product_name"),
        container=_find_container(machine),
        wsl=wsl,
        uefi=machine.has("sys/firmware/efi"),
    )


def _find_hypervisor(machine: Machine, kernel_log: str) -> str:
    kind = machine.read("sys/hypervisor/type")
    cpu = machine.read("proc/cpuinfo")
    is_guest = " hypervisor " in f"{cpu} ".replace("\n", " ")
    told = " ".join(
        machine.read(f"{_DMI}/{name}")
        for name in ("sys_vendor", "product_name", "board_vendor", "bios_vendor")
    ).lower()
    maker = next((name for mark, name in _MAKERS if mark in told), "")
    if kind == "xen" and "control_d" not in machine.read("proc/xen/capabilities"):
        return "Xen"
    named = re.search(r"Hypervisor detected: ([\w /-]+)", kernel_log)
    if is_guest or (maker and "flags" not in cpu):  # only x86's CPUs tell
        # Hyper-V's firmware says no more than that it is Microsoft's.
        microsoft = "Hyper-V" if "microsoft" in told else ""
        logged = named[1].strip() if named else ""
        return maker or microsoft or _read_clock(machine) or logged or "an unnamed hypervisor"
    return ""


def _read_clock(machine: Machine) -> str:
    """Name the hypervisor by the clock that it offers its guests; no log forgets that."""
    clocks = machine.read("sys/devices/system/clocksource/clocksource0/available_clocksource")
    return next((name for mark, name in _CLOCKS if mark in clocks.split()), "")


def _find_container(machine: Machine) -> str:
    for path, name in _MARKS:
        if machine.has(path):
            return name
    told = machine.read("run/systemd/container")
    if told:
        return {"lxc": "LXC", "docker": "Docker", "podman": "Podman"}.get(told, told)
    if "container=lxc" in machine.read("proc/1/environ"):
        return "LXC"
    groups = machine.read("proc/1/cgroup")
    return next((name for mark, name in _CONTROL_GROUPS if mark in groups), "")
