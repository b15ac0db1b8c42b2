"""`python -m darknet_kit.engine.torch`: a Darknet that needs nothing but PyTorch.

Exit codes: 0 done, 1 failed, 2 wrong usage, 4 something is missing here, 5 diverged or out of
memory, 130 interrupted. A failure is one sentence on stderr, `error: ...`, and its cure.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from types import ModuleType

from darknet_kit import __version__
from darknet_kit.engine.torch.stopping import ignore_signals
from darknet_kit.errors import DkitError, ToolchainError

_INTERRUPTED = 130


def main(words: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        if list(words) == ["version"]:
            print(describe_version())  # noqa: T201 - an engine prints
            return 0
        return _run(words)
    except DkitError as error:
        _say(f"error: {error}")
        if error.hint:
            _say(f"  {error.hint}")
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Who read the log is gone; nothing can be told any more, at exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if "--debug" in words or os.environ.get("DKIT_DEBUG"):
            traceback.print_exc()
        _say(f"error: {type(error).__name__}: {error}")
        _say("  This is a defect of darknet-kit; DKIT_DEBUG=1 shows where.")
        return 1


def describe_version() -> str:
    """Return one line: our version, PyTorch's, and what it computes on."""
    torch = _import_torch()
    where = "CPU"
    if torch.cuda.is_available():
        where = f"CUDA {torch.version.cuda}, {torch.cuda.device_count()} GPU"
    return f"darknet-kit {__version__}, PyTorch {torch.__version__}, {where}"


def _run(words: Sequence[str]) -> int:
    from darknet_kit.engine.torch.commandline import parse_command_line

    command = parse_command_line(words)
    _import_torch()
    if command.function == "train":
        from darknet_kit.engine.torch.training.loop import train

        return train(command, words)
    from darknet_kit.engine.torch.inference import run_inference

    return run_inference(command)


def _import_torch() -> ModuleType:
    # OpenMP's threads wait by spinning, which makes a machine with other work six times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import torch
    except ImportError as error:
        raise ToolchainError(
            f"the embedded engine needs PyTorch ({error})",
            code="no-torch",
            hint="pip install 'darknet-kit[torch]'",
        ) from error
    return torch


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    exit_code = main(sys.argv[1:])
    ignore_signals()
    sys.exit(exit_code)
