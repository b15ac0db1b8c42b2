"""`dkit show CFG`: a network as a diagram, and as a table of its layers."""

import os
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from darknet_kit.cli.outcome import Outcome
from darknet_kit.cli.paths import shown
from darknet_kit.cli.writing import PICTURES, kind_of, require_charts, write_files
from darknet_kit.errors import AnyPath, CfgError, UsageError
from darknet_kit.formats.cfg import Cfg, Section, read_cfg
from darknet_kit.network.layer import Layer
from darknet_kit.network.layers import infer_layers, total_bflops

_GIVEN = ParameterSource.COMMANDLINE
_OPTIONS = frozenset(("data", "output", "overwrite", "as_json", "debug"))


def refuse_options_of_data(context: click.Context) -> None:
    """Raises UsageError where an option was given that has no meaning for a network."""
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in _OPTIONS and context.get_parameter_source(name) is _GIVEN:
            raise UsageError(
                f"{parameter.opts[0]} has no meaning for a network",
                code="wrong-option",
                hint="It chooses images of a data set; name its .data file.",
            )


def show_network(path: AnyPath, output: AnyPath | None, overwrite: bool) -> Outcome:
    """Draw a network and list its layers as an engine does. Raises CfgError, UsageError."""
    cfg = read_cfg(path)
    layers = infer_layers(cfg)
    if not layers:
        raise CfgError(
            "there is no layer in this network, only [net]",
            code="no-layers",
            hint="`dkit make-cfg` writes a whole network.",
            path=path,
        )
    stem = Path(path).name.removesuffix(".cfg")
    picture = Path(output or f"{stem}.png")
    draw_network(cfg, stem, picture, overwrite)
    floats, bflops = sum(layer.weight_floats for layer in layers), total_bflops(layers)
    return Outcome(
        summary=[
            *list_layers(cfg, layers),
            "",
            f"{len(layers)} layers, {floats:,} parameters, {bflops:.3f} BFLOPs an image",
            f"  picture {shown(picture)}",
        ],
        data={
            "cfg": os.path.abspath(path),
            "picture": os.path.abspath(picture),
            "parameters": floats,
            "bflops": round(bflops, 3),
            "layers": [_layer_data(layer) for layer in layers],
        },
        next_command=f"dkit check {shown(path)}",
    )


def _layer_data(layer: Layer) -> dict[str, Any]:
    return {
        "layer": layer.index,
        "kind": layer.kind,
        "line": layer.line,
        "sources": layer.sources,
        "input": [layer.input.width, layer.input.height, layer.input.channels],
        "output": [layer.output.width, layer.output.height, layer.output.channels],
        "values": layer.weight_floats,
        "bflops": round(layer.bflops, 3),
    }


def draw_network(cfg: Cfg, title: str, picture: Path, overwrite: bool) -> None:
    """Draw a network's diagram into a file. Raises CfgError, UsageError, ToolchainError."""
    require_picture(picture)
    from darknet_kit.report.charts import render_figure
    from darknet_kit.report.netchart import plot_network

    write_files({picture: render_figure(plot_network(cfg, title), kind_of(picture))}, overwrite)


def require_picture(picture: Path) -> None:
    """Refuse what no diagram can be drawn into. Raises UsageError, ToolchainError."""
    if kind_of(picture) not in PICTURES:
        raise UsageError(
            f"a network is drawn as {', '.join(PICTURES)}",
            code="unknown-picture",
            hint="Name the file like that: -o net.png.",
            path=picture,
        )
    require_charts()


def list_layers(cfg: Cfg, layers: tuple[Layer, ...]) -> list[str]:
    """Return a table of layers, a line each, in the order of an engine's own."""
    rows = [
        f"{'layer':>5}  {'kind':<14}{'window':<10}{'input':>18}     {'output':<18}{'BFLOPs':>8}"
    ]
    for section, layer in zip(cfg.layers, layers, strict=True):
        work = f"{layer.bflops:>8.3f}" if layer.bflops >= 0.0005 else ""
        left = _sources(layer) if layer.sources else str(layer.input)
        row = f"{layer.index:>5}  {layer.kind:<14}{_window(section, layer):<10}{left:>18}"
        rows.append(f"{row}  ->  {layer.output!s:<18}{work}".rstrip())
    return rows


def _window(section: Section, layer: Layer) -> str:
    """Return size and stride where a layer slides a window over its input."""
    if layer.kind not in ("convolutional", "maxpool", "local_avgpool", "local"):
        return ""
    stride = section.integer("stride", 1)
    return f"{section.integer('size', stride)} / {stride}"


def _sources(layer: Layer) -> str:
    named = ", ".join(map(str, layer.sources))
    return f"of {named}" if layer.kind == "route" else f"with {named}"
