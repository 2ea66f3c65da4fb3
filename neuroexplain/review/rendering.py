"""Pages from templates, every text escaped and made visible."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse

from neuroexplain.levels import printable
from neuroexplain.review.desk import desk_of

FOLDER = Path(__file__).parent
TEMPLATES, STATIC = FOLDER / "templates", FOLDER / "static"


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page from a template.

    Args:
        request: that it answers.
        template: file in `templates`.
        status: HTTP status.
        values: for the template, beside `desk`, `reviewer` and `path`.
    """
    desk = desk_of(request)
    text = (
        environment()
        .get_template(template)
        .render(
            desk=desk,
            reviewer=request.scope["session"].reviewer,
            path=request.url.path,
            **values,
        )
    )
    return HTMLResponse(text, status_code=status)


@cache
def environment() -> jinja2.Environment:
    """Where templates come from; autoescape is on, an unknown variable is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {"visible": visible, "number": number, "share": share}
    return made


def visible(text: str) -> str:
    """A text with control, bidirectional and zero-width characters shown as escapes."""
    return printable(text)


def number(value: float | None, digits: int = 2) -> str:
    """A number with a true minus sign; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def share(value: float | None) -> str:
    """A share as a percentage."""
    return "–" if value is None else f"{100 * value:.1f} %"
