"""Virtual machine: what kind of guest this is; on a host, whether cards can be passed to one."""

from collections.abc import Iterator

from darknet_kit.doctor.cards import Card, find_cards, list_functions, list_neighbours
from darknet_kit.doctor.check import Check, found
from darknet_kit.doctor.machine import Machine
from darknet_kit.doctor.surroundings import Surroundings, find_surroundings

VFIO = "vfio-pci"


def check_surroundings(machine: Machine, kernel_log: str) -> Iterator[Check]:
    """Say where this machine runs, and what a guest's firmware and chipset mean for a card."""
    around = find_surroundings(machine, kernel_log)
    if around.wsl:
        yield found("wsl", machine.kernel())
    elif around.hypervisor:
        yield from _check_guest(machine, around)
    else:
        yield found("bare-metal", "the CPU shows no hypervisor")
    if around.container:
        yield found("container", around.container)


def check_passthrough(machine: Machine) -> Iterator[Check]:
    """On a host: the IOMMU, and each card's group, its binding and its other functions."""
    around = find_surroundings(machine)
    if around.wsl or around.hypervisor or around.container:
        return
    cards = find_cards(machine)
    groups = machine.names("sys/kernel/iommu_groups")
    if groups:
        yield found("iommu", f"on, {len(groups)} groups")
    elif "vfio" in machine.read("proc/cmdline") or _is_held(cards):
        yield found("iommu-off-vfio", "no IOMMU groups, and cards are kept for vfio-pci")
    elif cards:
        yield found("iommu-off", "no IOMMU groups")
    for card in cards:
        yield from _check_card(machine, card)


def _is_held(cards: list[Card]) -> bool:
    return any(card.driver == VFIO for card in cards)


def _check_guest(machine: Machine, around: Surroundings) -> Iterator[Check]:
    firmware = "UEFI" if around.uefi else "BIOS"
    product = f", {around.product}" if around.product else ""
    described = machine.has("sys/class/dmi/id")
    started = f", {firmware}" if described else ""
    yield found("guest", f"{around.hypervisor}{product}{started}")
    if not find_cards(machine):
        return
    if described and not around.uefi:
        yield found("guest-bios", "there is no /sys/firmware/efi")
    if "i440fx" in around.product.lower():
        yield found("old-chipset", around.product)


def _check_card(machine: Machine, card: Card) -> Iterator[Check]:
    held = card.driver == VFIO
    if held:
        yield found("card-for-guest", f"{card}: driver {VFIO}, IOMMU group {card.group or 'none'}")
    if not card.group:
        return
    neighbours = ", ".join(list_neighbours(machine, card))
    shared = f" shared with {neighbours}" if neighbours else ""
    if not held:
        driver = card.driver or "none"
        yield found("iommu-group", f"{card}: IOMMU group {card.group}{shared}, driver {driver}")
    elif neighbours:
        yield found("shared-group", f"{card}: IOMMU group {card.group}{shared}")
    loose = [f"{place} ({driver})" for place, driver in list_functions(machine, card) if driver]
    loose = [one for one in loose if VFIO not in one]
    if held and loose:
        yield found("audio-not-bound", f"{card} is bound to {VFIO}, not so {', '.join(loose)}")
