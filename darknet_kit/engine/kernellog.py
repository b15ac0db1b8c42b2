"""The kernel's messages, as far as this user may read them."""

from darknet_kit.engine.answer import ask


def ask_kernel_log() -> str:
    """Return this machine's kernel messages since it started; empty where nobody tells them.

    Many systems keep `dmesg` for root; a member of `adm` or `systemd-journal` may ask the journal.
    """
    for words in (["dmesg"], ["journalctl", "--dmesg", "--boot", "--no-pager", "--quiet"]):
        answer = ask(words, timeout=10.0)
        if answer.ok and answer.stdout.strip():
            return answer.stdout
    return ""
