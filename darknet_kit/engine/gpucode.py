"""Which GPUs a program holds code for, read from the program itself: no tool of CUDA's is needed.

nvcc leaves its code in "fat binaries": 16 bytes with the size of what follows, then one entry for
each capability, which stands at byte 28 of the entry. NVIDIA does not publish the layout; what is
read here is what `cuobjdump --list-elf --list-ptx` shows (compared with CUDA 13.5).
"""

import mmap
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.engine.answer import ask
from darknet_kit.engine.cuda import show_capability

_HEADER = struct.Struct("<IHHQ")
_START = struct.pack("<IHH", 0xBA55ED50, 1, _HEADER.size)
_ENTRY = struct.Struct("<HHIQ12xI")  # kind, version, header bytes, body bytes, capability
_PTX, _NATIVE = 1, 2
_LIBRARY = re.compile(r"libdarknet\.so\S* => (/.*) \(0x")


@dataclass(frozen=True, slots=True)
class GpuCode:
    """Capabilities, 90 for 9.0, lowest first.

    `native` is machine code, for these and the higher ones of the same generation; `ptx` is
    translated by the driver, for these and all higher ones.
    """

    native: tuple[int, ...] = ()
    ptx: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.native or self.ptx)

    def __str__(self) -> str:
        machine = " ".join(show_capability(one) for one in self.native)
        ptx = " ".join(show_capability(one) for one in self.ptx)
        words = (f"code for {machine}" if machine else "", f"PTX for {ptx}" if ptx else "")
        return " and ".join(word for word in words if word) or "no code for a GPU"

    def runs_on(self, capability: int) -> bool:
        """Tell whether a GPU of this capability runs it, be it after the driver's translation."""
        return any(one <= capability for one in self.ptx) or any(
            one <= capability and one // 10 == capability // 10 for one in self.native
        )


def read_gpu_code(program: Path) -> GpuCode:
    """Find the code for GPUs in a program or library; that of a CPU build is empty.

    Raises OSError where the file cannot be read.
    """
    found: set[tuple[int, int]] = set()
    with open(program, "rb") as stream:
        if not program.stat().st_size:
            return GpuCode()
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            at = content.find(_START)
            while at >= 0:
                found.update(_iter_entries(content, at))
                at = content.find(_START, at + len(_START))
    return GpuCode(
        native=tuple(sorted(arch for kind, arch in found if kind == _NATIVE)),
        ptx=tuple(sorted(arch for kind, arch in found if kind == _PTX)),
    )


def read_engine_code(program: Path) -> GpuCode:
    """Find the same of a darknet, which may have its code in a library. Raises OSError."""
    code = read_gpu_code(program)
    library = None if code else _LIBRARY.search(ask(["ldd", program]).stdout)
    return read_gpu_code(Path(library[1])) if library else code


def _iter_entries(content: mmap.mmap, start: int) -> Iterator[tuple[int, int]]:
    """Yield kind and capability of one fat binary's entries, up to the first that is none."""
    if start + _HEADER.size > len(content):
        return
    *_, size = _HEADER.unpack_from(content, start)
    at = start + _HEADER.size
    end = min(at + size, len(content))
    while at + _ENTRY.size <= end:
        kind, _, header, body, arch = _ENTRY.unpack_from(content, at)
        if kind not in (_PTX, _NATIVE) or header < _ENTRY.size:
            return
        yield kind, arch
        at += header + body
