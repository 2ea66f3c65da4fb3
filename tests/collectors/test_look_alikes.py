"""Look-alikes against a search written out span by span, and what makes them ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from neuroexplain.collectors.look_alikes import PER_KEPT, Wish, look_alikes
from neuroexplain.collectors.looks import Looks
from neuroexplain.config import EvidenceConfig
from neuroexplain.errors import CollectError
from neuroexplain.recorded import LookAlikes, SplitTokens, TokenCorpus
from neuroexplain.records import Evidence, Exemplar, Floats, NeuronId, Statistics, TokenSpan
from neuroexplain.subjects import Subject

MakeCorpus = Callable[..., TokenCorpus]
MakeSubject = Callable[[str], Subject]
CONFIG = EvidenceConfig(look_alikes=3, quiet=0.6)
NEURONS = [
    NeuronId("made", layer, index, polarity)
    for layer, index in ((0, 0), (1, 5), (0, 47), (1, 30))
    for polarity in (1, -1)
]
TOP = 3


def explain_split(corpus: TokenCorpus) -> SplitTokens:
    """All documents of the corpus, as the catalogue gives them; span numbers have gaps."""
    ids = [document.token_ids for document in corpus.documents]
    before = np.cumsum([0, *map(len, ids)])
    return SplitTokens(
        corpus.info.first,
        np.arange(len(corpus.span_start)) * 3,
        corpus.span_document,
        before[corpus.span_document] + corpus.span_start,
        corpus.span_length,
        np.concatenate(ids),
    )


@dataclass(frozen=True)
class World:
    """A subject, the spans of a split, and what every neuron does on each of them, run by itself."""

    subject: Subject
    tokens: SplitTokens
    traces: dict[int, list[Floats]]
    """[token, neuron] of every span, by layer."""

    def trace(self, neuron: NeuronId, place: int) -> Floats:
        values: Floats = self.traces[neuron.layer][place][:, neuron.index]
        return values

    def peak(self, neuron: NeuronId, place: int) -> float:
        """On the polarity's side."""
        return float((self.trace(neuron, place)[self.tokens.first :] * neuron.polarity).max())

    def wish(self, neuron: NeuronId) -> Wish:
        """From the strongest spans, one of a document."""
        order = sorted(
            range(len(self.tokens.spans)), key=lambda place: (-self.peak(neuron, place), place)
        )
        best: dict[int, int] = {}
        for place in order:
            best.setdefault(int(self.tokens.documents[place]), place)
        exemplars = tuple(
            self.exemplar(neuron, place, rank)
            for rank, place in enumerate(list(best.values())[:TOP])
            if self.peak(neuron, place) > 0
        )
        scale = max((abs(e.peak) for e in exemplars), default=0.0)
        statistics = Statistics(1, 0.0, 1.0, -1.0, 1.0, 0.5)
        return Wish.of(Evidence(neuron, exemplars, scale, statistics, len(self.tokens.spans)))

    def exemplar(self, neuron: NeuronId, place: int, rank: int) -> Exemplar:
        ids = tuple(self.tokens.ids(place).tolist())
        document = int(self.tokens.documents[place])
        span = TokenSpan(int(self.tokens.spans[place]), document, 0, ids, ("x",) * len(ids))
        trace = self.trace(neuron, place)
        first = self.tokens.first
        position = first + int((trace[first:] * neuron.polarity).argmax())
        return Exemplar(
            *(span, trace, "explain", "top", rank, float(trace[position]), position, 1.0)
        )


@pytest.fixture
def make_world(make_corpus: MakeCorpus, make_subject: MakeSubject) -> Callable[..., World]:
    """`make_world("gpt2")`: 30 documents of one to three spans; as many again of the other splits are not in it."""

    def make(kind: str) -> World:
        lengths = np.random.default_rng(3).integers(5, 24, 30).tolist()
        subject = make_subject(kind)
        tokens = explain_split(make_corpus(first=subject.first, explain=lengths))
        traces: dict[int, list[Floats]] = {layer: [] for layer in subject.layers}
        for place in range(len(tokens.spans)):
            subject.run(
                [tokens.ids(place).tolist()],
                subject.layers,
                lambda seen: traces[seen.layer].append(seen.neurons[0, seen.content].numpy()),
            )
        return World(subject, tokens, traces)

    return make


