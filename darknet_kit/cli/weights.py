"""`dkit weights`: what is in a weights file, whether it fits a network, and a part of it."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from darknet_kit.cli.fitting import cut_command, describe_fit, judge, list_fit
from darknet_kit.cli.outcome import Outcome, dkit_command
from darknet_kit.cli.paths import GivenPath, shown
from darknet_kit.cli.writing import require_free
from darknet_kit.errors import UsageError
from darknet_kit.formats.cfg import Cfg, read_cfg
from darknet_kit.formats.weights import WeightsHeader, read_weights_header

if TYPE_CHECKING:
    from darknet_kit.network.fit import Fit
    from darknet_kit.network.origin import Origin

_ACTIONS = ("info", "cut", "compare")


@dkit_command(
    examples=[
        "dkit weights info yolov4.weights yolov4.cfg",
        "dkit weights cut yolov4.weights yolov4.cfg --layers 137 -o yolov4.conv.137",
        "dkit weights compare before.weights after.weights yolov4.cfg",
    ]
)
@click.argument("action", metavar="info|cut|compare", type=click.Choice(_ACTIONS))
@click.argument("files", nargs=-1, required=True, type=GivenPath(), metavar="WEIGHTS... [CFG]")
@click.option("--layers", type=click.IntRange(1), metavar="N", help="cut: how many first layers.")
@click.option("-o", "--output", type=GivenPath(), help="cut: the file to write.")
@click.option("--overwrite", is_flag=True, help="cut: replace another file of that name.")
def weights(
    action: str,
    files: tuple[str, ...],
    layers: int | None,
    output: str | None,
    overwrite: bool,
) -> Outcome:
    """Look into weights, fit them to a network, cut a backbone.

    A weights file names no network, and Darknet loads any file into any network without a word.
    `info` judges layer by layer whether the two belong together. `cut` keeps the first layers, as
    `darknet partial` does. `compare` shows which layers of two files differ.
    """
    networks = [file for file in files if file.endswith(".cfg")]
    stored = [file for file in files if not file.endswith(".cfg")]
    _require_files(action, networks, stored)
    if action != "cut" and (layers or output):
        raise UsageError(
            f"--layers and -o have no meaning for {action}",
            code="wrong-option",
            hint="They belong to `dkit weights cut`.",
        )
    headers = [read_weights_header(file) for file in stored]
    cfg = read_cfg(networks[0]) if networks else None
    if cfg is None:
        return _describe_header(headers[0])
    if action == "info":
        return _judge(headers[0], cfg)
    if action == "cut":
        return _cut(headers[0], cfg, layers, output, overwrite)
    return _compare(headers[0], headers[1], cfg)


def _require_files(action: str, networks: Sequence[str], stored: Sequence[str]) -> None:
    """Refuse a wrong number of files. Raises UsageError."""
    wanted = 2 if action == "compare" else 1
    optional = action == "info"
    if len(stored) == wanted and (len(networks) == 1 or (optional and not networks)):
        return
    cfg = "[CFG]" if optional else "CFG"
    files = "WEIGHTS OTHER" if wanted == 2 else "WEIGHTS"
    raise UsageError(
        f"`{action}` takes {wanted} weights file{'s' * (wanted > 1)} and "
        f"{'at most one' if optional else 'one'} .cfg, not {len(stored)} and {len(networks)}",
        code="wrong-files",
        hint=f"dkit weights {action} {files} {cfg}",
    )


def _header_lines(header: WeightsHeader) -> list[str]:
    return [
        f"{shown(header.path)}: {header.floats:,} values, version "
        f"{header.major}.{header.minor}.{header.revision}, {header.seen:,} images seen"
    ]


def _header_data(header: WeightsHeader) -> dict[str, Any]:
    return {
        "weights": os.path.abspath(header.path),
        "version": [header.major, header.minor, header.revision],
        "seen": header.seen,
        "values": header.floats,
    }


def _describe_header(header: WeightsHeader) -> Outcome:
    """Tell what a file says of itself, and of which known networks it may be by its length."""
    from darknet_kit.network.origin import find_origins

    origins = find_origins(header.floats)
    lines = [f"  {_describe_origin(origin)}" for origin in origins]
    unknown = "  It fits none of the models of `dkit make-cfg --list`: name its .cfg to compare."
    best = origins[0].model.name if origins else ""
    return Outcome(
        summary=[*_header_lines(header), *(lines or [unknown])],
        data={
            **_header_data(header),
            "may_be": [
                {
                    "model": origin.model.name,
                    "layers": origin.layers,
                    "of": origin.of,
                    "classes": origin.classes or None,
                }
                for origin in origins
            ],
        },
        next_command=f"dkit make-cfg --data DATA --model {best}"
        if best
        else f"dkit weights info {shown(header.path)} CFG",
    )


def _describe_origin(origin: "Origin") -> str:
    name = origin.model.name
    if origin.classes:
        noun = "class" if origin.classes == 1 else "classes"
        return f"As long as {name} for {origin.classes} {noun}, whole."
    published = origin.model.pretrained if origin.layers >= origin.model.pretrained_layers else ""
    like = f", as the published {published}" if published else ""
    return f"As long as the first {origin.layers} of {origin.of} layers of {name}{like}."


def _judge(header: WeightsHeader, cfg: Cfg) -> Outcome:
    fitting = judge(header, cfg)
    words = [f"  {line}" for line in describe_fit(fitting)]
    return Outcome(
        summary=[*_layer_table(fitting.fit), "", *_header_lines(header), *words],
        data={
            **_header_data(header),
            "cfg": os.path.abspath(cfg.path or ""),
            **list_fit(fitting),
            "values_by_layer": [
                {
                    "layer": one.layer.index,
                    "kind": one.layer.kind,
                    "values": one.layer.weight_floats,
                    "held": one.held,
                    "deviation": one.deviation,
                    "flaw": one.flaw,
                }
                for one in fitting.fit.values
            ],
        },
        next_command=cut_command(fitting, cfg.path or "CFG") if fitting.cut else "",
        exit_code=1 if fitting.fit.reason else 0,
    )


def _layer_table(fit: "Fit") -> list[str]:
    """Return a line for each layer that owns values, up to the first that cannot be."""
    rows = [f"{'layer':>5}  {'kind':<14}{'values':>12}{'first':>13}  {'kernel':>8}"]
    for one in fit.values:
        if not one.layer.weight_floats:
            continue
        state = one.flaw or ("" if one.is_whole else "not in the file" if not one.held else "cut")
        row = f"{one.layer.index:>5}  {one.layer.kind:<14}{one.layer.weight_floats:>12,}"
        rows.append(f"{row}{one.start:>13,}  {one.deviation:>8.4f}  {state}".rstrip())
        if one.layer.index >= fit.layers and fit.reason:
            break
    return rows


def _cut(
    header: WeightsHeader, cfg: Cfg, layers: int | None, output: str | None, overwrite: bool
) -> Outcome:
    from darknet_kit.network.backbone import cut_weights
    from darknet_kit.network.fit import judge_weights

    if not layers:
        raise UsageError(
            "how many of the first layers shall stay?",
            code="no-choice",
            hint="--layers 137 keeps layers 0 to 136, as in the published yolov4.conv.137.",
        )
    stem = os.path.basename(cfg.path or "network").removesuffix(".cfg")
    path = output or f"{stem}.conv.{layers}"
    require_free(path, None, overwrite)
    fit = judge_weights(cfg, header)
    floats = cut_weights(header, fit, layers, path)
    return Outcome(
        summary=[
            f"Kept the first {layers} of {fit.of} layers: {floats:,} of {header.floats:,} values",
            f"  weights {shown(path)}",
        ],
        data={
            "weights": os.path.abspath(path),
            "layers": layers,
            "values": floats,
        },
        next_command=f"dkit train DATA CFG {shown(path)}",
    )


def _compare(before: WeightsHeader, after: WeightsHeader, cfg: Cfg) -> Outcome:
    from darknet_kit.network.difference import compare_weights

    changes = compare_weights(cfg, before, after)
    rows = [f"{'layer':>5}  {'kind':<14}{'values':>12}{'changed':>12}  {'by (rms)':>9}  share"]
    for one in changes:
        row = f"{one.layer.index:>5}  {one.layer.kind:<14}{one.layer.weight_floats:>12,}"
        row += f"{one.changed:>12,}  {one.rms:>9.2g}"
        rows.append(row + (f"  {one.rms / one.size:.1%}" if one.size and one.changed else ""))
    same = sum(not one.changed for one in changes)
    return Outcome(
        summary=[
            *rows,
            "",
            *_header_lines(before),
            *_header_lines(after),
            f"  {same} of the {len(changes)} layers with values are the same in both.",
        ],
        data={
            "before": _header_data(before),
            "after": _header_data(after),
            "layers": [
                {
                    "layer": one.layer.index,
                    "kind": one.layer.kind,
                    "values": one.layer.weight_floats,
                    "changed": one.changed,
                    "rms": one.rms,
                    "size": one.size,
                }
                for one in changes
            ],
        },
    )


command = weights
