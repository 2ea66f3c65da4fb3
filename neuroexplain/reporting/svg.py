"""A plot within a page: scalable, in the page's own colours, with a name for who cannot see it."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from neuroexplain.reporting.drawing import FAINT, FLOOR, INK, NULL, PAPER, SCORE
from neuroexplain.reporting.plots import Plot

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_LINK = f"{{{_XLINK}}}href"
# Names of SVG without a prefix: a page's parser knows them without being told.
ElementTree.register_namespace("", _SVG)
ElementTree.register_namespace("xlink", _XLINK)
_COLOURS = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    SCORE: "var(--score)",
    NULL: "var(--null)",
    FLOOR: "var(--floor)",
    PAPER: "none",
}
_FONT = re.compile(r"font: (.*?px).*?(?=;|$)")


def inline(plot: Plot, drawn: bytes) -> str:
    """The plot, drawn as SVG, as an element of an HTML page; its ids are like those of no other plot."""
    root = ElementTree.fromstring(drawn)
    for part in root.iter():
        _adapt(part, plot.name)
    for unwanted in (*root.findall(f"{{{_SVG}}}metadata"), *root.findall(f"{{{_SVG}}}defs")):
        if unwanted.tag.endswith("metadata") or unwanted.find(f"{{{_SVG}}}style") is not None:
            root.remove(unwanted)  # the style sheet would be that of the whole page
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    title, described = (ElementTree.Element(f"{{{_SVG}}}{tag}") for tag in ("title", "desc"))
    title.text, described.text = f"{plot.scorer}: {plot.title}", plot.describes
    title.set("id", f"{plot.name}-title")
    described.set("id", f"{plot.name}-desc")
    root[:0] = [title, described]
    root.set("role", "img")
    root.set("aria-labelledby", f"{plot.name}-title")
    root.set("aria-describedby", f"{plot.name}-desc")
    return ElementTree.tostring(root, encoding="unicode")


def _adapt(part: ElementTree.Element, name: str) -> None:
    if "id" in part.attrib:
        part.set("id", f"{name}-{part.attrib['id']}")
    for key, value in part.attrib.items():
        if key == _LINK and value.startswith("#"):
            value = f"#{name}-{value[1:]}"
        elif key == "style":
            value = _FONT.sub(r"font: \1 system-ui, sans-serif", value)
            for drawn, shown in _COLOURS.items():
                value = value.replace(drawn, shown)
        part.set(key, value.replace("url(#", f"url(#{name}-"))
