"""Look-alikes and output tokens come back as they were found, in Python, in SQL and in `show`."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.config import EvidenceConfig
from neuroexplain.errors import CatalogueError, ConfigError
from neuroexplain.recorded import (
    ExemplarBlock,
    LayerCollection,
    LookAlikes,
    OutputBlock,
    SubjectInfo,
    TokenCorpus,
)
from neuroexplain.records import SPLITS, Evidence, NeuronId, OutputTokens, Split

CONFIG = EvidenceConfig(look_alikes=3, quiet=0.25, output_tokens=2)
LAYER, POLARITY = 2, -1
BOTH = frozenset({"look_alikes", "output_tokens"})


def make_look_alikes(corpus: TokenCorpus) -> LookAlikes:
    """Of neurons 3, 0 and 1: three spans, one of which is huge; one span; none."""
    spans = np.array([[24, 0, 9], [1, -1, -1], [-1, -1, -1]])
    lengths = np.where(spans >= 0, corpus.span_length[spans], 0)
    random = np.random.default_rng(5)
    activations = random.normal(size=(3, 3, 6)).astype(np.float16)
    activations[np.arange(6) >= lengths[..., None]] = 0
    exponents = np.zeros((3, 3), np.int8)
    exponents[0, 1] = 4
    values = np.ldexp(activations.astype(np.float32), exponents[..., None])
    counted = np.where((np.arange(6) < lengths[..., None]) & (np.arange(6) > 0), values, np.inf)
    positions = counted.argmin(axis=2).astype(np.int32)
    peaks = np.take_along_axis(values, positions[..., None].astype(np.int64), 2)[..., 0]
    block = ExemplarBlock(
        *("explain", "contrastive", POLARITY, spans, peaks),
        *(positions, activations, exponents, 0.0),
    )
    likeness = np.array([[0.75, 0.5, -0.125], [1.0, 0, 0], [0, 0, 0]], np.float32)
    reasons = (None, None, "no_quiet_span")
    return LookAlikes(LAYER, np.array([3, 0, 1]), block, lengths, likeness, reasons)


@pytest.fixture
def alike(catalogue: Catalogue, collection: Collection, corpus: TokenCorpus) -> LookAlikes:
    """Look-alikes that the catalogue has."""
    made = make_look_alikes(corpus)
    catalogue.save_look_alikes(collection, [made], CONFIG)
    return made


OUTPUT = OutputBlock(
    layer=LAYER,
    indices=np.array([2, 0]),
    promoted=np.array([[70_000, 3], [3, 4]], np.uint32),
    promoted_logits=np.array([[2.5, 1.0], [6e-8, 0.0]], np.float32),
    suppressed=np.array([[5, 4], [70_000, 5]], np.uint32),
    suppressed_logits=np.array([[-65504.0, -0.5], [-1.25, -1.0]], np.float32),
    texts={70_000: " river", 3: "\n", 4: "<0xE6>", 5: "naïve"},
)


def address(index: int, polarity: int = POLARITY) -> NeuronId:
    return NeuronId("tiny", LAYER, index, polarity)


def evidence(catalogue: Catalogue, collection: Collection, neuron: NeuronId) -> Evidence:
    return catalogue.evidence(collection, neuron, BOTH)


def test_look_alikes_come_back_exactly(
    catalogue: Catalogue, collection: Collection, corpus: TokenCorpus, alike: LookAlikes
) -> None:
    block = alike.block
    for row, index in enumerate(alike.indices.tolist()):
        found = evidence(catalogue, collection, address(index)).look_alikes
        assert len(found) == (block.spans[row] >= 0).sum()
        for rank, exemplar in enumerate(found):
            assert exemplar.span == corpus.span(int(block.spans[row, rank]))
            stored = block.activations[row, rank, : len(exemplar.span)].astype(np.float32)
            wanted = np.ldexp(stored, block.exponents[row, rank])
            assert exemplar.activations.tolist() == wanted.tolist()
            assert (exemplar.split, exemplar.kind, exemplar.rank) == (
                "explain",
                "contrastive",
                rank,
            )
            assert exemplar.peak == min(wanted[1:])
            assert exemplar.activations[exemplar.peak_position] == exemplar.peak
            assert exemplar.inclusion_probability == 0
        assert evidence(catalogue, collection, address(index, 1)).look_alikes == ()


def test_output_tokens_of_the_lower_side_are_those_of_the_upper_turned_round(
    catalogue: Catalogue, collection: Collection
) -> None:
    catalogue.save_output_tokens(collection, OUTPUT, CONFIG)
    upper = OutputTokens(
        promoted=((" river", 2.5), ("\n", 1.0)), suppressed=(("naïve", -65504.0), ("<0xE6>", -0.5))
    )
    lower = OutputTokens(
        promoted=(("naïve", 65504.0), ("<0xE6>", 0.5)), suppressed=((" river", -2.5), ("\n", -1.0))
    )
    assert evidence(catalogue, collection, address(2, 1)).output_tokens == upper
    assert evidence(catalogue, collection, address(2, -1)).output_tokens == lower
    assert evidence(catalogue, collection, address(1)).output_tokens is None
    assert catalogue.has_output_tokens(collection)


def test_evidence_holds_only_what_is_wanted(
    catalogue: Catalogue, collection: Collection, alike: LookAlikes
) -> None:
    catalogue.save_output_tokens(collection, OUTPUT, CONFIG)
    plain = catalogue.evidence(collection, address(0))
    assert (plain.look_alikes, plain.output_tokens, plain.ngrams) == ((), None, ())
    one = catalogue.evidence(collection, address(0), frozenset({"look_alikes"}))
    assert (len(one.look_alikes), one.output_tokens) == (1, None)
    other = catalogue.evidence(collection, address(0), frozenset({"output_tokens", "ngrams"}))
    assert other.look_alikes == () and other.output_tokens is not None
    assert other.exemplars[0].activations.tolist() == plain.exemplars[0].activations.tolist()


def test_what_was_sought_is_known_by_its_settings(
    catalogue: Catalogue, collection: Collection, alike: LookAlikes
) -> None:
    catalogue.save_output_tokens(collection, OUTPUT, CONFIG)
    catalogue.save_no_output_tokens(collection, 0, [1], "encoder", CONFIG)
    place = (collection, LAYER, POLARITY)
    assert catalogue.with_look_alikes(*place, CONFIG).tolist() == [0, 1, 3]
    assert catalogue.with_look_alikes(collection, LAYER, 1, CONFIG).tolist() == []
    for other in (replace(CONFIG, look_alikes=4), replace(CONFIG, quiet=0.2)):
        assert catalogue.with_look_alikes(*place, other).tolist() == []
    assert catalogue.with_output_tokens(collection, LAYER, CONFIG).tolist() == [0, 2]
    assert catalogue.with_output_tokens(collection, 0, CONFIG).tolist() == [1]
    other = replace(CONFIG, output_tokens=3)
    assert catalogue.with_output_tokens(collection, LAYER, other).tolist() == []


def test_what_is_found_anew_replaces_what_there_was(
    catalogue: Catalogue, collection: Collection, corpus: TokenCorpus, alike: LookAlikes
) -> None:
    spans = alike.block.spans.copy()
    spans[0, 1:] = -1
    lengths = np.where(spans >= 0, alike.lengths, 0)
    fewer = replace(alike, block=replace(alike.block, spans=spans), lengths=lengths)
    again = replace(CONFIG, look_alikes=1)
    catalogue.save_look_alikes(collection, [fewer], again)
    assert len(evidence(catalogue, collection, address(3)).look_alikes) == 1
    assert catalogue.with_look_alikes(collection, LAYER, POLARITY, CONFIG).tolist() == []
    catalogue.save_output_tokens(collection, OUTPUT, CONFIG)
    catalogue.save_no_output_tokens(collection, LAYER, [0, 2], "no_weights", CONFIG)
    assert evidence(catalogue, collection, address(2)).output_tokens is None
    assert not catalogue.has_output_tokens(collection)


def test_look_alikes_are_the_collections_and_output_tokens_the_subjects(
    catalogue: Catalogue,
    collection: Collection,
    subject: SubjectInfo,
    corpus: TokenCorpus,
    layers: list[LayerCollection],
    alike: LookAlikes,
) -> None:
    catalogue.save_output_tokens(collection, OUTPUT, CONFIG)
    catalogue.save_collection("newer", {}, subject, corpus, layers)
    newer = catalogue.collection()
    found = evidence(catalogue, newer, address(0))
    assert found.look_alikes == () and found.output_tokens is not None
    assert catalogue.with_output_tokens(newer, LAYER, CONFIG).tolist() == [0, 2]
    with closing(sqlite3.connect(catalogue.path)) as connection:
        assert connection.execute("SELECT count(*) FROM v_look_alikes").fetchone() == (0,)
    assert len(evidence(catalogue, collection, address(0)).look_alikes) == 1


def test_views_unpack_the_arrays(
    catalogue: Catalogue, collection: Collection, corpus: TokenCorpus, alike: LookAlikes
) -> None:
    catalogue.save_output_tokens(collection, OUTPUT, CONFIG)
    block = alike.block
    wanted = set()
    for row, rank in zip(*np.nonzero(block.spans >= 0), strict=True):
        span = corpus.span(int(block.spans[row, rank]))
        place = (int(alike.indices[row]), POLARITY, int(rank), span.document, span.start)
        peak = float(block.peaks[row, rank]), int(block.peak_positions[row, rank])
        wanted.add((*place, float(alike.likeness[row, rank]), *peak, span.text, span.span))
    columns = "polarity, rank, document, start, likeness, peak, peak_position, text, span"
    tokens = set()
    for row, index in enumerate(OUTPUT.indices.tolist()):
        for rank in range(2):
            for ids, logits, effect, other in (
                (OUTPUT.promoted, OUTPUT.promoted_logits, "promoted", "suppressed"),
                (OUTPUT.suppressed, OUTPUT.suppressed_logits, "suppressed", "promoted"),
            ):
                token, logit = int(ids[row, rank]), float(np.float16(logits[row, rank]))
                word = (rank, token, OUTPUT.texts[token])
                tokens |= {(index, 1, effect, *word, logit), (index, -1, other, *word, -logit)}
    names = "polarity, effect, rank, token_id, token, logit"
    with closing(sqlite3.connect(catalogue.path)) as connection:
        query = "SELECT idx, {} FROM {} JOIN v_neurons USING (neuron_id) WHERE layer = 2"
        found = connection.execute(query.format(columns, "v_look_alikes")).fetchall()
        assert len(found) == len(wanted) and set(found) == wanted
        found = connection.execute(query.format(names, "v_output_tokens")).fetchall()
        assert len(found) == len(tokens) and set(found) == tokens


def test_show_has_them_with_their_reasons(
    catalogue: Catalogue, collection: Collection, alike: LookAlikes
) -> None:
    nothing = catalogue.show(address(2))
    assert (nothing["look_alikes"], nothing["output_tokens"]) == (None, None)
    catalogue.save_output_tokens(collection, OUTPUT, CONFIG)
    catalogue.save_no_output_tokens(collection, LAYER, [1], "encoder", CONFIG)
    shown = catalogue.show(address(3))["look_alikes"]
    assert [span["likeness"] for span in shown["spans"]] == [0.75, 0.5, -0.125]
    assert {(span["kind"], span["inclusion_probability"]) for span in shown["spans"]} == {
        ("contrastive", 0.0)
    }
    assert shown["reason"] is None
    assert catalogue.show(address(1))["look_alikes"] == {"spans": [], "reason": "no_quiet_span"}
    assert catalogue.show(address(2))["output_tokens"] == {
        "promoted": [{"token": "naïve", "logit": 65504.0}, {"token": "<0xE6>", "logit": 0.5}],
        "suppressed": [{"token": " river", "logit": -2.5}, {"token": "\n", "logit": -1.0}],
        "reason": None,
    }
    none = {"promoted": [], "suppressed": [], "reason": "encoder"}
    assert catalogue.show(address(1))["output_tokens"] == none


def test_numbers_that_are_not_finite_are_refused(
    catalogue: Catalogue, collection: Collection, corpus: TokenCorpus
) -> None:
    made = make_look_alikes(corpus)
    made.block.activations[0, 0, 1] = np.nan
    with pytest.raises(CatalogueError, match="layer 2: an activation is NaN"):
        catalogue.save_look_alikes(collection, [made], CONFIG)
    for value in (np.nan, np.inf, 70_000.0):
        logits = np.full_like(OUTPUT.promoted_logits, value)
        with pytest.raises(CatalogueError, match="layer 2: a logit is infinite, NaN, or too"):
            catalogue.save_output_tokens(
                collection, replace(OUTPUT, promoted_logits=logits), CONFIG
            )
    assert evidence(catalogue, collection, address(3)).look_alikes == ()
    with pytest.raises(CatalogueError, match="0 to 3"):
        catalogue.save_no_output_tokens(collection, LAYER, [4], "encoder", CONFIG)


@pytest.mark.parametrize("split", SPLITS)
def test_the_tokens_of_a_split_are_those_of_the_corpus(
    catalogue: Catalogue, collection: Collection, corpus: TokenCorpus, split: Split
) -> None:
    numbers = np.flatnonzero(corpus.span_split == SPLITS.index(split))
    found = catalogue.split_tokens(collection, split)
    assert found.first == corpus.info.first
    assert found.spans.tolist() == numbers.tolist()
    assert found.lengths.tolist() == corpus.span_length[numbers].tolist()
    for place, number in enumerate(numbers.tolist()):
        span = corpus.span(number)
        assert tuple(found.ids(place).tolist()) == span.token_ids
        assert found.documents[place] == span.document


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"look_alikes": 0}, "look_alikes must be at least 1, not 0"),
        ({"output_tokens": -1}, "output_tokens must be at least 1, not -1"),
        ({"quiet": 0.0}, "quiet must be above 0 and at most 1, not 0.0"),
        ({"quiet": 1.5}, "quiet must be above 0 and at most 1, not 1.5"),
        ({"quiet": float("nan")}, "quiet must be above 0"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EvidenceConfig(**settings)  # type: ignore[arg-type]
