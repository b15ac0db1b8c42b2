"""From predictions to the boxes of an image, and what `detector valid` and `test` write of them."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
import numpy as np
import torch

from darknet_kit.engine.torch.data.inputs import letterbox_size
from darknet_kit.engine.torch.detection.detections import (
    Detections,
    collect_detections,
    pixel_edges,
)
from darknet_kit.engine.torch.detection.observation import Observation
from darknet_kit.engine.torch.detection.testing import (
    format_found,
    format_found_labels,
    format_json,
)
from darknet_kit.engine.torch.detection.validation import (
    coco_image_id,
    format_coco,
    image_name,
    write_voc,
)
from darknet_kit.engine.torch.heads.head import Predictions


def predictions(rows: list[list[float]]) -> Predictions:
    """One image; each row is cx, cy, w, h, objectness and the scores."""
    table = torch.tensor([rows])
    return Predictions(table[..., :4], table[..., 4], table[..., 5:])


def test_detections_come_head_by_head_above_the_threshold() -> None:
    first = predictions(
        [
            [0.1, 0.1, 0.2, 0.2, 0.9, 0.5, 0.25],
            [0.2, 0.1, 0.2, 0.2, 0.9, 0.25, 0.2],
            [0.3, 0.1, 0.2, 0.2, 0.25, 0.5, 0.5],
            [0.4, 0.1, 0.2, 0.2, float("nan"), 0.5, 0.5],
            [0.5, 0.1, 0.2, 0.2, 0.9, float("nan"), 0.5],
        ]
    )
    second = predictions([[0.6, 0.1, 0.2, 0.2, 0.3, 0.0, 0.26]])
    (found,) = collect_detections([first, second], 0.25)
    np.testing.assert_allclose(found.boxes[:, 0], [0.1, 0.5, 0.6])
    np.testing.assert_allclose(found.scores, [[0.5, 0], [0, 0.5], [0, 0.26]])


def test_images_of_a_batch_stay_apart() -> None:
    one = predictions([[0.125, 0.1, 0.2, 0.2, 0.9, 0.5], [0.2, 0.1, 0.2, 0.2, 0.1, 0.5]])
    other = predictions([[0.3, 0.1, 0.2, 0.2, 0.1, 0.5], [0.5, 0.1, 0.2, 0.2, 0.9, 0.5]])
    both = Predictions(
        torch.cat((one.boxes, other.boxes)),
        torch.cat((one.objectness, other.objectness)),
        torch.cat((one.scores, other.scores)),
    )
    found = collect_detections([both], 0.25)
    assert [image.boxes[:, 0].tolist() for image in found] == [[0.125], [0.5]]


@pytest.mark.parametrize(
    ("image", "net", "inner"),
    [
        ((640, 480), (416, 416), (416, 312)),
        ((480, 640), (416, 416), (312, 416)),
        ((333, 500), (416, 416), (277, 416)),
        ((100, 100), (608, 320), (320, 320)),
        ((5000, 1), (32, 32), (32, 1)),
    ],
)
def test_a_letterbox_is_as_large_as_it_can_be(
    image: tuple[int, int], net: tuple[int, int], inner: tuple[int, int]
) -> None:
    assert letterbox_size(image, net) == inner


def test_letterboxed_boxes_are_fractions_of_the_image() -> None:
    # 640 x 480 lies in 416 x 416 as 416 x 312, 52 pixels below the top: its upper left quarter.
    head = predictions([[0.25, (52 + 78) / 416, 0.5, 156 / 416, 0.9, 0.8]])
    (found,) = collect_detections([head], 0.25, [((640, 480), (416, 416))])
    np.testing.assert_allclose(found.boxes, [[0.25, 0.25, 0.5, 0.5]], rtol=1e-6)


def test_edges_in_pixels_end_at_the_image() -> None:
    boxes = np.array([[0.5, 0.5, 0.5, 0.5], [0.1, 0.9, 0.4, 0.4]], np.float32)
    np.testing.assert_allclose(
        pixel_edges(boxes, (200, 100)), [[50, 25, 150, 75], [0, 70, 60, 100]], rtol=1e-6
    )
    np.testing.assert_allclose(
        pixel_edges(boxes, (200, 100), first=1), [[51, 26, 151, 76], [1, 71, 61, 100]], rtol=1e-6
    )


def see(path: str, rows: list[list[float]]) -> Observation:
    """An image of 200 x 100 pixels; each row is cx, cy, w, h and the scores."""
    table = np.array(rows, np.float32)
    return Observation(path, (200, 100), Detections(table[:, :4], table[:, 4:]), 0.01)


SEEN = see(
    "a/b.c/COCO_val2014_000000000042.x.jpg",
    [[0.75, 0.5, 0.25, 0.5, 0.5, 0.25], [0.25, 0.5, 0.5, 0.5, 0.0, 0.875]],
)


def test_voc_lines_count_pixels_from_one(tmp_path: Path) -> None:
    files = [tmp_path / "0", tmp_path / "1"]
    with files[0].open("w") as first, files[1].open("w") as second:
        write_voc([first, second], SEEN)
    name = "COCO_val2014_000000000042"
    right = "126.000000 26.000000 176.000000 76.000000"
    left = "1.000000 26.000000 101.000000 76.000000"
    assert files[0].read_text() == f"{name} 0.500000 {right}\n"
    assert files[1].read_text() == f"{name} 0.250000 {right}\n{name} 0.875000 {left}\n"


@pytest.mark.parametrize(("classes", "category"), [(80, 13), (12, 12)])
def test_coco_objects_count_pixels_from_zero(classes: int, category: int) -> None:
    scores = [0.0] * classes
    scores[11] = 0.5
    (line,) = format_coco(see("000000000042.jpg", [[0.1, 0.5, 0.5, 0.5, *scores]]), classes)
    assert json.loads(line) == {
        "image_id": 42,
        "category_id": category,
        "bbox": [0, 25, 70, 50],
        "score": 0.5,
    }


@pytest.mark.parametrize(
    ("path", "name", "number"),
    [
        ("/x/000000000042.jpg", "000000000042", 42),
        ("/x/COCO_val2014_000000000042.jpg", "COCO_val2014_000000000042", 42),
        ("a.b/c.d.png", "c", 0),
        ("7", "7", 7),
    ],
)
def test_images_are_called_by_their_files(path: str, name: str, number: int) -> None:
    assert (image_name(path), coco_image_id(path)) == (name, number)


def test_json_is_darknets_and_stays_json_whatever_names_hold() -> None:
    names = ['a "quoted" one', "dont_show this"]
    text = format_json(SEEN, names, 3)
    assert json.loads(text) == {
        "frame_id": 3,
        "filename": "a/b.c/COCO_val2014_000000000042.x.jpg",
        "objects": [
            {
                "class_id": 0,
                "name": 'a "quoted" one',
                "relative_coordinates": {
                    "center_x": 0.75,
                    "center_y": 0.5,
                    "width": 0.25,
                    "height": 0.5,
                },
                "confidence": 0.5,
            }
        ],
    }


def test_text_runs_from_left_to_right_best_class_first() -> None:
    assert format_found(SEEN, ["cat", "dog"], 0.2) == "dog: 88%\ncat: 50%\ndog: 25%\n"
    assert format_found(SEEN, ["cat", "dont_show"], 0.3) == "cat: 50%\n"


def test_places_are_rounded_away_from_zero() -> None:
    # -12.5 pixels from the left, and half of 25 high.
    seen = see("x", [[0.0, 0.5, 0.125, 0.125, 0.5]])
    place = "(left_x:  -13   top_y:   44   width:   25   height:   13)"
    assert format_found(seen, ["cat"], 0.2, ext_output=True) == f"cat: 50%\t{place}\n"


def test_labels_have_the_best_class_of_each_box() -> None:
    expected = "0 0.7500 0.5000 0.2500 0.5000\n1 0.2500 0.5000 0.5000 0.5000\n"
    assert format_found_labels(SEEN.detections) == expected
