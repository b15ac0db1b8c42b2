"""ILSVRC without XML, without images, in part, as DET, as image-net.org packs it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darknet_kit.core.boxes import Box, is_finite
from darknet_kit.dataset.found import look_for_ilsvrc
from darknet_kit.errors import DatasetError
from darknet_kit.formats.locsolution import iter_solution
from darknet_kit.formats.synsets import parse_mapping
from tests.conftest import Ended

from .sets import Thing, lines, write_pair, write_picture

Dkit = Callable[..., Ended]
TENCH, COBRA = "n01440764", "n01748264"
HEADER = "ImageId,PredictionString\n"


def write_csv(path: Path, *rows: str) -> Path:
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return path


def test_rows(tmp_path: Path) -> None:
    """The first is from Kaggle's own val file."""
    path = write_csv(
        tmp_path / "LOC_val_solution.csv",
        "ILSVRC2012_val_00037956,n03481172 131 0 499 254 ",
        f"a.JPEG,{TENCH} 1 2 3.5 4 {COBRA} 5 6 7 8",
        "empty,",
        f"short,{TENCH} 1 2 3 4 {COBRA} 5 6",
        f"words,{TENCH} 1 2 x 4",
    )
    found = dict(iter_solution(path))
    assert list(found) == ["ILSVRC2012_val_00037956", "a", "empty", "short", "words"]
    (first,) = found["ILSVRC2012_val_00037956"].objects
    assert (first.name, first.box, first.line) == ("n03481172", Box(131, 0, 499, 254), 2)
    second = [(entry.name, entry.box) for entry in found["a"].objects]
    assert second == [(TENCH, Box(1, 2, 3.5, 4)), (COBRA, Box(5, 6, 7, 8))]
    assert (found["empty"].objects, found["empty"].problems) == ((), ())
    assert [len(found[stem].objects) for stem in ("short", "words")] == [1, 0]
    for stem, line in (("short", 5), ("words", 6)):
        (problem,) = found[stem].problems
        assert (problem.code, problem.path, problem.line) == ("bad-record", str(path), line)
    assert not any(one.states_size for one in found.values())


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (HEADER + f"a,{TENCH}\nb,{COBRA}\n", "no-boxes", "none of the 2 rows has a box"),
        (HEADER, "no-boxes", "none of the 0 rows"),
        ("", "not-a-solution", "its first row is not ImageId,PredictionString"),
        ("filename,width,height,class\n", "not-a-solution", "its first row is not"),
        (HEADER + '"' + "x" * 200_000, "not-a-solution", "no solution file"),
    ],
)
def test_a_file_of_no_use(tmp_path: Path, text: str, code: str, said: str) -> None:
    path = tmp_path / "LOC_val_solution.csv"
    path.write_text(text)
    with pytest.raises(DatasetError, match=said) as caught:
        list(iter_solution(path))
    assert (caught.value.code, caught.value.path) == (code, str(path))


WORDS = st.sampled_from(
    [TENCH, "1", "-2.5", "nan", "1e400", "x", "", " ", ",", '"', "\n", "\r", "\0"]
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=80), st.lists(WORDS, max_size=30).map(" ".join)))
def test_any_text_is_read_or_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "LOC_val_solution.csv"
    path.write_bytes((HEADER + text).encode("utf-8", "surrogatepass"))
    try:
        rows = list(iter_solution(path))
    except DatasetError:
        return
    assert any(annotation.objects for _, annotation in rows)
    for _, annotation in rows:
        assert all(is_finite(entry.box) for entry in annotation.objects)
        assert all(problem.code == "bad-record" for problem in annotation.problems)


def test_a_copy_with_classes_alone(shared_data: Callable[[str], Path]) -> None:
    path = shared_data("B_ilsvrc/LOC_val_solution_classonly_first2000.csv")
    with pytest.raises(DatasetError, match="none of the 2,000 rows"):
        list(iter_solution(path))


THINGS: dict[str, list[Thing]] = {
    "train/n01440764/n01440764_1": [(TENCH, 0, 0, 50, 40), (TENCH, 60, 10, 99, 49)],
    "train/n01748264/n01748264_7": [(COBRA, 10, 5, 30, 20)],
    "val/ILSVRC2012_val_00000001": [(TENCH, 20, 10, 40, 30)],
}


