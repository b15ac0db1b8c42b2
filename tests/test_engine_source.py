"""Where the source comes from, and that it is never changed. Repositories are real, and small."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from darknet_kit.core.flavor import Flavor
from darknet_kit.engine import source as source_module
from darknet_kit.engine import upstream
from darknet_kit.engine.source import Source, find_source, hide_password, place_source
from darknet_kit.engine.upstream import Pin, find_pin, read_pins
from darknet_kit.errors import BuildError, ToolchainError, UsageError
from tests.conftest import PROJECT
from tests.tiny_darknet import SOURCES, commit_tree, git, write_tree

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="no git on PATH")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "checkout")


@pytest.fixture
def commit(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Commit the checkout, pin that commit, and put a newer one on top of it."""
    first = commit_tree(checkout)
    pin = Pin(Flavor.ALEXEYAB, ("https://invalid.invalid/none",), first, "", "", False)
    monkeypatch.setattr(source_module, "find_pin", lambda _flavor: pin)
    monkeypatch.setattr(source_module, "THIRD_PARTY", tmp_path / "third_party")
    (checkout / "NEWS").write_text("something newer\n")
    git(checkout, "add", "NEWS")
    git(checkout, "commit", "-q", "-m", "newer")
    return first


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    def walk() -> Iterator[Path]:
        for place, _folders, names in os.walk(folder):
            yield from (Path(place) / name for name in names)

    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in walk()}


@pytest.mark.parametrize("name", ["alexeyab", "darknet", "darknet-master"])
def test_a_source_in_third_party_is_taken_under_any_name(
    name: str, commit: str, tmp_path: Path
) -> None:
    """An unpacked archive, without git's files, beside the source of another flavour."""
    write_tree(tmp_path / "third_party" / name)
    other = tmp_path / "third_party/a-hank-ai"
    other.mkdir()
    (other / "CM_version.cmake").write_text("")
    source = find_source(Flavor.ALEXEYAB)
    assert (source.folder, source.commit) == (tmp_path / "third_party" / name, "")
    place_source(source, tmp_path / "copy")  # and there is no network
    assert (tmp_path / "copy/src/darknet.c").is_file()


def test_a_repository_with_a_hole_is_told_of(checkout: Path, commit: str, tmp_path: Path) -> None:
    """Git complains four times, of both ends at once: of the blob, or that there is a hole."""
    blob = git(checkout, "rev-parse", f"{commit}:Makefile")
    (checkout / ".git/objects" / blob[:2] / blob[2:]).unlink()
    bare = checkout.rename(tmp_path / "none.git") / ".git"
    with pytest.raises(BuildError) as failed:
        place_source(find_source(Flavor.ALEXEYAB, f"file://{bare}"), tmp_path / "copy")
    assert failed.value.code == "source-not-fetched"
    assert blob in failed.value.message or "repository corruption" in failed.value.message


def test_pins() -> None:
    pins = {pin.flavor: pin for pin in read_pins()}
    assert set(pins) == {Flavor.ALEXEYAB, Flavor.HANK_AI}
    assert pins[Flavor.ALEXEYAB].commit.startswith("59596d78")
    assert pins[Flavor.HANK_AI].commit.startswith("f684e1d7")
    for pin in pins.values():
        assert len(pin.commit) == 40
        assert all(url.startswith("https://") for url in pin.repositories)
    with pytest.raises(UsageError, match="does not build the original"):
        find_pin(Flavor.ORIGINAL)


def test_the_pin_travels_with_the_package() -> None:
    assert (PROJECT / "third_party/darknet/upstream.toml").is_file()
    text = (PROJECT / "pyproject.toml").read_text()
    assert '"third_party/darknet/upstream.toml" = "darknet_kit/engine/upstream.toml"' in text
    assert upstream.THIRD_PARTY == PROJECT / "third_party" / "darknet"


def test_without_a_word_the_pinned_repository(commit: str) -> None:
    found = find_source(Flavor.ALEXEYAB)
    assert (found.commit, found.folder, found.pinned) == (commit, None, True)
    assert found.label == commit[:7]


def test_a_checkout_in_third_party_comes_first(commit: str, tmp_path: Path) -> None:
    place = write_tree(tmp_path / "third_party" / "alexeyab")
    assert find_source(Flavor.ALEXEYAB).folder == place


def test_a_url_gives_the_pinned_commit(checkout: Path, commit: str, tmp_path: Path) -> None:
    before = snapshot(checkout)
    found = find_source(Flavor.ALEXEYAB, f"file://{checkout}")
    tree = tmp_path / "tree"
    place_source(found, tree)
    assert git(tree, "rev-parse", "HEAD") == commit
    assert not (tree / "NEWS").exists()
    assert snapshot(checkout) == before
    # Once there, it is not fetched again: the repository may be gone.
    shutil.rmtree(checkout)
    place_source(found, tree)
    # Nor after a kill between fetching and checking out, which leaves git's lock.
    git(tree, "update-ref", "-d", "HEAD")
    (tree / ".git/index.lock").write_text("")
    place_source(found, tree)
    assert git(tree, "rev-parse", "HEAD") == commit


