"""Trees of files as other machines have them: sysfs, proc, the kernel's log, NVML's answer.

Their formats are those of Linux's documentation (Documentation/ABI/testing/sysfs-bus-pci,
filesystems/proc); lines of logs are from public reports of each failure.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KERNEL = "6.1.0-18-amd64"
GTX_1080 = "0x1b80"
PLACE = "0000:01:00.0"
# Start, end and flags of the windows of a GeForce: BAR0 16 MiB, BAR1 256 MiB 64-bit prefetchable.
RESOURCE = """\
0x00000000f6000000 0x00000000f6ffffff 0x0000000000040200
0x00000000e0000000 0x00000000efffffff 0x000000000014220c
0x0000000000000000 0x0000000000000000 0x0000000000000000
0x00000000f0000000 0x00000000f1ffffff 0x000000000014220c
0x0000000000000000 0x0000000000000000 0x0000000000000000
0x000000000000e000 0x000000000000e07f 0x0000000000040101
"""
# A guest whose firmware found no room for BAR1: the kernel keeps its size and marks it unset.
RESOURCE_UNSET = RESOURCE.replace(
    "0x00000000e0000000 0x00000000efffffff 0x000000000014220c",
    "0x0000000000000000 0x000000000fffffff 0x000000002014220c",
)
FLAGS = "fpu sse2 ssse3 sse4_1 sse4_2 avx avx2"


def write(root: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files below a root."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def write_machine(root: Path, *, guest: bool = False, flags: str = FLAGS, cores: int = 8) -> Path:
    """Write what every PC has: a CPU, memory, a kernel."""
    more = " hypervisor" if guest else ""
    cpu = f"model name\t: Intel(R) Core(TM) i7-9700K CPU @ 3.60GHz\nflags\t\t: {flags}{more}\n\n"
    write(
        root,
        {
            "proc/cpuinfo": "".join(f"processor\t: {number}\n{cpu}" for number in range(cores)),
            "proc/meminfo": "MemTotal:       32768000 kB\nMemFree:         1000000 kB\n"
            "MemAvailable:   16384000 kB\nSwapTotal:       8388608 kB\n",
            "proc/sys/kernel/osrelease": f"{KERNEL}\n",
            "proc/cmdline": "BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro quiet\n",
            "proc/mounts": "/dev/sda1 / ext4 rw,relatime 0 0\ntmpfs /dev/shm tmpfs rw,nosuid 0 0\n",
            "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
        },
    )
    return root


def write_firmware(root: Path, vendor: str, product: str, *, uefi: bool, bios: str = "") -> None:
    """Write the firmware's tables."""
    folder = "sys/class/dmi/id"
    write(
        root,
        {
            f"{folder}/sys_vendor": f"{vendor}\n",
            f"{folder}/product_name": f"{product}\n",
            f"{folder}/bios_vendor": f"{bios or vendor}\n",
        },
    )
    if uefi:
        (root / "sys/firmware/efi").mkdir(parents=True)


def write_device(
    root: Path,
    place: str = PLACE,
    *,
    device: str = GTX_1080,
    kind: str = "0x030000",
    driver: str = "",
    group: str = "",
    vendor: str = "0x10de",
    files: Mapping[str, str | bytes] = {},
) -> None:
    """Write one function on the PCI bus; by default a GeForce that nobody holds."""
    folder = f"sys/bus/pci/devices/{place}"
    number = int(device, 16).to_bytes(2, "little")
    write(
        root,
        {
            f"{folder}/vendor": f"{vendor}\n",
            f"{folder}/device": f"{device}\n",
            f"{folder}/class": f"{kind}\n",
            f"{folder}/config": b"\xde\x10" + number + bytes(60),
            f"{folder}/resource": RESOURCE,
            **{f"{folder}/{name}": content for name, content in files.items()},
        },
    )
    if driver:
        (root / folder / "driver").symlink_to(f"../../../bus/pci/drivers/{driver}")
    if group:
        (root / folder / "iommu_group").symlink_to(f"../../../kernel/iommu_groups/{group}")
        member = root / f"sys/kernel/iommu_groups/{group}/devices/{place}"
        member.parent.mkdir(parents=True, exist_ok=True)
        member.symlink_to(f"../../../../bus/pci/devices/{place}")


def write_nvml(root: Path, **facts: Any) -> None:
    """Write what NVML said."""
    (root / "nvml.json").write_text(json.dumps(facts))


def write_working_gpu(root: Path, **changed: Any) -> None:
    """Write a GTX 1080 that NVIDIA's driver 535 holds, with its files in /dev and its NVML."""
    write_device(root, driver="nvidia", files={"current_link_width": "16", "max_link_width": "16"})
    write(root, {"dev/nvidia0": "", "dev/nvidiactl": "", "sys/module/nvidia/version": "535.183.01"})
    gpu = {
        "index": 0,
        "name": "NVIDIA GeForce GTX 1080",
        "bus_id": "00000000:01:00.0",
        "capability": 61,
        "memory": 8589934592,
        "memory_used": 300000000,
        "persistence": True,
        "pcie_generation_most": 3,
        "pcie_width": 16,
        **changed,
    }
    write_nvml(root, driver="535.183.01", cuda="12.2", gpus=[gpu])
