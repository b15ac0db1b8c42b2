"""A data set in words and numbers: its splits, how many boxes an image has, how large they are."""

from typing import Any

from darknet_kit.core.records import Split
from darknet_kit.dataset.advice import find_imbalance, format_count
from darknet_kit.dataset.boxshapes import EDGES_PX, SIZES, BoxShapes, find_quantile
from darknet_kit.dataset.stats import SplitStats, Stats
from darknet_kit.report.classtable import ClassRow, align_columns

QUANTILES = {"5 %": 0.05, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95}


def describe_stats(stats: Stats) -> str:
    """Return what a data set holds, in one line."""
    classes = format_count(len(stats.dataset.names), "class", "classes")
    boxes = format_count(stats.total.boxes.total(), "box", "boxes")
    return f"{classes}, {boxes} in {format_count(stats.total.images, 'image', 'images')}"


def summarize_stats(stats: Stats) -> list[str]:
    """Return what the lists hold and how large the boxes are, for people, line by line."""
    lines = align_columns(_split_table(stats))
    if not stats.total.shapes.boxes:
        return lines
    sizes = describe_sizes(stats.total.shapes)
    return [*lines, "", *align_columns(_quantile_table(stats.total)), f"  box size  {sizes}"]


def _split_table(stats: Stats) -> list[list[str]]:
    table = [["split", "images", "boxes", "an image", "without a box", "no label file"]]
    splits = list(stats.splits.items())
    for name, counts in [*splits, ("all", stats.total)] if len(splits) > 1 else splits:
        labelled, boxes = counts.images - counts.unlabelled, counts.boxes.total()
        mean = f"{boxes / labelled:.1f}" if labelled else "-"
        rest = [f"{counts.negatives:,}", f"{counts.unlabelled:,}"]
        table.append([name, f"{counts.images:,}", f"{boxes:,}", mean, *rest])
    return table


def _quantile_table(counts: SplitStats) -> list[list[str]]:
    shapes, shares = counts.shapes, QUANTILES.values()
    across, down = shapes.size
    return [
        [f"at {across} x {down}", *QUANTILES],
        ["box width, px", *(f"{shapes.width_at(share) * across:.0f}" for share in shares)],
        ["box height, px", *(f"{shapes.height_at(share) * down:.0f}" for share in shares)],
        ["width / height", *(f"{shapes.aspect_at(share):.2f}" for share in shares)],
        ["boxes an image", *(str(find_quantile(counts.per_image, share)) for share in shares)],
    ]


def describe_sizes(shapes: BoxShapes) -> str:
    """Return the share of each size of box, by the root of its area at the network's input."""
    first, second, third = EDGES_PX
    bounds = (f"under {first} px", f"{first} to {second}", f"{second} to {third}", "larger")
    shares = (shapes.by_size[size] / shapes.boxes for size in SIZES)
    return ", ".join(f"{share:.1%} {bound}" for share, bound in zip(shares, bounds, strict=True))


def list_stats(stats: Stats, rows: list[ClassRow]) -> dict[str, Any]:
    """Return what was counted for programs, JSON-ready; box sizes are fractions of the image.

    `counters_per_class` is what a head of that name takes: training boxes in class_id order.
    """
    train = stats.splits.get("train")
    return {
        "data": str(stats.dataset.data.path),
        "flavor": stats.dataset.flavor.value,
        "size": list(stats.total.shapes.size),
        "splits": {split: _split_facts(counts) for split, counts in stats.splits.items()},
        "shared_images": {"-".join(pair): count for pair, count in stats.shared.items()},
        "boxes": _shape_facts(stats.total.shapes),
        "imbalance": find_imbalance(stats) or None,
        "counters_per_class": [
            train.boxes[class_id] if train else 0 for class_id in range(len(stats.dataset.names))
        ],
        "classes": [_class_facts(row, list(stats.splits)) for row in rows],
    }


def _split_facts(counts: SplitStats) -> dict[str, Any]:
    return {
        "images": counts.images,
        "boxes": counts.boxes.total(),
        "images_without_box": counts.negatives,
        "images_without_label_file": counts.unlabelled,
        "boxes_class_out_of_range": counts.beyond,
        "repeated_images": counts.repeated,
        "images_by_boxes": {
            str(boxes): counts.per_image[boxes] for boxes in sorted(counts.per_image)
        },
    }


def _shape_facts(shapes: BoxShapes) -> dict[str, Any]:
    kinds = {"width": shapes.width_at, "height": shapes.height_at, "aspect": shapes.aspect_at}
    quantiles = {
        kind: {str(share): round(at(share), 4) for share in QUANTILES.values()}
        for kind, at in kinds.items()
    }
    return {
        **(quantiles if shapes.boxes else dict.fromkeys(kinds)),
        "by_size": {size: shapes.by_size[size] for size in SIZES},
        "under_one_pixel": shapes.unseen,
    }


def _class_facts(row: ClassRow, splits: list[Split]) -> dict[str, Any]:
    return {
        "class_id": row.class_id,
        "name": row.name,
        "wnid": row.wnid or None,
        "boxes": {split: row.boxes[split] for split in splits},
        "images": {split: row.images[split] for split in splits},
        "mean_width": round(row.shape.mean_width, 6),
        "mean_height": round(row.shape.mean_height, 6),
        "tiny_boxes": row.shape.tiny,
    }
