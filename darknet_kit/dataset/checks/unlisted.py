"""Labels that lie beside those of a data set, and that no list leads to.

Most often somebody added images and forgot the list.
"""

import os
from collections.abc import Collection, Iterator, Sequence

from darknet_kit.core.findings import Finding, fault
from darknet_kit.core.wording import counted
from darknet_kit.dataset.checks.images import Entry
from darknet_kit.dataset.checks.labels import LabelRules, check_label_file
from darknet_kit.formats.yolo import label_path

_TRIED = 20  # files of a folder that are opened, to see whether they are labels
_NO_LABEL = frozenset(("label-columns", "label-number", "large-label", "cannot-read"))


def find_unlisted(
    lists: Collection[Sequence[Entry]], known: Collection[str], rules: LabelRules
) -> Iterator[Finding]:
    """Yield a finding for each folder of labels that holds some of no listed image.

    `known` are text files that are no labels, such as the lists themselves.
    """
    expected: dict[str, set[str]] = {}
    for entries in lists:
        for _, path in entries:
            label = label_path(path, rules.flavor)
            folder, name = os.path.split(os.path.abspath(label)) if label else ("", "")
            if name:
                expected.setdefault(folder, set()).add(name)
    others = set(map(os.path.abspath, known))
    for folder, names in expected.items():
        surplus = sorted(
            name
            for name in _text_files(folder)
            if name not in names and os.path.abspath(os.path.join(folder, name)) not in others
        )
        example = next((name for name in surplus[:_TRIED] if _is_label(folder, name, rules)), "")
        if example:
            message = f"{counted(len(surplus), 'label file')} of no listed image, as {example}"
            yield fault("unlisted-label", rules.flavor, folder, message)


def _text_files(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as found:
            return [file.name for file in found if file.name.endswith(".txt")]
    except OSError:
        return []  # labels that are missing were noted one by one


def _is_label(folder: str, name: str, rules: LabelRules) -> bool:
    label = check_label_file(os.path.join(folder, name), rules)
    return bool(label and label.boxes and not {one.code for one in label.findings} & _NO_LABEL)
