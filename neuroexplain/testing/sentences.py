"""Texts of made-up sentences, in which the words of a topic are as rare as wanted."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from neuroexplain.errors import ConfigError
from neuroexplain.testing.texts import split
from neuroexplain.testing.topics import Topic

WORDS: Mapping[str, tuple[str, ...]] = {
    "who": (
        *("clerk", "baker", "sailor", "teacher", "painter", "judge", "farmer", "nurse", "porter"),
        *(
            "tailor",
            "miller",
            "lawyer",
            "gardener",
            "pilot",
            "printer",
            "captain",
            "driver",
            "student",
        ),
        *("merchant", "doctor", "soldier", "weaver", "singer", "guard", "poet", "priest", "tenant"),
        *(
            "butcher",
            "cook",
            "dancer",
            "fisherman",
            "goldsmith",
            "historian",
            "juggler",
            "landlord",
        ),
        *(
            "locksmith",
            "mayor",
            "neighbour",
            "notary",
            "plumber",
            "postman",
            "professor",
            "sculptor",
        ),
        *("shepherd", "tourist", "violinist", "waiter", "watchman"),
    ),
    "did": (
        *("carried", "found", "sold", "bought", "painted", "repaired", "moved", "lost", "counted"),
        *("wrapped", "cleaned", "borrowed", "returned", "kept", "noticed", "described", "measured"),
        *("dropped", "locked", "praised", "sketched", "burned", "polished", "traded", "wanted"),
        *("admired", "broke", "claimed", "covered", "delivered", "donated", "examined", "hid"),
        *("inherited", "labelled", "mentioned", "ordered", "photographed", "pushed", "recognised"),
        *("rented", "stole", "tested", "unlocked", "weighed"),
    ),
    "thing": (
        *("door", "letter", "table", "basket", "window", "map", "ledger", "lamp", "chair", "box"),
        *("coat", "key", "ticket", "bottle", "clock", "carpet", "boat", "wheel", "fence", "mirror"),
        *("violin", "suitcase", "blanket", "photograph", "cup", "diary", "bell", "parcel", "hat"),
        *("barrel", "bench", "bicycle", "bucket", "cabinet", "candle", "cart", "coin", "desk"),
        *("drawer", "flag", "jar", "kettle", "lantern", "necklace", "newspaper", "pillow", "plate"),
        *("pocket", "shelf", "statue", "telescope", "teapot", "trunk", "vase"),
    ),
    "such": (
        *("small", "heavy", "broken", "narrow", "plain", "wooden", "strange", "cheap", "famous"),
        *("tired", "clean", "dusty", "foreign", "good", "pretty", "round", "secret", "damp", "big"),
        *("clumsy", "modern", "shiny", "bent", "forgotten", "beautiful", "careless", "common"),
        *("curious", "delicate", "distant", "gentle", "humble", "lonely", "muddy", "nameless"),
        *("peculiar", "proper", "quiet", "rare", "ruined", "sturdy"),
        *("terrible", "valuable", "weak", "young"),
    ),
    "where": (
        *("at the station", "in the kitchen", "outside the church", "across the square"),
        *("under the bridge", "at the market", "on the roof", "inside the theatre", "at school"),
        *("along the river", "over the stairs", "in the library", "on board", "at the harbour"),
        *("upstairs", "in the attic", "round the corner", "past the mill", "on the second floor"),
    ),
    "when": (
        *("yesterday", "at noon", "after dark", "at once", "that night", "much later", "again"),
        *("last week", "at dawn", "soon", "twice a week", "on Sunday", "at the weekend", "then"),
    ),
}
"""What fills the gaps of a template. Nothing here begins with a vowel where `a` may stand before it."""
TEMPLATES = (
    "the {such} {who} {did} the {thing} {where}",
    "{when} the {who} {did} a {such} {thing}",
    "a {who} and a {who} {did} the {thing} {where}",
    "there was a {such} {thing} {where}",
    "the {thing} {where} belonged to the {who}",
    "it was the {who} who {did} the {such} {thing}",
    "most people said that the {who} {did} the {thing} too soon",
    "the {who} {did} the {thing} because the {thing} was {such}",
    "{when} a {such} {who} came and {did} the {thing}",
    "the {such} {thing} was for the {who} {where}",
    "we heard that a {who} {did} this {thing} {when}",
    "the {who} {where} {did} the {thing} and the {thing}",
)
FEWEST, MOST = 3, 7
"""Sentences of a text."""

_GAP = re.compile(r"{(\w+)}")


def documents(n: int, shares: Mapping[Topic, float] | None = None, *, seed: int = 0) -> list[str]:
    """Distinct texts of three to seven sentences; the same for the same arguments.

    >>> [text.partition(".")[0] for text in documents(2, {}, seed=3)]
    ['The nameless chair was for the guard in the attic', 'There was a sturdy box round the corner']

    Args:
        n: how many.
        shares: topics, with the share of all words and signs that are words of theirs, on average; one that has several
            parts counts once.
        seed: of every choice.

    Raises:
        ConfigError: the phrases of the topics would leave no room for sentences.
    """
    wanted = _means(shares or {})
    chance = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < n:
        sentences = chance.randint(FEWEST, MOST)
        found[" ".join(_sentence(wanted, chance) for _ in range(sentences))] = None
    return list(found)


def save(texts: Iterable[str], path: Path) -> Path:
    """Write texts as a `.txt` corpus, with blank lines between them."""
    path.write_text("\n\n".join(texts) + "\n", encoding="utf-8")
    return path


def _means(shares: Mapping[Topic, float]) -> dict[Topic, float]:
    """Mean number of phrases in a sentence, by topic.

    With m = share * length phrases, each some words long, a sentence is length = bare + sum(m * words) long: solved for
    the length.
    """
    taken = sum(share * topic.length for topic, share in shares.items())
    if taken >= 1 or any(share < 0 for share in shares.values()):
        raise ConfigError(
            f"the phrases of these topics would take {taken:.0%} of all words; ask for smaller shares, all of them 0 or more"
        )
    length = sum(map(_length, TEMPLATES)) / len(TEMPLATES) / (1 - taken)
    return {topic: share * length for topic, share in shares.items()}


def _length(template: str) -> float:
    """Mean length of a sentence, its full stop included, in words and signs."""
    gaps = _GAP.findall(template)
    bare = len(split(_GAP.sub("", template))) + 1
    return bare + sum(sum(len(split(w)) for w in WORDS[gap]) / len(WORDS[gap]) for gap in gaps)


def _sentence(wanted: Mapping[Topic, float], chance: random.Random) -> str:
    parts = [_GAP.sub(lambda gap: chance.choice(WORDS[gap[1]]), chance.choice(TEMPLATES))]
    phrases = [
        chance.choice(topic.phrases).format(chance.choice(topic.words))
        for topic, mean in wanted.items()
        for _ in range(_poisson(mean, chance))
    ]
    chance.shuffle(phrases)
    text = " ".join([*parts, *phrases]).replace(" ,", ",")
    return f"{text[0].upper()}{text[1:]}."


def _poisson(mean: float, chance: random.Random) -> int:
    """A Poisson number (Knuth 1969)."""
    least, product, number = math.exp(-mean), chance.random(), 0
    while product > least:
        product *= chance.random()
        number += 1
    return number