def vectors(world: World) -> Floats:
    """[span, dimension]; the looks, written out."""
    tokens = world.tokens
    spans = [tokens.ids(place).tolist() for place in range(len(tokens.spans))]
    every = [token for span in spans for token in span]
    table = world.subject.model.get_input_embeddings().weight.numpy()
    share = {token: every.count(token) / len(every) for token in every}
    looks = np.array(
        [np.mean([table[t] * 1e-3 / (1e-3 + share[t]) for t in span], axis=0) for span in spans]
    )
    looks -= looks.mean(axis=0)
    found: Floats = looks / np.linalg.norm(looks, axis=1, keepdims=True)
    return found


def sought(world: World, wish: Wish, config: EvidenceConfig) -> list[tuple[int, float]]:
    """Places of a neuron's look-alikes with their likeness, by the rule as it is told."""
    if not wish.models:
        return []
    tokens, looks = world.tokens, vectors(world)
    place_of = {number: place for place, number in enumerate(tokens.spans.tolist())}
    common = looks[[place_of[n] for n in wish.models]].mean(axis=0)
    likeness = looks @ common / np.linalg.norm(common)
    taken = {int(tokens.documents[place_of[n]]) for n in wish.spans}
    usual = np.median([tokens.lengths[place_of[n]] for n in wish.models])
    sorts: dict[bool, list[int]] = {True: [], False: []}
    for place in sorted(range(len(likeness)), key=lambda p: -likeness[p]):
        if int(tokens.documents[place]) not in taken and tokens.lengths[place] >= usual / 2:
            shares = wish.peak_tokens & set(tokens.ids(place)[tokens.first :].tolist())
            sorts[bool(shares)].append(place)
    kept: list[tuple[int, float]] = []
    for place in [p for s in (True, False) for p in sorts[s][: PER_KEPT * config.look_alikes]]:
        document = tokens.documents[place]
        new = document not in [tokens.documents[p] for p, _ in kept]
        if new and world.peak(wish.neuron, place) < config.quiet * wish.scale:
            kept.append((place, float(likeness[place])))
    return kept[: config.look_alikes]


def by_neuron(found: list[LookAlikes]) -> dict[tuple[int, int, int], tuple[LookAlikes, int]]:
    """A record and the row in it, by layer, index and polarity."""
    return {
        (record.layer, index, record.block.polarity): (record, row)
        for record in found
        for row, index in enumerate(record.indices.tolist())
    }


@pytest.mark.parametrize("kind", ["gpt2", "bert", "opt", "mixtral"])
def test_the_same_as_span_by_span(make_world: Callable[..., World], kind: str) -> None:
    """Decoders whose first tokens do not count, an encoder with special tokens, ReLU, and experts that see some tokens."""
    world = make_world(kind)
    wishes = [world.wish(neuron) for neuron in NEURONS]
    looks = Looks.of(world.tokens, world.subject)
    found = by_neuron(look_alikes(world.subject, looks, wishes, CONFIG, batch_size=4))
    assert len(found) == len(NEURONS)
    n = 0
    for wish in wishes:
        neuron = wish.neuron
        record, row = found[neuron.layer, neuron.index, neuron.polarity]
        wanted = sought(world, wish, CONFIG)
        n += len(wanted)
        block = record.block
        none = "no_quiet_span" if wish.models else "dead_neuron"
        assert record.reasons[row] == (None if wanted else none)
        assert (block.spans[row] >= 0).sum() == len(wanted)
        for rank, (place, likeness) in enumerate(wanted):
            trace = world.trace(neuron, place)
            length = len(trace)
            assert block.spans[row, rank] == world.tokens.spans[place]
            assert record.lengths[row, rank] == length
            assert record.likeness[row, rank] == pytest.approx(likeness, abs=1e-5)
            kept = block.activations[row, rank].astype(np.float32)
            np.testing.assert_allclose(kept[:length], trace, rtol=2e-3, atol=1e-6)
            assert not kept[length:].any()
            counted = kept[world.tokens.first : length] * neuron.polarity
            assert block.peaks[row, rank] == counted.max() * neuron.polarity
            assert block.peak_positions[row, rank] == counted.argmax() + world.tokens.first
    assert n > len(NEURONS), "there is something to compare"


