"""A network as a diagram: blocks from top to bottom, coarser grids further to the right."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from darknet_kit.formats.cfg import Cfg
from darknet_kit.network.blocks import Block, group_layers
from darknet_kit.network.heads import HEAD_KINDS, find_heads
from darknet_kit.network.layer import Layer
from darknet_kit.network.layers import infer_layers, total_bflops
from darknet_kit.report.charts import cut_title

# Of Okabe and Ito's colours: people tell them apart whatever their colour vision.
_BODY, _HEAD, _JOIN = "#CFE3F1", "#F8D9C4", "#6E6E6E"
_BODY_EDGE, _HEAD_EDGE = "#0072B2", "#D55E00"
_WIDTH, _HEIGHT, _ROW = 0.86, 0.74, 1.0
_BULGE = 1.8  # how far long arrows bow, whatever their length
_INCHES_A_COLUMN, _INCHES_A_ROW = 2.15, 0.5
_LETTERS_AN_INCH, _LETTERS_A_BLOCK = 11, 31
_SHORT = {
    "convolutional": "conv",
    "connected": "full",
    "shortcut": "add",
    "scale_channels": "scale",
    "Gaussian_yolo": "Gaussian yolo",
}


def plot_network(cfg: Cfg, title: str) -> Figure:
    """Return the diagram of a network. Raises CfgError where it cannot be built."""
    layers = infer_layers(cfg)
    blocks = group_layers(layers)
    columns = {stride: number for number, stride in enumerate(sorted({b.stride for b in blocks}))}
    width = max(2, len(columns)) * _INCHES_A_COLUMN + 0.9
    figure = Figure(figsize=(width, (len(blocks) + 2.2) * _INCHES_A_ROW), layout="constrained")
    axes = figure.add_subplot()
    places = [(float(columns[block.stride]), -_ROW * row) for row, block in enumerate(blocks)]
    heads = {head.index: head.classes for head in find_heads(cfg)}
    for block, place in zip(blocks, places, strict=True):
        _draw_block(axes, block, place, heads)
    for block, place in zip(blocks, places, strict=True):
        for source in block.inputs:
            _draw_edge(axes, places[source], place)
    _draw_columns(axes, columns, len(blocks))
    title = cut_title(title, round(width * _LETTERS_AN_INCH))
    figure.suptitle(f"{title}\n{_describe_size(cfg, layers)}", fontsize=10, parse_math=False)
    return figure


def _describe_size(cfg: Cfg, layers: tuple[Layer, ...]) -> str:
    net, floats = cfg.net, sum(layer.weight_floats for layer in layers)
    counted = f"{floats / 1e6:.2f} million" if floats >= 1e6 else f"{floats:,}"
    return (
        f"{net.integer('width')} x {net.integer('height')} pixels, {len(layers)} layers, "
        f"{counted} parameters, {total_bflops(layers):.3f} BFLOPs"
    )


def _draw_block(
    axes: Axes, block: Block, place: tuple[float, float], heads: dict[int, int]
) -> None:
    left, middle = place[0] - _WIDTH / 2, place[1]
    face, edge = (_HEAD, _HEAD_EDGE) if block.is_head else (_BODY, _BODY_EDGE)
    axes.add_patch(
        FancyBboxPatch(
            (left, middle - _HEIGHT / 2),
            _WIDTH,
            _HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=face,
            edgecolor=edge,
            linewidth=0.9,
        )
    )
    numbers = f"{block.first}" if block.first == block.last else f"{block.first} to {block.last}"
    axes.text(left + 0.03, middle + 0.2, numbers, fontsize=6, color=edge, va="center")
    axes.text(
        left + _WIDTH - 0.03, middle + 0.2, str(block.output), fontsize=6, va="center", ha="right"
    )
    text = _describe(block, heads)
    size = min(7, 7 * _LETTERS_A_BLOCK / len(text))
    axes.text(place[0], middle - 0.13, text, fontsize=size, ha="center", va="center")


def _describe(block: Block, heads: dict[int, int]) -> str:
    if block.last in heads:
        kind = next(iter(set(block.kinds) & set(HEAD_KINDS)))
        noun = "class" if heads[block.last] == 1 else "classes"
        return f"{_SHORT.get(kind, kind)}: {heads[block.last]} {noun}"
    parts = [
        f"{count} {_SHORT.get(kind, kind)}" if count > 1 else _SHORT.get(kind, kind)
        for kind, count in block.kinds.most_common()
    ]
    return ", ".join(parts[:4])


def _draw_edge(axes: Axes, source: tuple[float, float], target: tuple[float, float]) -> None:
    """Draw an arrow: down to the next block, in a bow past others to a farther one."""
    rows = source[1] - target[1]
    half_width, half_height = _WIDTH / 2, _HEIGHT / 2
    if rows <= _ROW and source[0] == target[0]:
        start, end = (source[0], source[1] - half_height), (target[0], target[1] + half_height)
        bow = "arc3,rad=0"
    elif rows <= _ROW:
        side = 1 if source[0] < target[0] else -1
        start, end = (
            (source[0], source[1] - half_height),
            (target[0] - side * half_width, target[1]),
        )
        bow = f"angle,angleA=-90,angleB={180 if side > 0 else 0},rad=4"
    else:
        side = 1 if source[0] >= target[0] else -1
        start = (source[0] + side * half_width, source[1])
        end = (target[0] + side * half_width, target[1])
        bow = f"arc3,rad={-side * min(0.35, _BULGE / rows)}"
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            connectionstyle=bow,
            arrowstyle="-|>",
            mutation_scale=7,
            linewidth=0.8,
            color=_JOIN,
            zorder=0,
        )
    )


def _draw_columns(axes: Axes, columns: dict[tuple[int, int], int], rows: int) -> None:
    for (across, down), number in columns.items():
        pixels = f"{across}" if across == down else f"{across} x {down}"
        noun = "pixel" if pixels == "1" else "pixels"
        axes.text(number, 0.75, f"1 cell = {pixels} {noun}", fontsize=7, ha="center", color=_JOIN)
    axes.set_xlim(-0.62, max(len(columns), 2) - 0.1)
    axes.set_ylim(-_ROW * (rows - 1) - 0.6, 1.05)
    axes.set_axis_off()
