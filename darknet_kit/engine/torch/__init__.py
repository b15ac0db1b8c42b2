"""The embedded engine: trains and evaluates any Darknet `.cfg` in PyTorch.

`python -m darknet_kit.engine.torch detector train|valid|map|test ...` takes Darknet's command line
and prints Darknet's log. Its reference is AlexeyAB's darknet with cuDNN in single precision, the
one of that program's four back-ends that agrees with itself.
"""

import os

# A small file can unpack to gigabytes. OpenCV reads its limit, in pixels, when it is loaded.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 28))
