"""Which images `dkit show` takes: by lot, by class, by size, and by what problems.csv says."""

import itertools
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from darknet_kit.core.flavor import Flavor
from darknet_kit.core.problems import Problem, iter_problems, write_problems
from darknet_kit.dataset import sample as sampling
from darknet_kit.dataset.reading import Dataset, LabelledImage, read_dataset
from darknet_kit.dataset.sample import Candidate, Wanted, draw_sample, iter_candidates
from darknet_kit.dataset.trace import attach_problems, find_problem_images
from darknet_kit.errors import DatasetError

from .sets import write_picture

LABELS = {
    "a": "0 .5 .5 .2 .2\n",
    "b": "0 .5 .5 .4 .4\n1 .5 .5 .1 .1\n",
    "c": "",
    "d": "1 .5 .5 .5 .5\n1 .5 .5 .6 .6\n1 .2 .2 .3 .3\n",
}
"""And `e` has no label file."""
ANY = Wanted()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of five images in one list, which is that for validation too."""
    for stem in "abcde":
        write_picture(tmp_path / f"{stem}.jpg")
    for stem, text in LABELS.items():
        (tmp_path / f"{stem}.txt").write_text(text)
    (tmp_path / "train.txt").write_text("".join(f"{tmp_path}/{stem}.jpg\n" for stem in "abcde"))
    (tmp_path / "x.names").write_text("cat\ndog\n")
    (tmp_path / "x.data").write_text(
        f"names = {tmp_path}/x.names\ntrain = {tmp_path}/train.txt\nvalid = {tmp_path}/train.txt\n"
    )
    return tmp_path


def stems(images: object) -> str:
    assert isinstance(images, list)
    return "".join(Path(one.candidate.image).stem for one in images)


def draw(folder: Path, count: int = 9, wanted: Wanted = ANY, seed: int = 0) -> str:
    candidates = iter_candidates(read_dataset(folder / "x.data"), ["train", "valid"])
    return stems(draw_sample(candidates, Flavor.ALEXEYAB, count, wanted, seed=seed).images)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), "abcde"),
        (Wanted(frozenset({0})), "ab"),
        (Wanted(frozenset({1})), "bd"),
        (Wanted(frozenset({0, 1})), "abd"),
        (Wanted(frozenset({7})), ""),
        (Wanted(negatives=True), "c"),
        (Wanted(order="boxes"), "dba"),
        (Wanted(order="smallest"), "bad"),
        (Wanted(frozenset({0}), order="smallest"), "ab"),
        (Wanted(frozenset({1}), order="boxes"), "db"),
    ],
)
def test_what_is_wanted(folder: Path, wanted: Wanted, expected: str) -> None:
    assert draw(folder, wanted=wanted) == expected


def test_a_larger_sample_holds_the_smaller(folder: Path) -> None:
    for seed in range(5):
        samples = [set(draw(folder, count, seed=seed)) for count in range(1, 6)]
        assert [len(sample) for sample in samples] == [1, 2, 3, 4, 5]
        assert all(small < large for small, large in itertools.pairwise(samples))


def test_each_image_has_the_same_chance(folder: Path) -> None:
    for wanted, of in ((Wanted(), 5), (Wanted(frozenset({0, 1})), 3)):
        drawn = Counter("".join(draw(folder, 2, wanted, seed) for seed in range(600)))
        expected = 600 * 2 / of
        assert len(drawn) == of
        assert all(abs(count - expected) < 70 for count in drawn.values())  # 6 deviations


def test_labels_of_others_stay_unread(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def read_image(image: str, flavor: Flavor) -> LabelledImage:
        read.append(image)
        return LabelledImage(image, "", [])

    monkeypatch.setattr(sampling, "read_image", read_image)
    candidates = [Candidate(f"/{number}.jpg", "train") for number in range(5000)]
    sample = draw_sample(candidates, Flavor.ALEXEYAB, 3)
    assert (sample.of, len(sample.images), len(read)) == (5000, 3, 3)
    sample = draw_sample(candidates, Flavor.ALEXEYAB, 3, Wanted(negatives=True))
    assert (sample.looked_at, len(read)) == (1024, 3 + 1024)


def found(dataset: Dataset, folder: Path, *problems: Problem) -> dict[str, str]:
    """Return the split of each image that problems are about, by its path from the folder."""
    write_problems(folder / "problems.csv", problems)
    images = find_problem_images(dataset, folder / "problems.csv", [])
    return {os.path.relpath(one.image, folder): one.split for one in images}


@pytest.fixture
def view(folder: Path) -> Dataset:
    """Return a view: links under other names to images of two years with the same stems."""
    entries = []
    for year in ("2007", "2012"):
        image = write_picture(folder / f"kit/{year}/JPEGImages/1.jpg")
        (folder / f"view/{year}").mkdir(parents=True)
        link = folder / f"view/{year}/1-{year}.jpg"
        link.symlink_to(image)
        entries.append(f"{link}\n")
    write_picture(folder / "kit/2012/JPEGImages/2.JPEG")
    (folder / "train.txt").write_text("".join(entries))
    return read_dataset(folder / "x.data")


@pytest.mark.parametrize(
    ("path", "message", "expected"),
    [
        ("kit/2012/JPEGImages/1.jpg", "", ("view/2012/1-2012.jpg", "train")),
        ("view/2007/1-2007.jpg", "", ("view/2007/1-2007.jpg", "train")),
        ("view/2007/1-2007.txt", "", ("view/2007/1-2007.jpg", "train")),
        ("kit/2007/Annotations/1.xml", "", ("view/2007/1-2007.jpg", "train")),
        ("kit/2012/Annotations/1.xml", "", ("view/2012/1-2012.jpg", "train")),
        ("kit/2012/Annotations/2.xml", "", ("kit/2012/JPEGImages/2.JPEG", "")),
        ("kit/2012/JPEGImages/2.JPEG", "", ("kit/2012/JPEGImages/2.JPEG", "")),
        ("kit/2012/Annotations/3.xml", "", ("kit/2012/Annotations/3.xml", "")),
        ("kit/a.json", "1.jpg: cat has no bbox", ("view/2007/1-2007.jpg", "train")),
        (
            "kit/a.json",
            "2012/JPEGImages/1.jpg: cat has no bbox",
            ("view/2012/1-2012.jpg", "train"),
        ),
        ("kit/a.json", "2013/1.jpg: cat has no bbox", ("kit/a.json", "")),
        ("kit/instances.json", "images[4]: no number", ("kit/instances.json", "")),
    ],
)
def test_a_problem_leads_to_its_image(
    view: Dataset, folder: Path, path: str, message: str, expected: tuple[str, str]
) -> None:
    problem = Problem("no-box", str(folder / path), message)
    assert found(view, folder, problem) == dict([expected])


def test_an_annotation_without_image_leads_to_none(view: Dataset, folder: Path) -> None:
    path = str(folder / "kit/2012/Annotations/1.xml")
    assert found(view, folder, Problem("missing-image", path, "")) == {
        "kit/2012/Annotations/1.xml": ""
    }


def test_a_line_of_an_image_list_leads_to_the_image_in_it(view: Dataset, folder: Path) -> None:
    listing = folder / "train.txt"
    listing.write_text("\n" + listing.read_text())
    lines = [Problem("duplicate-image", str(listing), "", number) for number in (1, 3)]
    assert found(view, folder, *lines) == {"train.txt": "", "view/2012/1-2012.jpg": "train"}


def test_what_is_said_of_one_image_comes_together(view: Dataset, folder: Path) -> None:
    one, other = (
        Problem("empty-box", str(folder / "kit/2007/Annotations/1.xml"), f"box {n}", n)
        for n in (1, 2)
    )
    third = Problem("exif-orientation", str(folder / "kit/2007/JPEGImages/1.jpg"), "turned")
    write_problems(folder / "problems.csv", [one, other, third])
    (image,) = find_problem_images(view, folder / "problems.csv", [])
    assert image.problems == (one, other, third)
    (image,) = find_problem_images(view, folder / "problems.csv", ["exif-orientation"])
    assert image.problems == (third,)
    drawn = draw_sample(iter_candidates(view, ["train"]), Flavor.ALEXEYAB, 9).images
    attached = attach_problems(drawn, iter_problems(folder / "problems.csv"))
    assert [one.candidate.problems for one in attached] == [(one, other, third), ()]


def test_problems_come_back_as_they_were_written(tmp_path: Path) -> None:
    problems = [Problem("bad-xml", 'a,b\n".xml', "<odd> 'words'\n", 3), Problem("no-box", "c", "")]
    write_problems(tmp_path / "problems.csv", problems)
    assert list(iter_problems(tmp_path / "problems.csv")) == problems


@pytest.mark.parametrize(
    "content", [b"", b"code,path\na,b\n", b"code,path,line,message\na,b,x,c\n", b"\0\xff"]
)
def test_other_files_are_no_list_of_problems(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.csv").write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        list(iter_problems(tmp_path / "p.csv"))
    assert caught.value.code == "no-problem-list"


def test_the_codes_that_there_are_are_told(
    dkit: Callable[..., object], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = [Problem(code, "x", "") for code in ("bad-xml", "no-box", "no-box")]
    write_problems(folder / "problems.csv", problems)
    ended = dkit("show", folder / "x.data", "--problem", "empty-box")
    assert "There are: no-box 2, bad-xml 1." in str(ended)
