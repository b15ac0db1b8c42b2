"""The kernel's log, as its device, `dmesg` and the journal tell it."""

import os
import socket
from pathlib import Path

import pytest

from darknet_kit.engine.kernellog import parse_kernel_log, read_kernel_log, read_records

# What programs of util-linux 2.38 and systemd 252 print; a kernel with CONFIG_PRINTK_CALLER.
DMESG = """[    0.000000] Linux version 6.1.0-18-amd64
[15489.596690] darknet[17352]: segfault at 7f648a378313 ip 00007f640b1da80b
"""
CALLER = "[    0.000000][    T0] Linux version 6.8.0\n[15489.596690][ T1735] darknet[17352]: trap\n"
JOURNAL = """[    0.000000] debian kernel: Linux version 6.1.0-18-amd64
[15489.596690] debian kernel: NVRM: Xid (PCI:0000:01:00): 79, pid=1735, GPU has fallen off the bus.
[15490.100000] debian systemd[1]: Stopped something.
"""


def test_messages_are_read_from_an_instant_on() -> None:
    # As Documentation/ABI/testing/dev-kmsg has it, one read per message.
    records = (
        b"4,100,5000000,-;before\n",
        b"4,101,7000000,-;after\n SUBSYSTEM=pci\n",
        b"nonsense",
        b"4,102,7000001,c;last\n",
    )
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.setblocking(False)
        for record in records:
            theirs.send(record)
        assert read_records(ours.fileno(), 6.0) == ["after", "last"]


@pytest.mark.parametrize(
    ("text", "last"),
    [
        (DMESG, "darknet[17352]: segfault at 7f648a378313 ip 00007f640b1da80b"),
        (CALLER, "darknet[17352]: trap"),
        (JOURNAL, "NVRM: Xid (PCI:0000:01:00): 79, pid=1735, GPU has fallen off the bus."),
    ],
)
def test_what_programs_print(text: str, last: str) -> None:
    assert parse_kernel_log(text, 15489.0)[0] == last
    assert parse_kernel_log(text)[0].startswith("Linux version")


def test_a_container_has_no_device_and_may_have_dmesg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_kernel_log(0.0, tmp_path / "kmsg") is None
    (tmp_path / "said").write_text(DMESG)
    (tmp_path / "dmesg").write_text(f"#!/bin/sh\n/bin/cat {tmp_path}/said\n")
    (tmp_path / "dmesg").chmod(0o755)
    assert read_kernel_log(1.0, tmp_path / "kmsg") == [DMESG.splitlines()[1][15:]]
    (tmp_path / "dmesg").write_text("#!/bin/sh\necho 'Operation not permitted' >&2; exit 1\n")
    assert read_kernel_log(1.0, tmp_path / "kmsg") is None


def test_this_machines_log_is_read_or_refused() -> None:
    found = read_kernel_log()
    assert found is None or all("\n" not in line for line in found)
    if os.geteuid() == 0 and os.access("/dev/kmsg", os.R_OK):
        assert found is not None
