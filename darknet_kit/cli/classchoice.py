"""`--classes` and `--map`, as the commands that choose classes share them."""

import click

classes_option = click.option(
    "--classes",
    multiple=True,
    metavar="NAMES",
    help="Only these, in this order: names or wnids with commas between, or @FILE with one a "
    "line. Can be repeated; a name that holds a comma stands alone.",
)
map_option = click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="OLD=NEW",
    help="Rename a class; classes with the same new name become one. Can be repeated; @FILE has "
    "one a line. --classes chooses from the result.",
)
