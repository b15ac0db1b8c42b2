"""Which image a line of problems.csv is about.

It names an image, a label file, an annotation, a line of an image list, or a JSON file that holds
many; images may be listed under another name, as links in a view, or be left out of every list.
"""

import contextlib
import itertools
import operator
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from darknet_kit.core.problems import Problem, iter_problems
from darknet_kit.core.records import SPLITS, stem_of
from darknet_kit.dataset.reading import Dataset
from darknet_kit.dataset.sample import Candidate, Drawn, iter_candidates
from darknet_kit.errors import AnyPath, UsageError
from darknet_kit.formats.datafile import iter_image_lines
from darknet_kit.formats.foldernames import place_of
from darknet_kit.formats.image import IMAGE_SUFFIXES, is_image

_IMAGE_NAME = re.compile(
    rf"[^\s'\":,]+(?:{'|'.join(map(re.escape, sorted(IMAGE_SUFFIXES)))})\b", re.IGNORECASE
)
_WITHOUT_IMAGE = frozenset(("missing-image", "missing-in-tree", "unknown-image"))


def find_problem_images(dataset: Dataset, path: AnyPath, codes: Sequence[str]) -> list[Candidate]:
    """Return every image that a problems.csv names, with one of `codes` or, without, with any.

    One that no list names comes with its own path; where there is no image at all, with the path
    that the problem names. Raises DatasetError, UsageError (`no-such-problem`).
    """
    counts: Counter[str] = Counter()
    said = []
    for problem in iter_problems(path):
        counts[problem.code] += 1
        if not codes or problem.code in codes:
            said.append(problem)
    if not said:
        raise _no_such_problem(path, codes, counts)
    stems = {stem for problem in said for stem in _stems(problem)}
    listed = _Listed(iter_candidates(dataset, SPLITS), stems)
    lines = _find_lines(dataset, said)
    found: dict[tuple[Candidate, str], list[Problem]] = defaultdict(list)
    for problem in said:
        line = (os.path.abspath(problem.path), problem.line)
        one = lines.get(line) or listed.find(problem) or Candidate(_unlisted(problem), "")
        # A JSON file may speak of thousands of images that are not there: each is one of its own.
        found[one, "" if is_image(one.image) else problem.message].append(problem)
    return [replace(one, problems=tuple(problems)) for (one, _), problems in found.items()]


def _no_such_problem(path: AnyPath, codes: Sequence[str], counts: Counter[str]) -> UsageError:
    there = ", ".join(f"{code} {count:,}" for code, count in counts.most_common())
    return UsageError(
        f"no problem here has the code {' or '.join(codes)}" if there else "no problem is listed",
        code="no-such-problem",
        hint=f"There are: {there}." if there else "Without --problem all images can be shown.",
        path=path,
    )


def _find_lines(dataset: Dataset, said: Sequence[Problem]) -> dict[tuple[str, int], Candidate]:
    """Return the images in those lines of image lists of which something is said."""
    wanted = {(os.path.abspath(problem.path), problem.line) for problem in said if problem.line}
    files = {path for path, _ in wanted}
    found: dict[tuple[str, int], Candidate] = {}
    for split in SPLITS:
        path = os.path.abspath(dataset.image_list(split) or "")
        for number, image in iter_image_lines(path) if path in files else ():
            if (path, number) in wanted:
                found.setdefault((path, number), Candidate(image, split))
    return found


def attach_problems(images: Sequence[Drawn], problems: Iterable[Problem]) -> list[Drawn]:
    """Return the same images, each with what problems say of it. Holds no other problems."""
    candidates = [drawn.candidate for drawn in images]
    stems = {_stem(path) for one in candidates for path in (one.image, _original(one.image))}
    listed = _Listed(candidates, stems)
    said: dict[str, tuple[Problem, ...]] = defaultdict(tuple)
    for problem in problems:
        if stems.intersection(_stems(problem)) and (one := listed.find(problem)):
            said[one.image] += (problem,)
    return [
        Drawn(replace(drawn.candidate, problems=said[drawn.candidate.image]), drawn.labels)
        for drawn in images
    ]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A listed image, and the path of the file itself where the listed one is a link to it."""

    candidate: Candidate
    original: str


class _Listed:
    """Listed images by stem, both their own and that of what they link to."""

    def __init__(self, candidates: Iterable[Candidate], stems: set[str]) -> None:
        self._entries: dict[str, list[_Entry]] = defaultdict(list)
        for candidate in candidates:
            original = _original(candidate.image)
            for stem in {_stem(candidate.image), _stem(original)} & stems:
                self._entries[stem].append(_Entry(candidate, original))

    def find(self, problem: Problem) -> Candidate | None:
        """Return the image that a problem is about, if a list names it."""
        if problem.code in _WITHOUT_IMAGE:
            return None
        entries = self._entries.get(_stem(problem.path), ())
        if is_image(problem.path):
            same = (one for one in entries if problem.path in (one.candidate.image, one.original))
            return next((one.candidate for one in same), None)
        if entries:
            return _nearest(entries, problem.path)
        named = (
            one
            for name in _names_in(problem.message)
            for one in self._entries.get(_stem(name), ())
            if f"/{one.original}".endswith(f"/{name}")
        )
        return next((one.candidate for one in named), None)


def _nearest(entries: Sequence[_Entry], path: str) -> Candidate | None:
    """Return the image whose folders are most like those of an annotation; None if several are."""
    ranked = sorted(
        ((_kinship(one.original, path), one) for one in entries), key=operator.itemgetter(0)
    )
    if len(ranked) > 1 and ranked[-1][0] == ranked[-2][0]:
        return None
    return ranked[-1][1].candidate


def _kinship(one: str, other: str) -> int:
    """Count the folders that two files share, from the file upwards; `Annotations` and such are
    passed over."""
    folders = (reversed(place_of(os.path.dirname(path))) for path in (one, other))
    return sum(1 for _ in itertools.takewhile(bool, map(operator.eq, *folders)))


def _unlisted(problem: Problem) -> str:
    if problem.code in _WITHOUT_IMAGE or is_image(problem.path):
        return problem.path
    return _image_beside(problem.path) or problem.path


def _image_beside(annotation: str) -> str | None:
    """Return the image of an annotation that no list names: beside it, or where its kind lies."""
    folder, name = os.path.split(annotation)
    suffixes = sorted(IMAGE_SUFFIXES)
    for place in _image_folders(folder):
        for suffix in (*suffixes, *map(str.upper, suffixes)):
            path = os.path.join(place, stem_of(name) + suffix)
            if os.path.isfile(path):
                return path
    return None


def _image_folders(folder: str) -> Iterator[str]:
    """Yield a folder and those that differ from it by `JPEGImages` for `Annotations` and such."""
    yield folder
    parts = folder.split("/")
    for number, part in enumerate(parts):
        if part and not place_of(part):
            above = "/".join(parts[:number])
            with contextlib.suppress(OSError):
                for name in sorted(os.listdir(above or "/")):
                    if name != part and not place_of(name):
                        yield "/".join((above, name, *parts[number + 1 :]))


def _original(image: str) -> str:
    """Return what a link leads to, itself where it is none; one step, as dkit links."""
    try:
        return os.path.join(os.path.dirname(image), os.readlink(image))
    except OSError:
        return image


def _stem(path: str) -> str:
    return stem_of(os.path.basename(path))


def _stems(problem: Problem) -> Iterator[str]:
    yield _stem(problem.path)
    if problem.path.lower().endswith(".json"):
        yield from map(_stem, _names_in(problem.message))


def _names_in(message: str) -> list[str]:
    return _IMAGE_NAME.findall(message)