def write_tree(root: Path, task: str = "CLS-LOC") -> Path:
    """Write XML and images, some without, and the mapping."""
    for name, things in THINGS.items():
        image = root / f"ILSVRC/Data/{task}/{name}.JPEG"
        write_pair(image, root / f"ILSVRC/Annotations/{task}/{name}.xml", *things)
    write_picture(root / f"ILSVRC/Data/{task}/train/n01440764/n01440764_2.JPEG")
    write_picture(root / f"ILSVRC/Data/{task}/test/ILSVRC2012_test_00000001.JPEG")
    (root / "LOC_synset_mapping.txt").write_text(f"{TENCH} tench\n{COBRA} cobra, snake\n")
    return root


def converted(dkit: Dkit, source: Path, out: Path, *options: str) -> dict[str, list[str]]:
    """Return the label lines of each image by its stem and split."""
    ended = dkit("convert", "ilsvrc", source, "--out", out, "--name", "x", *options)
    assert ended.exit_code in (0, 3), ended.stderr
    return {
        f"{split}/{Path(image).stem}": lines(Path(image).with_suffix(".txt"))
        for split in ("train", "valid", "test")
        if (out / f"{split}.txt").exists()
        for image in lines(out / f"{split}.txt")
    }


@pytest.fixture
def from_xml(tmp_path: Path, dkit: Dkit) -> dict[str, list[str]]:
    return converted(dkit, write_tree(tmp_path / "whole"), tmp_path / "whole_out")


def test_xml_and_solution_files_give_the_same(
    tmp_path: Path, dkit: Dkit, from_xml: dict[str, list[str]]
) -> None:
    root = write_tree(tmp_path / "kaggle")
    shutil.rmtree(root / "ILSVRC/Annotations")
    rows = {
        Path(name).stem: "".join(f"{' '.join(map(str, thing))} " for thing in things)
        for name, things in THINGS.items()
    }
    for split in ("train", "val"):
        stems = [Path(name).stem for name in THINGS if name.startswith(split)]
        path = root / f"LOC_{split}_solution.csv"
        write_csv(path, *(f"{stem},{rows[stem]}" for stem in stems), f"gone_{split},")
    out = tmp_path / "out"
    assert converted(dkit, root, out) == from_xml
    assert lines(out / "x.names") == ["tench", "cobra"]
    codes = [line.split(",")[0] for line in lines(out / "problems.csv")[1:]]
    assert sorted(codes) == ["missing-image"] * 2 + ["no-annotation"] * 2
    (root / "ILSVRC/Data/CLS-LOC").rename(tmp_path / "images")
    shutil.rmtree(root / "ILSVRC")
    assert converted(dkit, root, tmp_path / "two", "--images", str(tmp_path / "images")) == from_xml


@pytest.mark.parametrize("given", ["", "ILSVRC"])
def test_only_val(tmp_path: Path, dkit: Dkit, given: str) -> None:
    root = write_tree(tmp_path / "set")
    for kind in ("Annotations", "Data"):
        shutil.rmtree(root / f"ILSVRC/{kind}/CLS-LOC/train")
    found = converted(dkit, root / given, tmp_path / "out")
    assert found == {"valid/ILSVRC2012_val_00000001": ["0 0.300000 0.400000 0.200000 0.400000"]}
    (root / "LOC_synset_mapping.txt").unlink()
    assert converted(dkit, root / given, tmp_path / "out2") == found
    assert lines(tmp_path / "out2/x.names") == [TENCH]


def test_only_some_classes_are_unpacked(
    tmp_path: Path, dkit: Dkit, from_xml: dict[str, list[str]]
) -> None:
    root = write_tree(tmp_path / "set")
    shutil.rmtree(root / f"ILSVRC/Data/CLS-LOC/train/{COBRA}")
    found = converted(dkit, root, tmp_path / "out")
    assert found == {name: rows for name, rows in from_xml.items() if COBRA not in name}
    assert lines(tmp_path / "out/x.names") == ["tench", "cobra"]


@pytest.mark.parametrize(
    ("gone", "code", "said"),
    [
        ("Data", "no-images", "the images are not: there is no Data/CLS-LOC"),
        ("Annotations", "no-annotations", "the annotations are not: there is no Annotations/"),
    ],
)
def test_half_a_tree(tmp_path: Path, dkit: Dkit, gone: str, code: str, said: str) -> None:
    root = write_tree(tmp_path)
    shutil.rmtree(root / "ILSVRC" / gone)
    for place in ("", "ILSVRC"):
        ended = dkit("convert", "ilsvrc", root / place, "--out", tmp_path / "out")
        assert ended.exit_code == 1
        assert f"[{code}]" in ended.stderr
        assert said in ended.stderr


