"""A stand-in for the driver's library, to link with on a machine that has no driver.

NVIDIA's toolkits bring one; its packages on PyPI do not. It has the functions that the header
declares, all empty: a program linked with it asks for the driver's own library when it starts.
"""

import re
from pathlib import Path

from darknet_kit.engine.answer import ask
from darknet_kit.engine.toolkit import read_header
from darknet_kit.errors import BuildError

_SONAME = "libcuda.so.1"


def build_stub(header: Path, file: Path) -> None:
    """Make `file` from the names in the driver's header, cuda.h. Raises BuildError (`no-stub`)."""
    names = sorted(set(re.findall(r"\bcu[A-Z]\w*", read_header(header), re.ASCII)))
    program = "".join(f"int {name}(void) {{ return 999; }}\n" for name in names)
    words = ["gcc", "-shared", "-fPIC", f"-Wl,-soname,{_SONAME}", "-x", "c", "-", "-o", str(file)]
    answer = ask(words, stdin=program, timeout=60.0)
    if not answer.ok:
        raise BuildError(
            f"cannot make a stub of the driver's library: {(answer.text or answer.error).strip()}",
            code="no-stub",
            hint="Install the driver, or name a folder with a libcuda.so with LIBRARY_PATH.",
            path=header,
        )
