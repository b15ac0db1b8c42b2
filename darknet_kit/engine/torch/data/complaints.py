"""What a training's log says of image and label files that cannot be used.

The lines begin as AlexeyAB's do (`src/image_opencv.cpp`, `load_image_mat_cv`; `src/data.c`,
`read_boxes` and `fill_truth_detection`), so that formats/logline counts them as the same thing.
"""

from darknet_kit.core.problems import Problem

_BEGINNINGS = {
    "unreadable-image": "Cannot load image",
    "missing-label": "Can't open label file of",
    "unsupported-image": "Can't open label file of",
}


def format_problem(problem: Problem) -> str:
    """Return the line of the log for a problem of the loader, with its line end."""
    where = f"{problem.path}:{problem.line}" if problem.line else problem.path
    beginning = _BEGINNINGS.get(problem.code, "Wrong annotation:")
    # Paths may hold bytes that are no UTF-8; a line of the log cannot.
    line = f"{beginning} {where}: {problem.message}\n"
    return line.encode("utf-8", "backslashreplace").decode("utf-8")
