"""Prices: exact sums, names that stand for others, and files that override the shipped table."""

from __future__ import annotations

import datetime
import random
from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from neuroexplain.errors import ConfigError
from neuroexplain.llm.prices import SHIPPED, Price, PriceTable

DAY = datetime.date(2026, 11, 24)
ROW = "date = 2026-11-24\ninput = 1.0\noutput = 2.0\n"


def price(input: str, cached: str, output: str, batch: str = "1") -> Price:
    return Price("m", DAY, Decimal(input), Decimal(cached), Decimal(output), Decimal(batch))


@pytest.fixture(scope="module")
def shipped() -> PriceTable:
    return PriceTable.load()


@pytest.fixture
def file(tmp_path: Path) -> Any:
    """Writes a table of prices."""

    def write(text: str, name: str = "own.toml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    ("tokens", "nano_usd"),
    [
        ((0, 0), 0),
        ((1_000_000, 0), 250_000_000),
        ((0, 1_000_000), 2_000_000_000),
        ((1000, 10), 270_000),
        ((1000, 10, 1000), 45_000),
        ((1000, 10, 400), 180_000),
        ((1, 0), 250),
        ((1, 0, 1), 25),
        ((1000, 0, 1001), 25_025),
    ],
)
def test_cost_is_in_billionths_of_a_dollar(tokens: tuple[int, ...], nano_usd: int) -> None:
    assert price("0.25", "0.025", "2.0").cost(*tokens) == nano_usd


def test_small_prices_are_not_lost_and_halves_go_up_once() -> None:
    small = price("0.0375", "0.0005", "0.0375", batch="0.5")
    assert small.cost(1, 0) == 38
    assert small.cost(2, 0) == 75
    assert small.cost(1, 1) == 75
    assert small.cost(1, 0, 1) == 1
    assert small.cost(1, 0, batch=True) == 19
    assert small.cost(10_000_000, 0, batch=True) == 187_500_000


def test_cost_is_exact_whatever_the_decimal_context_says() -> None:
    draw = random.Random(0)
    for _ in range(200):
        rates = [Decimal(draw.randrange(10**6)).scaleb(-draw.randrange(9)) for _ in range(3)]
        batch = Decimal(draw.randrange(1, 1001)) / 1000
        cached, fresh, out = (draw.randrange(10 ** draw.randrange(10)) for _ in range(3))
        exact = (
            1000
            * Fraction(batch)
            * sum(Fraction(rate) * n for rate, n in zip(rates, (fresh, cached, out), strict=True))
        )
        with localcontext(prec=3):
            found = Price("m", DAY, rates[0], rates[1], rates[2], batch).cost(
                fresh + cached, out, cached, batch=True
            )
        assert Fraction(-1, 2) < found - exact <= Fraction(1, 2)


def test_negative_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="below 0: 1, -1, 0"):
        price("1", "1", "1").cost(1, -1)


def test_shipped_rows_make_sense(shipped: PriceTable) -> None:
    assert 40 <= len(shipped.rows) <= 80
    for name, row in shipped.rows.items():
        assert row.model == name
        assert row.date >= DAY
        assert 0 < row.cached_input <= row.input <= row.output, name
        assert row.batch in (1, Decimal("0.5"), Decimal("0.8")), name
    for family in ("gpt-4o", "gpt-4.1", "gpt-5", "gpt-6", "claude", "gemini", "deepseek", "grok"):
        assert any(name.startswith(family) for name in shipped.rows), family


