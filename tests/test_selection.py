from __future__ import annotations

import pytest

from neuroexplain.errors import ConfigError
from neuroexplain.records import NeuronId
from neuroexplain.selection import layers, select

WIDTHS = {0: 3, 2: 4}


def addresses(selector: str, seed: int = 0) -> list[str]:
    return [str(n).removeprefix("tiny/") for n in select(selector, "tiny", WIDTHS, seed=seed)]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("*", "0/0+ 0/1+ 0/2+ 2/0+ 2/1+ 2/2+ 2/3+"),
        ("0:*-", "0/0- 0/1- 0/2-"),
        ("2:3", "2/3+"),
        ("2:1-2", "2/1+ 2/2+"),
        ("2:1-2-", "2/1- 2/2-"),
        ("2:1-", "2/1-"),
        ("2:1-1+", "2/1+"),
        (" 2:3 , 0:1-, 0:1 ,0:0-1", "0/0+ 0/1+ 0/1- 2/3+"),
        ("0:*,0:1,*", "0/0+ 0/1+ 0/2+ 2/0+ 2/1+ 2/2+ 2/3+"),
        ("random:7", "0/0+ 0/1+ 0/2+ 2/0+ 2/1+ 2/2+ 2/3+"),
    ],
)
def test_selectors(selector: str, expected: str) -> None:
    assert addresses(selector) == expected.split()


def test_random_is_seeded_and_the_same_for_both_polarities() -> None:
    wide = {0: 1000, 1: 1000}
    chosen = select("random:50", "tiny", wide, seed=1)
    assert chosen == select("random:50", "tiny", wide, seed=1)
    assert chosen != select("random:50", "tiny", wide, seed=2)
    assert len(set(chosen)) == 50
    lower = select("random:50-", "tiny", wide, seed=1)
    assert [(n.layer, n.index) for n in lower] == [(n.layer, n.index) for n in chosen]
    assert {n.layer for n in chosen} == {0, 1}
    assert all(NeuronId.parse(str(n)) == n for n in chosen + lower)


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("", '"" selects no neurons; valid: *, 3:* (layer 3)'),
        ("2:3,", '"" selects no neurons'),
        ("2", '"2" selects no neurons'),
        ("2:x", '"2:x" selects no neurons'),
        ("-1:0", '"-1:0" selects no neurons'),
        ("1:0", "layer 1 is not recorded; there are 0,2"),
        ("0:3", "layer 0 has neurons 0-2, not 0:3"),
        ("0:1-9", "layer 0 has neurons 0-2, not 0:1-9"),
        ("0:2-1", "layer 0 has neurons 0-2, not 0:2-1"),
        ("random:0", "random:0 of 7 neurons; choose 1-7"),
        ("random:8", "random:8 of 7 neurons; choose 1-7"),
    ],
)
def test_wrong_selectors(selector: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        addresses(selector)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [("*", (0, 1, 2, 5)), ("1", (1,)), ("0-2", (0, 1, 2)), (" 5, 0-1 ,1", (0, 1, 5))],
)
def test_layers(selector: str, expected: tuple[int, ...]) -> None:
    assert layers(selector, (0, 1, 2, 5)) == expected


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("", '"" names no layers; write *, 3, 0-5 or 0-2,8'),
        ("a", '"a" names no layers'),
        ("1-", '"1-" names no layers'),
        ("3", "no layer 3; there are 0-2,5"),
        ("2-5", "no layer 3; there are 0-2,5"),
        ("2-1", "no layer 2-1; there are 0-2,5"),
    ],
)
def test_wrong_layers(selector: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        layers(selector, (0, 1, 2, 5))
    assert str(caught.value).startswith(message)
