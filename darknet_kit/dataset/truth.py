"""What is on an image, in its own pixels."""

from darknet_kit.core.boxes import Box, box_from_cxcywh_norm
from darknet_kit.dataset.reading import LabelledImage
from darknet_kit.formats.image import read_image_header


def list_truths(image: LabelledImage) -> list[tuple[int, Box]]:
    """Return the class_id and the box of each label, in pixels of the image as stored.

    Raises ImageError where the image has no header that can be read.
    """
    header = read_image_header(image.image)
    return [
        (
            label.class_id,
            box_from_cxcywh_norm(
                label.cx, label.cy, label.width, label.height, header.width, header.height
            ),
        )
        for label in image.labels or ()
    ]
