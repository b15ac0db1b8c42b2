"""One layer of a network, and the place in which its section stands."""

from collections.abc import Sequence
from dataclasses import dataclass

from darknet_kit.errors import CfgError
from darknet_kit.formats.cfg import Cfg, Section

# The engine counts elements in a C int.
LARGEST = (1 << 31) - 1
# No picture is larger, and libraries crash at windows whose stride needs 16 bits.
_LARGEST_WINDOW = 8192


@dataclass(frozen=True, slots=True)
class Shape:
    """What lies between two layers, in elements. A flat vector is 1 x 1 x length."""

    width: int
    height: int
    channels: int

    @property
    def elements(self) -> int:
        return self.width * self.height * self.channels

    def __str__(self) -> str:
        return f"{self.width} x {self.height} x {self.channels}"


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer. `stride` is how many input pixels (x, y) one element of the output stands for.

    `sources` are the absolute numbers of the layers that it reads besides the one before it.
    `bflops` is billions of floating point operations for one image.
    """

    index: int
    kind: str
    line: int
    input: Shape
    output: Shape
    stride: tuple[int, int]
    weight_floats: int = 0
    bflops: float = 0.0
    sources: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a section stands: what comes in, and all layers before it."""

    cfg: Cfg
    section: Section
    index: int
    kind: str
    input: Shape
    stride: tuple[int, int]
    before: Sequence[Layer]

    def make(
        self,
        output: Shape | None = None,
        *,
        stride: tuple[int, int] | None = None,
        weight_floats: int = 0,
        operations: float = 0,
        sources: tuple[int, ...] = (),
    ) -> Layer:
        """Return the layer; what is not given is as in the input. Raises CfgError."""
        shape = output or self.input
        if min(shape.width, shape.height, shape.channels) < 1 or shape.elements > LARGEST:
            raise self.error(f"makes an output of {shape} from {self.input}", "impossible-shape")
        return Layer(
            index=self.index,
            kind=self.kind,
            line=self.section.line,
            input=self.input,
            output=shape,
            stride=stride or self.stride,
            weight_floats=weight_floats,
            bflops=operations / 1e9,
            sources=sources,
        )

    def error(self, what: str, code: str, hint: str = "") -> CfgError:
        """Return the error that `layer 3 [route] what`, with file and line."""
        return CfgError(
            f"layer {self.index} [{self.section.kind}] {what}",
            code=code,
            hint=hint,
            path=self.cfg.path,
            line=self.section.line,
        )

    def at_least_one(self, key: str, default: int) -> int:
        """Return a whole number of the section. Raises CfgError where it is below 1."""
        value = self.section.integer(key, default)
        if value < 1:
            raise self.error(f"has {key}={value}; it must be at least 1", "impossible-shape")
        return value

    def window(self, key: str, default: int) -> int:
        """Return a size or stride in pixels. Raises CfgError where it is below 1 or senseless."""
        value = self.at_least_one(key, default)
        if value > _LARGEST_WINDOW:
            raise self.error(
                f"has {key}={value}; it can be {_LARGEST_WINDOW} at most", "impossible-shape"
            )
        return value