def test_every_span_runs_once_for_all_and_nobody_is_in_anothers_way(
    make_world: Callable[..., World],
) -> None:
    world = make_world("gpt2")
    wishes = [world.wish(NeuronId("made", 1, index, 1)) for index in range(48)]
    looks = Looks.of(world.tokens, world.subject)
    told: list[tuple[int, int]] = []
    together = look_alikes(
        *(world.subject, looks, wishes, CONFIG),
        batch_size=4,
        on_spans=lambda done, of: told.append((done, of)),
    )
    done, of = told[-1]
    assert done == of <= len(world.tokens.spans)
    assert sum(len(wish.models) > 0 for wish in wishes) * PER_KEPT * 3 > 10 * of
    alone = look_alikes(world.subject, looks, wishes[7:8], CONFIG)
    (one,), (all_,) = alone, together
    assert one.block.spans[0].tolist() == all_.block.spans[7].tolist()
    assert one.likeness[0].tolist() == all_.likeness[7].tolist()
    np.testing.assert_allclose(
        one.block.activations[0].astype(float), all_.block.activations[7].astype(float), rtol=2e-3
    )


def test_neurons_that_never_fire_and_neurons_that_never_stop(
    make_world: Callable[..., World],
) -> None:
    world = make_world("gpt2")
    dead = Wish(NeuronId("made", 0, 1, 1), (), (), frozenset(), 0.0)
    loud = world.wish(NeuronId("made", 0, 2, 1))
    loud = Wish(loud.neuron, loud.spans, loud.models, loud.peak_tokens, 1e-9)
    looks = Looks.of(world.tokens, world.subject)
    (found,) = look_alikes(world.subject, looks, [dead, loud], CONFIG)
    assert found.reasons == ("dead_neuron", "no_quiet_span")
    assert (found.block.spans == -1).all()
    (none,) = look_alikes(world.subject, looks, [dead], CONFIG)
    assert none.reasons == ("dead_neuron",)


def test_models_are_the_spans_on_which_it_is_strong(make_world: Callable[..., World]) -> None:
    world = make_world("gpt2")
    neuron = NeuronId("made", 1, 5, -1)
    peaks = [-2.0, -1.0, -0.9]
    exemplars = tuple(
        world.exemplar(neuron, place, rank)._replace(peak=peak, peak_position=rank + 1)
        for rank, (place, peak) in enumerate(zip((4, 2, 9), peaks, strict=True))
    )
    statistics = Statistics(1, 0.0, 1.0, -1.0, 1.0, 0.5)
    wish = Wish.of(Evidence(neuron, exemplars, 2.0, statistics, 9))
    assert wish.spans == (12, 6, 27)
    assert wish.models == (12, 6), "from level 5 on"
    assert wish.peak_tokens == {world.tokens.ids(4)[1], world.tokens.ids(2)[2]}


def test_an_activation_that_is_no_number_is_an_error(make_world: Callable[..., World]) -> None:
    world = make_world("gpt2")
    wishes = [world.wish(NeuronId("made", 1, index, 1)) for index in (4, 5)]
    looks = Looks.of(world.tokens, world.subject)
    torch.nn.init.constant_(world.subject.model.h[1].mlp.c_fc.bias[5:6], float("nan"))
    with pytest.raises(CollectError, match=r"layer 1, neuron 5: an activation is NaN"):
        look_alikes(world.subject, looks, wishes, CONFIG)
