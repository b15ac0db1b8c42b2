"""Recorded machines: what each suffers from is found, and nothing else is said to be wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.doctor.check import Check
from darknet_kit.doctor.examination import examine
from darknet_kit.doctor.machine import Machine
from darknet_kit.doctor.probes import Wish
from darknet_kit.doctor.readiness import judge
from darknet_kit.doctor.rows import Verdict
from tests.recorded_machines import (
    FLAGS,
    KERNEL,
    PLACE,
    RESOURCE_UNSET,
    write,
    write_device,
    write_firmware,
    write_machine,
    write_nvml,
    write_working_gpu,
)

QEMU = ("QEMU", "Standard PC (Q35 + ICH9, 2009)")
MODULE = f"lib/modules/{KERNEL}/updates/dkms/nvidia.ko"
SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


def look(root: Path) -> dict[str, Check]:
    return {check.code: check for check in examine(Wish(machine=Machine(root))).checks}


def list_bad(checks: dict[str, Check]) -> set[str]:
    return {code for code, check in checks.items() if check.verdict is not Verdict.OK}


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    """A guest of QEMU with UEFI, and nothing on its bus."""
    write_machine(tmp_path, guest=True)
    write_firmware(tmp_path, *QEMU, uefi=True, bios="EDK II")
    return tmp_path


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A PC without a hypervisor, its IOMMU on."""
    write_machine(tmp_path)
    write_firmware(tmp_path, "ASUS", "System Product Name", uefi=True)
    write_device(tmp_path, "0000:00:01.0", kind="0x060400", vendor="0x8086", group="1")
    return tmp_path


def test_a_guest_with_a_gpu_that_works_has_nothing_to_complain_of(guest: Path) -> None:
    write_working_gpu(guest)
    checks = look(guest)
    assert list_bad(checks) == set()
    assert checks["guest"].evidence == "KVM/QEMU, Standard PC (Q35 + ICH9, 2009), UEFI"
    told = checks["gpu"].evidence
    assert told == (
        "GPU 0: NVIDIA GeForce GTX 1080, compute capability 6.1, 8.0 GiB, PCIe 3 x16, "
        "window of 256 MiB"
    )
    assert checks["driver"].evidence == "535.183.01, runs CUDA up to 12.2"
    assert checks["cpu"].evidence == "Intel(R) Core(TM) i7-9700K CPU @ 3.60GHz, 8 cores"
    assert checks["memory"].evidence == "31.2 GiB, 15.6 free"


def test_a_gpu_with_ecc_a_screen_and_parts(guest: Path) -> None:
    write_working_gpu(guest, ecc=True, display=True, mig=True)
    assert look(guest)["gpu"].evidence.endswith(", ECC, with a screen, divided (MIG)")


def test_a_gpu_of_which_nvml_does_not_tell_the_place(guest: Path) -> None:
    write_working_gpu(guest, bus_id="")
    (guest / "dev/nvidia0").unlink()
    assert list_bad(look(guest)) == set()


@pytest.mark.parametrize(
    ("vendor", "product", "bios", "name"),
    [
        ("QEMU", "Standard PC (i440FX + PIIX, 1996)", "SeaBIOS", "KVM/QEMU"),
        ("VMware, Inc.", "VMware Virtual Platform", "Phoenix Technologies LTD", "VMware"),
        ("Microsoft Corporation", "Virtual Machine", "Microsoft Corporation", "Hyper-V"),
        ("innotek GmbH", "VirtualBox", "innotek GmbH", "VirtualBox"),
        ("Xen", "HVM domU", "Xen", "Xen"),
        ("Amazon EC2", "p3.2xlarge", "Amazon EC2", "Amazon EC2"),
        ("Google", "Google Compute Engine", "Google", "Google Compute Engine"),
    ],
)
def test_whose_guest_it_is(tmp_path: Path, vendor: str, product: str, bios: str, name: str) -> None:
    write_machine(tmp_path, guest=True)
    write_firmware(tmp_path, vendor, product, uefi=False, bios=bios)
    checks = look(tmp_path)
    assert checks["guest"].evidence == f"{name}, {product}, BIOS"
    assert list_bad(checks) == {"no-gpu"}  # BIOS and chipset matter to a card alone


def test_a_hypervisor_without_firmware_tables_is_named_by_the_log(tmp_path: Path) -> None:
    write_machine(tmp_path, guest=True)
    assert look(tmp_path)["guest"].evidence == "an unnamed hypervisor"
    write(tmp_path, {"var/log/dmesg": "[    0.000000] Hypervisor detected: KVM\n"})
    assert look(tmp_path)["guest"].evidence == "KVM"


