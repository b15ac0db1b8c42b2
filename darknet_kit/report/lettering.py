"""Words on pictures, in whatever script: a font that has their letters, and a place's width.

Pillow's own font knows ASCII and little more. For other letters the fonts of this machine are
asked, the plain ones first; where none has them, nothing can be drawn, and that is said.
"""

import functools
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

_FOLDERS = (
    "~/.fonts",
    "~/.local/share/fonts",
    "/usr/local/share/fonts",
    "/usr/share/fonts",
    "/System/Library/Fonts",
    "/Library/Fonts",
)
_PREFERRED = ("dejavusans.", "notosans-regular.", "notosanscjk-regular.", "liberationsans-regular.")
_UNWANTED = ("bold", "italic", "oblique", "mono", "condensed", "light", "serif", "emoji")
_MOST = 400  # fonts to look into
_NO_CHARACTER = "\uffff"  # drawn as each font's mark of what it lacks
_JOINERS = "\u200c\u200d"  # of Persian, Hindi, emoji: no font needs a sign for them


@dataclass(frozen=True, slots=True)
class GuessedFont:
    """How wide words of `size` px will about be in a font that is not here."""

    size: int

    def getlength(self, text: str) -> float:
        return sum(
            self.size * (1.0 if unicodedata.east_asian_width(letter) in "WF" else 0.6)
            for letter in text
        )


def font_for(text: str, size: int) -> Font | None:
    """Return a font of `size` px that has all letters of a text; None where there is none."""
    if text.isascii():
        return _own_font(size)
    letters = {letter for letter in text if not letter.isspace() and letter not in _JOINERS}
    path = _find_font("".join(sorted(letters)))
    return None if path is None else _load(path, size)


def drawable(text: str, size: int) -> tuple[str, Font]:
    """Return a text on one line, and a font for it; what no font has becomes a question mark."""
    line = escape_controls(" ".join(text.split()))
    font = font_for(line, size)
    if font is None:
        line = "".join(letter if font_for(letter, size) else "?" for letter in line)
        font = font_for(line, size)
    if font is None:  # each letter is somewhere, but no font has them all
        line = line.encode("ascii", "replace").decode()
    return line, font or _own_font(size)


def direction_with(font: Font) -> str | None:
    """Return the direction of a line as a whole, to draw it with; None where a font knows none.

    Else a name in Hebrew at its beginning would turn all that follows.
    """
    engine = getattr(font, "layout_engine", ImageFont.Layout.BASIC)
    return "ltr" if engine == ImageFont.Layout.RAQM else None


def escape_controls(text: str) -> str:
    """Return a text without control characters, marks that turn its direction, stray bytes."""
    return "".join(
        f"\\x{ord(one):02x}"
        if unicodedata.category(one).startswith("C") and one not in _JOINERS
        else one
        for one in text
    )


def shorten(text: str, font: Font | GuessedFont, width: float) -> str:
    """Return as much of a text as fits into `width` px, with an ellipsis where it is cut."""
    if font.getlength(text) <= width:
        return text
    kept = len(text) - 1
    while kept > 0 and font.getlength(text[:kept] + "...") > width:
        kept -= 1
    return text[:kept].rstrip() + "..."


@functools.cache
def _own_font(size: int) -> Font:
    return ImageFont.load_default(size)


@functools.cache
def _load(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


@functools.lru_cache(4096)
def _find_font(letters: str) -> str | None:
    """Return the path of the first font that has all these letters."""
    return next((path for path in _fonts() if _has_all(path, letters)), None)


@functools.cache
def _fonts() -> tuple[str, ...]:
    """Return the font files of this machine, the plainest first."""
    found = sorted(_walk(), key=_plainness)
    return tuple(found[:_MOST])


def _walk() -> Iterator[str]:
    for folder in _FOLDERS:
        for path in Path(os.path.expanduser(folder)).rglob("*"):
            if path.suffix.lower() in (".ttf", ".otf", ".ttc"):
                yield str(path)


def _plainness(path: str) -> tuple[int, str]:
    name = os.path.basename(path).lower()
    if name.startswith(_PREFERRED):
        return 0, name
    return 1 + sum(word in name for word in _UNWANTED), name


def _has_all(path: str, letters: str) -> bool:
    try:
        font = _load(path, 20)
        lacking = bytes(font.getmask(_NO_CHARACTER))
        return all(bytes(font.getmask(letter)) != lacking for letter in letters)
    except (OSError, ValueError):  # no font, or one of pictures
        return False
