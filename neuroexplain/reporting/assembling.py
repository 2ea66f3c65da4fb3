"""A report from a catalogue: which explanations, grouped by method and scorer, with what to mind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.catalogue.results.scored import ExplanationColumns, Scored
from neuroexplain.catalogue.storage.columns import Floats64, Integers, Names
from neuroexplain.errors import CatalogueError, ConfigError, unknown
from neuroexplain.reporting.caveats import caveats
from neuroexplain.reporting.distribution import distribution, q_values
from neuroexplain.reporting.results import Method, Repeats, Report, Section, Spending, rows_of
from neuroexplain.selection import by_layer

DEAD = "dead_neuron"
_MOST = 5
"""Repeated texts that are shown."""


@dataclass(frozen=True)
class Scope:
    """What a report is about: some runs, or where these are not given, the newest with scores.

    With a subject, neurons or explainers and without runs it is all of the subject's current collection instead.
    """

    runs: tuple[int, ...] = ()
    """Each with those that did the same work before or after it."""
    subject: str | None = None
    """Name of the subject, where the catalogue holds several."""
    neurons: str | None = None
    """Which, see `selection`; None is all, of both polarities."""
    seed: int = 0
    """Of `random:N`."""
    explainers: tuple[str, ...] = ()
    scorers: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether it is a collection, whatever run made the explanations."""
        return not self.runs and bool(self.subject or self.neurons or self.explainers)


def assemble(catalogue: Catalogue, scope: Scope = Scope(), *, examples: int = 5) -> Report:
    """Read a report.

    Args:
        catalogue: holds the scores.
        scope: which of them.
        examples: how many of the best and of the worst explanations of every section.

    Raises:
        CatalogueError: no such run, runs of several collections, or nothing to report on.
        ConfigError: an explainer or scorer that does not occur there, or neurons that there are not.
    """
    collection, run_ids = _place(catalogue, scope)
    scored = _wanted(catalogue.scored(collection, run_ids), collection, scope)
    explanations, scores = scored.explanations, scored.scores
    if not len(explanations):
        raise CatalogueError(
            "there is no explanation to report on; `neuroexplain explain` makes some"
        )
    q, families = _families(scored)
    sections = tuple(
        _section(collection, scored, q, rows, method, examples) for rows, method in families
    )
    runs = _runs(catalogue, scored, run_ids)
    good = explanations.failure.equal(None)
    failures = {r: n for r, n in explanations.failure.count().items() if r != DEAD}
    repeats = tuple(_repeats(explanations, good))
    by_runs = run_ids is not None and not (scope.neurons or scope.explainers)
    absent = _absent(catalogue, scored, collection, runs) if by_runs else (0, 0)
    return Report(
        collection=collection,
        runs=runs,
        scored=scored,
        q=q,
        sections=sections,
        n_neurons=len(np.unique(_sides(explanations))),
        n_explanations=int(good.sum()),
        dead=len(np.unique(_sides(explanations)[explanations.failure.equal(DEAD)])),
        failures=failures,
        unscored=int(good.sum()) - len(np.unique(scores.explanation)),
        failed_spans=catalogue.failed_spans(np.unique(scores.simulation)),
        spending=_spending(runs),
        repeats=repeats,
        caveats=tuple(caveats(scored, sections, runs, repeats, absent)),
    )


def _place(catalogue: Catalogue, scope: Scope) -> tuple[Collection, list[int] | None]:
    """The collection, and the runs; None where whatever run will do."""
    if scope.whole:
        return catalogue.collection(scope.subject), None
    asked = scope.runs or tuple(filter(None, [catalogue.newest_scored_run()]))
    if not asked:
        raise CatalogueError(
            "nothing has been explained or scored in this catalogue; `neuroexplain sweep` does both"
        )
    for run in asked:
        catalogue.run_config(run)  # says that there is no such run
    collections = {run: catalogue.collection_of_run(run) for run in asked}
    found = {collection.key: collection for collection in collections.values()}
    if len(found) > 1:
        raise CatalogueError(
            "these runs are of different collections, and scores of different texts or subjects do not compare: "
            + ", ".join(f"{run} of {c.subject.name}" for run, c in collections.items())
        )
    (collection,) = found.values()
    if scope.subject not in (None, collection.subject.name):
        raise ConfigError(
            f"run {asked[0]} is of subject {collection.subject.name}, not {scope.subject}"
        )
    return collection, catalogue.same_runs(asked)


def _wanted(scored: Scored, collection: Collection, scope: Scope) -> Scored:
    """What the scope's filters leave."""
    explanations = scored.explanations
    mask = np.ones(len(explanations), np.bool_)
    if scope.neurons is not None:
        widths = {layer: collection.subject.widths[layer] for layer in collection.layers}
        mask &= False
        for chosen in by_layer(scope.neurons, collection.subject.name, widths, seed=scope.seed):
            side = (explanations.layer == chosen.layer) & (explanations.polarity == chosen.polarity)
            mask |= side & np.isin(explanations.index, chosen.indices)
    if scope.explainers:
        mask &= _named("explainer", explanations.explainer, scope.explainers)
    scored = scored.kept(mask)
    if scope.scorers:
        return scored.of_scores(_named("scorer", scored.scores.scorer, scope.scorers))
    return scored


def _named(what: str, column: Names, wanted: Sequence[str]) -> NDArray[np.bool_]:
    """Where one of some names stands; one that stands nowhere is refused."""
    there = column.count()
    for name in wanted:
        if name not in there:
            raise ConfigError(unknown(what, name, there))
    found: NDArray[np.bool_] = np.any([column.equal(name) for name in wanted], axis=0)
    return found


