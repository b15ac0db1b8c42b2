"""Darknet's `.cfg`: a network as `[section]`s, read as the engine reads it, kept to the byte.

A section keeps its raw lines, so that writing a file that was read gives the same bytes back,
comments, tabs, line endings and all, and an edit changes its own line and no other. Lookups are
the engine's: every blank is removed, even inside a value; a line is a comment when it starts with
`#` or `;`; of duplicate keys the first counts; numbers end where they stop being numbers, which is
why `batch=64 # big` works and `activation=leaky # x` does not (AlexeyAB `src/parser.c`, `read_cfg`
and `src/option_list.c`).
"""

import io
import re
from dataclasses import dataclass, field

from darknet_kit.core.contents import open_ordinary
from darknet_kit.core.files import write_bytes
from darknet_kit.errors import AnyPath, CfgError

NETWORK_KINDS = ("net", "network")

_BLANKS = str.maketrans("", "", " \t\r\n")
# Longer digit strings are nonsense; the limit keeps a hostile file from making Python slow.
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,18}\.?[0-9]{0,18}|\.[0-9]{1,18})([eE][+-]?[0-9]{1,2})?")
_DATA_KEYS = frozenset({"classes", "train", "valid", "names", "backup"})
# The largest upstream cfg has 40 KB.
_MAX_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One `key=value`, both without blanks. `line` is 1-based."""

    key: str
    value: str
    line: int


@dataclass(frozen=True, slots=True)
class Section:
    """One section: its kind without the brackets, its entries, and its raw lines, header first."""

    kind: str
    line: int
    lines: tuple[str, ...]
    entries: tuple[Entry, ...]

    def find(self, key: str) -> Entry | None:
        """Return the entry that the engine would use, or None."""
        return next((entry for entry in self.entries if entry.key == key), None)

    def text(self, key: str, default: str = "") -> str:
        """Return a value as it stands, an inline comment included: so the engine takes it."""
        entry = self.find(key)
        return default if entry is None else entry.value

    def integer(self, key: str, default: int = 0) -> int:
        """Return a value as C's `atoi` reads it: the whole number it starts with, or 0."""
        entry = self.find(key)
        return default if entry is None else _leading_integer(entry.value)

    def number(self, key: str, default: float = 0.0) -> float:
        """Return a value as C's `atof` reads it: the number it starts with, or 0."""
        entry = self.find(key)
        return default if entry is None else _leading_number(entry.value)

    def integers(self, key: str) -> tuple[int, ...]:
        """Return a list of whole numbers such as `mask=0,1,2`; empty where the key is missing."""
        return tuple(_leading_integer(item) for item in self._items(key))

    def numbers(self, key: str) -> tuple[float, ...]:
        """Return a list of numbers such as `anchors=10,14, 23,27`; empty where it is missing."""
        return tuple(_leading_number(item) for item in self._items(key))

    def _items(self, key: str) -> list[str]:
        entry = self.find(key)
        return [] if entry is None else entry.value.partition("#")[0].split(",")


@dataclass(frozen=True, slots=True)
class Cfg:
    """A whole cfg. `preamble` is what stands before the first section; `path` is for messages."""

    preamble: tuple[str, ...]
    sections: tuple[Section, ...]
    path: str | None = field(default=None, compare=False)

    @property
    def net(self) -> Section:
        """The first section: size, batch, schedule."""
        return self.sections[0]

    @property
    def layers(self) -> tuple[Section, ...]:
        """The sections after `[net]`; their positions are the engine's 0-based layer numbers."""
        return self.sections[1:]