def test_the_detection_task(tmp_path: Path, dkit: Dkit, from_xml: dict[str, list[str]]) -> None:
    root = write_tree(tmp_path / "det", task="DET")
    (root / "LOC_synset_mapping.txt").write_text("n00000001 another task's\n")
    assert converted(dkit, root, tmp_path / "out") == from_xml
    assert lines(tmp_path / "out/x.names") == [TENCH, COBRA]
    prototxt = tmp_path / "labelmap.prototxt"
    prototxt.write_text(
        'item {\n  name: "none_of_the_above"\n  label: 0\n  display_name: "background"\n}\n'
        f'item {{\n  name: "{TENCH}"\n  label: 1\n  display_name: "fish"\n}}\n'
        f'item {{\n  name: "{COBRA}"\n  label: 2\n  display_name: "snake"\n}}\n'
    )
    converted(dkit, root, tmp_path / "named", "--mapping", str(prototxt))
    assert lines(tmp_path / "named/x.names") == ["fish", "snake"]
    assert lines(tmp_path / "named/x.wnids") == [TENCH, COBRA]


def test_both_tasks_in_one_folder(
    tmp_path: Path, dkit: Dkit, from_xml: dict[str, list[str]]
) -> None:
    write_tree(tmp_path / "both", task="DET")
    assert converted(dkit, write_tree(tmp_path / "both"), tmp_path / "out") == from_xml


def test_as_image_net_org_packs_it(
    tmp_path: Path, dkit: Dkit, from_xml: dict[str, list[str]]
) -> None:
    root = tmp_path / "imagenet"
    folders = {
        "train": ("ILSVRC2012_img_train", "ILSVRC2012_bbox_train_v2"),
        "val": ("ILSVRC2012_img_val", "ILSVRC2012_bbox_val_v3/val"),
    }
    for name, things in THINGS.items():
        split, _, rest = name.partition("/")
        image, annotation = (root / folder / rest for folder in folders[split])
        write_pair(image.with_suffix(".JPEG"), annotation.with_suffix(".xml"), *things)
    assert converted(dkit, root, tmp_path / "out") == from_xml

    # Unpacked on two disks, by the folder of all images or by one of them.
    for folder in ("ILSVRC2012_img_train", "ILSVRC2012_img_val"):
        (tmp_path / "fast").mkdir(exist_ok=True)
        (root / folder).rename(tmp_path / "fast" / folder)
    assert converted(dkit, root, tmp_path / "two", "--images", str(tmp_path / "fast")) == from_xml
    alone = str(tmp_path / "fast/ILSVRC2012_img_val")
    labels = converted(dkit, root, tmp_path / "val", "--images", alone)
    assert labels == {name: rows for name, rows in from_xml.items() if name.startswith("val")}


@pytest.mark.parametrize("given", ["", "disk", "disk/ILSVRC"])
def test_a_folder_too_high_is_looked_into(tmp_path: Path, given: str) -> None:
    write_tree(tmp_path / "disk")
    found = look_for_ilsvrc(tmp_path / given)
    assert found.root == str(tmp_path / "disk/ILSVRC")
    assert found.names == ["tench", "cobra"]


@pytest.mark.parametrize("kind", ["ilsvrc", "voc"])
@pytest.mark.parametrize("given", ["Annotations", "Annotations/CLS-LOC", "Data/CLS-LOC"])
def test_a_folder_too_low_is_told(tmp_path: Path, dkit: Dkit, given: str, kind: str) -> None:
    root = write_tree(tmp_path) / "ILSVRC"
    ended = dkit("convert", kind, root / given, "--out", tmp_path / "out")
    assert ended.exit_code == 1
    assert f"dkit convert ilsvrc {root}\n" in ended.stderr


def test_genuine_label_maps(shared_data: Callable[[str], Path]) -> None:
    """grep -c display_name: 1001 and 201, the background among them."""
    for task, count in (("clsloc", 1000), ("det", 200)):
        path = shared_data(f"B_ilsvrc/labelmap_ilsvrc_{task}.prototxt")
        synsets = parse_mapping(path.read_text(), path)
        assert len(synsets) == count
    assert (synsets[0].wnid, synsets[0].names) == ("n02672831", ("accordion",))


def test_the_summary_counts_problems_of_rows(tmp_path: Path, dkit: Dkit) -> None:
    root = write_tree(tmp_path / "set")
    shutil.rmtree(root / "ILSVRC/Annotations")
    write_csv(
        root / "LOC_train_solution.csv", f"{TENCH}_1,{TENCH} 0 0 50 40", f"{TENCH}_2,{TENCH} 1"
    )
    ended = dkit("convert", "ilsvrc", root, "--out", tmp_path / "out", "--json")
    assert json.loads(ended.stdout)["problems"] == {
        "bad-record": 1,
        "no-annotation": 3,
        "no-box-left": 1,
    }
