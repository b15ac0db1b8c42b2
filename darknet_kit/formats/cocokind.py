"""What a JSON file is that is no COCO instances file, so that people are told."""

import json
from typing import Any

import msgspec

from darknet_kit.errors import DatasetError

_LISTS = ("images", "annotations", "categories")
_EXPECTED = "Expected an object with the lists images, annotations and categories."
_INSTANCES = "Give the instances file; it has boxes."
_PACKED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
_BY_KEY = {
    "shapes": ("labelme's own JSON of one image", "Export the folder as COCO, with labelme2coco."),
    "_via_img_metadata": ("a project of the VGG Image Annotator", "Export it as COCO."),
    "_via_settings": ("a project of the VGG Image Annotator", "Export it as COCO."),
    "dm_format_version": ("Datumaro's own JSON", "Export it as COCO."),
}
_BY_ENTRY = {
    "caption": ("COCO captions, which have no boxes", _INSTANCES),
    "segments_info": ("COCO panoptic segmentation, whose boxes dkit does not read", _INSTANCES),
    "score": ("a list of detections (COCO results), not of annotations", _INSTANCES),
    "annotations": ("a list of images with annotations (CreateML)", "Export it as COCO or VOC."),
    "annotation": ("a list of tasks with annotations (Label Studio)", "Export it as COCO or VOC."),
}


def check_whole(body: bytes, error: Exception, path: str) -> None:
    """Raise DatasetError where decoding failed because the file ends too early, or is packed."""
    for start, name in _PACKED.items():
        if body.startswith(start):
            raise _not_coco(f"this file is packed with {name}", "Unpack it first.", path)
    if not body.strip():
        raise _not_coco("this file is empty", "Copy or export it again.", path)
    # msgspec says so of half a surrogate too.
    if str(error) == "Input data was truncated" and not body[-99:].rstrip().endswith(b"}"):
        raise _cut_off(len(body), path)


def check_kind(body: bytes, path: str) -> None:
    """Raise DatasetError where the file is a JSON of another kind that is known."""
    known = _known_kind(body)
    if known:
        raise _not_coco(f"this is {known[0]}", known[1], path)


def refusal(body: bytes, error: Exception, path: str) -> DatasetError:
    """Return what to tell of a file that could not be decoded."""
    check_kind(body, path)
    lacking = [name for name in _LISTS if name not in _keys(body)]
    if 0 < len(lacking) < len(_LISTS):
        message = f"this is no COCO instances file: it has no list of {' and no '.join(lacking)}"
        return _not_coco(message, _EXPECTED, path)
    line = None
    if isinstance(error, json.JSONDecodeError):
        if error.pos >= len(error.doc.rstrip()):
            return _cut_off(len(body), path)
        line = error.lineno
    message = f"this is no COCO instances file: {error}"
    return _not_coco(message, _EXPECTED, path, line)


def _cut_off(size: int, path: str) -> DatasetError:
    message = f"this JSON is cut off: it ends too early, after {size:,} bytes"
    return _not_coco(message, "Copy or export it again.", path)


def _not_coco(message: str, hint: str, path: str, line: int | None = None) -> DatasetError:
    return DatasetError(message, code="not-coco", hint=hint, path=path, line=line)


def _known_kind(body: bytes) -> tuple[str, str] | None:
    keys = _keys(body)
    for key, known in _BY_KEY.items():
        if key in keys:
            return known
    entry = _first_entry(body)
    return next((known for key, known in _BY_ENTRY.items() if key in entry), None)


def _keys(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError):
        return {}


def _first_entry(body: bytes) -> dict[str, Any]:
    """Return the first entry of the list that a file is, or of its annotations."""
    try:
        whole = msgspec.json.decode(body, type=dict[str, msgspec.Raw] | list[msgspec.Raw])
        listed = whole.get("annotations", b"[]") if isinstance(whole, dict) else whole
        if not isinstance(listed, list):
            listed = msgspec.json.decode(listed, type=list[msgspec.Raw])
        entry = json.loads(bytes(listed[0]))
    except (ValueError, RecursionError, LookupError):
        return {}
    return entry if isinstance(entry, dict) else {}
