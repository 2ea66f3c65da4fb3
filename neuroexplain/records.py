"""The frozen records that flow between stages.

    Document ─ corpora ─▶ TokenSpan ─ collectors ─▶ Exemplar ─▶ Evidence ─ explainers ─▶ Explanation
    Explanation + TokenSpan ─ simulators ─▶ Simulation;  Simulation + Exemplar ─ scorers ─▶ Score

No I/O and no torch here. Arrays are NumPy, float32 unless said otherwise, and are not written to after they
have been put into a record. A failure is a record of its own, never a text or a number that looks like a result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from neuroexplain.errors import ConfigError

Floats = NDArray[np.float32]
Split = Literal["explain", "select", "test"]
Kind = Literal["top", "quantile", "random", "contrastive"]
Status = Literal["ok", "failed"]

SPLITS: tuple[Split, ...] = ("explain", "select", "test")
KINDS: tuple[Kind, ...] = ("top", "quantile", "random")
"""What a collection samples; contrastive spans are looked for afterwards."""
POLARITIES: tuple[int, ...] = (1, -1)

_NEURON = re.compile(r"(?P<subject>.+)/(?P<layer>\d{1,9})/(?P<index>\d{1,9})(?P<sign>[+-]?)")


@dataclass(frozen=True, order=True)
class NeuronId:
    """One unit of one layer of a subject, with a polarity."""

    subject: str
    """The subject's name in the catalogue, for example `minilm`."""
    layer: int
    index: int
    polarity: int = 1
    """+1 for the upper tail of the activation, -1 for the lower."""

    def __str__(self) -> str:
        return f"{self.subject}/{self.layer}/{self.index}{'+' if self.polarity > 0 else '-'}"

    @classmethod
    def parse(cls, text: str) -> NeuronId:
        """Read `SUBJECT/LAYER/INDEX[+|-]`.

        >>> NeuronId.parse("minilm/3/17-")
        NeuronId(subject='minilm', layer=3, index=17, polarity=-1)

        Raises:
            ConfigError: the text has another form.
        """
        match = _NEURON.fullmatch(text.strip())
        if match is None:
            raise ConfigError(
                f'"{text}" is no neuron; write SUBJECT/LAYER/INDEX with + or - behind it, for example minilm/3/17+'
            )
        polarity = -1 if match["sign"] == "-" else 1
        return cls(match["subject"], int(match["layer"]), int(match["index"]), polarity)


@dataclass(frozen=True)
class Document:
    """One text of a corpus, before tokenisation."""

    position: int
    """Place in the corpus, from 0; ties between spans are broken by it."""
    text: str
    sha256: str
    """Of the text's UTF-8 bytes, as hex."""
    split: Split
    source: str = ""
    """Where the text came from: a file and line, or a module's name."""


@dataclass(frozen=True)
class TokenSpan:
    """Up to `seq_len` consecutive tokens of one document: all that a simulator is shown."""

    span: int
    """Number of the span in its corpus, in corpus order; unique within the corpus."""
    document: int
    """Position of its document in the corpus."""
    start: int
    """Index of its first token within the document."""
    token_ids: tuple[int, ...]
    tokens: tuple[str, ...]
    """Exact text of every token, by character offsets. A character that is split over several tokens
    belongs to the first of them; the others are empty strings, so that joining gives the text again."""
    first: int = 0
    """Leading tokens that count for nothing (position 0 of a decoder): not for peaks, statistics or scores."""
    kept: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    """What has been made of the span and may be wanted again; says nothing about the span."""

    @property
    def text(self) -> str:
        """The span's text."""
        return "".join(self.tokens)

    @cached_property
    def id_array(self) -> NDArray[np.int64]:
        """[token]; `token_ids` for arithmetic, made once, because many neurons share a span."""
        return np.array(self.token_ids, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.token_ids)