@pytest.mark.parametrize(
    ("clocks", "name"),
    [
        ("tsc kvm-clock", "KVM"),  # of a Firecracker guest, Linux 6.18
        ("hyperv_clocksource_tsc_page tsc acpi_pm", "Hyper-V"),
        ("xen tsc hpet acpi_pm", "Xen"),
        ("tsc hpet acpi_pm", "an unnamed hypervisor"),
    ],
)
def test_a_hypervisor_is_named_by_its_clock(tmp_path: Path, clocks: str, name: str) -> None:
    write_machine(tmp_path, guest=True)
    place = "sys/devices/system/clocksource/clocksource0/available_clocksource"
    write(tmp_path, {place: f"{clocks} \n"})
    assert look(tmp_path)["guest"].evidence == name


def test_bios_and_an_old_chipset_are_told_to_a_guest_with_a_card(tmp_path: Path) -> None:
    write_machine(tmp_path, guest=True)
    product = "Standard PC (i440FX + PIIX, 1996)"
    write_firmware(tmp_path, "QEMU", product, uefi=False, bios="SeaBIOS")
    write_working_gpu(tmp_path)
    assert list_bad(look(tmp_path)) == {"guest-bios", "old-chipset"}


def test_a_guest_on_arm_has_no_flag_for_it(tmp_path: Path) -> None:
    write_machine(tmp_path)
    write(tmp_path, {"proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd\n"})
    write_firmware(tmp_path, "QEMU", "KVM Virtual Machine", uefi=True)
    assert look(tmp_path)["guest"].evidence.startswith("KVM/QEMU")


def test_a_jetson_has_its_gpu_inside(tmp_path: Path) -> None:
    model = b"NVIDIA Jetson AGX Orin Developer Kit\0"
    write(
        tmp_path,
        {
            "proc/device-tree/compatible": b"nvidia,p3737-0000+p3701-0000\0nvidia,tegra234\0",
            "proc/device-tree/model": model,
        },
    )
    checks = look(tmp_path)
    assert list_bad(checks) == {"integrated-gpu"}
    assert checks["integrated-gpu"].evidence == "NVIDIA Jetson AGX Orin Developer Kit"


@pytest.mark.parametrize(
    ("value", "hidden"), [("", True), ("-1", True), ("0,1", False), ("GPU-1a2b", False)]
)
def test_gpus_that_the_environment_hides(guest: Path, value: str, hidden: bool) -> None:
    write_working_gpu(guest)
    write(guest, {"proc/self/environ": f"PATH=/bin\0CUDA_VISIBLE_DEVICES={value}\0"})
    assert ("gpus-hidden" in look(guest)) is hidden


def test_microsoft_makes_machines_of_metal_too(tmp_path: Path) -> None:
    write_machine(tmp_path)
    write_firmware(tmp_path, "Microsoft Corporation", "Surface Book 3", uefi=True)
    checks = look(tmp_path)
    assert "bare-metal" in checks
    assert "guest" not in checks


def no_driver(root: Path) -> None:
    write_device(root)


def other_kernel(root: Path) -> None:
    write_device(root)
    write(root, {"lib/modules/6.1.0-17-amd64/updates/dkms/nvidia-current.ko.xz": ""})
    write(root, {f"lib/modules/{KERNEL}/modules.dep": "kernel/drivers/net/dummy.ko:\n"})


def listed_for_this_kernel(root: Path) -> None:
    write_device(root)
    write(root, {f"lib/modules/{KERNEL}/modules.dep": "updates/dkms/nvidia.ko.zst: x\n"})


def secure_boot(root: Path) -> None:
    write_device(root)
    write(root, {MODULE: "", SECURE_BOOT: b"\x06\0\0\0\1"})


def not_secure_boot(root: Path) -> None:
    write_device(root)
    write(root, {MODULE: "", SECURE_BOOT: b"\x06\0\0\0\0"})


def refused(root: Path) -> None:
    write_device(root)
    write(root, {MODULE: "", "var/log/dmesg": "[    9.1] Loading of unsigned module is rejected\n"})


def tainted(root: Path) -> None:
    """The kernel says this where it loads a module that nobody signed."""
    not_secure_boot(root)
    log = "nvidia: module verification failed: signature and/or required key missing - tainting"
    write(root, {"var/log/dmesg": f"[    8.8] {log} kernel\n"})


