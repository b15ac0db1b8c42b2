"""Where something stands in a cfg: what the builder of a section is told, and errors name."""

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
        what = f"layer {self.layer.index} [{self.section.kind}] {what}"
        return error_at(self.cfg, self.section, what, code, key=key, hint=hint)


def error_at(
    cfg: Cfg, section: Section, what: str, code: str, *, key: str = "", hint: str = ""
) -> CfgError:
    """Return an error at the line of a section's `key`, or of the section where it has none."""
    entry = section.find(key)
    line = entry.line if entry else section.line
    return CfgError(what, code=code, hint=hint, path=cfg.path, line=line)
