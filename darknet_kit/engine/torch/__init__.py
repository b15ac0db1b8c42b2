"""The embedded engine: trains and evaluates any Darknet `.cfg` in PyTorch.

`python -m darknet_kit.engine.torch detector train|valid|map|test ...` takes Darknet's command line
and prints Darknet's log. Its reference is AlexeyAB's darknet with cuDNN in single precision, the
one of that program's four back-ends that agrees with itself.
"""
