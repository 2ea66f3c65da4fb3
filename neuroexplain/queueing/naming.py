"""Methods by the names that a plan gives them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neuroexplain.catalogue import Frame
from neuroexplain.errors import ConfigError, unknown


def methods_of(frame: Frame, names: Sequence[str]) -> list[int]:
    """Places of methods in a population, in the order of their names; of all that wrote some of it where none are named.

    Args:
        frame: the population.
        names: each `explainer`, where that has one language model, or `explainer, llm`.

    Raises:
        ConfigError: an unknown method, or an explainer with several language models.
    """
    there = [int(place) for place in np.unique(frame.method)]
    if not names:
        return there
    whole = {str(frame.methods[place]): place for place in there}
    return [_place(frame, there, whole, name) for name in names]


def _place(frame: Frame, there: Sequence[int], whole: dict[str, int], name: str) -> int:
    if name in whole:
        return whole[name]
    found = [place for place in there if frame.methods[place].explainer == name]
    if len(found) > 1:
        several = "; ".join(str(frame.methods[place]) for place in found)
        raise ConfigError(f'method "{name}" has several language models; write one of: {several}')
    if not found:
        known = {frame.methods[place].explainer for place in there}
        raise ConfigError(unknown("method", name, known))
    return found[0]