def test_tags_come_along_where_the_build_reads_them(
    checkout: Path, commit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(checkout, "tag", "v5.0", commit)
    newest = git(checkout, "rev-parse", "HEAD")
    pin = Pin(Flavor.ALEXEYAB, (f"file://{checkout}",), newest, "", "", history=True)
    monkeypatch.setattr(source_module, "find_pin", lambda _flavor: pin)
    place_source(find_source(Flavor.ALEXEYAB), tmp_path / "tree")
    described = git(tmp_path / "tree", "describe", "--tags", "--long")
    assert described == f"v5.0-1-g{newest[:7]}"


def test_a_bare_repository_is_one(checkout: Path, commit: str, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "-q", "--bare", str(checkout), str(bare))
    found = find_source(Flavor.ALEXEYAB, str(bare))
    assert found.repositories == (str(bare),)
    place_source(found, tmp_path / "tree")
    assert (tmp_path / "tree/src/darknet.c").is_file()


def test_the_next_repository_is_tried(checkout: Path, commit: str, tmp_path: Path) -> None:
    found = Source(Flavor.ALEXEYAB, commit, (f"file://{tmp_path}/gone", f"file://{checkout}"))
    place_source(found, tmp_path / "tree")
    assert git(tmp_path / "tree", "rev-parse", "HEAD") == commit


def test_inside_another_repository(checkout: Path, commit: str, tmp_path: Path) -> None:
    """The folder around the target being a checkout of the same commit must not fool git."""
    git(checkout, "checkout", "-q", commit)
    place_source(find_source(Flavor.ALEXEYAB, f"file://{checkout}"), checkout / "sub/tree")
    assert (checkout / "sub/tree/Makefile").is_file()


def test_a_folder_is_copied_as_it_is(checkout: Path, commit: str, tmp_path: Path) -> None:
    (checkout / "darknet").write_text("an old binary")
    (checkout / "obj").mkdir()
    (checkout / "obj/darknet.o").write_text("an old object")
    (checkout / "yolov4.weights").write_text("large")
    before = snapshot(checkout)
    found = find_source(Flavor.ALEXEYAB, str(checkout))
    assert (found.folder, found.pinned, found.changed) == (checkout, False, False)
    tree = tmp_path / "tree"
    place_source(found, tree)
    names = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    assert names == {*SOURCES, "NEWS"}
    times = {path: path.stat().st_mtime_ns for path in tree.rglob("*")}
    place_source(found, tree)
    assert {path: path.stat().st_mtime_ns for path in tree.rglob("*")} == times
    assert snapshot(checkout) == before


def test_a_folder_with_changes_says_so(checkout: Path, commit: str) -> None:
    git(checkout, "checkout", "-q", commit)
    assert find_source(Flavor.ALEXEYAB, str(checkout)).pinned
    (checkout / "Makefile").write_text("all:\n")
    found = find_source(Flavor.ALEXEYAB, str(checkout))
    assert (found.changed, found.pinned) == (True, False)
    assert found.label == f"{commit[:7]}-changed"
    assert "with changes" in str(found)


def test_a_folder_without_git(tmp_path: Path) -> None:
    found = find_source(Flavor.ALEXEYAB, str(write_tree(tmp_path / "unpacked")))
    assert (found.commit, found.label, found.pinned) == ("", "local", False)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("{tmp}/empty", "not-darknet-source"),
        ("{tmp}/nowhere", "no-source"),
        ("github.com/AlexeyAB/darknet", "no-source"),
        ("--upload-pack=touch /tmp/x", "no-source"),
        ("{tmp}/hank", "other-flavor-source"),
        ("{tmp}/original", "no-such-build"),
    ],
)
def test_what_is_no_source(given: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_tree(tmp_path / "hank", {"CM_version.cmake": ""})
    (tmp_path / "original/examples").mkdir(parents=True)
    (tmp_path / "original/examples/darknet.c").write_text("")
    with pytest.raises(UsageError) as refused:
        find_source(Flavor.ALEXEYAB, given.format(tmp=tmp_path))
    assert refused.value.code == code
    assert refused.value.hint


def test_a_repository_that_does_not_answer(commit: str, tmp_path: Path) -> None:
    found = find_source(Flavor.ALEXEYAB, f"file://user:secret@{tmp_path}/gone")
    with pytest.raises(BuildError) as failed:
        place_source(found, tmp_path / "tree")
    assert failed.value.code == "source-not-fetched"
    assert "--source PATH" in failed.value.hint
    assert "secret" not in str(failed.value)


def test_a_repository_without_the_commit(checkout: Path, commit: str, tmp_path: Path) -> None:
    other = Source(Flavor.ALEXEYAB, "0" * 39 + "1", (f"file://{checkout}",))
    with pytest.raises(BuildError, match="cannot fetch commit 00000000"):
        place_source(other, tmp_path / "tree")


def test_without_git(commit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_source(Flavor.ALEXEYAB, "https://example.org/darknet")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolchainError) as refused:
        place_source(found, tmp_path / "tree")
    assert refused.value.code == "no-git"


def test_passwords_are_not_shown() -> None:
    assert hide_password("https://me:pw@example.org/x") == "https://example.org/x"
    assert str(Source(Flavor.ALEXEYAB, "", ("https://tok@example.org/x",))).startswith(
        "https://example.org/x "
    )
