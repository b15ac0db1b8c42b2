"""A conversion in parts, each on a machine of its own: what a part leaves for the run that ends it.

A part writes the labels of some images, and into the folder of the data set a hidden file with what
came of them. A run of the whole takes from such files what it then need not do.
"""

import functools
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from darknet_kit import __version__
from darknet_kit.core.contents import open_ordinary
from darknet_kit.core.files import write_text
from darknet_kit.core.problems import Problem
from darknet_kit.core.progress import Progress
from darknet_kit.core.records import Item, Split
from darknet_kit.dataset.conversion import Conversion
from darknet_kit.dataset.place import Placement
from darknet_kit.dataset.shard import ShardResult
from darknet_kit.errors import UsageError

Results = list[tuple[Split, ShardResult]]
Run = Callable[..., Iterator[tuple[Split, ShardResult]]]
"""Called with a placement and `progress`; writes its labels, yields what came of each shard."""

_KEPT = re.compile(r"\.conversion-([1-9][0-9]{0,4})-of-([1-9][0-9]{0,4})\.json")
_MOST = 99_999  # parts; as many machines nobody has


@dataclass(frozen=True, slots=True)
class Part:
    """One of so many parts of the images; `number` counts from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def parse_part(text: str) -> Part:
    """Read `2/8`. Raises UsageError (`bad-shard`)."""
    number, _, of = text.partition("/")
    if number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of) <= _MOST:
        return Part(int(number), int(of))
    raise UsageError(
        f"{text!r} is no part of a whole",
        code="bad-shard",
        hint="--shard 2/8 is the second of eight parts; --shard 1/8 is the first.",
    )


def cut(items: Mapping[Split, Sequence[Item]], part: Part) -> dict[Split, list[Item]]:
    """Return one part of each list; all parts, one behind the other, are the lists again."""
    return {
        split: [
            *some[(part.number - 1) * len(some) // part.of : part.number * len(some) // part.of]
        ]
        for split, some in items.items()
    }


@dataclass(frozen=True, slots=True)
class Kept:
    """What parts left in the folder of a data set that is made with certain `settings`."""

    folder: str
    settings: Mapping[str, Any]

    def keep(self, part: Part, items: Mapping[Split, Sequence[Item]], results: Results) -> None:
        """Write what came of a part. Raises WriteError."""
        document = {
            "of": self._digest(items),
            "results": [(split, _plain(result)) for split, result in results],
        }
        write_text(self._path(part), json.dumps(document))

    def take(self, part: Part, items: Mapping[Split, Sequence[Item]]) -> Results | None:
        """Return what came of a part, None where nothing was kept of just these images."""
        try:
            with open(open_ordinary(self._path(part)), "rb") as stream:
                document = json.load(stream)
            if document["of"] != self._digest(items):
                return None
            return [(split, _restore(result)) for split, result in document["results"]]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def parts(self) -> list[Part]:
        """Return the parts of which the most are there, all of them; one where none is."""
        counts = Counter(of for _, of in self._there())
        of = max(counts, key=lambda of: (counts[of], of), default=1)
        return [Part(number, of) for number in range(1, of + 1)]

    def remove(self) -> None:
        """Remove what parts left."""
        for number, of in self._there():
            os.unlink(self._path(Part(number, of)))

    def _there(self) -> list[tuple[int, int]]:
        if not os.path.isdir(self.folder):
            return []
        with os.scandir(self.folder) as entries:
            names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
        return [(int(found[1]), int(found[2])) for found in map(_KEPT.fullmatch, names) if found]

    def _path(self, part: Part) -> str:
        return os.path.join(self.folder, f".conversion-{part.number}-of-{part.of}.json")

    def _digest(self, items: Mapping[Split, Iterable[Item]]) -> str:
        """Return what tells these images, converted so, from any others."""
        digest = hashlib.sha256(json.dumps([__version__, self.settings]).encode())
        for split, some in items.items():
            lines = (f"{item.image}\n{item.annotation}\n" for item in some)
            digest.update(f"{split}\n{''.join(lines)}".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def convert_part(
    part: Part,
    conversion: Conversion,
    placement: Placement,
    kept: Kept,
    run: Run,
    progress: Progress,
) -> Conversion:
    """Write the labels of one part, and keep what came of them. Raises WriteError."""
    items = cut(placement.items, part)
    results = list(run(replace(placement, items=items), progress=progress))
    for split, result in results:
        conversion.add(split, result)
        conversion.problems.update(problem.code for problem in result.problems)
    kept.keep(part, items, results)
    return conversion


def run_parts(
    placement: Placement, kept: Kept, run: Run, progress: Progress
) -> Iterator[tuple[Split, ShardResult]]:
    """Yield what came of each shard: what parts have kept, and what is done here for the rest."""
    before, total = 0, sum(map(len, placement.items.values()))
    for part in kept.parts():
        items = cut(placement.items, part)
        results = kept.take(part, items)
        if results is None:
            tell = functools.partial(_tell_on, progress, before, total)
            yield from run(replace(placement, items=items), progress=tell)
        else:
            yield from results
        before += sum(map(len, items.values()))
        progress(before, total)


def _tell_on(progress: Progress, before: int, total: int, done: int, _: int) -> None:
    progress(before + done, total)


def _plain(result: ShardResult) -> dict[str, Any]:
    """Return a result as JSON can hold it."""
    values = {one.name: getattr(result, one.name) for one in fields(result)}
    return {**values, "problems": [asdict(problem) for problem in result.problems]}


def _restore(result: dict[str, Any]) -> ShardResult:
    """Return a result as it was before JSON, which knows no other keys than text."""
    boxes = Counter({int(class_id): count for class_id, count in result.pop("boxes").items()})
    problems = [Problem(**problem) for problem in result.pop("problems")]
    excluded = Counter(result.pop("excluded"))
    return ShardResult(boxes=boxes, excluded=excluded, problems=problems, **result)
