"""Get the source of a Darknet into a folder of ours, without ever changing where it comes from."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from darknet_kit.core.files import make_folder
from darknet_kit.core.flavor import Flavor
from darknet_kit.engine.answer import Answer, ask
from darknet_kit.engine.find import BINARY_NAME
from darknet_kit.engine.upstream import THIRD_PARTY, Pin, find_pin
from darknet_kit.errors import BuildError, ToolchainError, UsageError

# A file of each flavour that the others do not have.
_SIGNS = {
    Flavor.HANK_AI: "CM_version.cmake",
    Flavor.ALEXEYAB: "src/darknet.c",
    Flavor.ORIGINAL: "examples/darknet.c",
}
# Asking a repository for its state must not write into it.
_GIT_ENVIRONMENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
# A server that sends next to nothing for a minute counts as unreachable.
_GIT = ("git", "-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60", "-c", "gc.auto=0")
_FETCH_SECONDS = 1800.0
_COMPILED = (".o", ".a", ".so", ".weights")
_NOT_SOURCE = frozenset((".git", "obj", "backup", "results"))
_URL = re.compile(r"[a-z][a-z0-9+.-]*://|[\w.-]+@[\w.-]+:", re.I)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a Darknet comes from: git repositories, of which the first that answers is used, or
    a folder with a source tree.

    `commit` is empty for a folder without git; `changed` says that a folder's files differ from
    its commit.
    """

    flavor: Flavor
    commit: str
    repositories: tuple[str, ...] = ()
    folder: Path | None = None
    pinned: bool = True
    changed: bool = False

    @property
    def label(self) -> str:
        """A short name for folders: the commit's first seven digits."""
        short = self.commit[:7] or "local"
        return f"{short}-changed" if self.changed else short

    @property
    def place(self) -> str:
        """Where it comes from, without the password that a URL may hold."""
        return str(self.folder) if self.folder else hide_password(self.repositories[0])

    def __str__(self) -> str:
        what = f"commit {self.commit[:8]}" if self.commit else "no git commit"
        ours = "the pinned one" if self.pinned else "not the pinned one"
        return f"{self.place} ({what}, {ours}{', with changes' if self.changed else ''})"


def find_source(flavor: Flavor, given: str = "") -> Source:
    """Find the source of a flavour: `given` (a folder or a git repository), else a checkout in
    third_party/darknet, else the pinned repository.

    Raises UsageError (`no-source`, `not-darknet-source`, `other-flavor-source`).
    """
    pin = find_pin(flavor)
    if not given:
        placed = _find_placed(flavor)
        if placed:
            return _describe_folder(placed, pin)
        return Source(flavor, pin.commit, pin.repositories)
    folder = Path(given).expanduser()
    if folder.is_dir():
        if _is_source(folder):
            return _describe_folder(folder.absolute(), pin)
        folder = folder.absolute()
        if _git(folder, "rev-parse", "--is-bare-repository").stdout.strip() == "true":
            return Source(flavor, pin.commit, (str(folder),))
        raise UsageError(
            "this folder holds no Darknet source and is no git repository of one",
            code="not-darknet-source",
            hint="Give the root of a checkout: the folder with its Makefile and src/.",
            path=given,
        )
    if _URL.match(given):
        return Source(flavor, pin.commit, (given,))
    raise UsageError(
        "there is no such folder, and it is no URL of a git repository",
        code="no-source",
        hint="Give a checkout, or a URL like https://github.com/AlexeyAB/darknet.",
        path=given,
    )


def place_source(source: Source, folder: Path) -> None:
    """Put the source tree into `folder`; running again after a kill finishes the work.

    Raises BuildError (`source-not-fetched`), ToolchainError (`no-git`), WriteError.
    """
    if source.folder is not None:
        _copy_tree(source.folder, folder, whole=source.flavor is Flavor.HANK_AI)
        return
    if shutil.which("git") is None:
        raise ToolchainError(
            "git is needed to fetch the source and is not on PATH",
            code="no-git",
            hint="`apt-get install git`, or name a checkout: --source PATH.",
        )
    make_folder(folder)
    for lock in (folder / ".git").glob("*.lock"):  # of a git that was killed
        lock.unlink()
    answer = _git(folder, "init", "-q", ".")
    if _git(folder, "rev-parse", "--verify", "-q", "HEAD").stdout.strip() == source.commit:
        return
    for url in source.repositories:
        if _git(folder, "cat-file", "-e", f"{source.commit}^{{commit}}").ok:
            break
        answer = _fetch(url, source, folder)
    if _git(folder, "checkout", "-q", "--detach", source.commit).ok:
        return
    raise BuildError(
        f"cannot fetch commit {source.commit[:8]} from "
        f"{' or '.join(map(hide_password, source.repositories))}: {_complaint(answer)}",
        code="source-not-fetched",
        hint="Check the network, or name a checkout or a repository that has it: --source PATH.",
    )


