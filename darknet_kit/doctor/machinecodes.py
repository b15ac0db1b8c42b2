"""Codes of the machine itself: what it is made of, and how a GPU reaches it."""

from darknet_kit.doctor.rows import Group, Row, Verdict

_OK, _NOTE, _WARNING = Verdict.OK, Verdict.NOTE, Verdict.WARNING
_PROBLEM = Verdict.PROBLEM

_SYSTEM = {
    "os": Row(Group.SYSTEM, _OK, "distribution, kernel and kind of processor"),
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
_GPU = {
    "gpu": Row(Group.GPU, _OK, "a GPU that its driver can use"),
    "no-gpu": Row(
        Group.GPU,
        _WARNING,
        "without an NVIDIA GPU, training is for small networks only",
        "Train small networks on the CPU, others on a machine with an NVIDIA GPU.",
    ),
    "integrated-gpu": Row(
        Group.GPU,
        _NOTE,
        "a Jetson: its GPU is part of the processor, and nothing here looks at it",
        "`dkit build --arch 8.7` (Orin) or 7.2 (Xavier) builds for it, with JetPack's CUDA.",
    ),
    "gpus-hidden": Row(
        Group.GPU,
        _WARNING,
        "CUDA_VISIBLE_DEVICES hides all GPUs from engines",
        "`unset CUDA_VISIBLE_DEVICES`; a batch system sets it: ask it for a GPU.",
    ),
    "no-driver": Row(
        Group.GPU,
        _PROBLEM,
        "a GPU without a driver",
        "Install NVIDIA's driver (Ubuntu: `ubuntu-drivers install`; Debian: "
        "`apt-get install nvidia-driver`), then restart.",
    ),
    "nouveau-bound": Row(
        Group.GPU,
        _PROBLEM,
        "nouveau, which cannot compute, holds the GPU",
        "Install NVIDIA's driver; `echo blacklist nouveau > /etc/modprobe.d/no-nouveau.conf`, "
        "`update-initramfs -u`, restart.",
    ),
    "vfio-in-guest": Row(
        Group.GPU,
        _PROBLEM,
        "vfio-pci holds the GPU inside the guest: that is for the host",
        "Take `vfio-pci.ids=` out of the guest's command line and /etc/modprobe.d, restart.",
    ),
    "other-driver": Row(
        Group.GPU,
        _PROBLEM,
        "a driver that is not NVIDIA's holds the GPU",
        "Blacklist that driver, install NVIDIA's, restart.",
    ),
    "driver-other-kernel": Row(
        Group.GPU,
        _PROBLEM,
        "NVIDIA's module is there for another kernel only",
        "Install this kernel's headers and build it: `dkms autoinstall`, then restart.",
    ),
    "secure-boot": Row(
        Group.GPU,
        _PROBLEM,
        "Secure Boot is on, and NVIDIA's module is not loaded: its signature is not known",
        "Enrol its key (`mokutil --import`, restart, confirm), or switch Secure Boot off.",
    ),
    "driver-mismatch": Row(
        Group.GPU,
        _PROBLEM,
        "the loaded module and the driver's libraries are of two versions",
        "Restart: the driver was updated while its old module was loaded. In a container, the "
        "libraries must come from the host.",
    ),
    "gpu-lost": Row(
        Group.GPU,
        _PROBLEM,
        "the GPU does not answer on the PCI bus: it fell off, or is held in reset",
        "Switch the machine off, not only the guest, and on again; if it comes back: power, "
        "riser, temperature.",
    ),
    "bar-not-assigned": Row(
        Group.GPU,
        _PROBLEM,
        "a memory window of the GPU has no address, and the driver cannot start",
        "Switch on `Above 4G Decoding` in the firmware; in a guest take UEFI (OVMF) with a "
        "larger 64-bit window, or `pci=realloc` on its command line.",
    ),
    "no-device-files": Row(
        Group.GPU,
        _PROBLEM,
        "the driver is loaded, and /dev/nvidia* is not there",
        "Run `nvidia-modprobe -u -c=0` as root.",
    ),
    "no-gpu-access": Row(
        Group.GPU,
        _PROBLEM,
        "this user may not use the GPU",
        "Add the user to the group of /dev/nvidia0 (often `video`), and log in again.",
    ),
    "no-nvml": Row(
        Group.GPU,
        _PROBLEM,
        "the driver is loaded, and its library is not there",
        "Install the driver's libraries of the same version (libnvidia-compute, nvidia-smi).",
    ),
    "nvml-failed": Row(
        Group.GPU,
        _PROBLEM,
        "the driver's library gives an error",
        "Look for NVRM in `dmesg`; restart.",
    ),
    "start-failed": Row(
        Group.GPU,
        _PROBLEM,
        "NVIDIA's driver holds the card and cannot start it",
        "Switch the machine off, in a guest its host, and on again; then try another version of "
        "the driver.",
    ),
    "no-persistence": Row(
        Group.GPU,
        _NOTE,
        "persistence mode is off: the driver starts the GPU anew for every program",
        "`nvidia-smi -pm 1` as root, or start nvidia-persistenced.",
    ),
    "narrow-link": Row(
        Group.GPU,
        _WARNING,
        "the card has fewer PCI Express lanes than it could use",
        "Put it into a slot with all lanes; clean its contacts; do without a riser.",
    ),
    "gpu-busy": Row(
        Group.GPU,
        _WARNING,
        "other programs hold memory of the GPU, which a training may miss",
        "`nvidia-smi` shows which; end them, or train on another GPU with --gpus.",
    ),
    "slow-link": Row(
        Group.GPU,
        _NOTE,
        "the slot is of an older PCI Express than the card; trainings seldom notice",
        "Nothing, unless images arrive late: then take the slot next to the CPU.",
    ),
    "xid": Row(
        Group.GPU,
        _WARNING,
        "the driver reported errors of the GPU (Xid) since the machine started",
        "13, 31 and 43 are a program's; 48, 63, 64, 74, 79, 94, 95 and 119 are the card's, its "
        "power's or its slot's: watch whether they return.",
    ),
}
_DISK = {
    "disk": Row(Group.DISK, _OK, "room and kind of file system of runs and data"),
    "no-room": Row(
        Group.DISK,
        _PROBLEM,
        "less room than the weights of this cfg take; Darknet does not tell",
        "Free some, or name another disk with --runs.",
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

MACHINE_CODES = {**_SYSTEM, **_VIRTUAL, **_GPU, **_DISK}