def parse_cfg(text: str, path: AnyPath | None = None) -> Cfg:
    """Split the text of a cfg into sections. Raises CfgError where the text is no Darknet cfg."""
    _refuse_foreign(text, path)
    preamble: list[str] = []
    groups: list[tuple[int, list[str]]] = []
    for number, line in enumerate(io.StringIO(text, newline="\n"), 1):
        kept = _strip(line)
        if kept.startswith("["):
            groups.append((number, [line]))
            continue
        if not groups and kept and kept[0] not in "#;":
            raise _no_section_yet(kept, number, path)
        (groups[-1][1] if groups else preamble).append(line)
    if not groups:
        raise _not_a_cfg("this file has no [section] at all, so it is no Darknet cfg", path)
    sections = tuple(_parse_section(start, lines) for start, lines in groups)
    if sections[0].kind not in NETWORK_KINDS:
        raise CfgError(
            f"the first section must be [net], not [{sections[0].kind}]",
            code="no-net-section",
            hint="Darknet stops at such a file. Put the [net] section first.",
            path=path,
            line=sections[0].line,
        )
    return Cfg(tuple(preamble), sections, None if path is None else str(path))


def format_cfg(cfg: Cfg) -> str:
    """Return the text of a cfg; for one that was parsed, the text that it was parsed from."""
    parts = list(cfg.preamble)
    for section in cfg.sections:
        parts.extend(section.lines)
    return "".join(parts)


def encode_cfg(cfg: Cfg) -> bytes:
    """Return what a cfg file holds; bytes that are not UTF-8 come out as they were read."""
    return format_cfg(cfg).encode("utf-8", "surrogateescape")


def read_cfg(path: AnyPath) -> Cfg:
    """Read a cfg file. Bytes that are not UTF-8 survive a round trip. Raises CfgError."""
    try:
        with open(open_ordinary(path), "rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise CfgError(
            "no such file; expected a Darknet cfg here",
            code="missing-file",
            hint="Check the path, or write one with `dkit make-cfg`.",
            path=path,
        ) from error
    except OSError as error:
        raise CfgError(
            f"cannot read this cfg: {error.strerror}",
            code="cannot-read",
            hint="Check that it is a file and that you may read it.",
            path=path,
        ) from error
    if len(content) > _MAX_BYTES:
        raise _not_a_cfg(f"a file of more than {_MAX_BYTES >> 20} MB is no Darknet cfg", path)
    return parse_cfg(content.decode("utf-8", "surrogateescape"), path)


def write_cfg(path: AnyPath, cfg: Cfg) -> bool:
    """Write a cfg unless the file holds it already; return whether it was written."""
    return write_bytes(path, encode_cfg(cfg))


def set_value(cfg: Cfg, section: Section, key: str, value: object) -> Cfg:
    """Return the cfg with one value changed, or added after the section's last entry.

    Only that line changes: its spacing, its line ending and, behind a number, its comment stay;
    behind a word the engine would take the comment for a part of it. `section` must be one of
    `cfg.sections`. Raises CfgError where the value would not stay one value.
    """
    new = str(value)
    if not new or any(character in new for character in "\r\n\0#"):
        raise CfgError(
            f"{key} cannot be set to {new!r}: a cfg value is one piece of text without `#`",
            code="bad-value",
            path=cfg.path,
            line=section.line,
        )
    entry = section.find(key)
    lines = list(section.lines)
    if entry is not None:
        place = entry.line - section.line
        lines[place] = _replace_value(lines[place], new)
    else:
        _insert_entry(lines, section, f"{key}={new}")
    return _with_lines(cfg, section, lines)


def comment_out(cfg: Cfg, section: Section, line: int) -> Cfg:
    """Return the cfg with one line of a section, by its 1-based number, made a comment."""
    lines = list(section.lines)
    place = line - section.line
    lines[place] = f"# {lines[place].lstrip()}"
    return _with_lines(cfg, section, lines)


def rename_key(cfg: Cfg, section: Section, key: str, name: str) -> Cfg:
    """Return the cfg with a key spelt otherwise, its value and the rest of its line as they were.

    Raises CfgError where the section has no such key.
    """
    entry = section.find(key)
    if entry is None:
        raise CfgError(f"there is no {key}=", code="no-such-key", path=cfg.path, line=section.line)
    lines = list(section.lines)
    place = entry.line - section.line
    before, mark, after = lines[place].partition("=")
    lead = before[: len(before) - len(before.lstrip())]
    trail = before[len(before.rstrip()) :]
    lines[place] = f"{lead}{name}{trail}{mark}{after}"
    return _with_lines(cfg, section, lines)


