"""Lexical hold-out: a matter can be told from n-grams that never name it (sasc.md, section 7; Singh et al. 2023).

A module fires as MiniLM finds an n-gram near a matter's name. SASC's published explainer names 0.46, 0.15 or 0.24 of the matters
whose word is missing from its evidence, and 0.96, 0.93 or 0.85 of the others: most of its success is an echo. So the two are
told apart here. MiniLM is also what judges the words, so that this says that evidence and words lose nothing with the name; whether
a language model would find it is another question.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from neuroexplain.explainers.keywords import keywords
from neuroexplain.lifts import holding, lifts
from neuroexplain.records import Ngram
from neuroexplain.subjects import Subject
from neuroexplain.thinning import thinned
from neuroexplain.words import words
from tests.concepts import CONCEPTS, embeddings

NAMES = [concept["concept"] for concept in CONCEPTS]
LISTED = 50
"""Strongest n-grams of a module."""


def ngrams() -> list[str]:
    """One and two words in a row of the texts, and the matters' names as a text would have them."""
    found = set()
    for concept in CONCEPTS:
        for text in (*concept["about"], concept["concept"], f"the {concept['concept']}"):
            row = words(text.lower())
            found |= {" ".join(row[i : i + n]) for n in (1, 2) for i in range(len(row) - n + 1)}
    return sorted(found)


def named(texts: list[str], responses: np.ndarray[tuple[int], np.dtype[np.float32]]) -> str:
    """The explanation of a module, from its responses to some n-grams."""
    order = np.argsort(-responses, kind="stable")[:LISTED]
    strongest = [texts[i] for i in order.tolist()]
    common: Counter[str] = holding(texts)
    told = lifts(strongest, common, len(texts))
    listed = [
        Ngram(t, float(responses[i]), float(responses[i]), 1, tuple(told[w] for w in words(t)))
        for i, t in zip(order.tolist(), strongest, strict=True)
    ]
    return " ".join(keywords(thinned(listed), 5))


@pytest.fixture(scope="module")
def recovered() -> tuple[float, float]:
    """Shares of the matters that their module's words are nearest to: with the matter's name among them, and without."""
    minilm = Subject.load("minilm")
    texts = ngrams()
    seen, names = embeddings(minilm, texts), embeddings(minilm, NAMES)
    responses = seen @ names.T
    shares = []
    for held_out in (False, True):
        said = []
        for place, name in enumerate(NAMES):
            stems = [word[:5] for word in words(name.lower())]
            kept = [
                i for i, t in enumerate(texts) if not held_out or not any(s in t for s in stems)
            ]
            said.append(named([texts[i] for i in kept], responses[kept, place]))
            assert not held_out or not any(stem in said[-1] for stem in stems)
        nearest = (embeddings(minilm, said) @ names.T).argmax(axis=1)
        shares.append(float(np.mean(nearest == np.arange(len(NAMES)))))
    return shares[0], shares[1]


def test_a_matter_that_is_named(recovered: tuple[float, float]) -> None:
    assert recovered[0] >= 0.95


def test_a_matter_that_is_never_named(recovered: tuple[float, float]) -> None:
    """By chance it would be 1 in 54."""
    assert recovered[1] >= 0.95
