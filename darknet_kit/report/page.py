"""Pages from the templates that lie beside this file. Whatever is no markup is escaped."""

import functools
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from darknet_kit.report.lettering import escape_controls

_FOLDER = Path(__file__).parent


def render_page(template: str, **values: Any) -> str:
    """Return a template, such as `run.html`, with its values filled in.

    Texts are escaped, control characters shown as such; only `Markup` passes as it is.
    """
    return _environment().get_template(template).render(**values)


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _finalize(value: Any) -> Any:
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return "\n".join(map(escape_controls, value.split("\n"))) if is_text else value


def inline_svg(picture: bytes) -> Markup:
    """Return an SVG file as a part of a page: what it draws, without the file's heading."""
    text = picture.decode()
    return Markup(text[text.index("<svg") :])  # noqa: S704: our own drawing
