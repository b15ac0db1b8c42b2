"""A run handed over to systemd or Slurm: the texts of a user unit and of a job script.

Both go on with the run by `dkit train --resume`, end it by one signal after its next checkpoint,
and start it again where that can help. Names may hold anything but line feeds.

Rules of quoting: systemd.service(5), "Command lines", and systemd.syntax(7); a `:` before the
program switches `$` off (since version 244).
"""

import hashlib
import re
import shlex
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from darknet_kit.errors import UsageError
from darknet_kit.train.runs.folder import RunFolder
from darknet_kit.train.supervision.farewell import CHECKPOINT_EVERY

CARRIED = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "CUDA_VISIBLE_DEVICES")
"""Of the environment, what decides which programs, libraries and GPUs an engine finds."""
_NO_CURE = (2, 5, 130)  # wrong settings, given up after all retries, stopped on request
_MARGIN_SECONDS = 300
_UNKNOWN_SECONDS = 1800  # of a hundred iterations that nobody has timed
_MOST_SECONDS = 6 * 3600
_REMEMBERED = 200  # iterations
_SECONDS_COLUMN = 4  # of metrics.csv
_OTHER = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Handover:
    """A run, the command that goes on with it, the environment that it needs, and how many seconds
    its next checkpoint may take."""

    run: RunFolder
    command: Sequence[str]
    environment: Mapping[str, str]
    patience: int


def name_unit(run: RunFolder) -> str:
    """Return a name for the unit or job: that of the run, and what tells its folder from others."""
    plain = _OTHER.sub("_", run.name)[:_LONGEST_NAME].strip("_")
    place = hashlib.sha256(str(run.path).encode("utf-8", "surrogateescape")).hexdigest()[:6]
    return f"dkit-{plain}-{place}" if plain else f"dkit-{place}"


def estimate_patience(run: RunFolder) -> int:
    """Return the seconds that a run may take to its next checkpoint and its end, from metrics.csv;
    generous where no iteration was timed."""
    try:
        lines = (run.path / "metrics.csv").read_text(encoding="utf-8").splitlines()[-_REMEMBERED:]
    except OSError:
        lines = []
    took = [seconds for line in lines if (seconds := _read_seconds(line)) is not None]
    wait = 2 * CHECKPOINT_EVERY * statistics.median(took) if took else _UNKNOWN_SECONDS
    return min(_MOST_SECONDS, round(wait) + _MARGIN_SECONDS)


def _read_seconds(line: str) -> float | None:
    try:
        return float(line.split(",")[_SECONDS_COLUMN])
    except (IndexError, ValueError):
        return None


def format_systemd(handover: Handover) -> str:
    """Return the text of a systemd user unit. Raises UsageError (`unsafe-name`)."""
    _refuse_line_feeds(handover)
    words = " ".join(map(_quote_systemd, _start_plainly(handover.command)))
    environment = "".join(
        f"Environment={_quote_systemd(f'{name}={value}')}\n"
        for name, value in handover.environment.items()
    )
    return f"""\
[Unit]
Description=Training of {_escape_specifiers(handover.run.name)} by dkit
# Started again at most five times in six hours.
StartLimitIntervalSec=6h
StartLimitBurst=5

[Service]
Type=exec
{environment}ExecStart=:{words}
# Started again after a crash, a kill for memory, a disk or a GPU that is not there yet; not after
# exit codes that no start cures: 2 wrong settings, 5 given up after all retries, 130 stopped.
Restart=on-failure
RestartSec=60
RestartPreventExitStatus={" ".join(map(str, _NO_CURE))}
SuccessExitStatus=130
# TERM goes to dkit alone, which lets the engine come to its next checkpoint.
KillMode=mixed
TimeoutStopSec={handover.patience}
OOMPolicy=continue

[Install]
WantedBy=default.target
"""


def format_slurm(handover: Handover) -> str:
    """Return the text of a Slurm job script. Raises UsageError (`unsafe-name`)."""
    _refuse_line_feeds(handover)
    environment = "".join(
        f"export {name}={shlex.quote(value)}\n" for name, value in handover.environment.items()
    )
    return f"""\
#!/bin/bash
#SBATCH --job-name={name_unit(handover.run)}
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --requeue
#SBATCH --open-mode=append
# So many seconds before the job's time is over, the run is stopped after its next checkpoint and
# the job queued again.
#SBATCH --signal=B:USR1@{handover.patience}
# Say here, or to sbatch, what your cluster asks for: --partition, --time, --gres=gpu:1,
# --cpus-per-task, --mem.

{environment}run={shlex.quote(str(handover.run.path))}
most_requeues=100
requeue=

stop() {{ kill -TERM "$dkit" 2>/dev/null; }}
trap 'requeue=yes; stop' USR1
trap 'requeue=; stop' TERM INT

{shlex.join(handover.command)} &
dkit=$!
code=0
# A trap ends `wait`, not dkit.
while true; do
    wait "$dkit"
    code=$?
    kill -0 "$dkit" 2>/dev/null || break
done

if [ "$requeue" ] && [ "$code" -eq 130 ]; then
    if [ "${{SLURM_RESTART_COUNT:-0}}" -lt "$most_requeues" ]; then
        scontrol requeue "$SLURM_JOB_ID" && exit 0
    fi
    echo "not queued again: sbatch it anew to go on with $run" >&2
fi
exit "$code"
"""


def _start_plainly(command: Sequence[str]) -> Sequence[str]:
    """Return a command whose program systemd takes: it refuses quotes and backslashes there."""
    if _OTHER.search(command[0].replace("/", "")):
        return ("/bin/sh", "-c", 'exec "$@"', "sh", *command)
    return command


def _quote_systemd(word: str) -> str:
    """Return a word as systemd reads it back: in quotes, with C's escapes, `%` doubled."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    return f'"{_escape_specifiers(escaped)}"'


def _escape_specifiers(text: str) -> str:
    return text.replace("%", "%%")


def _refuse_line_feeds(handover: Handover) -> None:
    """Refuse names that would be a line of their own in the file."""
    for text in (*handover.command, str(handover.run.path), *handover.environment.values()):
        if "\n" in text or "\r" in text:
            raise UsageError(
                "a name with a line feed cannot be written into a unit",
                code="unsafe-name",
                hint="Rename the folder, or the variable.",
                path=handover.run.path,
            )
