"""NVIDIA's cards on the PCI bus, as sysfs shows them, whether or not a driver works."""

import re
from dataclasses import dataclass

from darknet_kit.doctor.machine import Machine

DEVICES = "sys/bus/pci/devices"
_NVIDIA = 0x10DE
_DISPLAY = 0x03  # the class of VGA and 3D controllers
_BRIDGE = 0x06
_UNSET = 0x20000000  # IORESOURCE_UNSET: the kernel found no address for it
_MEMORY = 0x200  # IORESOURCE_MEM
_WINDOWS = 6  # the first lines of `resource`: the six base addresses of a function
_ADDRESS = re.compile(r"[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]")


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU at `address` (0000:01:00.0). `device` is its PCI id, like 10de:1b80.

    `driver` and `group` (of the IOMMU) are empty where there is none. Widths are lanes; `lost` says
    that its configuration reads as ones only; `unmapped` numbers its windows without an address,
    `window` is the bytes of the one to its memory (BAR 1).
    """

    address: str
    device: str
    driver: str = ""
    group: str = ""
    lost: bool = False
    unmapped: tuple[int, ...] = ()
    window: int = 0
    width: int = 0
    widest: int = 0
    speed: str = ""
    fastest: str = ""

    def __str__(self) -> str:
        return f"{self.address} [{self.device}]"


def find_cards(machine: Machine) -> list[Card]:
    """Return NVIDIA's GPUs in the order of their places on the bus."""
    return [
        _describe(machine, address)
        for address in machine.names(DEVICES)
        if _ADDRESS.fullmatch(address) and _is_gpu(machine, address)
    ]


def list_neighbours(machine: Machine, card: Card) -> list[str]:
    """Return who shares the card's IOMMU group, without bridges and its own other functions."""
    slot = card.address.partition(".")[0]
    return [
        address
        for address in machine.names(f"sys/kernel/iommu_groups/{card.group}/devices")
        if not address.startswith(slot) and _read_class(machine, address) != _BRIDGE
    ]


def list_functions(machine: Machine, card: Card) -> list[tuple[str, str]]:
    """Return the card's other functions (audio, USB), each with the driver that holds it."""
    slot = card.address.partition(".")[0] + "."
    return [
        (address, machine.target(f"{DEVICES}/{address}/driver"))
        for address in machine.names(DEVICES)
        if address.startswith(slot) and address != card.address
    ]


def _is_gpu(machine: Machine, address: str) -> bool:
    vendor = machine.read_number(f"{DEVICES}/{address}/vendor")
    return vendor == _NVIDIA and _read_class(machine, address) == _DISPLAY


def _read_class(machine: Machine, address: str) -> int:
    """Return the first byte of a device's class."""
    return (machine.read_number(f"{DEVICES}/{address}/class") or 0) >> 16


def _describe(machine: Machine, address: str) -> Card:
    folder = f"{DEVICES}/{address}"
    device = machine.read_number(f"{folder}/device") or 0
    windows = _read_windows(machine.read(f"{folder}/resource"))
    return Card(
        address=address,
        device=f"{_NVIDIA:04x}:{device:04x}",
        driver=machine.target(f"{folder}/driver"),
        group=machine.target(f"{folder}/iommu_group"),
        lost=machine.read_bytes(f"{folder}/config")[:4] == b"\xff\xff\xff\xff",
        unmapped=tuple(number for number, (start, _) in windows.items() if start is None),
        window=windows.get(1, (None, 0))[1],
        width=machine.read_number(f"{folder}/current_link_width") or 0,
        widest=machine.read_number(f"{folder}/max_link_width") or 0,
        speed=machine.read(f"{folder}/current_link_speed"),
        fastest=machine.read(f"{folder}/max_link_speed"),
    )


def _read_windows(text: str) -> dict[int, tuple[int | None, int]]:
    """Return address and bytes of each memory window, by lines of `start end flags`; an address
    that the kernel did not find is None."""
    windows: dict[int, tuple[int | None, int]] = {}
    for number, line in enumerate(text.splitlines()[:_WINDOWS]):
        try:
            start, end, flags = (int(word, 16) for word in line.split())
        except ValueError:
            continue
        if flags & _MEMORY and end > start:
            missing = flags & _UNSET or start == 0
            windows[number] = (None if missing else start, end - start + 1)
    return windows
