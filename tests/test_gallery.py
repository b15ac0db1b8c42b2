"""The page of `dkit show`: what is in it, that names stay text, and how a browser takes it."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from darknet_kit.core.problems import Problem, write_problems
from tests.conftest import Ended

from .sets import digests, write_picture

Dkit = Callable[..., Ended]
HOSTILE = "</script><script>console.error('owned')</script>\"'&lt;{{tiles}}"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Page(HTMLParser):
    """The elements of a page, with their attributes, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def write_set(folder: Path, images: int, name: str = "cat") -> Path:
    """Write a set whose images show a thing of class 0, a dog, both, or nothing, in turn."""
    (folder / "x.names").write_text(f"{name}\ndog\n")
    entries = []
    for number in range(images):
        path = write_picture(folder / f"{number}.jpg")
        text = "0 .5 .5 .5 .5\n" * (number % 2) + "1 .3 .3 .2 .2\n" * (number // 2 % 2)
        path.with_suffix(".txt").write_text(text)
        entries.append(f"{path}\n")
    (folder / "train.txt").write_text("".join(entries))
    (folder / "x.data").write_text(f"names={folder}/x.names\ntrain={folder}/train.txt\n")
    return folder / "x.data"


def test_a_small_page_is_one_file(dkit: Dkit, tmp_path: Path) -> None:
    data = write_set(tmp_path, 8)
    out = tmp_path / "page.html"
    document = json.loads(dkit("show", data, "-o", out, "--json").stdout)
    assert (document["page"], document["images"], document["boxes"]) == (str(out), 8, 8)
    page = Page(out)
    assert [one["data-classes"] for one in page.all("figure")] == 2 * [
        " none ",
        " 0 ",
        " 1 ",
        " 0 1 ",
    ]
    assert all((one["src"] or "").startswith("data:image/jpeg;base64,") for one in page.all("img"))
    assert "cat (4)" in page.text
    assert "dog (4)" in page.text
    assert "no object (2)" in page.text
    assert not (tmp_path / "page_files").exists()
    # 100 x 50 px become 480 x 240; a box of half of both, in the middle
    (box, *_) = [one for one in page.all("rect") if "c0" in (one.get("class") or "")]
    assert [box[key] for key in ("x", "y", "width", "height")] == ["120", "60", "240", "120"]


def test_many_pictures_lie_in_a_folder_beside_the_page(dkit: Dkit, tmp_path: Path) -> None:
    data = write_set(tmp_path, 64)
    out = tmp_path / "a #1%20&.html"
    words = ("show", data, "-o", out, "--count", "64", "--workers", "1")
    assert dkit(*words).exit_code == 0
    page = Page(out)
    sources = [one["src"] or "" for one in page.all("img")]
    assert len(sources) == 64
    assert all((tmp_path / unquote(source)).read_bytes()[:2] == b"\xff\xd8" for source in sources)
    assert all(one["loading"] == "lazy" for one in page.all("img"))
    before = digests(tmp_path)
    assert dkit(*words).exit_code == 0
    assert digests(tmp_path) == before
    ended = dkit(*words, "--tile", "100")
    assert (ended.exit_code, "[file-exists]" in ended.stderr) == (2, True)
    assert digests(tmp_path) == before
    assert dkit(*words, "--tile", "100", "--overwrite").exit_code == 0


def test_the_page_needs_nothing_from_elsewhere(dkit: Dkit, tmp_path: Path) -> None:
    dkit("show", write_set(tmp_path, 4), "-o", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert not re.findall(r"(?:https?:)?//[a-z]", text)
    assert "default-src 'none'" in text


@pytest.fixture
def hostile(dkit: Dkit, tmp_path: Path) -> Path:
    """Return the page of a set with names that try to be markup, and problems that do."""
    data = write_set(tmp_path, 6, HOSTILE.replace("\n", " "))
    named = write_picture(tmp_path / "<img src=x onerror=console.error(1)>\u202e'.jpg")
    named.with_suffix(".txt").write_text("0 .5 .5 .5 .5\n7 .1 .1 .1 .1\n")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    (tmp_path / "broken.txt").write_text("")
    with (tmp_path / "train.txt").open("a", encoding="utf-8") as stream:
        stream.write(f"{named}\n{tmp_path}/broken.jpg\n{tmp_path}/none.jpg\n")
    problems = [Problem("clipped-box", str(named), f"<b onclick=x>{HOSTILE}\n")]
    write_problems(tmp_path / "problems.csv", problems)
    assert dkit("show", data, "-o", tmp_path / "page.html").exit_code == 1
    return tmp_path / "page.html"


def test_names_stay_text(hostile: Path) -> None:
    page = Page(hostile)
    assert len(page.all("script")) == 1
    assert len(page.all("figure")) == 9
    assert HOSTILE in page.text
    assert "<img src=x onerror=console.error(1)>\\x202e'.jpg" in page.text
    for tag, attributes in page.elements:
        assert not [key for key in attributes if key.startswith("on")], tag
    problems = [one["data-problems"] for one in page.all("figure")][-3:]
    assert problems == [" clipped-box ", " unreadable-image ", " missing-label unreadable-image "]


def browse(page: Path, profile: Path) -> tuple[str, str]:
    """Open a page in a browser; return what became of it, and what the browser complained of."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no Chromium on PATH (apt-get install chromium)")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    words = [browser, *options, f"--user-data-dir={profile}", "--dump-dom", page.as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout, "\n".join(re.findall(r".*CONSOLE.*", done.stderr))


def test_a_browser_filters_and_enlarges(hostile: Path, tmp_path: Path) -> None:
    script = """<script>
    const choose = (name, value) => {
      const select = document.querySelector(`select[name=${name}]`);
      select.value = value;
      select.dispatchEvent(new Event("change"));
    };
    const report = [];
    const tell = () => report.push(document.querySelectorAll("figure:not([hidden])").length);
    tell();
    choose("classes", "0"); tell();
    choose("problems", "clipped-box"); tell();
    document.querySelector("figure:not([hidden]) button").click();
    report.push(dialog.open, dialog.querySelectorAll("img").length);
    dialog.close();
    choose("classes", ""); choose("problems", "unreadable-image"); tell();
    document.title = report.join(" ");
    </script></body>"""
    page = hostile.with_name("test.html")
    page.write_text(hostile.read_text(encoding="utf-8").replace("</body>", script))
    dom, complaints = browse(page, tmp_path / "profile")
    assert complaints == ""
    # 9 images; the class in 1, 3, 5 and the one with the odd name, of which alone a problem speaks
    assert "<title>9 4 1 true 1 2</title>" in dom
