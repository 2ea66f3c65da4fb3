from __future__ import annotations

import numpy as np
import pytest

from neuroexplain.levels import discretise, escape, side
from neuroexplain.records import Floats


def floats(*values: float) -> Floats:
    return np.array(values, dtype=np.float32)


@pytest.mark.parametrize(
    ("polarity", "expected"), [(1, [0, 0, 0, 1, 9, 10, 10]), (-1, [5, 0, 0, 0, 0, 0, 0])]
)
def test_discretise_floors_and_caps(polarity: int, expected: list[int]) -> None:
    values = floats(-1.0, 0.0, 0.19, 0.2, 1.99, 2.0, 7.0)
    assert discretise(values, 2.0, polarity).tolist() == expected


@pytest.mark.parametrize("scale", [1e-38, 0.1, 0.3, 1 / 3, 3.4e38])
def test_the_maximum_is_level_ten_at_every_scale(scale: float) -> None:
    peak = float(np.float32(scale))
    assert discretise(floats(peak, peak / 2, 0), peak).tolist() == [10, 5, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_an_error(bad: float) -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        discretise(floats(1, bad), 1.0)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan])
def test_the_scale_must_be_above_zero(scale: float) -> None:
    with pytest.raises(ValueError, match="scale must be above 0"):
        discretise(floats(1), scale)


def test_sides_are_disjoint_and_make_the_whole() -> None:
    values = floats(-2, 0, 3)
    upper, lower = side(values, 1), side(values, -1)
    assert (upper - lower).tolist() == values.tolist()
    assert (upper * lower == 0).all()
    assert upper.dtype == np.float32


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" plain é 河", " plain é 河"),
        ("a\tb\nc\r", "a\\tb\\nc\\r"),
        ("\\n", "\\\\n"),
        ("\u200b\u2028\x00\ue000", "\\u200b\\u2028\\x00\\ue000"),
        ("\U000e0041\ud800", "\\U000e0041\\ud800"),
        ("\u00a0", "\\xa0"),
        ("", ""),
    ],
)
def test_escape_shows_everything_on_one_line(token: str, shown: str) -> None:
    assert escape(token) == shown
    assert len(escape(token).splitlines()) <= 1


def test_escape_keeps_tokens_apart() -> None:
    tokens = [chr(i) for i in range(0x3000)] + [f"\\{c}" for c in "ntrx\\"]
    assert len({escape(token) for token in tokens}) == len(tokens)
