"""What language model calls cost: a dated table of prices, and exact sums in billionths of a dollar."""

from __future__ import annotations

import contextlib
import datetime
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from neuroexplain.errors import ConfigError, unknown

SHIPPED = Path(__file__).with_name("prices.toml")
_REQUIRED = ("date", "input", "output")
_KEYS = ("date", "input", "cached_input", "output", "batch")
_DATED = re.compile(r"(-20\d\d-\d\d-\d\d|-20\d{6}|@\d{3,8})\Z")
_PROVIDERS = {
    "openai", "anthropic", "google", "gemini", "models", "deepseek", "mistral", "mistralai", "xai", "x-ai"
}  # fmt: skip
"""Prefixes under which routers and the providers themselves list the models of the shipped table.

Any other prefix may be a host with prices of its own.
"""


@dataclass(frozen=True)
class Price:
    """What one model costs.

    >>> day = datetime.date(2026, 11, 24)
    >>> Price("m", day, Decimal("0.25"), Decimal("0.025"), Decimal("2")).cost(1000, 10)
    270000
    """

    model: str
    date: datetime.date
    """Day on which the price was read."""
    input: Decimal
    """USD per million prompt tokens."""
    cached_input: Decimal
    """USD per million prompt tokens that the provider had cached."""
    output: Decimal
    """USD per million completion tokens, those of reasoning among them."""
    batch: Decimal = Decimal(1)
    """Factor of all three for batch and flex calls; 1 where there is no such offer."""

    def cost(
        self,
        prompt_tokens: int,
        completion_tokens: int,
        cached_tokens: int = 0,
        *,
        batch: bool = False,
    ) -> int:
        """Cost of one call in nano-USD (10⁻⁹ USD); exact, then rounded once, halves up.

        Args:
            prompt_tokens: all tokens of the prompt.
            completion_tokens: all tokens of the reply, reasoning included.
            cached_tokens: those of the prompt that were cached; should a server report more of them than of the
                prompt, all are billed as cached.
            batch: whether the call went at the batch or flex price.

        Raises:
            ValueError: a count below 0.
        """
        if min(prompt_tokens, completion_tokens, cached_tokens) < 0:
            raise ValueError(
                f"token counts below 0: {prompt_tokens}, {completion_tokens}, {cached_tokens}"
            )
        tokens = (max(prompt_tokens - cached_tokens, 0), cached_tokens, completion_tokens)
        prices = [p.as_integer_ratio() for p in (self.input, self.cached_input, self.output)]
        factor, divisor = (self.batch if batch else Decimal(1)).as_integer_ratio()
        scale = math.lcm(*(bottom for _, bottom in prices))
        pairs = zip(tokens, prices, strict=True)
        total = sum(n * top * (scale // bottom) for n, (top, bottom) in pairs)
        # USD per million tokens are thousands of nano-USD per token.
        above, below = 1000 * total * factor, scale * divisor
        return (2 * above + below) // (2 * below)


@dataclass(frozen=True)
class PriceTable:
    """Prices by model name."""

    rows: Mapping[str, Price]

    @classmethod
    def load(cls, *extra: Path) -> PriceTable:
        """The shipped prices, then files of the same form; a later row replaces an earlier one of the same name.

        Raises:
            ConfigError: a file cannot be read, or says something that is no price.
        """
        rows: dict[str, Price] = {}
        for path in (SHIPPED, *extra):
            rows |= _read(path)
        return cls(rows)

    def find(self, model: str) -> Price | None:
        """The price of a model, if its name is known as it is, without its date, or without its provider.

        >>> table = PriceTable.load()
        >>> [price and price.model for price in map(table.find, ["openai/gpt-5-mini-2025-08-07", "gpt-5-min"])]
        ['gpt-5-mini', None]
        """
        return next((self.rows[name] for name in _names(model) if name in self.rows), None)


def _names(model: str) -> Iterator[str]:
    """A model's name and what else it may be listed under, the nearest first."""
    yield model
    yield _DATED.sub("", model)
    provider, _, bare = model.partition("/")
    if provider in _PROVIDERS:
        yield bare
        yield _DATED.sub("", bare)


def _read(path: Path) -> dict[str, Price]:
    try:
        loaded = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # no UTF-8, or no TOML
        raise ConfigError(f"{path} is no table of prices: {error}") from error
    return {model: _price(f'{path}, model "{model}"', model, row) for model, row in loaded.items()}


def _price(where: str, model: str, row: Any) -> Price:
    """One row of a file; `where` names both in errors."""
    if not isinstance(row, dict):
        raise ConfigError(f"{where}: not a table; write a row as a table under the model's name")
    for key, value in row.items():
        if isinstance(value, dict):
            raise ConfigError(
                f'{where}: holds a table "{key}"; write a model\'s name in quotes, as in ["gpt-4.1"]'
            )
        if key not in _KEYS:
            raise ConfigError(f"{where}: {unknown('key', key, _KEYS)}")
    missing = [key for key in _REQUIRED if key not in row]
    if missing:
        raise ConfigError(f"{where}: lacks {', '.join(missing)}")
    if type(row["date"]) is not datetime.date:
        raise ConfigError(f"{where}: date must be a day such as 2026-11-24, not {row['date']}")
    full = {"cached_input": row["input"], "batch": 1} | row
    return Price(model, row["date"], *(_number(where, key, full[key]) for key in _KEYS[1:]))


def _number(where: str, key: str, value: Any) -> Decimal:
    """A TOML number, or a string that holds one, as it was written."""
    number = Decimal("nan")
    if isinstance(value, int | str | Decimal) and not isinstance(value, bool):
        with contextlib.suppress(InvalidOperation):
            number = Decimal(value)
    if key == "batch" and not (number.is_finite() and 0 < number <= 1):
        raise ConfigError(f"{where}: batch must be a factor above 0 and up to 1, not {value}")
    if not (number.is_finite() and number >= 0):
        raise ConfigError(f"{where}: {key} must be USD per million tokens, 0 or more, not {value}")
    return number
