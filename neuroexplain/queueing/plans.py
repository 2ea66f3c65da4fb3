"""What a queue is to be drawn from, and how: checked before anything is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from neuroexplain.errors import ConfigError, unknown
from neuroexplain.reviewed import BLINDS, Blind, Mode

Kind = Literal["sample", "query", "disagreement", "pairs", "simulation", "adjudication"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""`sample` is random, so that shares of the whole can be estimated; `query` follows a search; `disagreement` takes where
numbers, methods or people differ most; `pairs` has two explanations of a neuron beside each other; `simulation` is a sample
of explanations by which a person marks held-out spans; `adjudication` has what reviewers differ on."""
By = Literal["layer", "score", "method", "polarity"]
STRATA: tuple[By, ...] = get_args(By)
Allocation = Literal["proportional", "equal", "optimal"]
ALLOCATIONS: tuple[Allocation, ...] = get_args(Allocation)
Bins = Literal["fixed", "quantiles"]
BINS: tuple[Bins, ...] = get_args(Bins)
Between = Literal["methods", "ngrams", "human", "judges"]
BETWEEN: tuple[Between, ...] = get_args(Between)
"""Who disagrees: two methods by their scores on a neuron; a high score and a neuron's n-grams, none of whose words the
explanation has; scores and reviewers; two measures by the places that they give an explanation."""
Skip = Literal["none", "own", "all"]
SKIPS: tuple[Skip, ...] = get_args(Skip)
MOST = 10_000
"""Items of a queue."""
MOST_BINS = 20
LONGEST_NAME = 200
_DRAWN: tuple[Kind, ...] = ("sample", "simulation")
_MODES: dict[Kind, Mode] = {
    "pairs": "pairwise",
    "simulation": "simulation",
    "adjudication": "adjudication",
}


@dataclass(frozen=True)
class Plan:
    """How a queue is drawn.

    Raises:
        ConfigError: it makes no sense; the message has the valid values.
    """

    name: str
    kind: Kind = "sample"
    blind: Blind = "scores"
    query: str = ""
    """Explanations that it is drawn from, in the language of `search`; all where it is empty."""
    n: int = 100
    """Explanations to draw; of other kinds than samples, items at most."""
    seed: int = 0
    strata: tuple[By, ...] = ()
    """Of a sample: parts from each of which some are drawn."""
    allocation: Allocation = "proportional"
    """How many from each, see `strata.allocate`."""
    bins: Bins = "fixed"
    """Of scores: equally wide from 0 on, or with equally many explanations."""
    n_bins: int = 5
    shared: float = 0.0
    """Share of the items that every reviewer is to decide, 0 to 1."""
    skip: Skip = "none"
    """Leave out what the maker of the queue, or anybody, has decided already."""
    methods: tuple[str, ...] = ()
    """Of pairs and of disagreement between methods: as `explainer` or `explainer, llm`."""
    between: Between = "methods"
    """Of disagreement."""
    measures: tuple[str, ...] = ()
    """Of disagreement between judges: two, as the catalogue names them."""
    above: float = 0.4
    """Of disagreement with n-grams and people: what counts as a high score."""
    queue: str | None = None
    """Of adjudication: UUID of the queue in which reviewers differ; None for all."""

    def __post_init__(self) -> None:
        for what, value, known in (
            ("kind of queue", self.kind, KINDS),
            ("blind", self.blind, BLINDS),
            ("allocation", self.allocation, ALLOCATIONS),
            ("bins", self.bins, BINS),
            ("between", self.between, BETWEEN),
            ("skip", self.skip, SKIPS),
            *(("stratum", by, STRATA) for by in self.strata),
        ):
            if value not in known:
                raise ConfigError(unknown(what, value, known))
        _check_numbers(self)
        _check_kind(self)

    @property
    def mode(self) -> Mode:
        """What a reviewer decides."""
        if self.kind == "disagreement" and self.between == "methods":
            return "pairwise"
        return _MODES.get(self.kind, "verdict")

    def to_json(self) -> dict[str, Any]:
        """As the file of reviews keeps it."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}


def _check_numbers(plan: Plan) -> None:
    if not plan.name.strip():
        raise ConfigError("a queue needs a name")
    if len(plan.name) > LONGEST_NAME or not plan.name.isprintable():
        raise ConfigError(f"name: at most {LONGEST_NAME} letters, on one line")
    for what, value, least, most in (
        ("n", plan.n, 1, MOST),
        ("n_bins", plan.n_bins, 2, MOST_BINS),
        ("seed", plan.seed, 0, 2**63 - 1),
        ("shared", plan.shared, 0, 1),
        ("above", plan.above, -1, 1),
    ):
        if not least <= value <= most:
            raise ConfigError(f"{what} must be {least} to {most}, not {value}")


def _check_kind(plan: Plan) -> None:
    """Refuse what another kind of queue would need."""
    if plan.strata and plan.kind not in _DRAWN:
        raise ConfigError(_only("strata", _DRAWN, plan.kind))
    decided = plan.kind == "adjudication" or (
        plan.kind == "disagreement" and plan.between == "human"
    )
    if decided and plan.skip != "none":
        raise ConfigError("skip: this queue is of what has been decided; leave it out")
    if plan.kind == "adjudication" and plan.query:
        raise ConfigError("query: what reviewers differ on is found without one; leave it out")
    if len(set(plan.strata)) < len(plan.strata):
        raise ConfigError(f"strata: each once, not {', '.join(plan.strata)}")
    if plan.blind == "explanation" and plan.mode != "verdict":
        raise ConfigError(
            f"blind: the explanation can be hidden where one is judged, not in a queue of kind {plan.kind}"
        )
    if plan.queue is not None and plan.kind != "adjudication":
        raise ConfigError(_only("queue", ("adjudication",), plan.kind))
    compares = plan.kind == "pairs" or (plan.kind == "disagreement" and plan.between == "methods")
    if plan.methods and not compares:
        raise ConfigError(_only("methods", ("pairs", "disagreement between methods"), plan.kind))
    if plan.kind == "disagreement" and plan.between == "methods" and len(plan.methods) != 2:
        raise ConfigError(
            "disagreement between methods needs two of them, the one to score higher first"
        )
    judges = plan.kind == "disagreement" and plan.between == "judges"
    if plan.measures and not judges:
        raise ConfigError(_only("measures", ("disagreement between judges",), plan.kind))
    if judges and len(set(plan.measures)) != 2:
        raise ConfigError("disagreement between judges needs two different measures")


def _only(what: str, kinds: Iterable[str], kind: str) -> str:
    return f"{what}: of a queue of kind {' or '.join(kinds)}, not {kind}"
