"""Which other neurons an explanation is compared with, and when that is possible.

The neurons of a layer stand in a ring, in an order that their names decide. Each is compared with those behind it that
have something to compare with: the same ones whatever was interrupted, failed first or finished last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_PENDING, _USABLE, _USELESS = range(3)


@dataclass(frozen=True)
class Ready:
    """A place whose comparison is complete."""

    place: int
    others: tuple[int, ...]
    """Places that it is compared with; fewer than wanted only where the whole ring has no more."""


@dataclass
class _Search:
    place: int
    at: int
    found: list[int] = field(default_factory=list)


class Ring:
    """Finds for every place the next usable ones behind it, as their fates become known.

    >>> ring = Ring(4, wanted=2)
    >>> [ring.settle(place, usable=place != 2, wants=True) for place in (0, 1, 2)]
    [[], [], []]
    >>> ring.settle(3, usable=True, wants=True)[0]
    Ready(place=0, others=(1, 3))

    Args:
        size: places.
        wanted: others that each is compared with.
        owners: neuron of every place, where some have several; nobody is compared with its own neuron, nor with another
            one twice. None where every place is another neuron.
    """

    def __init__(self, size: int, wanted: int, owners: Sequence[int] | None = None) -> None:
        self.size = size
        self.wanted = wanted
        self._owners = owners
        self._fates = bytearray(size)
        self._blocked: dict[int, list[_Search]] = {}

    def settle(self, place: int, *, usable: bool, wants: bool) -> list[Ready]:
        """Make the fate of a place known; returns the places whose comparison that completes.

        Args:
            place: which.
            usable: whether others can be compared with it.
            wants: whether it is to be compared itself.
        """
        self._fates[place] = _USABLE if usable else _USELESS
        searches = self._blocked.pop(place, [])
        if wants:
            searches.append(_Search(place, (place + 1) % self.size))
        return [Ready(s.place, tuple(s.found)) for s in searches if self._go_on(s)]

    def _go_on(self, search: _Search) -> bool:
        """Search on; False where somebody's fate has to be waited for."""
        while len(search.found) < self.wanted and search.at != search.place:
            fate = self._fates[search.at]
            if fate == _PENDING:
                self._blocked.setdefault(search.at, []).append(search)
                return False
            if fate == _USABLE and (self._owners is None or _is_other(search, self._owners)):
                search.found.append(search.at)
            search.at = (search.at + 1) % self.size
        return True


def _is_other(search: _Search, owners: Sequence[int]) -> bool:
    owner = owners[search.at]
    return all(owners[place] != owner for place in (search.place, *search.found))


def ring_order(indices: NDArray[np.int64], salt: int) -> NDArray[np.int64]:
    """Indices in the order of a ring, [index]; the order of any two of them does not depend on the others.

    Args:
        indices: of neurons in a layer.
        salt: what tells layers, polarities and seeds apart.
    """
    return indices[np.argsort(_mixed(indices.astype(np.uint64), salt), kind="stable")]


def _mixed(values: NDArray[np.uint64], salt: int) -> NDArray[np.uint64]:
    """A fixed permutation of 64-bit numbers without visible order (Steele et al. 2014, SplitMix)."""
    with np.errstate(over="ignore"):
        z = values + np.uint64((salt * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) % 2**64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def batched(values: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    """Consecutive pieces of so many values."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
