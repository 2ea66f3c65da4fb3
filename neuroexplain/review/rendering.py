"""Pages from templates, every text escaped and made visible."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup, escape

from neuroexplain.heat import Run
from neuroexplain.levels import printable
from neuroexplain.review.desk import desk_of

FOLDER = Path(__file__).parent
TEMPLATES, STATIC = FOLDER / "templates", FOLDER / "static"

_LONG = 1000
"""Characters of a word from which on it is broken."""
_BREAK = 100
_WORDS = re.compile(rf"(\S{{{_LONG},}})")


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
    made.filters |= {"visible": visible, "number": number, "share": share, "heated": heated}
    made.filters |= {"lines": lines, "breakable": breakable}
    return made


def visible(text: str) -> str:
    """A text with control, bidirectional and zero-width characters shown as escapes."""
    return breakable(printable(text))


def breakable(text: str) -> str:
    """A text with places to break very long words at: a browser takes ten seconds to lay one of 100 kB out."""
    if len(text) < _LONG:
        return text
    words = _WORDS.split(text)  # at odd places the long ones
    for i in range(1, len(words), 2):
        word = words[i]
        words[i] = Markup("<wbr>").join(word[n : n + _BREAK] for n in range(0, len(word), _BREAK))
    return Markup("").join(words)


def lines(text: str) -> str:
    """The same for a text of several lines, which stay lines."""
    return breakable("\n".join(map(printable, text.split("\n"))))


def heated(runs: Sequence[Run]) -> Markup:
    """Runs as spans of the classes `h1` to `h20` and `peak`: made here, for a page has thousands of them."""
    return Markup(
        "".join(
            _escaped(text)
            if heat == 0
            else f'<span class="h{heat}{" peak" if peak else ""}">{_escaped(text)}</span>'
            for text, heat, peak in runs
        )
    )


def _escaped(text: str) -> str:
    return html.escape(text) if len(text) < _LONG else escape(breakable(text))


def number(value: float | None, digits: int = 2) -> str:
    """A number with a true minus sign, none on what rounds to 0; a dash where there is no number."""
    return "–" if value is None else f"{value:z.{digits}f}".replace("-", "−")


def share(value: float | None) -> str:
    """A share as a percentage."""
    return "–" if value is None else f"{100 * value:.1f} %"
