"""Codes of the GPU, and of the way to it."""

from darknet_kit.doctor.rows import Group, Row, Verdict

_OK, _NOTE, _WARNING = Verdict.OK, Verdict.NOTE, Verdict.WARNING
_PROBLEM = Verdict.PROBLEM

GPU_CODES = {
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
    "gpu-prohibited": Row(
        Group.GPU,
        _PROBLEM,
        "the GPU is set to a compute mode in which no program may use it",
        "`nvidia-smi -c 0` as root.",
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
    "power-limited": Row(
        Group.GPU,
        _NOTE,
        "the GPU may take less power than its maker meant: it computes slower",
        "`nvidia-smi -pl WATTS` as root, if power supply and cooling are fit for it.",
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
        "Look it up in NVIDIA's list of Xids, and watch whether it returns.",
    ),
}
