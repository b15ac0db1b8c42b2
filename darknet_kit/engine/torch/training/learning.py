"""How each layer of a network learns, as the keys of its section say.

Borrowed from AlexeyAB `src/parser.c`, `parse_network_cfg_custom` and `set_train_only_bn`, and
`src/network_kernels.cu`, `update_network_gpu`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from darknet_kit.engine.torch.layers.layer import TorchLayer
from darknet_kit.engine.torch.network import Network
from darknet_kit.formats.cfg import Cfg

_CLIPPED = ("convolutional", "implicit")


@dataclass(frozen=True, slots=True)
class Learning:
    """The parameters of one layer, and how they are updated.

    `decay=` shrinks the `decayed` ones and not the `others`. `rate` multiplies the learning rate.
    `first` is the number of the first update that the layer takes part in. Weights are held within
    +-`clip` where it is not 0; `is_centered` takes the mean of each filter out of its updates.
    """

    kind: str
    decayed: tuple[nn.Parameter, ...]
    others: tuple[nn.Parameter, ...]
    rate: float = 1.0
    first: int = 0
    clip: float = 0.0
    is_centered: bool = False

    @property
    def parameters(self) -> tuple[nn.Parameter, ...]:
        return (*self.decayed, *self.others)


def plan_learning(network: Network) -> list[Learning]:
    """List the layers that learn, shared parameters once.

    Layers before `stopbackward=1` and up to `train_only_bn=1` are not among them: Darknet does not
    even let them decay. Those before `stopbackward=N` are: they have no gradient until iteration
    N and decay meanwhile.
    """
    taken: set[int] = set()
    return [
        learning
        for layer in network.built[network.fixed :]
        if isinstance(layer, TorchLayer)
        for learning in _plan_layer(layer, network.cfg, taken)
    ]


def _plan_layer(layer: TorchLayer, cfg: Cfg, taken: set[int]) -> Iterator[Learning]:
    section = cfg.layers[layer.index]
    decays = {id(parameter) for parameter in layer.decayed()}
    free = [
        parameter
        for parameter in layer.parameters()
        if parameter.requires_grad and id(parameter) not in taken
    ]
    taken.update(map(id, free))
    if not free:
        return
    waits = section.integer("burnin_update") * cfg.net.integer("burn_in")
    yield Learning(
        kind=layer.kind,
        decayed=tuple(one for one in free if id(one) in decays),
        others=tuple(one for one in free if id(one) not in decays),
        rate=section.number("learning_rate", 1.0),
        first=max(waits, section.integer("dont_update") + 1),
        clip=abs(section.number("clip")) if layer.kind in _CLIPPED else 0.0,
        is_centered=bool(section.integer("grad_centr") and section.integer("batch_normalize")),
    )