def nouveau(root: Path) -> None:
    write_device(root, driver="nouveau")


def vfio_inside(root: Path) -> None:
    write_device(root, driver="vfio-pci")


def stub(root: Path) -> None:
    write_device(root, driver="pci-stub")


def in_reset(root: Path) -> None:
    write_device(root, driver="nvidia", files={"config": b"\xff" * 64})
    write(root, {"dev/nvidia0": "", "dev/nvidiactl": ""})
    write_nvml(root, driver="535.183.01", cuda="12.2", gpus=[])


def fallen(root: Path) -> None:
    write_device(root)
    log = (
        "[ 1843.308145] NVRM: The NVIDIA GPU 0000:01:00.0\n"
        "               NVRM: (PCI ID: 10de:1b80) installed in this system has\n"
        "               NVRM: fallen off the bus and is not responding to commands.\n"
        "[ 1843.439662] NVRM: The NVIDIA probe routine failed for 1 device(s).\n"
    )
    write(root, {"var/log/dmesg": log, MODULE: ""})


def lost(root: Path) -> None:
    write_working_gpu(root)
    write_nvml(root, driver="535.183.01", gpus=[{"index": 0, "error": "gpu-is-lost"}])


def reset_bug(root: Path) -> None:
    write_device(root, driver="nvidia")
    log = "[   21.2] NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x22:0x56:894)\n"
    write(root, {"dev/nvidia0": "", "dev/nvidiactl": "", "var/log/dmesg": log})
    write_nvml(root, driver="535.183.01", cuda="12.2", gpus=[])


def no_window(root: Path) -> None:
    write_device(root, files={"resource": RESOURCE_UNSET})


def no_window_in_log(root: Path) -> None:
    write_device(root)
    log = (
        "[   37.0] NVRM: This PCI I/O region assigned to your NVIDIA device is invalid:\n"
        "               NVRM: BAR1 is 0M @ 0x0 (PCI:0000:01:00.0)\n"
        "[   37.1] nvidia: probe of 0000:01:00.0 failed with error -1\n"
    )
    write(root, {"var/log/dmesg": log, MODULE: ""})


def mismatch(root: Path) -> None:
    write_device(root, driver="nvidia")
    write(
        root, {"dev/nvidia0": "", "dev/nvidiactl": "", "sys/module/nvidia/version": "535.161.07\n"}
    )
    library = root / "usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"
    library.parent.mkdir(parents=True)
    library.symlink_to("libnvidia-ml.so.535.183.01")
    write_nvml(root, error="lib-rm-version-mismatch", message="Driver/library version mismatch")


def no_library(root: Path) -> None:
    write_device(root, driver="nvidia")
    write(root, {"dev/nvidia0": "", "dev/nvidiactl": ""})


def no_access(root: Path) -> None:
    no_library(root)
    write_nvml(root, error="no-permission", message="Insufficient Permissions")


def no_files(root: Path) -> None:
    write_device(root, driver="nvidia")


def other_error(root: Path) -> None:
    no_library(root)
    write_nvml(root, error="unknown", message="Unknown Error")


def not_json(root: Path) -> None:
    no_library(root)
    write(root, {"nvml.json": b"\x00\xff{"})


@pytest.mark.parametrize(
    ("make", "code", "said"),
    [
        (no_driver, "no-driver", "none is installed"),
        (other_kernel, "driver-other-kernel", "6.1.0-17-amd64"),
        (listed_for_this_kernel, "no-driver", "installed and not loaded"),
        (secure_boot, "secure-boot", "not loaded"),
        (not_secure_boot, "no-driver", "installed and not loaded"),
        (tainted, "no-driver", "installed and not loaded"),
        (refused, "secure-boot", "Loading of unsigned module is rejected"),
        (nouveau, "nouveau-bound", "nouveau"),
        (vfio_inside, "vfio-in-guest", "vfio-pci"),
        (stub, "other-driver", "pci-stub"),
        (in_reset, "gpu-lost", "0xff"),
        (fallen, "gpu-lost", "fallen off the bus"),
        (lost, "gpu-lost", "gpu-is-lost"),
        (reset_bug, "start-failed", "RmInitAdapter failed! (0x22:0x56:894)"),
        (no_window, "bar-not-assigned", "BAR 1"),
        (no_window_in_log, "bar-not-assigned", "BAR1 is 0M"),
        (mismatch, "driver-mismatch", "535.161.07 is loaded, libnvidia-ml.so.535.183.01"),
        (no_library, "no-nvml", "library-not-found"),
        (no_access, "no-gpu-access", "no-permission"),
        (no_files, "no-device-files", "/dev/nvidiactl"),
        (other_error, "nvml-failed", "Unknown Error"),
        (not_json, "nvml-failed", "nvml.json cannot be read"),
    ],
)
def test_a_card_in_a_guest_that_does_not_work(
    guest: Path, make: Callable[[Path], None], code: str, said: str
) -> None:
    make(guest)
    examination = examine(Wish(machine=Machine(guest)))
    checks = {check.code: check for check in examination.checks}
    assert list_bad(checks) == {code}
    assert said in checks[code].evidence
    assert checks[code].cure
    verdict = judge(examination, asked=False)
    assert not verdict.gpu
    assert verdict.sentence.endswith(f"({code})")


