"""darknet-kit: from a folder of annotated images to a trained Darknet network."""

__version__ = "0.1.0"
