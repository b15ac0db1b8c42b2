"""`dkit make-cfg --list`: the networks that dkit can write."""

from darknet_kit.cli.needs import format_memory
from darknet_kit.cli.outcome import Outcome
from darknet_kit.network.catalog import MODELS, Model
from darknet_kit.network.estimate import estimate_needs
from darknet_kit.network.layers import infer_layers, total_bflops
from darknet_kit.network.model import CfgRequest, make_cfg
from darknet_kit.report.classtable import align_columns

# The classes of the set on which networks are usually compared.
_LISTED_CLASSES = 80


def list_models() -> Outcome:
    """Return a row for each model: size, layers, parameters, BFLOPs, memory, what it is for."""
    table = [["model", "size", "layers", "parameters", "BFLOPs", "GPU memory", "good for"]]
    models = []
    for model in MODELS.values():
        cfg = make_cfg(CfgRequest(_LISTED_CLASSES, model.name))
        layers, memory = infer_layers(cfg), estimate_needs(cfg).memory
        floats, bflops = sum(layer.weight_floats for layer in layers), total_bflops(layers)
        counts = [str(len(layers)), f"{floats:,}", f"{bflops:.3f}", format_memory(memory)]
        table.append([model.name, f"{model.size}x{model.size}", *counts, model.good_for])
        models.append(_model_data(model, len(layers), floats, bflops, memory))
    note = (
        f"For {_LISTED_CLASSES} classes at the default size and subdivisions; "
        "--gpu-memory GB makes a training fit."
    )
    return Outcome(
        summary=[*align_columns(table, left=(0, 6)), "", note],
        data={"models": models},
        next_command="dkit make-cfg --data DATA --model yolov4-tiny",
    )


def _model_data(
    model: Model, layers: int, floats: int, bflops: float, memory: int
) -> dict[str, object]:
    return {
        "name": model.name,
        "about": model.about,
        "good_for": model.good_for,
        "size": model.size,
        "layers": layers,
        "parameters": floats,
        "bflops": round(bflops, 3),
        "gpu_memory": memory,
        "pretrained": model.pretrained or None,
    }