@pytest.mark.parametrize(
    ("mark", "name", "cure"),
    [
        ({".dockerenv": ""}, "Docker", "--gpus all"),
        ({"run/.containerenv": 'engine="podman-4.3.1"\n'}, "Podman", "nvidia.com/gpu=all"),
        ({"proc/1/environ": b"PATH=/bin\0container=lxc\0"}, "LXC", "lxc.cgroup2.devices.allow"),
        ({"run/systemd/container": "lxc\n"}, "LXC", "lxc.mount.entry"),
        ({"proc/1/cgroup": "0::/kubepods/besteffort/pod1\n"}, "Kubernetes", "nvidia.com/gpu: 1"),
    ],
)
def test_a_container_without_the_gpu_of_its_host(
    tmp_path: Path, mark: dict[str, str | bytes], name: str, cure: str
) -> None:
    write_machine(tmp_path)
    write_device(tmp_path, driver="nvidia", group="1")
    write(tmp_path, {**mark, "proc/mounts": "overlay / overlay rw 0 0\n"})
    checks = look(tmp_path)
    assert checks["container"].evidence == name
    assert list_bad(checks) == {"no-device-files", "lost-with-container"}
    assert cure in checks["no-device-files"].cure


def test_a_container_does_not_judge_the_passthrough_of_its_host(tmp_path: Path) -> None:
    write_machine(tmp_path)
    write_device(tmp_path)
    write(tmp_path, {".dockerenv": ""})
    checks = look(tmp_path)
    assert list_bad(checks) == {"no-driver"}
    assert "on the host" in checks["no-driver"].cure


def test_windows_subsystem_for_linux(tmp_path: Path) -> None:
    write_machine(tmp_path, guest=True)
    kernel = "5.15.153.1-microsoft-standard-WSL2\n"
    write(tmp_path, {"proc/sys/kernel/osrelease": kernel, "dev/dxg": ""})
    checks = look(tmp_path)
    assert "WSL2" in checks["wsl"].evidence
    assert list_bad(checks) == {"no-gpu"}
    assert "in Windows, not here" in checks["no-gpu"].cure
    gpu = {"index": 0, "name": "NVIDIA GeForce RTX 3080", "capability": 86}
    write_nvml(tmp_path, driver="551.78", cuda="12.4", gpus=[gpu])
    assert list_bad(look(tmp_path)) == set()


def test_virtualbox_passes_no_gpu_on(tmp_path: Path) -> None:
    write_machine(tmp_path, guest=True)
    write_firmware(tmp_path, "innotek GmbH", "VirtualBox", uefi=False)
    assert "VirtualBox passes no GPU on" in look(tmp_path)["no-gpu"].cure


def test_room_for_a_card_is_made_otherwise_in_vmware(tmp_path: Path) -> None:
    write_machine(tmp_path, guest=True)
    write_firmware(tmp_path, "VMware, Inc.", "VMware7,1", uefi=True)
    no_window(tmp_path)
    assert "pciPassthru.use64bitMMIO" in look(tmp_path)["bar-not-assigned"].cure


def test_a_host_whose_card_is_its_own(host: Path) -> None:
    write_working_gpu(host)
    place = host / f"sys/bus/pci/devices/{PLACE}/iommu_group"
    place.symlink_to("../../../kernel/iommu_groups/1")
    checks = look(host)
    assert list_bad(checks) == set()
    assert checks["iommu"].evidence == "on, 1 groups"
    assert checks["iommu-group"].evidence == f"{PLACE} [10de:1b80]: IOMMU group 1, driver nvidia"


