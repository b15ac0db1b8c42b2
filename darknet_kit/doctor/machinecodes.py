"""Codes of the machine itself: what it is made of, and where it runs."""

from darknet_kit.doctor.rows import Group, Row, Verdict

_OK, _NOTE, _WARNING = Verdict.OK, Verdict.NOTE, Verdict.WARNING
_PROBLEM = Verdict.PROBLEM

_SYSTEM = {
    "os": Row(Group.SYSTEM, _OK, "distribution and kernel"),
    "cpu": Row(Group.SYSTEM, _OK, "the CPU, and how many cores a training may use"),
    "no-avx2": Row(
        Group.SYSTEM,
        _WARNING,
        "a CPU without AVX2: a darknet built with AVX=1 ends with `illegal instruction`",
        "In a virtual machine give the guest the host's CPU (QEMU: `-cpu host`); a build on this "
        "machine leaves AVX out by itself.",
    ),
    "few-cores": Row(
        Group.SYSTEM,
        _NOTE,
        "fewer than four cores: a GPU waits for images to be decoded",
        "Give the virtual machine more cores.",
    ),
    "memory": Row(Group.SYSTEM, _OK, "main memory, and how much of it is free"),
    "little-memory": Row(
        Group.SYSTEM,
        _WARNING,
        "less than 4 GiB of memory: loading images beside a network may end the run",
        "Give the virtual machine or container more memory, or add swap.",
    ),
    "swap": Row(Group.SYSTEM, _OK, "swap space"),
    "no-swap": Row(
        Group.SYSTEM,
        _NOTE,
        "little memory and no swap: whoever asks for too much is killed",
        "Add a swap file of some GiB.",
    ),
    "shm": Row(Group.SYSTEM, _OK, "shared memory, through which loaders hand over images"),
    "small-shm": Row(
        Group.SYSTEM,
        _WARNING,
        "less than 512 MiB of shared memory: PyTorch's loaders end with a bus error",
        "Start the container with `--shm-size=8g` or `--ipc=host`; elsewhere "
        "`mount -o remount,size=8G /dev/shm`.",
    ),
    "few-open-files": Row(
        Group.SYSTEM,
        _WARNING,
        "fewer than 1024 files may be open at a time",
        "`ulimit -n 4096` in the shell that starts dkit.",
    ),
    "clock-behind": Row(
        Group.SYSTEM,
        _WARNING,
        "a clock that is behind: downloads fail, and make rebuilds or skips at random",
        "Set it: `timedatectl set-ntp true`, or start chrony in the guest.",
    ),
    "decimal-comma": Row(
        Group.SYSTEM,
        _NOTE,
        "a locale with decimal commas: an engine with windows may read 0.001 as 0",
        "Put `LC_ALL=C` before the command of an engine that shows windows.",
    ),
}
_VIRTUAL = {
    "bare-metal": Row(Group.VIRTUAL, _OK, "no hypervisor"),
    "guest": Row(Group.VIRTUAL, _OK, "a virtual machine: whose, and how it starts"),
    "container": Row(Group.VIRTUAL, _OK, "a container: whose"),
    "wsl": Row(Group.VIRTUAL, _OK, "Windows' subsystem for Linux: its driver is that of Windows"),
    "guest-bios": Row(
        Group.VIRTUAL,
        _NOTE,
        "a guest with a GPU that starts with BIOS: memory windows above 4 GiB may not be mapped, "
        "and a card with a UEFI-only ROM is not started",
        "If the card does not work, make the guest anew with UEFI (OVMF).",
    ),
    "old-chipset": Row(
        Group.VIRTUAL,
        _NOTE,
        "a guest with a GPU on the i440FX chipset, which has no PCI Express",
        "Take the machine type q35, on which the card is a PCI Express device.",
    ),
    "iommu": Row(Group.VIRTUAL, _OK, "the IOMMU is on, which passing a card to a guest needs"),
    "iommu-group": Row(Group.VIRTUAL, _OK, "the group and the driver of a card on a host"),
    "iommu-off": Row(
        Group.VIRTUAL,
        _NOTE,
        "the IOMMU is off: no card can be passed to a guest",
        "To pass one: switch on VT-d or AMD-Vi in the firmware, and add `intel_iommu=on` "
        "(Intel) to the kernel's command line.",
    ),
    "iommu-off-vfio": Row(
        Group.VIRTUAL,
        _PROBLEM,
        "cards are set up for vfio-pci, and the IOMMU is off: no guest gets them",
        "Switch on VT-d or AMD-Vi in the firmware, and add `intel_iommu=on` (Intel) to the "
        "kernel's command line.",
    ),
    "card-for-guest": Row(
        Group.VIRTUAL,
        _NOTE,
        "vfio-pci holds the card: it is for a guest, and nothing on this host can train on it",
        "Train inside the guest; or take the card out of vfio-pci's ids and restart.",
    ),
    "shared-group": Row(
        Group.VIRTUAL,
        _WARNING,
        "other devices share the IOMMU group of the card: a guest gets all of them or none",
        "Put the card into a slot at the CPU; else pass the whole group.",
    ),
    "audio-not-bound": Row(
        Group.VIRTUAL,
        _PROBLEM,
        "the card is bound to vfio-pci and its other functions are not: the guest will not start",
        "Add the ids of its audio and USB functions to `vfio-pci.ids=`.",
    ),
}
_DISK = {
    "disk": Row(Group.DISK, _OK, "room and kind of file system of runs and data"),
    "no-room": Row(
        Group.DISK,
        _PROBLEM,
        "less room than weights and log of this cfg take; Darknet does not tell",
        "Free some, keep fewer with --keep, or name another disk with --runs.",
    ),
    "little-room": Row(
        Group.DISK,
        _WARNING,
        "less than 5 GiB free where runs are kept",
        "Free some, or train with --runs on another disk.",
    ),
    "no-inodes": Row(
        Group.DISK,
        _PROBLEM,
        "the file system can hold no more files, whatever room it has",
        "Remove small files, or name another disk with --runs.",
    ),
    "read-only": Row(
        Group.DISK,
        _PROBLEM,
        "runs cannot be written there",
        "Name a folder that you may write into with --runs.",
    ),
    "slow-files": Row(
        Group.DISK,
        _WARNING,
        "images lie behind a network or a hypervisor: each small file costs a round trip",
        "Copy the data set to a local disk before a training.",
    ),
    "lost-with-container": Row(
        Group.DISK,
        _WARNING,
        "runs lie in the container's own layer, and are gone when it is removed",
        "Mount a folder of the host (`-v $PWD:/work`) and keep runs there.",
    ),
    "lost-at-restart": Row(
        Group.DISK,
        _WARNING,
        "runs lie in memory, and are gone after a restart",
        "Name a folder on a disk with --runs.",
    ),
    "read-speed": Row(Group.DISK, _OK, "how fast images are read (--deep)"),
    "slow-disk": Row(
        Group.DISK,
        _WARNING,
        "images are read slower than a GPU takes them",
        "Copy the data set to a local SSD.",
    ),
    "decode-speed": Row(Group.DISK, _OK, "how fast images are decoded by one core (--deep)"),
}

MACHINE_CODES = {**_SYSTEM, **_VIRTUAL, **_DISK}
