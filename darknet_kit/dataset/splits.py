"""Which image trains and which validates."""

import hashlib
from collections.abc import Sequence

from msgspec.structs import replace

from darknet_kit.core.records import Item, Split
from darknet_kit.errors import UsageError


def assign_splits(items: Sequence[Item], valid_fraction: float, seed: int) -> list[Item]:
    """Give every item a split.

    What the data set states holds. Where it has a test split but none to validate on, test
    becomes valid, as Darknet's users do with VOC. Where it states nothing to validate on, a fixed
    fraction is drawn by each image's name: adding images moves none of the others, but for the one
    that a few images need so that there is something to train on and to validate on. Raises
    UsageError where `valid_fraction` is not from 0 to below 1.
    """
    if not 0 <= valid_fraction < 1:  # nor NaN
        raise UsageError(
            f"the share to validate on cannot be {valid_fraction}",
            code="bad-fraction",
            hint="It is a fraction, from 0 to below 1; 0.1 is the usual one.",
        )
    stated = {item.split for item in items}
    if "valid" in stated:
        return [item if item.split else replace(item, split="train") for item in items]
    if "test" in stated and stated & {"train", ""}:
        return [replace(item, split="valid" if item.split == "test" else "train") for item in items]
    split = [
        item
        if item.split == "test"
        else replace(item, split=draw_split(item.name, valid_fraction, seed))
        for item in items
    ]
    return _leave_none_empty(split, seed) if valid_fraction else split


def _leave_none_empty(items: list[Item], seed: int) -> list[Item]:
    """Give a list that got no image the one whose lot came next to it; train goes first."""
    if len({item.split for item in items if item.split != "test"}) != 1:
        return items
    lots = {draw_lot(item.name, seed): item for item in items if item.split != "test"}
    last = lots[max(lots)]
    if last.split == "valid":
        return [replace(item, split="train") if item is last else item for item in items]
    first = lots[min(lots)]
    if first is last:
        return items
    return [replace(item, split="valid") if item is first else item for item in items]


def draw_split(name: str, valid_fraction: float, seed: int) -> Split:
    """Return valid for about `valid_fraction` of all names, always the same ones for a seed."""
    return "valid" if draw_lot(name, seed) < valid_fraction * 2**64 else "train"


def draw_lot(name: str, seed: int) -> int:
    """Return a number from 0 to below 2**64, always the same one for a name and a seed."""
    token = hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(token[:8])