def test_shipped_figures_are_read_as_written(shipped: PriceTable) -> None:
    row = shipped.rows["gpt-5-mini"]
    assert row == Price(
        "gpt-5-mini", row.date, Decimal("0.25"), Decimal("0.025"), Decimal("2.0"), Decimal("0.5")
    )
    assert row.cost(1_000_000, 1_000_000, batch=True) == 1_125_000_000


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("gpt-5-mini", "gpt-5-mini"),
        ("gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("gemini-2.5-flash@001", "gemini-2.5-flash"),
        ("models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("openai/gpt-5-mini", "gpt-5-mini"),
        ("openai/gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("x-ai/grok-4.3", "grok-4.3"),
        ("gpt-5-min", None),
        ("gpt-5-mini-fast", None),
        ("GPT-5-mini", None),
        ("ft:gpt-4o-mini:me::1", None),
        ("gpt-5-mini-2025-08", None),
        ("somebody/gpt-5-mini", None),
        ("", None),
    ],
)
def test_a_name_is_never_guessed(shipped: PriceTable, asked: str, found: str | None) -> None:
    row = shipped.find(asked)
    assert (row and row.model) == found


def test_files_override_and_add_rows(file: Any, shipped: PriceTable) -> None:
    first = file(f'["gpt-5"]\n{ROW}["house/model-7b"]\n{ROW}', "first.toml")
    second = file('["gpt-5"]\ndate = 2027-01-02\ninput = "0.0375"\noutput = 3\nbatch = 1', "b.toml")
    table = PriceTable.load(first, second)
    assert set(table.rows) == set(shipped.rows) | {"house/model-7b"}
    changed = Decimal("0.0375")
    assert table.find("gpt-5-2025-08-07") == Price(
        "gpt-5", datetime.date(2027, 1, 2), changed, changed, Decimal(3)
    )
    added = table.find("house/model-7b")
    assert added is not None
    assert (added.cached_input, added.batch) == (added.input, Decimal(1))
    assert table.find("gpt-5-mini") == shipped.find("gpt-5-mini")


def test_a_row_under_the_full_name_comes_before_the_bare_one(file: Any) -> None:
    table = PriceTable.load(file(f'["openai/gpt-5"]\n{ROW}["gpt-5-2025-08-07"]\n{ROW}'))
    names = [table.find(name) for name in ("openai/gpt-5-2025-08-07", "gpt-5-2025-08-07", "gpt-5")]
    assert [row and row.model for row in names] == ["openai/gpt-5", "gpt-5-2025-08-07", "gpt-5"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[m", "own.toml is no table of prices: "),
        ("m = 1", 'own.toml, model "m": not a table; write a row as a table'),
        (f"[m]\n{ROW}imput = 1", 'model "m": unknown key "imput"; known: .* mean "input"?'),
        ("[m]\ndate = 2026-11-24\ninput = 1", 'model "m": lacks output'),
        ("[m]", 'model "m": lacks date, input, output'),
        (f"[gpt-4.1]\n{ROW}", r'model "gpt-4": holds a table "1"; write .* as in \["gpt-4.1"\]'),
        (ROW.replace("2026-11-24", '"today"'), 'own.toml, model "date": not a table'),
        (f"[m]\n{ROW}".replace("2026-11-24", '"today"'), "date must be a day .*, not today"),
        (f"[m]\n{ROW}".replace("11-24", "11-24T00:00:00"), "date must be a day"),
        (f"[m]\n{ROW}cached_input = -0.1", "cached_input must be USD .* 0 or more, not -0.1"),
        (f"[m]\n{ROW}".replace("1.0", "nan"), "input must be USD"),
        (f"[m]\n{ROW}".replace("2.0", "inf"), "output must be USD"),
        (f"[m]\n{ROW}".replace("2.0", "true"), "output must be USD"),
        (f"[m]\n{ROW}".replace("2.0", "[1]"), "output must be USD"),
        (f"[m]\n{ROW}".replace("2.0", '"dear"'), "output must be USD .* not dear"),
        (f"[m]\n{ROW}batch = 0", "batch must be a factor above 0 and up to 1, not 0"),
        (f"[m]\n{ROW}batch = 50", "batch must be a factor .* not 50"),
    ],
)
def test_a_bad_file_is_refused_with_its_place(file: Any, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PriceTable.load(file(text))


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read: No such file"):
        PriceTable.load(tmp_path / "none.toml")
    broken = tmp_path / "latin.toml"
    broken.write_bytes(b'["m\xe9"]')
    with pytest.raises(ConfigError, match=r"latin\.toml is no table of prices: .*utf-8"):
        PriceTable.load(broken)


def test_the_shipped_file_uses_no_exponents_and_no_strings() -> None:
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    numbers = [line.partition(" = ")[2] for line in lines if " = " in line and "date" not in line]
    assert numbers
    assert all(number.replace(".", "").isdigit() for number in numbers)
