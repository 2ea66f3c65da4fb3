"""Values of a JSON object that somebody else wrote, asked for by key and type.

Whatever is wrong is said in one line: file, line, key, and what was wanted there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from neuroexplain.errors import ExchangeError
from neuroexplain.records import Floats

Value = TypeVar("Value")
_SHOWN = 40
"""Characters of a wrong value that a message quotes."""


@dataclass(frozen=True)
class Where:
    """A place in a file."""

    file: str
    line: int | None = None
    """From 1; None in a file that is one value."""
    keys: str = ""
    """Way to the object within the value: `features[3].`"""

    def wrong(self, key: str, wanted: str) -> ExchangeError:
        """The error about the value of a key."""
        line = "" if self.line is None else f", line {self.line}"
        return ExchangeError(f"{self.file}{line}: {self.keys}{key}: {wanted}")

    def within(self, key: str) -> Where:
        """An object's own place in the object here."""
        return replace(self, keys=f"{self.keys}{key}.")


class Fields:
    """A JSON object with its place.

    Every method raises ExchangeError where the key is missing or its value has another type. Those called `maybe_…` give None
    where it is missing or null.

    Args:
        values: the object.
        where: its place.
    """

    def __init__(self, values: object, where: Where) -> None:
        if not isinstance(values, dict):
            place = replace(where, keys="")
            raise place.wrong(where.keys.rstrip(".") or "value", f"an object, not {_shown(values)}")
        self.values: Mapping[str, Any] = values
        self.where = where

    def __contains__(self, key: str) -> bool:
        """Whether a key has a value other than null."""
        return self.values.get(key) is not None

    def wrong(self, key: str, wanted: str) -> ExchangeError:
        """The error about the value of a key."""
        return self.where.wrong(key, wanted)

    def text(self, key: str) -> str:
        """A string."""
        return self._typed(key, str, "a text")

    def maybe_text(self, key: str) -> str | None:
        """A string."""
        return self._maybe(key, self.text)

    def choice(self, key: str, literal: Any) -> Any:
        """One of the strings of a Literal type."""
        value = self.text(key)
        known = get_args(literal)
        if value not in known:
            raise self.wrong(key, f"one of {', '.join(known)}, not {_shown(value)}")
        return value

    def integer(self, key: str, *, least: int | None = None, below: int | None = None) -> int:
        """A whole number, in a range where one is given; a string of digits will do."""
        value = self._value(key)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong(key, f"a whole number, not {_shown(value)}")
        if least is not None and value < least:
            raise self.wrong(key, f"at least {least}, not {_shown(value)}")
        if below is not None and value >= below:
            raise self.wrong(key, f"below {below}, not {_shown(value)}")
        return value

    def maybe_integer(self, key: str, *, least: int | None = None) -> int | None:
        """A whole number."""
        return self._maybe(key, lambda k: self.integer(k, least=least))

    def number(self, key: str) -> float:
        """A finite number."""
        value = self._value(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(key, f"a number, not {_shown(value)}")
        return self._finite(key, value)

    def maybe_number(self, key: str, *, nan: bool = False) -> float | None:
        """A finite number; with `nan`, NaN gives None too."""
        value = self.values.get(key)
        if nan and isinstance(value, float) and math.isnan(value):
            return None
        return self._maybe(key, self.number)

    def floats(self, key: str) -> Floats:
        """[item]; finite numbers."""
        values = self._list(key)
        if not set(map(type, values)) <= {int, float}:
            bad = next(v for v in values if type(v) not in (int, float))
            raise self.wrong(key, f"a list of numbers, not of {_shown(bad)}")
        try:
            with np.errstate(over="ignore"):
                found: Floats = np.array(values, np.float64).astype(np.float32)
        except OverflowError:
            raise self.wrong(key, "finite numbers, not larger ones than floats are") from None
        if not np.isfinite(found).all():
            at = int(np.flatnonzero(~np.isfinite(found))[0])
            raise self.wrong(key, f"finite numbers, not {values[at]} (item {at})")
        return found

    def integers(self, key: str) -> tuple[int, ...]:
        """Whole numbers."""
        values = self._list(key)
        if not set(map(type, values)) <= {int}:
            raise self.wrong(key, "a list of whole numbers")
        return tuple(values)

    def texts(self, key: str) -> tuple[str, ...]:
        """Strings."""
        values = self._list(key)
        if not set(map(type, values)) <= {str}:
            bad = next(v for v in values if type(v) is not str)
            raise self.wrong(key, f"a list of texts, not of {_shown(bad)}")
        return tuple(values)

    def beside(self, texts: str, numbers: str) -> tuple[tuple[str, ...], Floats]:
        """Texts, and as many numbers under another key."""
        left, right = self.texts(texts), self.floats(numbers)
        if len(left) != len(right):
            raise self.wrong(numbers, f"{len(left)} numbers, as many as {texts}, not {len(right)}")
        return left, right

    def weighted(self, texts: str, numbers: str) -> tuple[tuple[str, float], ...]:
        """Texts with the numbers under another key, as exactly as they stand there; nothing where both are missing or null."""
        if texts not in self and numbers not in self:
            return ()
        left, _ = self.beside(texts, numbers)
        return tuple(zip(left, map(float, self.values[numbers]), strict=True))

    def object(self, key: str) -> Fields:
        """An object."""
        return Fields(self._value(key), self.where.within(key))

    def maybe_object(self, key: str) -> Fields | None:
        """An object."""
        return self._maybe(key, self.object)

    def objects(self, key: str) -> Iterator[Fields]:
        """The objects of a list."""
        for at, value in enumerate(self._list(key)):
            yield Fields(value, self.where.within(f"{key}[{at}]"))

    def lists(self, key: str) -> Iterator[list[Any]]:
        """The lists of a list."""
        for at, value in enumerate(self._list(key)):
            if not isinstance(value, list):
                raise self.wrong(f"{key}[{at}]", f"a list, not {_shown(value)}")
            yield value

    def object_lists(self, key: str) -> Iterator[Iterator[Fields]]:
        """The lists of a list, with their objects; nothing where it is missing or null."""
        for at, value in enumerate(self.lists(key) if key in self else ()):
            name = f"{key}[{at}]"
            yield Fields({name: value}, self.where).objects(name)

    def mapping(self, key: str) -> dict[str, Any]:
        """An object whose values may be anything; nothing where it is missing or null."""
        value = self.values.get(key)
        if value is None:
            return {}
        return self._typed(key, dict, "an object")

    def items(self, key: str) -> Iterator[tuple[str, Fields]]:
        """The objects of an object, with their keys; those that are null are left out."""
        for name, value in self.mapping(key).items():
            if value is not None:
                yield name, Fields(value, self.where.within(f"{key}.{name}"))

    def _value(self, key: str) -> Any:
        if key not in self.values:
            raise self.wrong(key, "missing")
        return self.values[key]

    def _typed(self, key: str, kind: type[Value], wanted: str) -> Value:
        value = self._value(key)
        if not isinstance(value, kind):
            raise self.wrong(key, f"{wanted}, not {_shown(value)}")
        return value

    def _list(self, key: str) -> list[Any]:
        return self._typed(key, list, "a list")

    def _maybe(self, key: str, read: Callable[[str], Value]) -> Value | None:
        return None if self.values.get(key) is None else read(key)

    def _finite(self, key: str, value: float) -> float:
        try:
            found = float(value)
        except OverflowError:
            found = math.inf
        if not math.isfinite(found):
            raise self.wrong(key, f"a finite number, not {_shown(value)}")
        return found


def _shown(value: object) -> str:
    """A wrong value, short; of what is large only what it is."""
    if value is None:
        return "null"
    if isinstance(value, dict | list):
        return f"a{'n object' if isinstance(value, dict) else ' list'}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**20:
        return "a number of more than 20 digits"
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


Reason = Literal["not_in_file"]
NOT_TOLD: Reason = "not_in_file"
"""Reason of whatever a format leaves out."""
