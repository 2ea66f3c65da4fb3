"""Scores by texts about explanations: texts for all, one pass of the subject, scores with nulls (Singh et al. 2023, SASC).

    explanations ─▶ texts about each ─▶ who is compared with whom ─▶ all texts through the subject ─▶ scores
                    (`matching`)        (`comparing`)                (`responding`)                   (`standing`)

A score says that texts about an explanation make its neuron fire more than texts about other explanations do, of the same
length: in σ, the spread of the neuron over the n-grams of the corpus, and as an area under the ROC curve. σ differs from
neuron to neuron, and the rarer what a neuron responds to, the more σ a perfect explanation has: neurons are compared by the
area. A null comes with both, because unrelated texts do something to a neuron too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from neuroexplain.catalogue import Collection, ExplanationRef, NewScores, TextSet
from neuroexplain.collecting import recorded_subject
from neuroexplain.comparing import Candidate, Comparison, Group, comparisons, groups_of, kinds
from neuroexplain.config import MIN_OTHERS, NgramConfig, SyntheticConfig, as_dict, run_key
from neuroexplain.llm.base import LLM
from neuroexplain.matching import Hypothesis, Matching, ngram_pass
from neuroexplain.records import POLARITIES, NeuronId, Score
from neuroexplain.responding import Responding
from neuroexplain.run import Run
from neuroexplain.scorers.standing import sigma, standings, undefined
from neuroexplain.scorers.synthetic import AUROC, NAME

if TYPE_CHECKING:
    from neuroexplain.subjects import Subject

Pair = tuple[float | None, float | None]
"""A score in σ and as an area."""
AT_ONCE = 4096
"""Neurons whose responses to the texts of a pool are held in memory together."""
FLOOR = "keywords"
"""Explainer that needs no language model, and whose scores are the floor of the others."""


def synthesise(
    run: Run,
    collection: Collection,
    explanation_rows: Sequence[int],
    config: SyntheticConfig,
    llm: LLM | None,
    subject: Subject | None = None,
    *,
    ensure: bool = False,
) -> None:
    """Score explanations by texts about them.

    Texts that the catalogue has are not written again, and scores that it has are not made again. Where texts are still to
    come with a batch, scores wait for them.

    Args:
        run: where results are counted and saved.
        collection: the explanations' neurons.
        explanation_rows: good explanations; several of a neuron are candidates, of which the best is chosen.
        config: how.
        llm: writes the texts; may be None where all explanations are lists of words.
        subject: the collection's, where it is loaded already; else it is loaded if it has to run.
        ensure: make the n-gram pass where there is none.

    Raises:
        ConfigError: the collection has no n-gram pass.
        PluginError: there is no language model to write texts.
        LLMError: it refuses every call, or no longer answers.
        SubjectError: the subject cannot be loaded, or is not the one that was recorded.
    """
    if ensure and run.catalogue.ngram_pass(collection) is None:
        from neuroexplain.ngrams import collect_ngrams

        subject = recorded_subject(run.execution, collection, subject)
        collect_ngrams(run, collection, NgramConfig(), subject)
    _Synthesising(run, collection, config, llm, subject).score(explanation_rows)


@dataclass(frozen=True)
class _Task:
    """A comparison, with the keys of the scores that it gives."""

    comparison: Comparison
    keys: Mapping[int, str]
    """By the explanation's row: hash of everything that determines the scores."""

    @property
    def candidates(self) -> Iterator[Candidate]:
        """Those that are scored."""
        for place in self.comparison.scored:
            yield from self.comparison.groups[place].candidates


