"""What the loader of training images reads from a cfg, with Darknet's defaults."""

from dataclasses import dataclass

from darknet_kit.engine.torch.site import error_at
from darknet_kit.errors import CfgError
from darknet_kit.formats.cfg import Cfg, Section
from darknet_kit.network.heads import Head, find_heads


@dataclass(frozen=True, slots=True)
class LoaderOptions:
    """How training images are drawn, cut and coloured; the names are Darknet's.

    `jitter` is a fraction of the image's width and height, `resize` a factor, `hue` a fraction of
    the colour circle; `saturation` and `exposure` are factors. `blur` is a kernel in pixels,
    `gaussian_noise` a deviation in levels of 255. `max` and `classes` are the last head's.
    `rotate` and `shear` (`dkit_rotate`, `dkit_shear`, degrees) and `vertical_flip`
    (`dkit_vertical_flip`) are this engine's own; Darknet ignores these keys.
    """

    width: int
    height: int
    channels: int = 3
    classes: int = 20
    max: int = 200
    jitter: float = 0.2
    resize: float = 1.0
    flip: bool = True
    hue: float = 0.0
    saturation: float = 1.0
    exposure: float = 1.0
    mosaic: bool = False
    mosaic_bound: bool = False
    mixup: bool = False
    letter_box: bool = False
    blur: int = 0
    gaussian_noise: int = 0
    rotate: float = 0.0
    shear: float = 0.0
    vertical_flip: bool = False


def read_options(cfg: Cfg) -> LoaderOptions:
    """Read `[net]` and the last head, whose `jitter`, `resize` and `max` count for all heads.

    Raises CfgError for values that cannot work; what this engine cannot do at all, the check of
    the cfg's keys has refused before. AlexeyAB `src/detector.c`, `train_detector`.
    """
    last = find_last_head(cfg)
    net, head = cfg.net, last.section
    options = LoaderOptions(
        width=net.integer("width"),
        height=net.integer("height"),
        channels=net.integer("channels") or 3,
        classes=last.classes,
        max=max(0, head.integer("max", 200)),
        jitter=head.number("jitter", 0.2),
        resize=head.number("resize", 1.0),
        flip=bool(net.integer("flip", 1)),
        hue=net.number("hue"),
        saturation=net.number("saturation", 1.0),
        exposure=net.number("exposure", 1.0),
        mosaic=bool(net.integer("mosaic")),
        mosaic_bound=bool(net.integer("mosaic_bound")),
        mixup=bool(net.integer("mixup")),
        letter_box=bool(net.integer("letter_box")),
        blur=net.integer("blur"),
        gaussian_noise=net.integer("gaussian_noise"),
        rotate=net.number("dkit_rotate"),
        shear=net.number("dkit_shear"),
        vertical_flip=bool(net.integer("dkit_vertical_flip")),
    )
    _refuse_impossible(cfg, head, options)
    return options


def find_last_head(cfg: Cfg) -> Head:
    """Return the head whose keys count for the whole training. Raises CfgError (`no-head`)."""
    heads = find_heads(cfg)
    if not heads:
        raise CfgError(
            "this network has no head that detects, so it cannot be trained on boxes",
            code="no-head",
            hint="It needs a [yolo], [Gaussian_yolo], [region] or [detection] section.",
            path=cfg.path,
        )
    return heads[-1]


def _refuse_impossible(cfg: Cfg, head: Section, options: LoaderOptions) -> None:
    rules = (
        ("width", options.width > 0, "width must be above 0"),
        ("height", options.height > 0, "height must be above 0"),
        ("channels", options.channels in (1, 3), "channels must be 3 (colour) or 1 (gray)"),
        ("saturation", options.saturation > 0, "saturation is a factor above 0; 1 changes nothing"),
        ("exposure", options.exposure > 0, "exposure is a factor above 0; 1 changes nothing"),
        (
            "mosaic",
            not (options.mosaic and options.letter_box),
            "mosaic=1 excludes letter_box=1, in Darknet too: set one of them to 0",
        ),
        ("dkit_shear", abs(options.shear) < 80, "dkit_shear must be below 80 degrees"),
        (
            "resize",
            0.1 <= options.resize <= 10,
            "resize is a factor from 0.1 to 10; 1 changes nothing",
        ),
        ("jitter", 0 <= options.jitter < 0.5, "jitter must be at least 0 and below 0.5"),
    )
    for key, holds, message in rules:
        if not holds:
            section = head if head.find(key) else cfg.net
            raise error_at(cfg, section, message, "bad-value", key=key)
