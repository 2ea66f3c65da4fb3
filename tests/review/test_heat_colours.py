"""The 21 classes of heat: every one can be read, in light and in dark."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

CSS = (files("neuroexplain.review") / "static" / "review.css").read_text("utf-8")


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2) of `#rrggbb`."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def pair(pattern: str) -> tuple[str, str]:
    """The last pair of colours that a rule gives, for light and for dark."""
    light, dark = re.findall(pattern + r"light-dark\((#\w{6}), (#\w{6})\)", CSS)[-1]
    return light, dark


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("level", range(1, 21))
def test_a_token_can_be_read_on_its_heat(level: int, scheme: int) -> None:
    background = pair(rf"\.h{level} {{ background: ")[scheme]
    inks = re.findall(rf"\.h{level}\b[^{{}}]*{{ color: light-dark\((#\w+), (#\w+)\)", CSS)
    ink = (inks[-1] if inks else pair("--ink: "))[scheme]
    bright, dim = sorted((luminance(background), luminance(ink)), reverse=True)
    assert (bright + 0.05) / (dim + 0.05) >= 4.5
