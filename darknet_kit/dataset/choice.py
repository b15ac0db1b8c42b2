"""Which classes, and which of their images, are taken by what the training images show."""

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from darknet_kit.dataset.classes import Classes, pick_classes
from darknet_kit.dataset.counts import ClassCounts
from darknet_kit.dataset.splits import draw_lot
from darknet_kit.errors import AnyPath, DatasetError


def pick_frequent(
    classes: Classes, counts: ClassCounts, top: int, min_images: int, path: AnyPath
) -> Classes:
    """Take the `top` classes with most boxes of those that `min_images` images show.

    A 0 sets no bound, but a class without a box is never taken; `counts` are by the class_ids of
    `classes`, which keep their order. Raises DatasetError (`no-boxes`, `too-few-images`).
    """
    images = counts.images
    shown = [class_id for class_id, count in images.items() if count >= min_images]
    if not shown:
        raise _none_frequent(classes.names, images, min_images, path)
    chosen = sorted(shown, key=lambda class_id: (-counts.boxes[class_id], class_id))
    picked = pick_classes(classes, sorted(chosen[: top or None]))
    if len(chosen) >= top:
        return picked
    enough = f"are shown by {min_images:,} training images" if min_images else "have a box"
    note = f"only {len(chosen):,} classes {enough}, not {top:,}"
    return replace(picked, notes=[*picked.notes, note])


def _none_frequent(
    names: Sequence[str], images: Counter[int], min_images: int, path: AnyPath
) -> DatasetError:
    if not images:
        return DatasetError(
            "the training images have no boxes",
            code="no-boxes",
            hint=f"`dkit show {path}` shows what the engine would see.",
            path=path,
        )
    (commonest, most), *_ = images.most_common(1)
    return DatasetError(
        f"no class is shown by {min_images:,} training images; the most are {most:,}, "
        f"of {names[commonest]!r}",
        code="too-few-images",
        hint=f"Give --min-images {most} or less.",
        path=path,
    )


def draw_images(
    shown: Sequence[frozenset[int] | None], names: Sequence[str], per_class: int, seed: int
) -> set[int]:
    """Return the places of images so that each class has `per_class`, or all that show it.

    The rarest class draws first, and each draws only what it still lacks: an image counts for
    every class that it shows. A class that is often beside rarer ones can so end with more, never
    with less. `names`, of the images, and the seed decide who is drawn, wherever the images lie.
    """
    members: defaultdict[int, list[int]] = defaultdict(list)
    for place in sorted(
        (place for place, classes in enumerate(shown) if classes),
        key=lambda place: (draw_lot(os.path.basename(names[place]), seed), names[place]),
    ):
        for class_id in shown[place] or ():
            members[class_id].append(place)
    drawn: set[int] = set()
    for class_id in sorted(members, key=lambda class_id: (len(members[class_id]), class_id)):
        lacking = per_class - sum(place in drawn for place in members[class_id])
        others = (place for place in members[class_id] if place not in drawn)
        drawn.update(place for _, place in zip(range(lacking), others, strict=False))
    return drawn
