"""The embedded engine's own keys and options stand in its document, and no others."""

import re
from pathlib import Path

import pytest

from darknet_kit.engine.torch.__main__ import main
from darknet_kit.engine.torch.keys import HONOURED

DOCUMENT = Path(__file__).parents[1] / "docs" / "embedded-engine.md"


def test_every_own_key_is_documented() -> None:
    own = {key for keys in HONOURED.values() for key in keys if key.startswith("dkit_")}
    assert set(re.findall(r"`(dkit_\w+)`", DOCUMENT.read_text())) == own


def test_every_own_option_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    own = set(re.findall(r"^  (-\w+) [^\n]*(?:\n {8,})?own: ", text, re.M))
    assert own == set(re.findall(r"^\| `(-\w+)", DOCUMENT.read_text(), re.M))
    assert len(own) > 6
