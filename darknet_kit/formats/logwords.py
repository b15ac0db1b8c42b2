"""Lines with which engines complain or die, told apart by the words in them."""

import re
from collections.abc import Iterator

from darknet_kit.formats.logevent import EngineError, EngineWarning
from darknet_kit.formats.lognumber import clean_text

# The first one that a line holds names it, so the telling ones come first.
_ERRORS: tuple[tuple[bytes, str], ...] = (
    (b"out of memory", "out-of-memory"),
    (b"Out of memory", "out-of-memory"),
    (b"OUT_OF_MEMORY", "out-of-memory"),
    (b"MemoryAllocation", "out-of-memory"),
    (b"ALLOC_FAILED", "out-of-memory"),
    (b"bad_alloc", "out-of-memory"),
    (b"Cannot allocate memory", "out-of-memory"),
    (b"CUDA Error", "cuda-error"),
    (b"CUDA error", "cuda-error"),
    (b"cuDNN Error", "cuda-error"),
    (b"Killed", "killed"),
    (b"terminated by signal", "killed"),
    (b"Segmentation fault", "crashed"),
    (b"Floating point exception", "crashed"),
    (b"core dumped", "crashed"),
    (b"double free", "crashed"),
    (b"Couldn't open file", "missing-file"),
    (b"Error message:", "engine-error"),
    (b"Darknet error location", "engine-error"),
    (b" Error: ", "engine-error"),
)
_WARNINGS: tuple[tuple[bytes, str], ...] = (
    (b"Cannot load image", "missing-image"),
    (b"Can't open label file", "missing-label"),
    (b"Wrong annotation", "wrong-label"),
    (b"Wrong label", "wrong-label"),
    (b"erformance bottleneck", "slow-loading"),
    (b"Unused field", "unused-key"),
    (b"Warning:", "other"),
)
# hank-ai frames its errors; a killed engine leaves a counter on the line of the shell's message.
_FRAME = re.compile(rb"\* Error message:\s*| ?rank ?= ?\d+ of ranks ?= ?\d+")
_LONGEST_MESSAGE = 300


def read_words(line: bytes, iteration: int | None) -> Iterator[EngineError | EngineWarning]:
    """Yield the error and the warning that a line is, if it is one."""
    if code := _find(line, _ERRORS):
        yield EngineError(iteration, code, _message(line))
    if code := _find(line, _WARNINGS):
        yield EngineWarning(iteration, code, _message(line))


def read_sentence(sentence: bytes, iteration: int | None) -> EngineError:
    """Return the error that the embedded engine tells in one sentence."""
    code = _find(sentence, _ERRORS) or "engine-error"
    return EngineError(iteration, code, clean_text(sentence)[:_LONGEST_MESSAGE])


def _find(line: bytes, table: tuple[tuple[bytes, str], ...]) -> str | None:
    return next((code for needle, code in table if needle in line), None)


def _message(line: bytes) -> str:
    return clean_text(_FRAME.sub(b"", line, count=1))[:_LONGEST_MESSAGE]