def hide_password(text: str) -> str:
    """Return a text without the user and password of the URLs in it."""
    return re.sub(r"(?<=://)[^/@\s]+@", "", text)


def _find_placed(flavor: Flavor) -> Path | None:
    """Return the source of a flavour in third_party/darknet: that of its name, else of any."""
    others = sorted(THIRD_PARTY.glob("*/"))
    return next(
        (one for one in (THIRD_PARTY / flavor.value, *others) if _tell(one) is flavor), None
    )


def _tell(folder: Path) -> Flavor | None:
    """Tell which Darknet's source a folder holds, if any."""
    return next((one for one, sign in _SIGNS.items() if (folder / sign).is_file()), None)


def _is_source(folder: Path) -> bool:
    return _tell(folder) is not None


def _describe_folder(folder: Path, pin: Pin) -> Source:
    flavor = _tell(folder)
    assert flavor is not None
    find_pin(flavor)  # refuses one that is not built at all
    if flavor is not pin.flavor:
        raise UsageError(
            f"this is the source of the {flavor} Darknet, not of the {pin.flavor} one",
            code="other-flavor-source",
            hint=f"Add --flavor {flavor}, or name another folder.",
            path=folder,
        )
    commit, changed = "", False
    if (folder / ".git").exists():
        commit = _git(folder, "rev-parse", "HEAD").stdout.strip()
        state = _git(folder, "status", "--porcelain", "--untracked-files=no")
        changed = bool(state.stdout.strip())
    return Source(
        flavor=flavor,
        commit=commit,
        folder=folder,
        pinned=commit == pin.commit and not changed,
        changed=changed,
    )


def _fetch(url: str, source: Source, folder: Path) -> Answer:
    """Fetch one commit, alone or with its history and the tags; all there is from a server that
    does not give single commits.
    """
    depth = ("--tags",) if find_pin(source.flavor).history else ("--no-tags", "--depth=1")
    answer = _git(folder, "fetch", "-q", *depth, "--", url, source.commit)
    if answer.ok:
        return answer
    return _git(folder, "fetch", "-q", "--tags", "--", url, "+refs/heads/*:refs/remotes/up/*")


def _git(folder: Path, *words: str) -> Answer:
    """Run git in a folder, which may belong to another user: it is only read or our own."""
    argv = [*_GIT, "-c", f"safe.directory={folder}", "-C", str(folder), *words]
    return ask(argv, environment=_GIT_ENVIRONMENT, timeout=_FETCH_SECONDS)


def _complaint(answer: Answer) -> str:
    """Return git's first complaint, what made it fail; those after it are consequences."""
    lines = (answer.stderr or answer.error).strip().splitlines()
    fatal = next((line for line in lines if "fatal: " in line), lines[-1] if lines else "")
    return hide_password(fatal.rpartition("fatal: ")[2].strip()) or "git says nothing"


def _copy_tree(source: Path, target: Path, *, whole: bool) -> None:
    """Copy a source tree without what was compiled in it; `whole` takes git's files along.

    A file that is already there with the same size and time is left alone, so that make need not
    compile it again. A copy that was cut short has another time.
    """
    left_out = _NOT_SOURCE - {".git"} if whole else _NOT_SOURCE
    for folder, folders, names in os.walk(source):
        here = Path(folder)
        folders[:] = [
            name
            for name in folders
            if name not in left_out and not (here / name / "CMakeCache.txt").exists()
        ]
        place = make_folder(target / here.relative_to(source))
        for name in names:
            compiled = name.endswith(_COMPILED) or (here == source and name == BINARY_NAME)
            if not compiled:
                _copy_file(here / name, place / name)


def _copy_file(source: Path, target: Path) -> None:
    if not source.is_file():  # a dangling link, a socket
        return
    there, here = target.stat() if target.exists() else None, source.stat()
    if there and (there.st_size, there.st_mtime_ns) == (here.st_size, here.st_mtime_ns):
        return
    shutil.copy2(source, target)
