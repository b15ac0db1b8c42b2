"""What the kernel's log says of NVIDIA's cards: the driver's own lines (NVRM) and the loader's."""

import re

_REFUSED = re.compile(
    r"nvidia.*(?:key was rejected|required key not available)|"
    r"(?:unsigned module|module signature|lockdown).*nvidia|"
    r"Loading of (?:unsigned module|module with (?:unavailable|unsupported) \S+) is rejected",
    re.I,
)
_LONGEST = 160  # characters of a line that is shown


def find_fall(log: str, address: str) -> str:
    """Return the last line that says that a card left the bus; empty where none does.

    Since 2023 the driver says it in three lines, of which the first names the card.
    """
    place = re.escape(_slot(address))
    said = re.findall(rf"NVRM:[^\n]*{place}[^\n]*(?:\n[^\n]*){{0,2}}?fallen off[^\n]*", log)
    return _cut(" ".join(said[-1].split())) if said else ""


def find_missing_window(log: str, address: str) -> str:
    """Return the line that names a memory window of a card without an address."""
    return _find_last(log, rf"NVRM: BAR\d is 0M @ 0x0 \(PCI:{re.escape(_slot(address))}")


def find_failed_start(log: str, address: str) -> str:
    """Return the line that says that the driver could not start a card."""
    place = re.escape(_slot(address))
    return _find_last(log, rf"{place}.*(?:RmInitAdapter failed|probe.* failed with error)") or (
        _find_last(log, rf"probe of {place}.* failed with error")
    )


def find_refusal(log: str) -> str:
    """Return the line that says that a module was not loaded for its signature."""
    return _find_last(log, _REFUSED.pattern, re.I)


def _find_last(log: str, pattern: str, flags: int = 0) -> str:
    lines = [line for line in log.splitlines() if re.search(pattern, line, flags)]
    return _cut(lines[-1].strip()) if lines else ""


def _slot(address: str) -> str:
    """Return a place without the number of the function, which some lines leave out."""
    return address.rpartition(".")[0]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