def _with_lines(cfg: Cfg, section: Section, lines: list[str]) -> Cfg:
    text = "".join("".join(lines if other is section else other.lines) for other in cfg.sections)
    return parse_cfg("".join(cfg.preamble) + text, cfg.path)


def _replace_value(line: str, value: str) -> str:
    before, _, after = line.partition("=")
    content = after.rstrip("\r\n")
    ending = after[len(content) :]
    old, mark, comment = content.partition("#")
    lead = old[: len(old) - len(old.lstrip())]
    if mark and not _NUMBER.fullmatch(value.rpartition(",")[2].strip()):
        return f"{before}={lead}{value}{ending}"
    trail = old[len(old.rstrip()) :]
    return f"{before}={lead}{value}{trail}{mark}{comment}{ending}"


def _insert_entry(lines: list[str], section: Section, text: str) -> None:
    last = section.entries[-1].line - section.line if section.entries else 0
    ending = "\r\n" if lines[0].endswith("\r\n") else "\n"
    if not lines[last].endswith("\n"):
        lines[last] += ending
        ending = ""
    lines.insert(last + 1, text + ending)


def _parse_section(start: int, lines: list[str]) -> Section:
    header = _strip(lines[0])
    # A comment after the header belongs, to the engine, to the name: `[net] # c` is unknown to it.
    kind = header[1:-1] if header.endswith("]") else header[1:]
    entries = []
    for number, line in enumerate(lines[1:], start + 1):
        kept = _strip(line)
        key, _, value = kept.partition("=")
        # Upstream refuses `key=` and finds nothing under a key without `=`.
        if kept and kept[0] not in "#;" and value:
            entries.append(Entry(key, value, number))
    return Section(kind, start, tuple(lines), tuple(entries))


def _strip(line: str) -> str:
    return line.translate(_BLANKS).removeprefix("\ufeff")


def _leading_integer(value: str) -> int:
    match = _INTEGER.match(value)
    # An int of C keeps the lower 32 bits of what it is given.
    return ((int(match[0]) + (1 << 31)) & 0xFFFFFFFF) - (1 << 31) if match else 0


def _leading_number(value: str) -> float:
    match = _NUMBER.match(value)
    return float(match[0]) if match else 0.0


def _refuse_foreign(text: str, path: AnyPath | None) -> None:
    if "\0" in text:
        raise _not_a_cfg("this is a binary file (or UTF-16), not a Darknet cfg", path)
    if text.lstrip("\ufeff \t\r\n").startswith("<"):
        raise _not_a_cfg("this is a web page (HTML) or XML, not a Darknet cfg", path)
    if not text.strip("\ufeff \t\r\n"):
        raise _not_a_cfg("this file is empty, so it is no Darknet cfg", path)


def _not_a_cfg(message: str, path: AnyPath | None) -> CfgError:
    hint = "A cfg starts with [net]; `dkit make-cfg --classes N` writes one."
    return CfgError(message, code="not-a-cfg", hint=hint, path=path)


def _no_section_yet(kept: str, number: int, path: AnyPath | None) -> CfgError:
    shown = kept if len(kept) <= 40 else kept[:40] + "..."
    if kept.partition("=")[0] in _DATA_KEYS:
        return _not_a_cfg(f"line {number} is `{shown}`: this is a .data file, and no network", path)
    if "=" not in kept:
        return _not_a_cfg(f"line {number} is `{shown}`, and a Darknet cfg starts with [net]", path)
    return CfgError(
        f"`{shown}` stands before the first section",
        code="key-before-section",
        hint="Darknet crashes at such a line. Put [net] above it.",
        path=path,
        line=number,
    )
