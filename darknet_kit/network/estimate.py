"""What a training will need, said before it starts: GPU memory, hours, disk space.

Memory is what AlexeyAB's layers allocate (`cuda_make_array` in each `make_*_layer`, cuDNN build),
counted exactly, and a margin for what cannot be counted: CUDA's own and cuDNN's workspace. Hours
are an estimate: work over the card's published speed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from darknet_kit.formats.cfg import Cfg, Section, set_value
from darknet_kit.formats.weights import expected_bytes
from darknet_kit.network.gpus import GpuModel
from darknet_kit.network.heads import find_heads
from darknet_kit.network.layers import Layer, infer_layers, total_bflops
from darknet_kit.network.parameters import is_normalized

KEEP = 3
"""How many of the numbered weights stay in a run, unless told otherwise."""
_FLOAT_BYTES = 4
CUDA_BYTES = 600_000_000
"""What CUDA and its libraries take before the first array; more on some drivers."""
WORKSPACE_BYTES = 500_000_000
"""What cuDNN's algorithms usually take; workspace_size_limit_MB allows them 1024 MiB."""
_KEEP_INPUT = frozenset({"swish", "mish", "hard_mish"})
_PER_OUTPUT = {"maxpool": 3, "local_avgpool": 3, "yolo": 3, "Gaussian_yolo": 3}
# The share of a card's published speed that training reaches: AlexeyAB's published frame rates of
# yolov4 come to 0.37 on a V100 (96 a second of 60.1 BFLOPs, 15.7 TFLOPS) and 0.44 on an RTX 2070.
_EFFICIENCY = 0.35
_FORWARD_AND_BACKWARD = 3  # forward, gradient of the input, gradient of the weights
_LOADED_A_SECOND = 1000  # images that a few CPU cores decode and change; small networks wait
# Bytes of AlexeyAB's log: for each head and mini-batch, each mini-batch, each iteration.
_LOG_HEAD, _LOG_PART, _LOG_ITERATION = 171, 52, 170
_SINGLE_FILES = 5  # _last, _best, _final, _sound, and the one that is being written


@dataclass(frozen=True, slots=True)
class Needs:
    """What a training needs. Memory in bytes for one GPU; disk in bytes at the end."""

    memory: int
    weights_disk: int
    log_disk: int


def estimate_needs(cfg: Cfg) -> Needs:
    """Return what a training of this cfg with AlexeyAB's Darknet needs. Raises CfgError."""
    net = cfg.net
    numbered = count_numbered(net.integer("max_batches"))
    parts = max(1, net.integer("subdivisions", 1))
    return Needs(
        memory=estimate_memory(cfg, max(1, net.integer("batch", 1) // parts)),
        weights_disk=_weights_bytes(cfg) * (numbered + 3),  # and _last, _best, _final
        log_disk=_log_bytes(cfg, parts),
    )


def estimate_disk(cfg: Cfg, *, keep: int, with_state: bool, full_log: bool) -> int:
    """Return the bytes that a run will take at most, without charts and tables.

    `keep` numbered weights stay, all where it is 0; `with_state` lays momentum beside each file;
    without `full_log` the lines of all mini-batches are one. Raises CfgError.
    """
    parts = max(1, cfg.net.integer("subdivisions", 1)) if full_log else 1
    numbered = count_numbered(cfg.net.integer("max_batches"))
    files = (min(keep or numbered, numbered) + _SINGLE_FILES) * (2 if with_state else 1)
    return _weights_bytes(cfg) * files + _log_bytes(cfg, parts)


def count_numbered(iterations: int) -> int:
    """Return how many numbered weights a training of AlexeyAB's Darknet writes."""
    return iterations // (1000 if iterations < 10_000 else 10_000)


def _weights_bytes(cfg: Cfg) -> int:
    return expected_bytes(sum(layer.weight_floats for layer in infer_layers(cfg)))


def _log_bytes(cfg: Cfg, parts: int) -> int:
    line = parts * (len(find_heads(cfg)) * _LOG_HEAD + _LOG_PART) + _LOG_ITERATION
    return line * cfg.net.integer("max_batches")


def estimate_memory(cfg: Cfg, images: int) -> int:
    """Return the bytes of GPU memory that a training takes with so many images at a time.

    With random=1 the network grows to 1.4 times its size; the mAP while training adds a network
    for one image of the cfg's size. Raises CfgError.
    """
    layers = infer_layers(cfg)
    weights = _weight_values(cfg, layers)
    training = images * _activation_values(cfg, infer_layers(_enlarged(cfg)), train=True)
    testing = _activation_values(cfg, layers, train=False) + weights[1]
    values = weights[0] + training + testing
    return _FLOAT_BYTES * values + CUDA_BYTES + WORKSPACE_BYTES


def _weight_values(cfg: Cfg, layers: Sequence[Layer]) -> tuple[int, int]:
    """Return the values that weights take in training (with updates, Adam's too), and alone."""
    alone = sum(layer.weight_floats for layer in layers)
    return alone * (4 if cfg.net.integer("adam") else 2), alone


def _activation_values(cfg: Cfg, layers: Sequence[Layer], *, train: bool) -> int:
    net_input = layers[0].input.elements if layers else 0
    pairs = zip(cfg.layers, layers, strict=True)
    return net_input + sum(
        _kept(section, layer, train=train) * layer.output.elements for section, layer in pairs
    )


def _kept(section: Section, layer: Layer, *, train: bool) -> int:
    """Return how many arrays of the size of its output a layer keeps on the GPU."""
    if not train:
        return 1
    kept = _PER_OUTPUT.get(layer.kind, 2)  # output and delta; poolings and heads one more
    kept += layer.kind in ("convolutional", "connected") and is_normalized(section)
    return kept + (section.text("activation") in _KEEP_INPUT)


def _enlarged(cfg: Cfg) -> Cfg:
    """Return the cfg at the largest size that it trains at."""
    heads = find_heads(cfg)
    random = heads[-1].section.number("random") if heads else 0.0
    if not random:
        return cfg
    step = max(1, cfg.net.integer("resize_step", 32))
    for key in ("width", "height"):
        grown = cfg.net.integer(key) * (1.4 if random == 1 else random)
        cfg = set_value(cfg, cfg.net, key, round(grown / step + 1) * step)
    return cfg


def list_parts(batch: int) -> list[int]:
    """Return the subdivisions that divide a batch, the fewest first."""
    return [count for count in range(1, batch + 1) if batch % count == 0]


def fit_subdivisions(cfg: Cfg, batch: int, memory: int) -> int | None:
    """Return the fewest parts of a batch with which a training fits into `memory` bytes.

    None where even one image at a time does not. Raises CfgError.
    """
    for parts in list_parts(batch):
        if estimate_memory(cfg, batch // parts) <= memory:
            return parts
    return None


def estimate_hours(cfg: Cfg, gpu: GpuModel) -> float:
    """Return about how many hours a training takes on one card of this kind. Raises CfgError."""
    images = cfg.net.integer("max_batches") * cfg.net.integer("batch", 1)
    work = images * _FORWARD_AND_BACKWARD * total_bflops(infer_layers(cfg))
    return max(work / (gpu.tflops * 1e3 * _EFFICIENCY), images / _LOADED_A_SECOND) / 3600


def measure_hours(cfg: Cfg, seconds: float) -> float:
    """Return how many hours a training takes whose iterations take so many seconds, as its log
    says; a line of a log on n GPUs stands for n iterations."""
    return cfg.net.integer("max_batches") * seconds / 3600
