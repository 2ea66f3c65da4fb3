"""Topics that sentences may touch on: groups of words, and the phrases that they come in.

No word of one topic occurs in another, or in the sentences around them, so that a topic is as rare as it is asked to be.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from neuroexplain.errors import ConfigError
from neuroexplain.testing.texts import split


@dataclass(frozen=True)
class Topic:
    """Words that belong together, each phrase with one of them.

    Raises:
        ConfigError: a phrase holds none of the words, or several.
    """

    words: tuple[str, ...]
    phrases: tuple[str, ...]
    """With `{}` where any of the words may stand, or with one of them in its place."""

    def __post_init__(self) -> None:
        if not self.words or not self.phrases:
            raise ConfigError("a topic has at least one word, and one phrase")
        first = len(split(self.words[0]))
        for phrase in self.phrases:
            filled = f" {' '.join(split(phrase.format(self.words[0])))} "
            held = sum(filled.count(f" {' '.join(split(word))} ") for word in self.words)
            if held != 1 or any(len(split(word)) != first for word in self.words):
                raise ConfigError(
                    f'the phrase "{phrase}" has to hold exactly one word of its topic, and all words the same number of parts'
                )

    @cached_property
    def length(self) -> float:
        """Mean length of a phrase, in words and signs."""
        lengths = [len(split(phrase.format(self.words[0]))) for phrase in self.phrases]
        return sum(lengths) / len(lengths)


ANIMALS = Topic(
    (
        *("marten", "badger", "heron", "donkey", "goat", "falcon", "hedgehog", "sparrow", "horse"),
        *("weasel", "camel", "walrus", "beetle", "salmon", "pigeon", "rabbit", "tortoise", "wolf"),
    ),
    (
        *("beside a {}", "with a tame {}", "for the sake of a {}", "like a hungry {}"),
        *(
            "and the {} watched",
            "to feed the {}",
            "among pictures of a {}",
            "by the cage of the {}",
        ),
    ),
)
MONTHS = Topic(
    (
        *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
        *("October", "November", "December"),
    ),
    (
        *("in {}", "late in {}", "on the first of {}", "until the end of {}", "one cold day in {}"),
        *("before the rains of {}", "as every {}", "for most of {}"),
    ),
)
YEARS = Topic(
    tuple(map(str, range(1890, 1990, 4))),
    (
        *("in {}", "back in {}", "as early as {}", "until {}", "for the first time since {}"),
        *("in the summer of {}", "as the papers of {} report", "shortly after {}"),
    ),
)
FAMILY = Topic(
    (
        *("mother", "father", "sister", "brother", "uncle", "aunt", "cousin", "nephew", "niece"),
        *("grandmother", "grandfather", "daughter"),
    ),
    (
        *(
            "for his {}",
            "with the help of her {}",
            "against the wish of the {}",
            "as the {} had asked",
        ),
        *("in the name of my {}", "together with your {}", "because the {} insisted"),
    ),
)
NEGATIONS = Topic(
    ("not", "never", "nobody", "nothing", "no", "nowhere", "cannot", "don't"),
    (
        *(
            "and not for the money",
            "but never twice",
            "as nobody had expected",
            "for nothing at all",
        ),
        *("with no help from outside", "and nowhere else", "which we cannot explain"),
        *(
            "though people don't believe it",
            "and it was not the last time",
            "but no one complained",
        ),
        *("and never said why", "with nothing to gain"),
    ),
)
DOING = Topic(
    (
        *(
            "humming",
            "whistling",
            "smiling",
            "shivering",
            "limping",
            "yawning",
            "singing",
            "coughing",
        ),
        *("grumbling", "dancing", "sneezing", "praying", "trembling", "laughing", "weeping"),
    ),
    (
        *("while {}", "without {}", "{} all the way", "still {}", "{} and out of breath"),
        *("after much {}", "half asleep and {}"),
    ),
)
COMMAS = Topic(
    (",",),
    (
        *("{} as far as we know", "{} or so they claim", "{} to be fair", "{} which is odd"),
        *("{} if you ask the neighbours", "{} more or less", "{} and that was that"),
    ),
)
CITIES = Topic(
    (
        *("Lisbon", "Cairo", "Oslo", "Lima", "Prague", "Dublin", "Nairobi", "Osaka", "Vienna"),
        *("Havana", "Quito", "Warsaw", "Hanoi", "Naples", "Bergen", "Tunis"),
    ),
    (
        *("in {}", "on the way to {}", "near {}", "far from {}", "with a friend from {}"),
        *("as is usual in {}", "for a shop in {}", "between here and {}"),
    ),
)
TOOLS = Topic(
    (
        *("hammer", "chisel", "saw", "drill", "wrench", "pliers", "screwdriver", "axe", "shovel"),
        *("rake", "crowbar", "anvil", "sickle", "trowel"),
    ),
    (
        *(
            "with the {}",
            "using only the {}",
            "where the {} lay",
            "and borrowed the {}",
            "without the {}",
        ),
        *("in exchange for the {}", "next to the rusty {}"),
    ),
)
LIGHTS = Topic(
    tuple(
        f"{which} {what}"
        for which in ("green", "pale", "golden", "amber")
        for what in ("light", "curtain", "bowl", "ribbon")
    ),
    (
        "under the {}",
        "by the {}",
        "behind the {}",
        "without looking at the {}",
        "in front of the {}",
    ),
)
"""Four colours and four things: `light` behind `green` is a phrase that no single word tells."""
