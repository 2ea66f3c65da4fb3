"""A memory of the things that were used last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """Keeps so many values, and forgets the one that was used longest ago.

    >>> recent = Recent(2)
    >>> [recent.get(key, lambda: key.upper()) for key in "abca"]
    ['A', 'B', 'C', 'A']

    Args:
        size: values at most; or what they weigh together, the newest excepted.
        weigh: what one value weighs, for example its bytes.
    """

    def __init__(self, size: int, weigh: Callable[[Value], int] = lambda _: 1) -> None:
        self._size = size
        self._weigh = weigh
        self._weight = 0
        self._kept: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: Key) -> bool:
        return key in self._kept

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value of a key, made where it is not there."""
        if key not in self._kept:
            self.put(key, make())
        self._kept.move_to_end(key)
        return self._kept[key]

    def find(self, key: Key) -> Value | None:
        """The value of a key; None where it is not there."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key]

    def put(self, key: Key, value: Value) -> None:
        """Remember a value."""
        if key in self._kept:
            self._weight -= self._weigh(self._kept.pop(key))
        self._kept[key] = value
        self._weight += self._weigh(value)
        while self._weight > self._size and len(self._kept) > 1:
            _, forgotten = self._kept.popitem(last=False)
            self._weight -= self._weigh(forgotten)
