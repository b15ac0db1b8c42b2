"""LOC_train_solution.csv and LOC_val_solution.csv: ILSVRC's boxes as Kaggle gives them out.

    ImageId,PredictionString
    ILSVRC2012_val_00037956,n03481172 131 0 499 254

For each object a wnid, xmin, ymin, xmax, ymax: the numbers of the XML files, edges in pixels from
0 (they run from 0 to 499 in images 500 pixels wide). The size of the image is not stated.
"""

import csv
import os
import re
from collections.abc import Iterator, Sequence

from darknet_kit.core.boxes import BoxConvention, box_from_pascal, is_finite
from darknet_kit.core.contents import open_ordinary
from darknet_kit.core.problems import Problem
from darknet_kit.core.records import Annotation, LabelledObject, stem_of
from darknet_kit.errors import AnyPath, DatasetError
from darknet_kit.formats.datafile import unreadable_file
from darknet_kit.formats.image import is_image

SOLUTION = re.compile(r"LOC_\w+_solution\.csv")
_HEADER = ["ImageId", "PredictionString"]
_TOKENS = 5  # an object


def iter_solution(path: AnyPath) -> Iterator[tuple[str, Annotation]]:
    """Yield the stem of each image and its annotation, which knows no size.

    A row that does not fit is an annotation with a problem. Raises DatasetError (`not-a-solution`,
    `no-boxes`, `cannot-read`).
    """
    boxes = rows = 0
    try:
        file = open_ordinary(path)
        with open(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            reader = csv.reader(stream)
            if [cell.strip() for cell in next(reader, [])] != _HEADER:
                raise _not_a_solution(path)
            for row in reader:
                if row:
                    stem, annotation = _parse_row(row, os.fspath(path), reader.line_num)
                    boxes += len(annotation.objects)
                    rows += 1
                    yield stem, annotation
    except OSError as error:
        raise unreadable_file(path, "a solution file of ILSVRC", error) from error
    except csv.Error as error:
        raise _not_a_solution(path) from error
    if not boxes:
        raise DatasetError(
            f"none of the {rows:,} rows has a box: this copy holds classes alone",
            code="no-boxes",
            hint="Take Kaggle's own file, whose rows are `ImageId,wnid xmin ymin xmax ymax …`.",
            path=path,
        )


def _not_a_solution(path: AnyPath) -> DatasetError:
    return DatasetError(
        f"this is no solution file of ILSVRC: its first row is not {','.join(_HEADER)}",
        code="not-a-solution",
        hint="Take Kaggle's own LOC_train_solution.csv and LOC_val_solution.csv.",
        path=path,
    )


def _parse_row(row: Sequence[str], path: str, line: int) -> tuple[str, Annotation]:
    name = os.path.basename(row[0].strip())
    tokens = row[1].split() if len(row) > 1 else []
    objects: list[LabelledObject] = []
    problems: list[Problem] = []
    for start in range(0, len(tokens), _TOKENS):
        parsed = _parse_object(tokens[start : start + _TOKENS], line)
        if parsed is None:
            message = f"expected a wnid and four numbers: {' '.join(tokens[start:])!r:.60}"
            problems.append(Problem("bad-record", path, message, line))
            break  # what follows may be shifted
        objects.append(parsed)
    annotation = Annotation(tuple(objects), problems=tuple(problems), states_size=False)
    return stem_of(name) if is_image(name) else name, annotation


def _parse_object(tokens: Sequence[str], line: int) -> LabelledObject | None:
    try:
        wnid, xmin, ymin, xmax, ymax = tokens
        numbers = float(xmin), float(ymin), float(xmax), float(ymax)
    except ValueError:
        return None
    box = box_from_pascal(*numbers, BoxConvention.PLAIN)
    return LabelledObject(wnid, box, line) if is_finite(box) else None
