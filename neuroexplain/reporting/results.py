"""What a report holds: frozen records, with the scores themselves as columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from neuroexplain.catalogue import Collection
from neuroexplain.catalogue.results.scored import Scored
from neuroexplain.catalogue.storage.columns import Floats64, Integers
from neuroexplain.catalogue.storage.frames import frame
from neuroexplain.records import NeuronId
from neuroexplain.reporting.distribution import Distribution


@dataclass(frozen=True)
class Method:
    """How explanations came to their scores."""

    explainer: str
    llm: str | None
    """That wrote them; None where none did."""
    simulator: str
    simulator_llm: str | None

    def __str__(self) -> str:
        """As a heading: `token-activation (openai:m) → sparse (openai:m)`."""
        parts = (self.explainer, self.llm), (self.simulator, self.simulator_llm)
        return " → ".join(name if llm is None else f"{name} ({llm})" for name, llm in parts)


@dataclass(frozen=True)
class Row:
    """One explanation with one of its scores. None is unknown or undefined."""

    explanation_id: int
    neuron: str
    """Address, SUBJECT/LAYER/INDEX and + or -."""
    explainer: str
    llm: str | None
    text: str
    scorer: str
    simulator: str
    simulator_llm: str | None
    value: float | None
    reason: str | None
    """Why the value is undefined."""
    ci_low: float | None
    ci_high: float | None
    null_mean: float | None
    null_own: float | None
    """The score's own value on the spans that the null covers."""
    null_n: int
    null_reason: str | None
    p_value: float | None
    q_value: float | None
    floor: float | None
    n_tokens: int
    n_nonzero: int
    coverage: float


@dataclass(frozen=True, eq=False)
class Section:
    """The scores of one method by one scorer: also the family whose q-values belong together."""

    scorer: str
    method: Method
    rows: Integers
    """Places among the report's scores."""
    total: Distribution
    layers: Mapping[int, Distribution]
    best: tuple[Row, ...]
    worst: tuple[Row, ...]
    """The lowest first; none that is among the best."""


@dataclass(frozen=True)
class Repeats:
    """How often explanations of several neurons are the same text."""

    explainer: str
    llm: str | None
    n: int
    """Neurons with an explanation, polarities counted apart."""
    shared: int
    """Those of them whose text another has too, but for case and spaces."""
    most: tuple[tuple[str, int], ...]
    """The most frequent of these texts, with their neurons."""


@dataclass(frozen=True)
class Spending:
    """What the runs took together; None where there are calls and nobody counted."""

    seconds: float | None
    llm_calls: int
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None


@dataclass(frozen=True, eq=False)
class Report:
    """What the explanations of some runs, or of a whole collection, are worth."""

    collection: Collection
    runs: tuple[Mapping[str, Any], ...]
    """As `Catalogue.runs` has them, oldest first."""
    scored: Scored
    q: Floats64
    """[score]; NaN where there is no p-value."""
    sections: tuple[Section, ...]
    n_neurons: int
    """Neurons with an explanation or a failure, polarities counted apart."""
    n_explanations: int
    dead: int
    """Neurons that never fire on their side."""
    failures: Mapping[str, int]
    """Explanations that failed, by reason."""
    unscored: int
    """Explanations without a score: candidates that were not chosen, or such as nobody has scored."""
    failed_spans: Mapping[str, int]
    """Spans of the scored simulations that have no levels, by reason."""
    repeats: tuple[Repeats, ...]
    spending: Spending
    caveats: tuple[str, ...]
    """What to mind, in plain words."""

    @property
    def scorers(self) -> tuple[str, ...]:
        """Names, in the order in which they scored."""
        return tuple(dict.fromkeys(section.scorer for section in self.sections))

    def of_scorer(self, name: str) -> tuple[Section, ...]:
        """The sections of one scorer."""
        return tuple(section for section in self.sections if section.scorer == name)

    def rows(self) -> Iterator[Row]:
        """Every score, section by section, by row of the explanation."""
        for section in self.sections:
            yield from rows_of(self.collection.subject.name, self.scored, self.q, section.rows)

    def to_frame(self) -> Any:
        """Every score as a row of a data frame of pandas or polars, whichever is installed.

        Raises:
            CatalogueError: neither is.
        """
        return frame(Row, list(self.rows()))

    def to_json(self) -> dict[str, Any]:
        """All but the single scores as JSON values; those are `rows()`."""
        corpus = self.collection.corpus
        return {
            "subject": self.collection.subject.name,
            "site": self.collection.subject.site,
            "corpus": {"spec": corpus.spec, "n_tokens": corpus.n_tokens, "seq_len": corpus.seq_len},
            "runs": [{name: run[name] for name in _OF_A_RUN} for run in self.runs],
            "n_neurons": self.n_neurons,
            "n_explanations": self.n_explanations,
            "dead": self.dead,
            "failures": dict(self.failures),
            "unscored": self.unscored,
            "failed_spans": dict(self.failed_spans),
            "spending": asdict(self.spending),
            "scores": [_section(section) for section in self.sections],
            "repeats": [asdict(repeats) for repeats in self.repeats],
            "caveats": list(self.caveats),
        }


_OF_A_RUN = (
    *("run_id", "command", "state", "started_at", "finished_at", "seconds", "counts", "failures"),
    *("llm_calls", "prompt_tokens", "completion_tokens", "cost_usd"),
)


def _section(section: Section) -> dict[str, Any]:
    return {
        "scorer": section.scorer,
        **asdict(section.method),
        "all": asdict(section.total),
        "layers": [{"layer": layer, **asdict(d)} for layer, d in section.layers.items()],
        "best": [asdict(row) for row in section.best],
        "worst": [asdict(row) for row in section.worst],
    }


_NUMBERS = (
    *("value", "ci_low", "ci_high", "null_mean", "null_own", "p_value", "floor", "coverage"),
)
_COUNTS = ("null_n", "n_tokens", "n_nonzero")


def rows_of(
    subject: str, scored: Scored, q: Floats64, places: Integers | Sequence[int]
) -> Iterator[Row]:
    """Some scores, by their places, as records."""
    explanations, scores = scored.explanations, scored.scores
    for place in map(int, places):
        own = int(scores.explanation[place])
        where = (explanations.layer, explanations.index, explanations.polarity)
        yield Row(
            explanation_id=int(explanations.number[own]),
            neuron=str(NeuronId(subject, *(int(column[own]) for column in where))),
            explainer=explanations.explainer[own] or "",
            llm=explanations.llm[own],
            text=explanations.text[own],
            scorer=scores.scorer[place] or "",
            simulator=scores.simulator[place] or "",
            simulator_llm=scores.llm[place],
            reason=scores.reason[place],
            null_reason=scores.null_reason[place],
            q_value=known(q[place]),
            **{name: known(getattr(scores, name)[place]) for name in _NUMBERS},  # type: ignore[arg-type]
            **{name: int(getattr(scores, name)[place]) for name in _COUNTS},
        )


def known(number: float) -> float | None:
    """A number of a column; None for NaN."""
    return None if number != number else float(number)
