"""Files that are no training log of a Darknet: what they are, in words."""

import re

from darknet_kit.errors import LogError

LOG_HINT = "Give the file that the output of `darknet detector train` was written to."
_CHART_HINT = "dkit reads logs of Darknet; that program draws its own charts."
# How files begin that are no text.
_BINARY = (
    (re.compile(rb"\xff\xd8\xff|\x89PNG|GIF8|BM.{4}\x00{4}|RIFF....WEBP", re.S), "a picture"),
    (re.compile(rb"\x00{4}[\x01\x02]\x00{3}[\x00-\x20]\x00{3}"), "a file of weights"),
    (
        re.compile(rb"PK\x03\x04.{26,99}?(?:data\.pkl|/version|/byteorder)", re.S),
        "a file of PyTorch weights",
    ),
    (re.compile(rb"PK\x03\x04|7z\xbc\xaf|Rar!|.{257}ustar", re.S), "an archive with files in it"),
    (re.compile(rb"%PDF"), "a PDF"),
    (re.compile(rb"\x7fELF|MZ.{2,400}PE\x00\x00", re.S), "a program"),
    (re.compile(rb"\x89HDF"), "an HDF5 file"),
    (re.compile(rb"SQLite format 3"), "a database"),
    (re.compile(rb".{4}ftyp|RIFF....AVI|\x1aE\xdf\xa3", re.S), "a video"),
    (re.compile(rb".{12}\x09.{8}\x1a[\x0d\x18]brain\.Event", re.S), "an event file of TensorBoard"),
)
_TEXT = (
    (rb"epoch *, *(?:time *, *)?train/", "the results.csv of Ultralytics", _CHART_HINT),
    (rb"Epoch +(?:GPU_mem|gpu_mem) ", "a log of Ultralytics' YOLO", _CHART_HINT),
    (rb"(?m)^Epoch \d+/\d+\r?$.*\n.*\bloss: ", "a log of Keras", _CHART_HINT),
    (rb"\biter: \d+ +total_loss: ", "a log of Detectron2", _CHART_HINT),
    (rb"\bEpoch(?:\(train\))? *\[\d+\]\[ *\d+/\d+\]", "a log of MMDetection", _CHART_HINT),
    (rb"iteration,loss,avg_loss,", "the table that dkit made of a log", "Give the log itself."),
    (rb"(?m)^\[(?:net|network)\]\s*$", "the cfg of a network", "dkit show draws a network."),
    (rb"(?m)^ *classes *= *\d+\s*$", "a .data file", LOG_HINT),
    (rb"(?m)\A(?:\d+(?: [\d.]+){4}\s*\n)+", "a file of labels", LOG_HINT),
    (rb"(?mi)\A(?:\S.*\.(?:jpe?g|png|bmp)\r?\n)+", "a list of images", LOG_HINT),
    (rb"\A\s*<(?:!DOCTYPE html|html)", "a web page", "Save the log itself, as text."),
    (rb"\A\s*<(?:\?xml|annotation)", "XML", LOG_HINT),
    (rb"(?m)^Enter Image Path: |: Predicted in ", "what `detector test` prints", LOG_HINT),
    (rb"\A\s*[{[]", "JSON", LOG_HINT),
)
_TOLD = tuple((re.compile(pattern), what, hint) for pattern, what, hint in _TEXT)


def refuse_binary(head: bytes, path: str) -> None:
    """Raise LogError (`not-a-log`) where the beginning of a file tells that it is no text."""
    for form, what in _BINARY:
        if form.match(head):
            raise LogError(
                f"this is {what}, not a training log", code="not-a-log", hint=LOG_HINT, path=path
            )


def recognise(head: bytes, path: str) -> LogError | None:
    """Return the error for a text that another program wrote, if it is of a known kind."""
    for form, what, hint in _TOLD:
        if form.search(head):
            message = f"this is {what}, not the log of a Darknet training"
            return LogError(message, code="not-a-log", hint=hint, path=path)
    return None