def test_a_host_that_keeps_the_card_and_its_sound_for_a_guest(host: Path) -> None:
    write_device(host, driver="vfio-pci", group="1")
    sound = "0000:01:00.1"
    write_device(host, sound, device="0x10f0", kind="0x040300", driver="vfio-pci", group="1")
    checks = look(host)
    assert list_bad(checks) == {"card-for-guest"}  # the bridge of the group does not count


def test_a_host_that_forgot_the_sound_and_shares_the_group(host: Path) -> None:
    write_device(host, driver="vfio-pci", group="1")
    sound = "0000:01:00.1"
    write_device(host, sound, device="0x10f0", kind="0x040300", driver="snd_hda_intel", group="1")
    write_device(host, "0000:02:00.0", kind="0x020000", vendor="0x8086", driver="e1000e", group="1")
    checks = look(host)
    assert list_bad(checks) == {"card-for-guest", "audio-not-bound", "shared-group"}
    assert f"{sound} (snd_hda_intel)" in checks["audio-not-bound"].evidence
    assert checks["shared-group"].evidence.endswith("with 0000:02:00.0")


def test_a_shared_group_does_not_matter_to_a_card_of_the_host(host: Path) -> None:
    write_device(host, driver="nouveau", group="1")
    write_device(host, "0000:02:00.0", kind="0x020000", vendor="0x8086", driver="e1000e", group="1")
    checks = look(host)
    assert list_bad(checks) == {"nouveau-bound"}
    told = "IOMMU group 1 shared with 0000:02:00.0, driver nouveau"
    assert checks["iommu-group"].evidence.endswith(told)


def test_a_host_without_iommu(tmp_path: Path) -> None:
    write_machine(tmp_path)
    write_working_gpu(tmp_path)
    assert list_bad(look(tmp_path)) == {"iommu-off"}
    write(tmp_path, {"proc/cmdline": "ro vfio-pci.ids=10de:1b80,10de:10f0\n"})
    assert list_bad(look(tmp_path)) == {"iommu-off-vfio"}


def test_a_card_that_works_at_half_strength(guest: Path) -> None:
    write_working_gpu(
        guest,
        persistence=False,
        pcie_generation_most=2,
        memory_used=6442450944,
        power_limit=120.0,
        power_limit_default=180.0,
        prohibited=True,
    )
    write(
        guest,
        {
            f"sys/bus/pci/devices/{PLACE}/current_link_width": "4\n",
            f"sys/bus/pci/devices/{PLACE}/max_link_speed": "8.0 GT/s PCIe\n",
            "var/log/kern.log": "Nov  1 09:00:01 vm kernel: [ 9.1] NVRM: Xid (PCI:0000:01:00): 31, "
            "pid=1234, name=darknet, Ch 00000008, intr 10000000.\n"
            "Nov  1 10:00:01 vm kernel: [ 9.9] NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off "
            "the bus.\n",
        },
    )
    checks = look(guest)
    assert list_bad(checks) == {
        *("no-persistence", "narrow-link", "slow-link", "xid", "gpu-busy", "power-limited"),
        "gpu-prohibited",
    }
    assert checks["power-limited"].evidence == "GPU 0: 120 of 180 W"
    assert checks["gpu-busy"].evidence == "GPU 0: 6.0 of 8.0 GiB are in use"
    assert "4 of 16 lanes" in checks["narrow-link"].evidence
    assert "5 GT/s, the card can do 8.0" in checks["slow-link"].evidence
    told = "2 in the kernel log (31, 79); the last, 79, of 0000:01:00: the GPU fell off the bus"
    assert checks["xid"].evidence == told


def test_one_card_of_two_works(guest: Path) -> None:
    write_working_gpu(guest)
    write_device(guest, "0000:02:00.0", driver="nouveau")
    examination = examine(Wish(machine=Machine(guest)))
    checks = {check.code: check for check in examination.checks}
    assert list_bad(checks) == {"nouveau-bound"}
    assert checks["nouveau-bound"].evidence.startswith("0000:02:00.0")
    assert judge(examination, asked=False).gpu


def test_a_small_machine(tmp_path: Path) -> None:
    write_machine(tmp_path, flags=FLAGS.replace(" avx2", ""), cores=2)
    write(
        tmp_path,
        {
            "proc/meminfo": "MemTotal:        2097152 kB\nMemAvailable:    1048576 kB\n"
            "SwapTotal:             0 kB\n",
            "proc/mounts": "/dev/sda1 / ext4 rw 0 0\n"
            "shm /dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=65536k 0 0\n",
            "proc/self/limits": "Limit                     Soft Limit           Hard Limit\n"
            "Max open files            256                  4096                 files\n",
        },
    )
    checks = look(tmp_path)
    bad = {"no-avx2", "few-cores", "little-memory", "no-swap", "small-shm", "few-open-files"}
    assert list_bad(checks) == bad | {"no-gpu"}
    assert checks["small-shm"].evidence == "/dev/shm may hold 64 MiB"


