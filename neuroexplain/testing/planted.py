"""Ground truth without a language model: subjects whose neurons have planted meaning, and texts to read.

Whoever explains neurons wants to know whether a method finds what is there, and finds nothing where nothing is. Here both
are known:

>>> import tempfile
>>> from pathlib import Path
>>> import neuroexplain as nx
>>> from neuroexplain.testing.planted import MONTHS, TOOLS, Noise, PlantedSubject, WordSet, documents, save
>>> texts = documents(400, {MONTHS: 0.02, TOOLS: 0.02})
>>> month, tool = WordSet(MONTHS.words), WordSet(TOOLS.words)
>>> layer = [month, (month | 0.8 * tool).noisy(0.02), *[Noise(1.0)] * 20]
>>> subject = PlantedSubject([layer], texts)
>>> (subject.activations("A box, sold in June.", layer=0)[:, 0] > 0.5).tolist()
[False, False, False, False, False, True, False]
>>> with tempfile.TemporaryDirectory() as folder, nx.Catalogue(f"{folder}/truth.sqlite") as catalogue:
...     corpus = save(texts, Path(folder, "texts.txt"))
...     _ = nx.collect(subject, corpus=str(corpus), catalogue=catalogue, tokens=50_000)
...     _ = nx.sweep(catalogue, neurons="*", explainer="ngram")
...     found = {row.idx: row.score for row in catalogue.search("score>=0.5").rows}
>>> sorted(found), min(found.values()) > 0.9
([0, 1], True)

A `PlantedSubject` is a `Subject`: everything that takes one takes it, hooks, special tokens and all. What neurons can mean
is in `meanings`; texts made of sentences, in which a topic's words are as rare as wanted, in `sentences`, and their topics in
`topics`. All of it is here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from neuroexplain.errors import SubjectError
from neuroexplain.subjects import Subject
from neuroexplain.testing.meanings import (
    DEAD,
    After,
    Anywhere,
    Both,
    Constant,
    Either,
    Meaning,
    Near,
    Noise,
    Pattern,
    Position,
    Scaled,
    Sum,
    WordSet,
)
from neuroexplain.testing.planted_model import CONTINUED, SITE, Design, Reader, build, vocabulary
from neuroexplain.testing.sentences import documents, save
from neuroexplain.testing.texts import WORD, split
from neuroexplain.testing.topics import (
    ANIMALS,
    CITIES,
    COMMAS,
    DOING,
    FAMILY,
    LIGHTS,
    MONTHS,
    NEGATIONS,
    TOOLS,
    YEARS,
    Topic,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = [
    "ANIMALS",
    "CITIES",
    "COMMAS",
    "DEAD",
    "DOING",
    "FAMILY",
    "LIGHTS",
    "MONTHS",
    "NEGATIONS",
    "TOOLS",
    "YEARS",
    "After",
    "Anywhere",
    "Both",
    "Constant",
    "Either",
    "Meaning",
    "Near",
    "Noise",
    "Pattern",
    "PlantedSubject",
    "Position",
    "Scaled",
    "Sum",
    "Topic",
    "WordSet",
    "documents",
    "save",
    "split",
]


SPEC = "planted in memory"
"""In place of a spec: no command can load such a subject."""


class PlantedSubject(Subject):
    """A subject whose neurons are planted meanings, with a tokenizer that knows every word of some texts.

    A word that is in none of them is spelt letter by letter, and means what it means: its tokens fire together.

    Args:
        layers: the neurons of every layer.
        texts: give the tokenizer its words.
        name: in the catalogue.
        seed: of the noise.
        lowercase: the tokenizer makes capital letters small, so that meanings see none.
        special: `[CLS]` stands before and `[SEP]` behind every text, as in encoders; without them the first token of a text
            is one that should not count, as in decoders.
        sink: activation of every neuron there: larger than any meaning's, so that it shows where such tokens are counted.
        positions: tokens that it takes, special ones included.

    Raises:
        SubjectError: there is no neuron.
    """

    def __init__(
        self,
        layers: Sequence[Sequence[Meaning]],
        texts: Iterable[str],
        *,
        name: str = "planted",
        seed: int = 0,
        lowercase: bool = True,
        special: bool = True,
        sink: float = 100.0,
        positions: int = 512,
    ) -> None:
        if not layers or not all(layers):
            raise SubjectError("a planted subject has at least one layer, and every layer a neuron")
        self.meanings = tuple(map(tuple, layers))
        """[layer][neuron]"""
        words = dict.fromkeys(
            word for text in texts for word in split(text.lower() if lowercase else text)
        )
        ids = vocabulary(list(words))
        design = Design(self.meanings, seed, sink, special)
        about = repr((design, positions, lowercase, list(ids)))
        super().__init__(
            SPEC,
            name,
            build(design, Reader(tuple(ids)), positions),
            _tokenizer(ids, lowercase=lowercase, special=special),
            hashlib.sha256(about.encode()).hexdigest(),
            site=SITE,
        )


def _tokenizer(ids: dict[str, int], *, lowercase: bool, special: bool) -> PreTrainedTokenizerFast:
    """A fast tokenizer of words and punctuation, whose other words are spelt in letters."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    model: Any = models.WordPiece(ids, unk_token="[UNK]", continuing_subword_prefix=CONTINUED)
    backend = Tokenizer(model)
    if lowercase:
        backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(WORD), "removed", invert=True)
    marks = {"cls_token": "[CLS]", "sep_token": "[SEP]"} if special else {}
    if special:
        backend.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[(t, ids[t]) for t in marks.values()]
        )
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]", **marks)
