"""What the command line promises: help, examples, speed of starting, exit codes, one JSON."""

import importlib
import json
import subprocess
import sys
from collections.abc import Callable

import pytest

import darknet_kit
from darknet_kit.cli.main import COMMANDS
from tests.conftest import PROJECT, Ended

Dkit = Callable[..., Ended]


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_help_loads_nothing_heavy() -> None:
    loaded = run_python(
        "import sys; from darknet_kit.cli.main import main; main(['--help']);"
        "print([m for m in ('pandas','matplotlib','cv2','torch','numpy','lxml','PIL','msgspec',"
        "'psutil','pynvml') if m in sys.modules])"
    )
    assert loaded.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_loads_what_is_heavy_before_it_needs_it(command: str) -> None:
    module = f"darknet_kit.cli.{COMMANDS[command][0]}"
    loaded = run_python(
        f"import sys, {module};"
        "print([m for m in ('pandas','matplotlib','cv2','torch','numpy','psutil','pynvml')"
        " if m in sys.modules])"
    )
    assert loaded == "[]"


def test_converting_loads_no_parser_before_a_file_needs_it() -> None:
    loaded = run_python(
        "import sys, darknet_kit.cli.convert;"
        "print([m for m in ('lxml', 'PIL', 'tqdm', 'numpy') if m in sys.modules])"
    )
    assert loaded == "[]"


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(dkit: Dkit, command: str, option: str) -> None:
    ended = dkit(command, option)
    assert ended.exit_code == 0
    examples = ended.stdout.partition("Examples:\n")[2].strip().splitlines()
    assert len(examples) >= 2
    assert all(line.strip().startswith(f"dkit {command}") for line in examples)
    assert "--json" in ended.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_the_list_of_commands_says_what_each_help_says(dkit: Dkit, command: str) -> None:
    module, summary = COMMANDS[command]
    function = importlib.import_module(f"darknet_kit.cli.{module}").command
    assert function.help.splitlines()[0] == summary
    listed = dkit("--help").stdout
    assert " ".join(summary.split()) in " ".join(listed.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"`dkit {command}" in (PROJECT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["convrt"], "Did you mean 'convert'"),
        (["convert", "yolo", "x"], "'ilsvrc', 'voc', 'coco'"),
        (["convert", "voc"], "Missing argument"),
        (["plot-log", "--nonsense", "x"], "No such option"),
        (["make-cfg", "--model", "yolov4tiny", "--classes", "3"], "yolov4-tiny"),
    ],
)
def test_wrong_usage_is_two_lines_and_exit_code_two(
    dkit: Dkit, words: list[str], said: str
) -> None:
    ended = dkit(*words)
    assert ended.exit_code == 2
    assert said in ended.stderr
    assert len(ended.stderr.strip().splitlines()) <= 3
    assert ended.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["convert", "voc", "/no/such/folder"],
        ["plot-log", "/no/such.log"],
        ["train", "/no/such.data", "/no/such.cfg"],
        ["show", "/no/such.data"],
        ["check", "/no/such.data"],
        ["subset", "/no/such.data", "--top", "1", "--out", "/tmp/never"],
        ["detect", "/no/such/run", "x.jpg", "--out", "/tmp/never"],
        ["make-cfg", "--classes", "0"],
    ],
)
def test_json_is_one_document_also_on_failure(dkit: Dkit, words: list[str]) -> None:
    ended = dkit(*words, "--json")
    document = json.loads(ended.stdout)
    assert document["ok"] is False
    assert document["exit_code"] == ended.exit_code != 0
    assert document["error"]["code"]
    assert "Traceback" not in ended.stderr


def test_a_bug_is_not_hidden_but_an_expected_failure_has_no_traceback(dkit: Dkit) -> None:
    plain = dkit("plot-log", "/no/such.log")
    assert "Traceback" not in plain.stderr
    assert "Traceback" in dkit("plot-log", "/no/such.log", "--debug").stderr


def test_no_arguments_show_the_help_and_exit_two(dkit: Dkit) -> None:
    ended = dkit()
    assert ended.exit_code == 2
    assert "convert" in ended.stderr


def test_exported_names_exist_and_are_all_listed() -> None:
    assert sorted(darknet_kit.__all__) == sorted([*darknet_kit._HOMES, "__version__"])
    for name in darknet_kit.__all__:
        assert getattr(darknet_kit, name) is not None
    with pytest.raises(AttributeError):
        darknet_kit.nonsense  # noqa: B018
