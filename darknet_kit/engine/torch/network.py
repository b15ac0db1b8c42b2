"""A whole `.cfg` as a PyTorch module."""

import contextlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from darknet_kit.engine.torch.heads.head import Assessment, Head, Predictions
from darknet_kit.engine.torch.layers.convolutional import Convolutional
from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.sections import BUILD
from darknet_kit.engine.torch.site import Site
from darknet_kit.formats.cfg import Cfg
from darknet_kit.network.layers import infer_layers


class Network(nn.Module):
    """The layers of a cfg in order; those that are heads compare their input with the truth.

    `frozen` is the number of layers at the start that do not learn: they run as in inference.
    """

    def __init__(self, cfg: Cfg) -> None:
        """Build every section. Raises CfgError, naming section and line."""
        super().__init__()
        self.cfg = cfg
        self.plan = infer_layers(cfg)
        self.frozen = 0
        sites = [
            Site(cfg, section, layer) for section, layer in zip(cfg.layers, self.plan, strict=True)
        ]
        built = [_build(site) for site in sites]
        _share_weights(sites, built)
        self.layers = nn.ModuleList(built)
        self.built = tuple(built)
        self.heads = [layer for layer in built if isinstance(layer, Head)]
        self._expires = _find_last_readers(built)

    @property
    def size(self) -> tuple[int, int]:
        """The input's width and height in pixels, as the cfg gives them."""
        return self.plan[0].input.width, self.plan[0].input.height

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the input of every head, in float32, for images [B, channels, height, width]."""
        outputs: dict[int, Tensor] = {}
        raws: list[Tensor] = []
        x = images
        for index, layer in enumerate(self.built):
            with torch.no_grad() if index < self.frozen else contextlib.nullcontext():
                x = layer(x, *(outputs[source] for source in layer.sources))
            outputs[index] = x
            if isinstance(layer, Head):
                raws.append(x.float())
            for done in self._expires[index]:
                del outputs[done]
        return tuple(raws)

    def train(self, mode: bool = True) -> "Network":
        """Set training or inference; frozen layers stay in inference, as on AlexeyAB's GPU."""
        super().train(mode)
        for layer in self.built[: self.frozen]:
            layer.eval()
        return self

    def freeze(self, count: int) -> None:
        """Freeze the first `count` layers and wake the others."""
        self.frozen = count
        self.train(self.training)

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


def _build(site: Site) -> TorchLayer | Head:
    build = BUILD.get(site.layer.kind)
    if build is None:
        raise site.error(
            "is a section that the embedded engine does not have",
            "unsupported-section",
            hint="`dkit build` makes an engine that has it.",
        )
    return build(site)


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


def _find_last_readers(layers: Sequence[TorchLayer | Head]) -> list[list[int]]:
    """List, for each layer, the outputs that nothing after it reads, so that they can be freed."""
    last = {index: index + 1 for index in range(len(layers))}
    for layer in layers:
        for source in layer.sources:
            last[source] = max(last[source], layer.index)
    expires: list[list[int]] = [[] for _ in range(len(layers) + 1)]
    for output, reader in last.items():
        expires[min(reader, len(layers))].append(output)
    return expires