class _Synthesising:
    """The stage at work on one collection; see `synthesise`."""

    def __init__(
        self,
        run: Run,
        collection: Collection,
        config: SyntheticConfig,
        llm: LLM | None,
        subject: Subject | None,
    ) -> None:
        self.run = run
        self.catalogue = run.catalogue
        self.collection = collection
        self.config = config
        self.matching = Matching(run, collection, config, llm)
        self._given = subject
        self._made_by = [as_dict(config), ngram_pass(self.catalogue, collection).key]
        self._floor_keys: dict[NeuronId, str] = {}
        self._floors = self._stored_floors()

    @cached_property
    def subject(self) -> Subject:
        """Loaded when it is first needed."""
        return recorded_subject(self.run.execution, self.collection, self._given)

    def score(self, rows: Sequence[int]) -> None:
        """Have texts written, and score what has not been scored."""
        chosen = set(rows)
        refs = self.catalogue.explanation_refs(self.collection)
        wanted = self._hypotheses([ref for ref in refs if ref.number in chosen])
        texts = self.matching.texts(wanted, lambda: self.subject)
        if not self.run.finished or len(texts) < len(wanted):
            return
        tasks = [task for part in kinds(wanted) for task in self._tasks(part, texts)]
        without = [Candidate(h, found) for h in wanted if not (found := texts[h.ref.number]).texts]
        lacking = [self._unscored(candidate) for candidate in without]
        new = [s for s in lacking if not self._is_known({s.explanation_id: s.key})]
        if new:
            self._save(new, len(new))
        pending = [task for task in tasks if not self._is_known(task.keys)]
        for start in range(0, len(pending), AT_ONCE):
            some = pending[start : start + AT_ONCE]
            # Outside the event loop, so that an interrupt is not kept waiting.
            responding = self._responding(some)
            if not self._save(self._scored(responding, some), sum(len(t.keys) for t in some)):
                return

    def _save(self, scores: Iterable[NewScores], total: int) -> bool:
        """Save scores as they are made; False where the run is being stopped."""

        async def save(made: NewScores) -> None:
            await self.run.saver.scores(made)
            defined = any(score.value is not None for score in made.scores)
            self.run.counts["scored" if defined else "without a score"] += 1

        async def finish() -> None:
            """Nothing is left under way."""

        self.run.work(
            "scoring by texts",
            scores,
            save,
            finish=finish,
            total=total,
            workers=self.run.execution.in_flight,
        )
        return self.run.finished

    def _hypotheses(self, refs: Sequence[ExplanationRef]) -> list[Hypothesis]:
        """Without the data that explanations hold beside their words, which may be large."""
        found = []
        for start in range(0, len(refs), AT_ONCE):
            some = refs[start : start + AT_ONCE]
            explanations = self.catalogue.explanations_of([ref.number for ref in some])
            found += [Hypothesis.of(ref, explanations[ref.number]) for ref in some]
        return found

    def _tasks(self, part: Sequence[Hypothesis], texts: Mapping[int, TextSet]) -> Iterator[_Task]:
        """Comparisons of one kind of explanations."""
        groups = groups_of([Candidate(h, texts[h.ref.number]) for h in part])
        missing = MIN_OTHERS + 1 - len(groups)
        if groups and missing > 0:
            groups += self._strangers(part, missing)
        for comparison in comparisons(groups, self.config.others, self.config.seed):
            keys: dict[int, str] = {}
            for place in comparison.scored:
                group = comparison.groups[place]
                key = self._key(comparison.digest, group.digest, group.candidates[0])
                keys |= {candidate.number: key for candidate in group.candidates}
                if _is_floor(group.candidates[0]):
                    self._floor_keys[group.neuron] = key
            yield _Task(comparison, keys)

    def _strangers(self, part: Sequence[Hypothesis], most: int) -> list[Group]:
        """Explanations of other neurons that the catalogue has texts about, made like these; they cost nothing."""
        taken = {h.ref.neuron for h in part}
        same = {h.ref.kind for h in part}
        refs = [r for r in self.catalogue.explanation_refs(self.collection) if r.kind in same]
        newest = {ref.neuron: ref for ref in refs if ref.neuron not in taken}
        others = self._hypotheses(list(newest.values()))
        known = self.matching.known(others)
        groups = groups_of(
            [Candidate(h, known[h.ref.number]) for h in others if h.ref.number in known], own=False
        )
        return sorted(groups, key=lambda g: run_key(self.config.seed, str(g.neuron)))[:most]

    def _responding(self, tasks: Sequence[_Task]) -> Responding:
        """Run the texts of some tasks."""
        return Responding(
            self.subject,
            [task.comparison for task in tasks],
            self._units({c.hypothesis.ref.neuron for task in tasks for c in task.candidates}),
            self.config.aggregator,
            self.run.execution,
        )

    def _scored(self, responding: Responding, tasks: Sequence[_Task]) -> Iterator[NewScores]:
        """Score task by task: floors come before what is held against them."""
        for task in tasks:
            compared = responding.compared(task.comparison)
            found: set[int] = set()
            for standing in standings(compared.material, self.config):
                candidate = compared.candidates[standing.explanation]
                found.add(candidate.number)
                yield self._with_floor(candidate, standing.scores, task.keys[candidate.number])
                if standing.chosen and _is_floor(candidate):
                    first, second = standing.scores
                    self._floors[candidate.hypothesis.ref.neuron] = first.value, second.value
            for candidate in task.candidates:
                if candidate.number not in found:
                    yield self._new(
                        candidate, undefined("too_few_texts"), task.keys[candidate.number]
                    )

    def _with_floor(self, candidate: Candidate, scores: tuple[Score, Score], key: str) -> NewScores:
        floors: Pair = (None, None)
        if not _is_floor(candidate):
            floors = self._floors.get(candidate.hypothesis.ref.neuron, floors)
        with_floor = [replace(s, floor=f) for s, f in zip(scores, floors, strict=True)]
        return self._new(candidate, with_floor, key)

    def _unscored(self, candidate: Candidate) -> NewScores:
        """Of an explanation that there are no texts about."""
        failed = candidate.text_set.failure is not None
        scores = undefined("generation_failed" if failed else "too_few_texts")
        digest = run_key(candidate.hypothesis.ref.key, failed)
        return self._new(candidate, scores, self._key("", digest, candidate))

    def _new(self, candidate: Candidate, scores: Sequence[Score], key: str) -> NewScores:
        return NewScores(
            explanation_id=candidate.number,
            simulation_id=None,
            key=key,
            split="test",
            scores=scores,
            simulator=candidate.text_set.source,
            llm=candidate.text_set.llm,
        )

    def _key(self, pool: str, group: str, candidate: Candidate) -> str:
        floor: str | Pair | None = None
        if not _is_floor(candidate):
            neuron = candidate.hypothesis.ref.neuron
            floor = self._floor_keys.get(neuron) or self._floors.get(neuron)
        return run_key("synthetic", self._made_by, pool, group, floor)

    def _is_known(self, keys: Mapping[int, str]) -> bool:
        for number, key in keys.items():
            newest = self.catalogue.newest_score_keys(number, "test")
            if newest.get(NAME) != key or newest.get(AUROC) != key:
                return False
        return True

    def _units(self, neurons: set[NeuronId]) -> dict[NeuronId, float]:
        """Spread of the neurons over the n-grams of the corpus; 0 of those that do not vary."""
        how = self.config.aggregator
        moments = {
            layer: self.catalogue.ngram_moments(self.collection, layer)
            for layer in {neuron.layer for neuron in neurons}
        }
        units = {
            (layer, polarity): sigma(m.mean(how, polarity), m.std(how, polarity))
            for layer, m in moments.items()
            for polarity in POLARITIES
        }
        return {n: float(units[n.layer, n.polarity][n.index]) for n in neurons}

    def _stored_floors(self) -> dict[NeuronId, Pair]:
        sigmas, areas = (
            self.catalogue.newest_scores(
                self.collection, explainer=FLOOR, scorer=scorer, simulator="corpus"
            )
            for scorer in (NAME, AUROC)
        )
        return {n: (sigmas.get(n), areas.get(n)) for n in {*sigmas, *areas}}


def _is_floor(candidate: Candidate) -> bool:
    return candidate.hypothesis.ref.explainer == FLOOR and bool(candidate.hypothesis.words)
