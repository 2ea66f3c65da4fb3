"""Rows of Neuronpedia's tables, put together by neuron."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field, replace

from neuroexplain.exchange import pieces
from neuroexplain.exchange.fields import Fields
from neuroexplain.exchange.neuronpedia.tables import Source
from neuroexplain.exchange.notes import noted
from neuroexplain.exchange.places import Place
from neuroexplain.exchange.scores import bare_score
from neuroexplain.exchange.unplaced import ranked
from neuroexplain.exchanged import ExplanationRecord, NeuronRecord, ScoreRecord, SpanRecord
from neuroexplain.records import NeuronId, Statistics

EXPLAINER = "neuronpedia"
"""Explainer of explanations that have no type."""
_Logits = tuple[tuple[str, float], ...]


@dataclass
class _Neuron:
    """What the rows of several tables say of a neuron."""

    line: int | None = None
    """Of its feature."""
    site: str | None = None
    statistics: Statistics | None = None
    promoted: _Logits = ()
    suppressed: _Logits = ()
    spans: list[SpanRecord] = field(default_factory=list)
    unplaced: list[SpanRecord] = field(default_factory=list)
    """Those whose rank is not told."""
    explanations: dict[str, ExplanationRecord] = field(default_factory=dict)
    """By id."""

    def record(self, neuron: NeuronId, width: int | None) -> NeuronRecord:
        """As one record."""
        spans = (*self.spans, *ranked(self.unplaced, neuron.polarity))
        return NeuronRecord(
            neuron,
            site=self.site,
            statistics=self.statistics,
            spans=spans,
            explanations=tuple(self.explanations.values()),
            promoted=self.promoted,
            suppressed=self.suppressed,
            width=width,
        )


class Rows:
    """Takes rows, a method for each table, and gives records.

    Args:
        subject: name of the subject, where it is not to be the model's.
        plain: token texts are texts, not pieces.
        width: neurons of a layer, where that is known.
    """

    def __init__(self, subject: str | None, *, plain: bool, width: int | None) -> None:
        self._subject, self._plain, self._width = subject, plain, width
        self._neurons: defaultdict[NeuronId, _Neuron] = defaultdict(_Neuron)
        self._whose: dict[str, NeuronId] = {}
        self._whole: set[str] = set()
        """Explanations whose notes tell their scores."""
        self._known: dict[str, str] = {}
        """Token texts, each once: most occur thousands of times."""

    def records(self) -> list[NeuronRecord]:
        """The neurons, in order."""
        return [known.record(n, self._width) for n, known in sorted(self._neurons.items())]

    def features(self, row: Fields) -> None:
        """A row of table Neuron."""
        neuron = self._neuron(row)
        known = self._neurons[neuron]
        if known.line is not None:
            raise row.wrong("index", f"a neuron once; {neuron} is in line {known.line} already")
        known.line = row.where.line
        known.site = row.maybe_text("hookName")
        known.statistics = _statistics(row, neuron.polarity)
        known.promoted = self._logits(row, "pos_str", "pos_values")
        known.suppressed = self._logits(row, "neg_str", "neg_values")

    def activations(self, row: Fields) -> None:
        """A row of table Activation."""
        neuron = self._neuron(row)
        tokens, values = row.beside("tokens", "values")
        if not tokens:
            raise row.wrong("tokens", "at least one token")
        texts = tokens if self._plain else pieces.texts(tokens)
        texts = tuple(self._known.setdefault(text, text) for text in texts)
        values = values if neuron.polarity > 0 else -values
        place = Place.parse(row.maybe_text("dataIndex") or "")
        known = self._neurons[neuron]
        if place is None:
            interval = row.maybe_number("binContains")
            sampled = interval is not None and interval >= 0
            span = SpanRecord(texts, values, kind="quantile" if sampled else "top")
            known.unplaced.append(span)
        else:
            known.spans.append(SpanRecord(texts, values, **vars(place)))

    def explanations(self, row: Fields) -> None:
        """A row of table Explanation."""
        neuron, key = self._neuron(row), row.text("id")
        if key in self._whose:
            raise row.wrong("id", "an id once")
        self._whose[key] = neuron
        notes = _notes(row)
        if notes is not None:
            self._whole.add(key)
        self._neurons[neuron].explanations[key] = _explanation(row, notes)

    def explanation_scores(self, row: Fields) -> None:
        """A row of table ExplanationScore."""
        of = row.text("explanationId")
        if of not in self._whose:
            raise row.wrong("explanationId", "the id of an explanation of the same batch")
        score = bare_score(row.text("explanationScoreTypeName"), row.number("value"))
        simulator = row.text("explanationScoreModelName")
        if of not in self._whole:
            explanations = self._neurons[self._whose[of]].explanations
            scores = (*explanations[of].scores, ScoreRecord(score, simulator, "test"))
            explanations[of] = replace(explanations[of], scores=scores)

    def _neuron(self, row: Fields) -> NeuronId:
        layer = row.text("layer")
        source = Source.parse(layer)
        if source is None:
            raise row.wrong("layer", f"a layer's number, with -SET behind it or not; not {layer!a}")
        index = row.integer("index", least=0, below=self._width)
        subject = self._subject or source.subject(row.text("modelId"))
        return NeuronId(subject, source.layer, index, source.polarity)

    def _logits(self, row: Fields, tokens: str, values: str) -> _Logits:
        pairs = row.weighted(tokens, values)
        return pairs if self._plain else pieces.weighted(pairs)


def _statistics(row: Fields, polarity: int) -> Statistics | None:
    """The two that a feature tells. What is above 0 is not known of a lower side."""
    largest = row.maybe_number("maxActApprox")
    share = row.maybe_number("frac_nonzero") if polarity > 0 else None
    if largest is None and share is None:
        return None
    lowest = -largest if largest is not None and polarity < 0 else None
    highest = largest if polarity > 0 else None
    return Statistics(None, None, None, lowest, highest, share, n_spans=None)


def _notes(row: Fields) -> Fields | None:
    """What this package wrote into an explanation's notes; None where somebody else did, or nobody."""
    text = row.maybe_text("notes")
    try:
        values = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or "neuroexplain" not in values:
        return None
    return Fields(values, row.where.within("notes")).object("neuroexplain")


def _explanation(row: Fields, notes: Fields | None) -> ExplanationRecord:
    text = row.text("description")
    if not text.strip():
        raise row.wrong("description", "a text")
    plain = ExplanationRecord(
        text,
        explainer=row.maybe_text("typeName") or EXPLAINER,
        llm=row.maybe_text("explanationModelName"),
        created_at=row.maybe_text("createdAt"),
    )
    if notes is None:
        return plain
    return noted(plain, notes)
