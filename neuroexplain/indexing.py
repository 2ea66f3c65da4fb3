"""The index of meanings: every explanation as a vector of a sentence model, for searches by meaning.

Explanations that have a vector are not embedded again, so an interrupted run goes on where it ended, and a run after a sweep
embeds what the sweep has written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from neuroexplain.catalogue import Catalogue
from neuroexplain.recent import Recent
from neuroexplain.records import Floats
from neuroexplain.run import Advance

if TYPE_CHECKING:
    from neuroexplain.subjects.sentences import SentenceModel

MODEL = "minilm"
"""Sentence model, unless another is asked for."""
TOGETHER = 2_048
"""Explanations in one transaction: the more, the more of equal length the model can read together."""
_KEPT = 50_000
"""Texts whose vectors are kept, in case that others are equal: 77 MB by MiniLM."""


@dataclass(frozen=True)
class Indexed:
    """What a run has done to an index."""

    model: str
    """With the hash of its weights."""
    explanations: int
    """Vectors that were added."""
    texts: int
    """Different texts that were embedded for them."""
    without: int
    """Explanations that have no vector, because the model sees no token in them."""


@cache
def sentence_model(spec: str, device: str = "cpu") -> SentenceModel:
    """A sentence model, loaded once per process.

    Raises:
        SubjectError: it cannot be found, loaded or used.
    """
    from neuroexplain.subjects.sentences import SentenceModel

    return SentenceModel.load(spec, device=device)


class Indexing:
    """The explanations that an index lacks.

    Args:
        catalogue: open for writing.
        model: subject spec of the sentence model.
        device: where it runs.
        together: explanations in one transaction; an interruption costs no more than these.

    Raises:
        SubjectError: the model cannot be found, loaded or used.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        model: str = MODEL,
        *,
        device: str = "cpu",
        together: int = TOGETHER,
    ) -> None:
        self._catalogue = catalogue
        self._model = sentence_model(model, device)
        self._missing = catalogue.without_meaning(self._model.name).tolist()
        self._together = together
        self._known: Recent[str, Floats | None] = Recent(_KEPT)

    def __len__(self) -> int:
        return len(self._missing)

    def run(self, advance: Advance) -> Indexed:
        """Embed them, some at a time, each time in one transaction; then the vectors of other models go.

        Args:
            advance: told how many more are done.
        """
        added = texts = without = 0
        for start in range(0, len(self), self._together):
            some = self._missing[start : start + self._together]
            vectors, embedded = self._vectors(self._catalogue.explanation_texts(some))
            texts += embedded
            have = [(n, v) for n, v in zip(some, vectors, strict=True) if v is not None]
            without += len(some) - len(have)
            if have:
                ids, found = zip(*have, strict=True)
                added += self._catalogue.save_meanings(self._model.name, ids, np.stack(found))
            advance(len(some))
        self._catalogue.keep_meanings(self._model.name)
        return Indexed(self._model.name, added, texts, without)

    def _vectors(self, texts: Sequence[str]) -> tuple[list[Floats | None], int]:
        """Vectors of some texts, equal ones embedded once; and how many were embedded now."""
        known: dict[str, Floats | None] = {}
        new = []
        for text in dict.fromkeys(texts):
            if text in self._known:
                known[text] = self._known.find(text)
            else:
                new.append(text)
        for text, vector in zip(new, self._model.texts(new), strict=True):
            known[text] = vector
            self._known.put(text, vector)
        return [known[text] for text in texts], len(new)
