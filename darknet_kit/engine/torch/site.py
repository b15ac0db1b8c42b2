"""What the builder of a section is told."""

from dataclasses import dataclass

from darknet_kit.errors import CfgError
from darknet_kit.formats.cfg import Cfg, Section
from darknet_kit.network.layer import Layer


@dataclass(frozen=True, slots=True)
class Site:
    """One section of a cfg, and the layer (shapes, sources) that `infer_layers` made of it."""

    cfg: Cfg
    section: Section
    layer: Layer

    @property
    def net(self) -> Section:
        return self.cfg.net

    def error(self, what: str, code: str, *, key: str = "", hint: str = "") -> CfgError:
        """Return the error that `layer 3 [route] what`, at the line of `key` where it is given."""
        entry = self.section.find(key)
        return CfgError(
            f"layer {self.layer.index} [{self.section.kind}] {what}",
            code=code,
            hint=hint,
            path=self.cfg.path,
            line=entry.line if entry else self.section.line,
        )
