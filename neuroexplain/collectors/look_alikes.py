"""Look-alikes: spans that look like a neuron's strongest ones, and on which it stays quiet when the subject runs them.

Candidates are sought without running the subject: spans with a token on which strong spans peak, then others, of each sort
those whose look is nearest, in documents that none of the strongest spans is from. What is kept is a function of
the corpus and the settings, whichever neurons were asked for together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuroexplain.collectors.looks import Looks
from neuroexplain.collectors.plan import Numbers
from neuroexplain.collectors.trial import Quiet, Trial
from neuroexplain.config import EvidenceConfig
from neuroexplain.recorded import ExemplarBlock, LookAlikes, SplitTokens
from neuroexplain.records import Evidence, Floats, NeuronId

if TYPE_CHECKING:
    from neuroexplain.subjects import Subject

PER_KEPT = 4
"""Candidates of either sort for each look-alike that is wanted."""
STRONG = 0.5
"""Share of the scale from which on a strongest span is a model for look-alikes."""


@dataclass(frozen=True)
class Wish:
    """A neuron that look-alikes are sought for."""

    neuron: NeuronId
    spans: tuple[int, ...]
    """Numbers of its strongest spans in the explain split; none for a neuron that never fires."""
    models: tuple[int, ...]
    """Those of them that the look-alikes are to be like: on the weakest of the strongest many neurons hardly fire."""
    peak_tokens: frozenset[int]
    """Token ids on which these peak."""
    scale: float
    """Level 10, in the subject's activation units."""

    @classmethod
    def of(cls, evidence: Evidence) -> Wish:
        """The wish of a neuron."""
        top = evidence.of_kind("top")
        strong = [e for e in top if abs(e.peak) >= STRONG * evidence.scale]
        return cls(
            evidence.neuron,
            tuple(e.span.span for e in top),
            tuple(e.span.span for e in strong),
            frozenset(e.span.token_ids[e.peak_position] for e in strong),
            evidence.scale,
        )


def look_alikes(
    subject: Subject,
    looks: Looks,
    wishes: Sequence[Wish],
    config: EvidenceConfig,
    *,
    batch_size: int = 32,
    on_spans: Callable[[int, int], None] | None = None,
) -> list[LookAlikes]:
    """Look-alikes of some neurons, by layer and polarity.

    Args:
        subject: the model.
        looks: of the spans of the explain split.
        wishes: the neurons.
        config: how many are kept, and what quiet means.
        batch_size: full-length spans per forward pass.
        on_spans: told how many spans of how many have run.

    Raises:
        CollectError: an activation is NaN or infinite.
    """
    found = [_candidates(looks, wish, PER_KEPT * config.look_alikes) for wish in wishes]
    trial = Trial(
        looks.tokens,
        [wish.neuron for wish in wishes],
        [config.quiet * wish.scale for wish in wishes],
        [candidates.places for candidates in found],
    )
    trial.run(subject, batch_size, on_spans)
    groups: defaultdict[tuple[int, int], list[_Kept]] = defaultdict(list)
    for number, wish in enumerate(wishes):
        quiet = {
            place: trial.quiet[number, place]
            for place in found[number].places.tolist()
            if (number, place) in trial.quiet
        }
        kept = _kept(looks.tokens, wish, found[number], quiet, config.look_alikes)
        groups[wish.neuron.layer, wish.neuron.polarity].append(kept)
    return [_record(looks.tokens, kept, config.look_alikes) for kept in groups.values()]


@dataclass(frozen=True)
class _Candidates:
    """Spans to try for one neuron, in the order in which they are wanted; arrays are [candidate]."""

    places: Numbers
    likeness: Floats


@dataclass(frozen=True)
class _Kept:
    """What was found for one neuron."""

    wish: Wish
    entries: tuple[tuple[int, float, Quiet], ...]
    """Places of the look-alikes, with their likeness."""

    @property
    def reason(self) -> str | None:
        """Why there are none."""
        if self.entries:
            return None
        return "no_quiet_span" if self.wish.spans else "dead_neuron"


def _candidates(looks: Looks, wish: Wish, each: int) -> _Candidates:
    tokens = looks.tokens
    own, models = (np.searchsorted(tokens.spans, numbers) for numbers in (wish.spans, wish.models))
    if not len(models):
        return _Candidates(np.empty(0, np.int64), np.empty(0, np.float32))
    likeness = looks.likeness(models)
    # A few words look like anything.
    long = tokens.lengths >= np.median(tokens.lengths[models]) / 2
    elsewhere = long & ~np.isin(tokens.documents, tokens.documents[own])
    shares = looks.with_tokens(wish.peak_tokens)
    chosen = np.concatenate(
        [_nearest(likeness, elsewhere & sort, each) for sort in (shares, ~shares)]
    )
    return _Candidates(chosen, likeness[chosen])


def _nearest(likeness: Floats, among: NDArray[np.bool_], n: int) -> Numbers:
    """The most alike of some spans; of equal ones the earlier."""
    places = np.flatnonzero(among)
    return places[np.argsort(-likeness[places], kind="stable")[:n]]


def _kept(
    tokens: SplitTokens, wish: Wish, candidates: _Candidates, quiet: dict[int, Quiet], n: int
) -> _Kept:
    """The first candidates on which a neuron stays quiet, one of a document."""
    by_document: dict[int, tuple[int, float, Quiet]] = {}
    for place, likeness in zip(
        candidates.places.tolist(), candidates.likeness.tolist(), strict=True
    ):
        if place in quiet:
            document = int(tokens.documents[place])
            by_document.setdefault(document, (place, likeness, quiet[place]))
    return _Kept(wish, tuple(by_document.values())[:n])


def _record(tokens: SplitTokens, kept: Sequence[_Kept], n: int) -> LookAlikes:
    """The look-alikes of neurons of one layer and polarity."""
    shape = (len(kept), n)
    likeness, lengths = np.zeros(shape, np.float32), np.zeros(shape, np.int64)
    block = ExemplarBlock(
        split="explain",
        kind="contrastive",
        polarity=kept[0].wish.neuron.polarity,
        spans=np.full(shape, -1, np.int64),
        peaks=np.zeros(shape, np.float32),
        peak_positions=np.zeros(shape, np.int32),
        activations=np.zeros((*shape, int(tokens.lengths.max(initial=0))), np.float16),
        exponents=np.zeros(shape, np.int8),
        inclusion_probability=0.0,
    )
    for row, found in enumerate(kept):
        for rank, (place, alike, quiet) in enumerate(found.entries):
            at = row, rank
            block.spans[at], lengths[at] = tokens.spans[place], tokens.lengths[place]
            likeness[at] = alike
            block.peaks[at], block.peak_positions[at] = quiet.peak, quiet.position
            block.activations[at][: len(quiet.trace)] = quiet.trace
            block.exponents[at] = quiet.exponent
    indices = np.array([found.wish.neuron.index for found in kept])
    reasons = tuple(found.reason for found in kept)
    return LookAlikes(kept[0].wish.neuron.layer, indices, block, lengths, likeness, reasons)
