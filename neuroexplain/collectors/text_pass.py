"""Short texts through a subject, each by itself: the responses of chosen neurons.

Texts are read as the n-grams of the n-gram pass are, whose spread is the unit of what is made of these responses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuroexplain.collectors.ngram_responses import respond
from neuroexplain.collectors.ngram_set import Reading
from neuroexplain.corpora.encoding import Encoder
from neuroexplain.errors import CollectError
from neuroexplain.recorded import Aggregator
from neuroexplain.records import Floats

if TYPE_CHECKING:
    from neuroexplain.subjects import LayerActivations, Subject

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class ReadTexts:
    """Texts as a subject is given them."""

    token_ids: tuple[Numbers, ...]
    """[text][token]; with what is put before a text, without special tokens."""
    counted: Numbers
    """[text]; tokens that count. 0 for a text that the subject cannot be given: nothing in it counts, or it is too long."""
    first: int
    """Leading tokens that count for nothing."""


@dataclass(frozen=True)
class Targets:
    """Neurons, each with a polarity; arrays are [neuron]."""

    layer: Numbers
    index: Numbers
    polarity: Numbers


@dataclass(frozen=True)
class Wanted:
    """Which responses are kept."""

    texts: Numbers
    """Of these texts those of all neurons; ascending, each once."""
    pair_text: Numbers
    """[pair]; of these texts those of one neuron each."""
    pair_neuron: Numbers
    """[pair]; place among the targets."""


@dataclass(frozen=True)
class TextResponses:
    """Responses on the polarity's side, in the subject's activation units."""

    of_all: Floats
    """[text, neuron], for `Wanted.texts`."""
    of_pairs: Floats
    """[pair]"""
    nonzero: Numbers
    """[pair]; counted tokens of the text on which the neuron is above 0 on the polarity's side."""


def read(subject: Subject, texts: Sequence[str]) -> ReadTexts:
    """Tokenise texts; special tokens that one spells are read as ordinary characters."""
    encoder = Encoder.of(subject.tokenizer)
    reading = Reading.of(subject, encoder)
    space = " " if reading.space else ""
    ids = [
        np.concatenate([np.array(reading.lead, np.int64), encoding.ids.astype(np.int64)])
        for encoding in encoder.encode([space + text.strip() for text in texts])
    ]
    lengths = np.array([len(i) for i in ids], dtype=np.int64)
    special = len(subject.prefix) + len(subject.suffix)
    fits = lengths + special <= subject.max_positions
    counted = np.where(fits, np.maximum(lengths - subject.first, 0), 0)
    return ReadTexts(tuple(ids), counted, subject.first)


def text_responses(
    subject: Subject,
    texts: ReadTexts,
    targets: Targets,
    wanted: Wanted,
    *,
    aggregator: Aggregator,
    batch_tokens: int,
    advance: Callable[[int], None],
) -> TextResponses:
    """Run texts of equal length together, without padding, up to the last layer that is needed.

    Args:
        subject: the model.
        texts: those that are wanted have tokens that count.
        targets: the neurons.
        wanted: which responses are kept.
        aggregator: what the tokens of a text come down to.
        batch_tokens: tokens of one forward pass, about.
        advance: told of every batch, how many texts it had.

    Raises:
        CollectError: an activation is NaN or infinite.
    """
    kept = _Kept(wanted, len(targets.layer))
    layers = np.unique(targets.layer).tolist()
    places = {layer: np.flatnonzero(targets.layer == layer) for layer in layers}
    for rows in _batches(texts, wanted, batch_tokens):
        batch = _Batch(targets, places, len(rows), texts.first, aggregator)
        subject.run([texts.token_ids[row].tolist() for row in rows], layers, batch.take)
        kept.add(rows, batch)
        advance(len(rows))
    return TextResponses(kept.of_all, kept.of_pairs, kept.nonzero)


def _batches(texts: ReadTexts, wanted: Wanted, batch_tokens: int) -> Iterator[Numbers]:
    """Texts of equal length, a few at a time and in order; each text once."""
    needed = np.union1d(wanted.texts, wanted.pair_text)
    lengths = np.array([len(texts.token_ids[row]) for row in needed], dtype=np.int64)
    for length in np.unique(lengths).tolist():
        same = needed[lengths == length]
        size = max(1, batch_tokens // length)
        for start in range(0, len(same), size):
            yield same[start : start + size]


class _Batch:
    """Responses of all targets to texts of equal length, layer by layer."""

    def __init__(
        self,
        targets: Targets,
        places: Mapping[int, Numbers],
        size: int,
        first: int,
        aggregator: Aggregator,
    ) -> None:
        self._targets = targets
        self._places = places
        self._first = first
        self._aggregator = aggregator
        self.values = np.zeros((size, len(targets.layer)), np.float32)
        """[text, neuron]; on the polarity's side."""
        self.above = np.zeros(self.values.shape, np.int64)
        """[text, neuron]; counted tokens above 0 on that side."""

    def take(self, seen: LayerActivations) -> None:
        """Take in a layer."""
        places = self._places[seen.layer]
        indices, polarity = self._targets.index[places], self._targets.polarity[places]
        chosen = replace(seen, neurons=seen.neurons[:, :, indices.tolist()])
        values = self._side(chosen, polarity)
        bad = ~np.isfinite(values).all(axis=0)
        if bad.any():
            raise CollectError(
                f"layer {seen.layer}, neuron {indices[bad][0]}: an activation on a text is NaN or infinite; try "
                "--dtype float32"
            )
        self.values[:, places] = values
        counted = chosen.neurons[:, seen.content.start + self._first : seen.content.stop]
        high, low = ((sign * counted > 0).sum(1).cpu().numpy() for sign in (1, -1))
        self.above[:, places] = np.where(polarity > 0, high, low)

    def _side(self, chosen: LayerActivations, polarity: Numbers) -> Floats:
        """Responses; where the polarity is -1 the sign is turned before the tokens come down to one number."""
        found = respond(chosen, self._first)
        mean, highest, lowest = (v.cpu().numpy() for v in (found.mean, found.highest, found.lowest))
        if self._aggregator == "mean":
            return np.asarray(polarity * mean, np.float32)
        return np.asarray(np.where(polarity > 0, highest, -lowest), np.float32)


class _Kept:
    """What is kept of all batches."""

    def __init__(self, wanted: Wanted, neurons: int) -> None:
        self._wanted = wanted
        self._order = np.argsort(wanted.pair_text, kind="stable")
        self._sorted = wanted.pair_text[self._order]
        self.of_all = np.zeros((len(wanted.texts), neurons), np.float32)
        self.of_pairs = np.zeros(len(wanted.pair_text), np.float32)
        self.nonzero = np.zeros(len(wanted.pair_text), np.int64)

    def add(self, rows: Numbers, batch: _Batch) -> None:
        """Take in a batch; its texts are in order."""
        whole = np.isin(rows, self._wanted.texts)
        self.of_all[np.searchsorted(self._wanted.texts, rows[whole])] = batch.values[whole]
        starts, ends = (np.searchsorted(self._sorted, rows, side) for side in ("left", "right"))
        for row, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            pairs = self._order[start:end]
            neurons = self._wanted.pair_neuron[pairs]
            self.of_pairs[pairs] = batch.values[row, neurons]
            self.nonzero[pairs] = batch.above[row, neurons]