class Exemplar(NamedTuple):
    """A span kept for a neuron, with the activation of every token.

    A tuple, because there are dozens of every neuron, and a frozen dataclass takes several times as long to make.
    """

    span: TokenSpan
    activations: Floats
    """[token]; signed as the subject computed them, whatever the polarity."""
    split: Split
    kind: Kind
    rank: int
    """Place within its kind and split: by peak for `top`, strongest first; by band for `quantile`, highest band
    first; in sampling order for `random`; the most alike first for `contrastive`."""
    peak: float
    """Largest activation on the polarity's side over the counted tokens; signed as the subject computed it."""
    peak_position: int
    """Index of the peak's token within the span."""
    inclusion_probability: float
    """Chance that the sampling design keeps this span for this neuron as this kind; 1 for top spans, 0 for contrastive ones,
    which no design draws: they stand for no others."""


class Exemplars(Sequence[Exemplar]):
    """Exemplars by kind, unpacked when they are first looked at: few explainers want all of them.

    Args:
        blocks: kinds in order, each with what unpacks its exemplars.
    """

    def __init__(self, blocks: Iterable[tuple[Kind, Callable[[], list[Exemplar]]]]) -> None:
        self._blocks = list(blocks)
        self._unpacked: dict[int, list[Exemplar]] = {}

    def of_kind(self, kind: Kind) -> list[Exemplar]:
        """Those of one kind, in order."""
        places = [place for place, (name, _) in enumerate(self._blocks) if name == kind]
        return [exemplar for place in places for exemplar in self._block(place)]

    @cached_property
    def _all(self) -> tuple[Exemplar, ...]:
        return tuple(e for place in range(len(self._blocks)) for e in self._block(place))

    def _block(self, place: int) -> list[Exemplar]:
        if place not in self._unpacked:
            self._unpacked[place] = self._blocks[place][1]()
        return self._unpacked[place]

    @overload
    def __getitem__(self, index: int) -> Exemplar: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Exemplar, ...]: ...

    def __getitem__(self, index: int | slice) -> Exemplar | tuple[Exemplar, ...]:
        return self._all[index]

    def __iter__(self) -> Iterator[Exemplar]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


class Placed(NamedTuple):
    """Where an exemplar has its place among others, without its activations."""

    span: TokenSpan
    kind: Kind
    rank: int
    """As in `Exemplar`."""


@dataclass(frozen=True)
class Statistics:
    """Moments of one neuron over all counted tokens of the corpus; in the subject's own activation units.

    None is what an import does not tell; a collection knows all of them.
    """

    n_tokens: int | None
    mean: float | None
    std: float | None
    min: float | None
    max: float | None
    frac_positive: float | None
    """Share of tokens with an activation above 0."""
    n_spans: int | None = 0
    peaks_excluded: int = 0
    """Spans whose largest activation sat on a special token or an excluded first position."""
    troughs_excluded: int = 0
    """The same for the smallest activation."""
    quantiles: tuple[tuple[float, float], ...] = ()
    """Levels, as shares of tokens, and their quantiles, over sampled tokens; empty where none were sampled."""


@dataclass(frozen=True)
class Ngram:
    """An n-gram that a neuron answers to, in the subject's activation units."""

    text: str
    mean_response: float
    max_response: float
    count: int
    """Occurrences that the responses were taken over; of an n-gram by itself, those in the corpus."""
    lifts: tuple[float, ...] = ()
    """[word]; how many times as common each word of the text is in the neuron's list as in the whole set, see `lifts`;
    empty where there is no set."""


@dataclass(frozen=True)
class OutputTokens:
    """What a neuron writes towards the vocabulary, `W_U · LN_f(w_out)`, for its polarity: token texts with logits."""

    promoted: tuple[tuple[str, float], ...]
    """Largest logit first."""
    suppressed: tuple[tuple[str, float], ...]
    """Smallest logit first."""


@dataclass(frozen=True)
class Evidence:
    """What an explainer may see of a neuron: the explain split, nothing else."""

    neuron: NeuronId
    exemplars: Sequence[Exemplar]
    scale: float
    """Largest activation on the polarity's side over the explain split: level 10 of the discretisation. Units of
    the subject's activations; 0 for a neuron that never fires on this side."""
    statistics: Statistics
    n_spans: int
    """Spans of the explain split, from which the exemplars were drawn."""
    look_alikes: Sequence[Exemplar] = ()
    """Spans of the explain split that look like the top ones, and on which the neuron stays quiet; most alike first.
    Only for explainers that want them, as all that follows."""
    output_tokens: OutputTokens | None = None
    """None where the subject has no vocabulary to write to, as encoders have none."""
    ngrams: Sequence[Ngram] = ()
    """N-grams by themselves, strongest mean response first, thinned out so that no word fills the list; responses are
    on the polarity's side, 0 or more."""

    def of_kind(self, kind: Kind) -> Sequence[Exemplar]:
        """The exemplars of one kind, by rank."""
        if isinstance(self.exemplars, Exemplars):
            return self.exemplars.of_kind(kind)
        return [e for e in self.exemplars if e.kind == kind]


