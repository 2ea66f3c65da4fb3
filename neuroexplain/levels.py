"""Activations as the ten levels that language models read and write, and the side that a polarity means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neuroexplain.records import Floats

MAX_LEVEL = 10


def side(activations: Floats, polarity: int) -> Floats:
    """The part of the activations on the polarity's side, as non-negative numbers.

    >>> side(np.array([-2.0, 0.5], dtype=np.float32), -1).tolist()
    [2.0, 0.0]
    """
    positive: Floats = np.maximum(activations * np.float32(polarity), 0)
    return positive


def discretise(activations: Floats, scale: float, polarity: int = 1) -> NDArray[np.int64]:
    """Levels `min(10, floor(10 * side / scale))`; `scale` is the neuron's maximum over the explain split.

    >>> discretise(np.array([-1.0, 0.0, 0.49, 0.5, 2.0], dtype=np.float32), 1.0).tolist()
    [0, 0, 4, 5, 10]

    Raises:
        ValueError: an activation is not finite, or the scale is not above 0.
    """
    if not np.isfinite(activations).all():
        raise ValueError("activations hold NaN or infinity")
    if not scale > 0:
        raise ValueError(f"scale must be above 0, not {scale}")
    levels = MAX_LEVEL * side(activations, polarity).astype(np.float64) / scale
    return np.minimum(levels, MAX_LEVEL).astype(np.int64)  # rounds down


def escape(token: str) -> str:
    r"""A token in visible characters on one line, so that subject text cannot break a prompt's layout.

    Backslash, control, format, private-use and separator characters other than a plain space become escapes.

    >>> print(escape("a\tb\\c"))
    a\tb\\c
    """
    if token.isprintable() and "\\" not in token:
        return token
    return "".join(map(_escape, token))


def printable(text: str) -> str:
    r"""A text as it is, if all of it can be seen; else as by `escape`, so that it cannot steer a terminal.

    >>> print(printable("a \\ b"), printable("a\x1b[31m"))
    a \ b a\x1b[31m
    """
    return text if text.isprintable() else escape(text)


def escape_all(tokens: Sequence[str]) -> Sequence[str]:
    """Every token as by `escape`. Most texts hold nothing to escape, which shows at one look at all of a text."""
    text = "".join(tokens)
    if text.isprintable() and "\\" not in text:
        return tokens
    return [t if t.isprintable() and "\\" not in t else escape(t) for t in tokens]


def _escape(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")
