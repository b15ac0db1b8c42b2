"""Logs packed by gzip, bzip2, xz or zstd, unpacked while they are read."""

import io
from collections.abc import Callable
from typing import Any, TypeAlias

from darknet_kit.errors import ToolchainError

Buffered: TypeAlias = "io.BufferedReader[Any]"
Read = Callable[[int], bytes]


def unpack(stream: Buffered) -> Read | None:
    """Return what reads the content of a packed stream; None where it is not packed.

    Raises ToolchainError (`missing-extra`) where the library for zstd is not installed.
    """
    head = stream.peek(8)
    for magic, unpacking in _PACKED:
        if head.startswith(magic):
            return unpacking(stream)
    return None


def is_packed(head: bytes) -> bool:
    """Tell by the beginning of a file."""
    return any(head.startswith(magic) for magic, _ in _PACKED)


def _unpack_gzip(stream: Buffered) -> Read:
    import gzip

    return gzip.GzipFile(fileobj=stream).read


def _unpack_bzip2(stream: Buffered) -> Read:
    import bz2

    return bz2.BZ2File(stream).read


def _unpack_xz(stream: Buffered) -> Read:
    import lzma

    unpacked = lzma.LZMAFile(stream)  # noqa: SIM115 (closed with the stream)

    def read(size: int) -> bytes:
        try:
            return unpacked.read(size)
        except lzma.LZMAError as error:
            raise OSError(str(error)) from error

    return read


def _unpack_zstd(stream: Buffered) -> Read:
    try:
        import zstandard
    except ImportError as error:
        raise ToolchainError(
            "this log is packed by zstd, and the library that unpacks it is not installed",
            code="missing-extra",
            hint="pip install 'darknet-kit[zstd]', or unpack it: zstd -d FILE",
        ) from error
    unpacked = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)

    def read(size: int) -> bytes:
        try:
            return unpacked.read(size)
        except zstandard.ZstdError as error:
            raise OSError(str(error)) from error

    return read


# How packed files begin.
_PACKED: tuple[tuple[bytes, Callable[[Buffered], Read]], ...] = (
    (b"\x1f\x8b", _unpack_gzip),
    (b"\x28\xb5\x2f\xfd", _unpack_zstd),
    (b"\xfd7zXZ\0", _unpack_xz),
    (b"BZh", _unpack_bzip2),
)