def _families(scored: Scored) -> tuple[Floats64, list[tuple[Integers, Method]]]:
    """The q-values [score], and the scores that belong together, each with their method."""
    explanations, scores = scored.explanations, scored.scores
    q = np.full(len(scores), np.nan)
    own = scores.explanation
    parts = (explanations.explainer.at(own), explanations.llm.at(own), scores.simulator, scores.llm)
    codes = np.stack([scores.scorer.codes, *(part.codes for part in parts)])
    _, first, family = np.unique(codes, axis=1, return_index=True, return_inverse=True)
    found = []
    for number, example in enumerate(first.tolist()):
        rows = np.flatnonzero(family.ravel() == number)
        rows = rows[np.argsort(own[rows], kind="stable")]
        q[rows] = q_values(scores.p_value[rows])
        names: Any = [part[example] for part in parts]
        found.append((rows, Method(*names)))
    return q, found


def _section(
    collection: Collection,
    scored: Scored,
    q: Floats64,
    rows: Integers,
    method: Method,
    examples: int,
) -> Section:
    scores = scored.scores
    layers = scored.explanations.layer[scores.explanation[rows]]
    value = scores.value[rows]
    defined = rows[~np.isnan(value)]
    order = defined[np.argsort(-scores.value[defined], kind="stable")]
    name = collection.subject.name
    return Section(
        scorer=scores.scorer[int(rows[0])] or "",
        method=method,
        rows=rows,
        total=distribution(scores, q, rows),
        layers={
            int(layer): distribution(scores, q, rows[layers == layer])
            for layer in np.unique(layers)
        },
        best=tuple(rows_of(name, scored, q, order[:examples])),
        worst=tuple(rows_of(name, scored, q, order[examples:][::-1][:examples])),
    )


def _sides(explanations: ExplanationColumns) -> Integers:
    """[explanation]; a number for every neuron and polarity."""
    return explanations.neuron * 2 + (explanations.polarity > 0)


def _repeats(explanations: ExplanationColumns, good: NDArray[np.bool_]) -> Iterator[Repeats]:
    """Texts that several neurons share, by explainer."""
    sides = _sides(explanations).tolist()
    codes = np.stack([explanations.explainer.codes, explanations.llm.codes])
    for kind in np.unique(codes[:, good], axis=1).T:
        of_kind = np.flatnonzero(good & (codes == kind[:, None]).all(axis=0)).tolist()
        neurons: dict[str, set[int]] = defaultdict(set)  # a neuron may have several explanations
        shown: dict[str, str] = {}
        for place in of_kind:
            text = explanations.text[place]
            plain = " ".join(text.casefold().split())
            neurons[plain].add(sides[place])
            shown.setdefault(plain, text)
        several = {plain: who for plain, who in neurons.items() if len(who) > 1}
        most = sorted(several, key=lambda plain: (-len(several[plain]), plain))[:_MOST]
        yield Repeats(
            explainer=explanations.explainer[of_kind[0]] or "",
            llm=explanations.llm[of_kind[0]],
            n=len(set().union(*neurons.values())),
            shared=len(set().union(*several.values())),
            most=tuple((shown[plain], len(several[plain])) for plain in most),
        )


def _runs(
    catalogue: Catalogue, scored: Scored, run_ids: Sequence[int] | None
) -> tuple[Mapping[str, Any], ...]:
    """The runs that a report is about, or that made what it is about, oldest first."""
    made = (scored.explanations.run, scored.scores.run)
    wanted = set(np.unique(np.concatenate(made)).tolist() if run_ids is None else run_ids)
    return tuple(run for run in reversed(catalogue.runs()) if run["run_id"] in wanted)


def _spending(runs: Sequence[Mapping[str, Any]]) -> Spending:
    def total(name: str) -> Any:
        said = [run[name] for run in runs if run[name] is not None]
        return sum(said) if said else None

    calls = total("llm_calls") or 0
    return Spending(
        seconds=total("seconds"),
        llm_calls=calls,
        prompt_tokens=total("prompt_tokens"),
        completion_tokens=total("completion_tokens"),
        cost_usd=total("cost_usd"),
    )


def _absent(
    catalogue: Catalogue, scored: Scored, collection: Collection, runs: Sequence[Mapping[str, Any]]
) -> tuple[int, int]:
    """Neurons that some runs were given and have no row of, and how many they were given."""
    widths = {layer: collection.subject.widths[layer] for layer in collection.layers}
    given: dict[tuple[int, int], NDArray[np.bool_]] = {}
    for run in {run["run_key"]: run["run_id"] for run in runs}.values():
        _, config = catalogue.run_config(run)
        made_by = config.get("explain") or config.get("score") or {}
        for chosen in (
            by_layer(
                config["neurons"], collection.subject.name, widths, seed=made_by.get("seed", 0)
            )
            if config.get("neurons")
            else ()
        ):
            place = (chosen.layer, chosen.polarity)
            mask = given.setdefault(place, np.zeros(widths[chosen.layer], np.bool_))
            mask[chosen.indices] = True
    total = sum(int(mask.sum()) for mask in given.values())
    explanations = scored.explanations
    for (layer, polarity), mask in given.items():
        there = (explanations.layer == layer) & (explanations.polarity == polarity)
        mask[explanations.index[there]] = False
    return sum(int(mask.sum()) for mask in given.values()), total
