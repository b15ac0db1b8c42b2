"""Lets `python -m darknet_kit` do what `dkit` does."""

from darknet_kit.cli.start import run

run()