def test_a_container_may_use_less_than_there_is(tmp_path: Path) -> None:
    write_machine(tmp_path)
    write(
        tmp_path,
        {
            ".dockerenv": "",
            "sys/fs/cgroup/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/memory.max": "2147483648\n",
        },
    )
    checks = look(tmp_path)
    assert {"few-cores", "little-memory"} <= list_bad(checks)
    assert checks["cpu"].evidence.endswith("8 cores, 1.5 of them by the container's limit")
    assert "may use 2.0 GiB" in checks["memory"].evidence


def test_limits_of_control_groups_of_the_first_version(tmp_path: Path) -> None:
    write_machine(tmp_path)
    write(
        tmp_path,
        {
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    checks = look(tmp_path)
    assert checks["cpu"].evidence.endswith("8 cores")
    assert checks["memory"].evidence == "31.2 GiB, 15.6 free"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("server:/export /data nfs4 rw,vers=4.2 0 0", "slow-files"),
        ("share /data 9p rw,trans=virtio 0 0", "slow-files"),
        ("share /data virtiofs rw 0 0", "slow-files"),
        ("user@host:/d /data fuse.sshfs rw 0 0", "slow-files"),
        ("//nas/data /data cifs rw 0 0", "slow-files"),
        ("/dev/sdb1 /data xfs rw 0 0", ""),
        ("/dev/sdb1 /data fuse.ntfs-3g rw 0 0", ""),
        ("server:/export /data\\040set nfs4 rw 0 0", ""),
    ],
)
def test_where_images_lie(tmp_path: Path, line: str, code: str) -> None:
    write_machine(tmp_path / "root")
    write(tmp_path / "root", {"proc/mounts": f"/dev/sda1 / ext4 rw 0 0\n{line}\n"})
    write(tmp_path, {"a.data": "names=a.names\ntrain=a.txt\n", "a.txt": "/data/images/1.jpg\n"})
    wish = Wish(machine=Machine(tmp_path / "root"), data=tmp_path / "a.data")
    codes = {check.code for check in examine(wish).checks}
    assert ("slow-files" in codes) == bool(code)


@pytest.mark.parametrize(
    ("kind", "code"), [("tmpfs", "lost-at-restart"), ("ramfs", "lost-at-restart"), ("btrfs", "")]
)
def test_where_runs_are_kept(tmp_path: Path, kind: str, code: str) -> None:
    write_machine(tmp_path)
    write(tmp_path, {"proc/mounts": f"/dev/sda1 / ext4 rw 0 0\nx /runs {kind} rw 0 0\n"})
    wish = Wish(machine=Machine(tmp_path), runs=Path("/runs/mine"))
    checks = {check.code: check for check in examine(wish).checks}
    assert (code in checks) == bool(code)
    assert checks["disk"].evidence == f"runs: /runs/mine, {kind}"


def test_an_empty_tree_and_one_of_rubbish_are_looked_at_without_a_stumble(tmp_path: Path) -> None:
    assert list_bad(look(tmp_path)) == {"no-gpu"}
    rubbish = bytes(range(256)) * 8
    for name in ("config", "resource", "class", "vendor", "device", "current_link_width"):
        write(tmp_path, {f"sys/bus/pci/devices/{PLACE}/{name}": rubbish})
    write_device(tmp_path, "0000:02:00.0", files={"resource": rubbish, "max_link_width": rubbish})
    for name in ("proc/cpuinfo", "proc/meminfo", "proc/mounts", "proc/self/limits", "proc/cmdline"):
        write(tmp_path, {name: rubbish})
    write(tmp_path, {"var/log/dmesg": rubbish, "nvml.json": rubbish, "etc/os-release": rubbish})
    write(tmp_path, {"sys/class/dmi/id/product_name": rubbish, "sys/fs/cgroup/cpu.max": "0 0"})
    write(tmp_path, {"usr/local/cuda-12.4/version.json": rubbish})
    (tmp_path / "sys/hypervisor").mkdir()
    (tmp_path / "sys/hypervisor/type").symlink_to("type")
    assert "no-driver" in list_bad(look(tmp_path))
