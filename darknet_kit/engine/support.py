"""What a flavour cannot run, although it would load it without a word.

The 2018 original takes an unknown activation for relu, skips an unknown section, and ignores
`groups` of a route; the network it then trains is another one (pjreddie src/parser.c,
src/activations.c). hank-ai's ends its start at a section or key that it does not read, and at a
number that it cannot (src-lib/darknet_cfg.cpp).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from darknet_kit.core.flavor import Flavor
from darknet_kit.formats.cfg import NETWORK_KINDS, Cfg, Section
from darknet_kit.network.keys import OWN_PREFIX, iter_unknown_keys

_LACKING: dict[Flavor, frozenset[str]] = {
    Flavor.ALEXEYAB: frozenset(),
    Flavor.ORIGINAL: frozenset(
        {
            *("Gaussian_yolo", "scale_channels", "sam", "local_avgpool", "contrastive"),
            *("implicit", "conv_lstm", "history", "reorg3d", "empty", "silence"),
        }
    ),
    Flavor.HANK_AI: frozenset(
        {
            *("detection", "crop", "local", "gru", "batchnorm", "activation", "normalization"),
            *("conv_lstm", "implicit", "reorg", "lrn", "history"),
        }
    ),
}
# Keys of [net] that hank-ai's reads only where another key has one of these values.
_STEPS = ("policy", frozenset({"steps", "sgdr"}))
_ADAM = ("adam", frozenset({"1"}))
_NEVER = ("", frozenset[str]())
_HANK_READS_WITH = {
    **dict.fromkeys(("steps", "scales", "seq_scales"), _STEPS),
    **dict.fromkeys(("B1", "B2", "eps"), _ADAM),
    **dict.fromkeys(("max_crop", "min_crop", "unsupervised"), _NEVER),
}
_HANK_DIGITS = frozenset("-.0123456789")
_ORIGINAL_ACTIVATIONS = frozenset(
    {
        *("logistic", "loggy", "relu", "elu", "selu", "relie", "ramp", "linear"),
        *("tanh", "plse", "leaky", "stair", "hardtan", "lhtan"),
    }
)


@dataclass(frozen=True, slots=True)
class Unsupported:
    """One thing of a cfg that an engine lacks; `line` is 1-based."""

    line: int
    what: str

    def told_of(self, flavor: Flavor) -> str:
        """Return the sentence that says so of an engine of this flavour."""
        if flavor is Flavor.HANK_AI:
            return f"{flavor} darknet ends at {self.what}"
        return f"{flavor} darknet has no {self.what}: it would train another network"


TAKE_ANOTHER = "Take an engine that has it: --engine torch, or one made by `dkit build`."
"""What to do about it."""


def find_unsupported(cfg: Cfg, flavor: Flavor) -> list[Unsupported]:
    """Return what this flavour would drop, mistake or refuse."""
    found = [
        Unsupported(section.line, f"[{section.kind}]")
        for section in cfg.layers
        if section.kind in _LACKING[flavor]
    ]
    if flavor is Flavor.ORIGINAL:
        found += [lack for section in cfg.layers for lack in _original_lacks(section)]
    if flavor is Flavor.HANK_AI:
        found += find_own_keys(cfg)
        found += [lack for section in cfg.sections for lack in _iter_hank_lacks(section)]
        found += [
            Unsupported(one.entry.line, f"{one.entry.key} in [{one.section.kind}]")
            for one in iter_unknown_keys(cfg)
        ]
    return sorted(found, key=lambda lack: lack.line)


def find_own_keys(cfg: Cfg) -> list[Unsupported]:
    """Return the keys that only the embedded engine knows; other engines pass over them at best."""
    return [
        Unsupported(entry.line, entry.key)
        for section in cfg.sections
        for entry in section.entries
        if entry.key.startswith(OWN_PREFIX)
    ]


def _iter_hank_lacks(section: Section) -> Iterator[Unsupported]:
    seen = set()
    for entry in section.entries:
        value = entry.value.partition("#")[0]
        if entry.key in seen:
            yield Unsupported(entry.line, f"a second {entry.key} in [{section.kind}]")
        elif not _HANK_DIGITS.issuperset(value) and _is_number(value):
            yield Unsupported(entry.line, f"{entry.key}={value}: it reads no exponents")
        elif section.kind in NETWORK_KINDS and entry.key in _HANK_READS_WITH:
            key, values = _HANK_READS_WITH[entry.key]
            if section.text(key) not in values:
                where = f" with {key}={section.text(key)}" if section.find(key) else ""
                yield Unsupported(entry.line, f"{entry.key} in [{section.kind}]{where}")
        seen.add(entry.key)


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _original_lacks(section: Section) -> list[Unsupported]:
    lacks = []
    activation, groups = section.find("activation"), section.find("groups")
    if activation and activation.value not in _ORIGINAL_ACTIVATIONS:
        lacks.append(Unsupported(activation.line, f"activation={activation.value}"))
    if groups and section.kind == "route" and section.integer("groups", 1) > 1:
        lacks.append(Unsupported(groups.line, "groups in [route]"))
    return lacks
