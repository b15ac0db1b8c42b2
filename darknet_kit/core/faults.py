"""What a check can find in a data set: the table of codes, with what each does and its cure.

A finding is a mistake that stays where it is; a `core.problems.Problem` is what a conversion did
about one. Both use the same code for the same mistake. How engines take each of these was read in
their sources, and most of it was seen in their output.
"""

from dataclasses import dataclass
from enum import IntEnum

from darknet_kit.core.flavor import Flavor


class Level(IntEnum):
    """How much of a run a finding would waste."""

    NOTE = 1  # good to know
    WARNING = 2  # a run is likely to disappoint, or fails with another engine
    ERROR = 3  # a run ends early, or learns something wrong

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the table: how bad it is, what it does to a training, what to do about it.

    To the flavours in `fatal` it is an error, whatever it is to the others.
    """

    level: Level
    meaning: str
    cure: str
    fatal: tuple[Flavor, ...] = ()


_ERROR, _WARNING, _NOTE = Level.ERROR, Level.WARNING, Level.NOTE
_RECONVERT = "Convert again, or correct the label file."

FAULTS: dict[str, Fault] = {
    # the .data file
    "missing-file": Fault(
        _ERROR,
        "a file that .data needs is not there: engines end when they come to it",
        "Name it by its full path, or convert again.",
    ),
    "cannot-read": Fault(
        _ERROR, "a file that cannot be read", "It must be a plain file that you may read."
    ),
    "byte-order-mark": Fault(
        _ERROR,
        "a byte order mark, which engines take for part of the first line",
        "Save it as UTF-8 without BOM: `sed -i '1s/^\\xEF\\xBB\\xBF//' FILE`.",
    ),
    "crlf": Fault(
        _WARNING,
        "lines that end as on Windows; the 2018 original finds no file that they name",
        "Convert them: `sed -i 's/\\r$//' FILE`.",
        (Flavor.ORIGINAL,),
    ),
    "bad-value": Fault(
        _WARNING,
        "a value with blanks, quotes or a comment: Darknet drops blanks and keeps the rest",
        "Write the path alone, without blanks in it; a comment needs its own line.",
    ),
    "unknown-key": Fault(_WARNING, "a key that no engine reads", "Correct or remove it."),
    "duplicate-key": Fault(_WARNING, "a key that is there twice: the first counts", "Remove one."),
    "relative-path": Fault(
        _WARNING,
        "a relative path: engines start at the folder that they run in",
        "Write full paths; in a folder with blanks in its path, which Darknet drops, start the "
        "engine there instead. `dkit train` needs neither.",
    ),
    "no-valid": Fault(
        _WARNING,
        "nothing to validate on: no mAP; without a list AlexeyAB's -map scores the training images",
        "Keep images out of training: `dkit convert --valid-fraction 0.1`.",
    ),
    "valid-is-train": Fault(
        _WARNING,
        "valid and train are one list: mAP shows what was learned by heart",
        "Keep images out of training: `dkit convert --valid-fraction 0.1`.",
    ),
    "no-backup": Fault(
        _ERROR,
        "no folder for weights: an engine ends when it first saves, and all is lost",
        "Make the folder that `backup =` names. `dkit train` brings its own.",
    ),
    "little-space": Fault(
        _WARNING,
        "little space for weights; Darknet does not tell that a disk is full",
        "Free some space, or let `backup =` name another disk.",
    ),
    "classes-differ": Fault(
        _ERROR,
        "classes = is not the number of names: mAP refuses the set",
        "Make the two agree; blank lines in the .names file count as classes.",
    ),
    "difficult-list": Fault(
        _ERROR,
        "the list `difficult` is not as long as `valid`: AlexeyAB's map would read beyond its end",
        "It has one line for each of valid's, in the same order.",
    ),
    # the .names file
    "blank-class": Fault(
        _ERROR, "a blank line among the names, which counts as a class", "Remove the blank line."
    ),
    "duplicate-class": Fault(
        _WARNING, "two classes of one name: nobody can tell them apart", "Rename one of them."
    ),
    "odd-name": Fault(
        _WARNING,
        "a class name that breaks an engine's output: JSON, or the file named after the class",
        "Keep to letters, digits, inner blanks, `-` and `_`.",
    ),
    "other-order": Fault(
        _ERROR,
        "classes in another order than where the labels were numbered: boxes get wrong names",
        "Restore the order; class_id is the line of the .names file, from 0.",
    ),
    # image lists
    "empty-list": Fault(
        _ERROR,
        "a list without an image, at which engines crash",
        "Convert again, or choose other classes or splits.",
    ),
    "blank-line": Fault(
        _WARNING,
        "a blank line in an image list, at which the original and hank-ai's end",
        "Remove it: `sed -i '/^\\s*$/d' FILE`.",
        (Flavor.ORIGINAL, Flavor.HANK_AI),
    ),
    "blank-at-end": Fault(
        _ERROR,
        "blanks before or after a path: engines look for an image of that name",
        "Remove them: `sed -i 's/^[ \\t]*//;s/[ \\t]*$//' FILE`.",
    ),
    "bad-line": Fault(
        _ERROR, "a line that can be no path", "An image list has the path of one image a line."
    ),
    "unsafe-path": Fault(
        _ERROR,
        "a path that AlexeyAB's hands to a shell when it dislikes the label, or mangles",
        "Rename it, or make a view with safe names: `dkit convert --out DIR`.",
    ),
    "long-path": Fault(
        _NOTE,
        "a path beyond 160 bytes: AlexeyAB's overflows when it dislikes its label",
        "Move the data to a shorter path.",
    ),
    "duplicate-image": Fault(
        _WARNING, "an image that is in a list twice, and counts twice", "Remove one of the lines."
    ),
    "same-content": Fault(
        _WARNING,
        "two files with the same content in one list: the picture counts twice",
        "Remove one; look at both labels first.",
    ),
    "leaked-image": Fault(
        _ERROR,
        "a training image is also validated on: mAP shows what was learned by heart",
        "Keep it in one of the lists.",
    ),
    "lookalike": Fault(
        _WARNING,
        "a validation image that looks like a training image: saved anew, scaled, or a next frame",
        "Look at both; keep all frames of a film, all copies of a picture, in one of the lists.",
    ),
    # images
    "missing-image": Fault(
        _ERROR,
        "an image that is not there: black to some engines, the end of others",
        "Lists hold full paths; convert again where the images have moved.",
    ),
    "unreadable-image": Fault(
        _ERROR,
        "an image that cannot be read: black to some engines, a crash of others",
        "Open it in a viewer; replace it, or take it out of the list.",
    ),
    "broken-image": Fault(
        _ERROR,
        "an image whose pixels break off: engines train on a part of it, or on black",
        "Fetch it again, or take it out of the list.",
    ),
    "unsupported-image": Fault(
        _ERROR,
        "a suffix that this engine does not know: it reads the image as its own label",
        "Convert again: `dkit convert --out DIR` leaves such images out, or save them as JPEG.",
    ),
    "image-format": Fault(
        _WARNING,
        "a format that not every engine reads: with OpenCV no GIF, without it no TIFF and WebP",
        "Save it as JPEG or PNG.",
    ),
    "pixel-format": Fault(
        _NOTE,
        "more than grey or RGB of 8 bits: engines convert it, each in its own way",
        "Save it as RGB.",
    ),
    "exif-orientation": Fault(
        _WARNING,
        "an image that is stored rotated: engines with OpenCV turn it, the others do not",
        "Turn the pixels (ImageMagick: `mogrify -auto-orient FILE`), then look at its boxes.",
    ),
    "tiny-image": Fault(
        _WARNING,
        "an image of less than 32 pixels: less than one cell of the usual networks",
        "Leave it out, unless your objects look like that.",
    ),
    "large-image": Fault(
        _NOTE,
        "an image of more than 20 megapixels: decoding it keeps the GPU waiting",
        "Make it smaller beforehand: ImageMagick's `mogrify -resize 2000x2000\\> FILE`.",
    ),
    # labels
    "missing-label": Fault(
        _ERROR,
        "no label where the engine looks: AlexeyAB's learns that the image is empty, "
        "the others end",
        "Convert for this engine with --flavor; an image without objects needs an empty file.",
    ),
    "labels-behind-links": Fault(
        _WARNING,
        "hank-ai's follows links when it computes mAP, and finds no label there",
        "Train with --no-map, or convert in place: without --out, --flavor hank-ai.",
    ),
    "label-elsewhere": Fault(
        _NOTE,
        "a label that another Darknet would not find",
        "For that engine convert again: `dkit convert --out DIR` suits all.",
    ),
    "unlisted-label": Fault(
        _NOTE,
        "labels beside the others whose images are in no list: nothing is learned from them",
        "Add the images to train.txt or valid.txt, or convert again.",
    ),
    "label-columns": Fault(
        _ERROR,
        "a label line of not five numbers: engines read on across lines, all after it is wrong",
        "A line is class_id cx cy w h; remove scores, track ids and polygons.",
    ),
    "label-number": Fault(
        _ERROR,
        "a label with something that is no number: this box and all after it are lost",
        "Write decimal points, no commas; class_id is a whole number.",
    ),
    "large-label": Fault(
        _ERROR, "a label file of more than 8 MB: this cannot be the label of one image", _RECONVERT
    ),
    "class-out-of-range": Fault(
        _ERROR,
        "a class_id without a line in .names: the box is dropped, or memory overwritten",
        "class_id counts from 0; labels and .names must belong to one conversion.",
    ),
    "bad-coordinate": Fault(
        _ERROR, "a coordinate that is not finite: the box is dropped, or the loss nan", _RECONVERT
    ),
    "empty-box": Fault(
        _ERROR, "a box without width or height: dropped, or the end of hank-ai's", _RECONVERT
    ),
    "outside-box": Fault(
        _ERROR,
        "a box outside of the image: dropped, or a crash of the original",
        "Coordinates are fractions of the image, 0 to 1; pixels must be divided by its size.",
    ),
    "clipped-box": Fault(
        _WARNING,
        "a box more than a pixel beyond the image: clipped in training, but not by mAP",
        "Clip it: `dkit convert` does.",
    ),
    "small-box": Fault(
        _NOTE,
        "a box below a thousandth of the image: most engines drop it",
        "Remove it, or cut the image into tiles.",
    ),
    "duplicate-box": Fault(
        _WARNING, "the same box twice: it counts twice, and mAP misses one", "Remove one line."
    ),
    "two-classes": Fault(
        _NOTE,
        "one box with two classes: both are learned, even if one of them is a slip",
        "Leave it where the object is of both kinds; else remove the wrong line.",
    ),
    "many-boxes": Fault(
        _WARNING,
        "more boxes than a head takes by default (200; the original 90): some are left out",
        "Set max= in the heads of the cfg to the most boxes of an image.",
    ),
    "no-boxes": Fault(
        _ERROR,
        "no box in the whole list: nothing would be learned, or no mAP computed",
        "Convert for this engine: with --flavor, or with --out for all of them.",
    ),
}
