"""A whole `.cfg` as a PyTorch module."""

import contextlib
import copy
import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from darknet_kit.engine.torch.heads.head import Assessment, Head, Predictions
from darknet_kit.engine.torch.keys import check_keys, unsupported
from darknet_kit.engine.torch.layers.connected import Connected
from darknet_kit.engine.torch.layers.convolutional import Convolutional
from darknet_kit.engine.torch.layers.dropout import Dropblock
from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.layers.norm import without_memory
from darknet_kit.engine.torch.sections import BUILD
from darknet_kit.engine.torch.site import Site, error_at
from darknet_kit.engine.torch.spans import INPUT, Span, plan_spans
from darknet_kit.formats.cfg import Cfg
from darknet_kit.network.layers import Layer, infer_layers

# Until this share of max_batches Darknet lets dropblock grow.
_DROPBLOCK_GROWS = 0.85
# A file of 2 GiB, eight times that of YOLOv4.
_MOST_WEIGHTS = 1 << 29


class Network(nn.Module):
    """The layers of a cfg in order; those that are heads compare their input with the truth.

    `frozen` is the number of layers at the start that get no gradient; of these the first `still`
    run as in inference, so that their statistics do not move either. `advance` sets both.
    """

    mean: Tensor | None
    std: Tensor | None

    def __init__(self, cfg: Cfg) -> None:
        """Build every section. Raises CfgError, naming section and line."""
        super().__init__()
        _refuse_unsupported(cfg)
        self.cfg = cfg
        self.plan = infer_layers(cfg)
        _refuse_enormous(cfg, self.plan)
        sites = [
            Site(cfg, section, layer) for section, layer in zip(cfg.layers, self.plan, strict=True)
        ]
        built = [_build(site) for site in sites]
        _share_weights(sites, built)
        self.layers = nn.ModuleList(built)
        self.built = tuple(built)
        self.heads = [layer for layer in built if isinstance(layer, Head)]
        self.spares_memory = bool(cfg.net.integer("dkit_checkpoint"))
        self._spans = plan_spans(built, split=self.spares_memory)
        self._unlearnt = frozenset(index for index, _ in _find_numbers(cfg, "onlyforward"))
        # What a head gets is not rounded to bfloat16.
        self._exact = frozenset(
            head.index - 1 for head in self.heads if not built[head.index - 1].sources
        )
        for key in ("mean", "std"):
            values = _read_channels(cfg, f"dkit_{key}", self.plan[0].input.channels)
            self.register_buffer(key, values, persistent=False)
        self._stops = _find_numbers(cfg, "stopbackward")
        self._only_bn = max([0, *(index + 1 for index, _ in _find_numbers(cfg, "train_only_bn"))])
        self._dropblocks = [layer for layer in built if isinstance(layer, Dropblock)]
        self._grown = _DROPBLOCK_GROWS * cfg.net.integer("max_batches")
        self.frozen = self.still = 0
        self.advance(0)

    @property
    def size(self) -> tuple[int, int]:
        """The input's width and height in pixels, as the cfg gives them."""
        return self.plan[0].input.width, self.plan[0].input.height

    @property
    def fixed(self) -> int:
        """The number of layers at the start that no update ever changes."""
        return max(self._only_bn, self.still)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the input of every head, in float32, for images [B, channels, height, width].

        Of a network without a head, the output of its last layer.
        """
        kept = {INPUT: self._normalize(images)}
        for span in self._spans:
            tensors = [kept[index] for index in span.reads]
            if self.spares_memory and self.training and torch.is_grad_enabled():
                made = checkpoint(
                    self._run,
                    span,
                    *tensors,
                    use_reentrant=False,
                    context_fn=lambda: (contextlib.nullcontext(), without_memory(self)),
                )
            else:
                made = self._run(span, *tensors)
            for expired in (index for indexes in span.expires for index in indexes):
                kept.pop(expired, None)
            kept.update(zip(span.writes, made, strict=True))
        last = [head.index for head in self.heads] or [len(self.built) - 1]
        return tuple(kept[index].float() for index in last)

    def _run(self, span: Span, *tensors: Tensor) -> tuple[Tensor, ...]:
        outputs = dict(zip(span.reads, tensors, strict=True))
        learning = torch.is_grad_enabled()
        for index, expired in zip(range(span.start, span.stop), span.expires, strict=True):
            layer, x = self.built[index], outputs[index - 1]
            learns = learning and index >= self.frozen and index not in self._unlearnt
            with torch.set_grad_enabled(learns), self._autocast(index, x):
                x = x.float() if index in self._exact else x
                outputs[index] = layer(x, *(outputs[source] for source in layer.sources))
            if isinstance(layer, Head) and index in self._unlearnt:
                outputs[index] = outputs[index].detach()
            if layer.kind == "dropout":
                outputs[index - 1] = outputs[index]
            for output in expired:
                outputs.pop(output, None)
        return tuple(outputs[index] for index in span.writes)

    def _autocast(self, index: int, x: Tensor) -> contextlib.AbstractContextManager[object]:
        if index in self._exact and torch.amp.is_autocast_available(x.device.type):
            return torch.autocast(x.device.type, enabled=False)
        return contextlib.nullcontext()

    def _normalize(self, images: Tensor) -> Tensor:
        x = images if self.mean is None else images - self.mean
        return x if self.std is None else x / self.std

    def train(self, mode: bool = True) -> "Network":
        """Set training or inference; layers that are still stay in inference."""
        super().train(mode)
        for layer in self.built[: self.still]:
            layer.eval()
        return self

    def advance(self, iteration: int) -> None:
        """Set what the cfg says of a training that has `iteration` iterations behind it.

        With `stopbackward=1` all layers before that one are still, as on AlexeyAB's GPU; with
        `stopbackward=N` or `train_only_bn=1` they get no gradient (the former until N) while
        their statistics move. The layer with the key gets no gradient either (AlexeyAB
        `src/network_kernels.cu`, `backward_network_gpu`). `dropblock` grows.
        """
        always = [index for index, stop in self._stops if stop == 1]
        stopped = [index + 1 for index, stop in self._stops if stop == 1 or stop > iteration]
        before = self.frozen, self.still
        self.frozen, self.still = max([self._only_bn, *stopped]), max([0, *always])
        if before != (self.frozen, self.still):
            self.train(self.training)
        for layer in self._dropblocks:
            layer.progress = min(1.0, iteration / self._grown) if self._grown else 1.0

    def fuse(self) -> "Network":
        """Return a copy for inference whose batch normalizations lie in the weights."""
        fused = copy.deepcopy(self).eval()
        for layer in fused.built:
            if isinstance(layer, Convolutional | Connected):
                layer.fold()
        return fused.requires_grad_(False)

    def assess(
        self, raws: Sequence[Tensor], truths: Tensor, size: tuple[int, int], seen: int
    ) -> list[Assessment]:
        """Compare what `forward` returned with the truth, head by head."""
        return [
            head.assess(raw.detach(), truths, size, seen)
            for head, raw in zip(self.heads, raws, strict=True)
        ]

    @torch.no_grad()
    def predict(self, images: Tensor) -> list[Predictions]:
        """Return what each head sees in images [B, channels, height, width], values 0 to 1."""
        size = (images.shape[3], images.shape[2])
        return [head.decode(raw, size) for head, raw in zip(self.heads, self(images), strict=True)]


def _refuse_unsupported(cfg: Cfg) -> None:
    """Raise the first problem of a layer. Those of `[net]` concern trainings alone."""
    for problem in check_keys(cfg):
        if problem.is_error and problem.section > 0:
            raise unsupported(cfg, problem)


def _refuse_enormous(cfg: Cfg, plan: Sequence[Layer]) -> None:
    """Raise CfgError at the layer with which the weights become more than any network has."""
    for layer, weights in zip(
        plan, itertools.accumulate(layer.weight_floats for layer in plan), strict=True
    ):
        if weights > _MOST_WEIGHTS:
            raise error_at(
                cfg,
                cfg.layers[layer.index],
                f"layer {layer.index} [{layer.kind}] brings the network to {weights:,} weights; "
                f"it can have {_MOST_WEIGHTS:,}",
                "too-many-weights",
                hint="A number with too many digits? Look at filters, size and output.",
            )


def _build(site: Site) -> TorchLayer | Head:
    return BUILD[site.layer.kind](site)


def _find_numbers(cfg: Cfg, key: str) -> list[tuple[int, int]]:
    """List the layers that have a key that is not 0, and its value."""
    values = ((index, section.integer(key)) for index, section in enumerate(cfg.layers))
    return [(index, value) for index, value in values if value]


def _share_weights(sites: Sequence[Site], layers: Sequence[TorchLayer | Head]) -> None:
    """Give each layer with `share_index` what the layer that it names learns."""
    for site, layer in zip(sites, layers, strict=True):
        if isinstance(layer, Convolutional) and layer.share_index is not None:
            source = layers[layer.share_index]
            if not isinstance(source, Convolutional) or not layer.share(source):
                raise site.error(
                    f"shares the weights of layer {source.index}, which has another shape",
                    "bad-source",
                    key="share_index",
                )


def _read_channels(cfg: Cfg, key: str, channels: int) -> Tensor | None:
    """Return one value a channel, [1, channels, 1, 1], in fractions of white. Raises CfgError."""
    values = cfg.net.numbers(key)
    if not values:
        return None
    if len(values) not in (1, channels) or (key == "dkit_std" and min(values) <= 0):
        what = f"{key} needs {channels} numbers" + (" above 0" if key == "dkit_std" else "")
        raise error_at(cfg, cfg.net, what, "bad-value", key=key)
    return torch.tensor(values).expand(channels).reshape(1, channels, 1, 1).clone()