@dataclass(frozen=True)
class Failure:
    """Why a stage gave no result for one neuron or one span."""

    stage: Literal["explain", "simulate", "score"]
    reason: str
    """A short code that `runs` counts by, for example `parse_failed`."""
    message: str
    raw_reply: str | None = None
    """What the language model answered, byte for byte, where it answered."""


@dataclass(frozen=True)
class Explanation:
    """A hypothesis about what makes a neuron fire, or the record of why there is none."""

    neuron: NeuronId
    explainer: str
    text: str
    """One sentence for a reader; empty exactly when `failure` is set."""
    scale: float
    """The evidence's scale, stored with the explanation and never recomputed. Subject's activation units."""
    data: Mapping[str, Any] | None = None
    """The same hypothesis for a program (a token table, n-grams), as JSON values; levels are 0-10."""
    llm: str | None = None
    """Spec of the language model that wrote the text; None where none did."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    template_sha256: str | None = None
    """Hash of the prompt template files."""
    prompt_sha256: str | None = None
    """Hash of the rendered prompt."""
    failure: Failure | None = None

    @property
    def status(self) -> Status:
        """`ok` or `failed`."""
        return "ok" if self.failure is None else "failed"


@dataclass(frozen=True)
class HeldOutSpan:
    """One span of the test split with the truth that a simulation is scored against."""

    span: TokenSpan
    truth: Floats
    """[token]; activation on the polarity's side, 0 or more, in the subject's units."""
    kinds: frozenset[Kind]
    """How the span was sampled; a span can be both among the top and in a sample."""
    weight: float
    """Spans of the test split that this one stands for: 1 over its inclusion probability."""


@dataclass(frozen=True)
class HeldOut:
    """What a neuron's explanations are scored on."""

    neuron: NeuronId
    spans: tuple[HeldOutSpan, ...]
    scale: float = 0.0
    """Level 10, in the subject's activation units: largest activation over the explain split, as in the evidence."""


@dataclass(frozen=True)
class SpanSimulation:
    """Predicted levels of one span, or the record of why there are none."""

    span: TokenSpan
    expected: Floats | None
    """[token]; expected level 0-10. This scale is the explanation's, not that of the activations."""
    failure: Failure | None = None


@dataclass(frozen=True)
class Simulation:
    """An explanation's predictions on spans that its author never saw."""

    simulator: str
    spans: tuple[SpanSimulation, ...]
    llm: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def coverage(self) -> float:
        """Share of tokens that have a prediction."""
        total = sum(len(s.span) for s in self.spans)
        covered = sum(len(s.span) for s in self.spans if s.expected is not None)
        return covered / total if total else 0.0


@dataclass(frozen=True)
class Score:
    """One number about one explanation, with what is needed to judge it. Undefined is None with a reason."""

    scorer: str
    value: float | None
    reason: str | None
    """Why `value` is None: constant_simulation, dead_neuron, too_few_tokens, parse_failed."""
    ci_low: float | None
    """2.5 % point of the bootstrap over spans."""
    ci_high: float | None
    null_mean: float | None
    """Mean of the same statistic for explanations of other neurons of the layer."""
    null_own: float | None
    """The score's own value on the spans that the null covers; `value` itself where it covers all of them."""
    null_n: int
    """How many such explanations were tried."""
    p_value: float | None
    """(1 + null scores >= null_own) / (1 + null_n)."""
    null_reason: str | None
    """Why there is no null."""
    floor: float | None
    """The same statistic for the neuron's own token table on the same spans."""
    n_tokens: int
    n_nonzero: int
    """Scored tokens on which the neuron is above 0 on the polarity's side."""
    coverage: float
    """Share of the tokens that the simulator answered for."""
