"""Many neurons: what is left to do, in which order, saved as it comes.

    selector ─▶ rings (layer by layer) ─▶ jobs ─▶ workers: explain ─▶ simulate ─▶ score what has become complete

Neurons flow through the stages without waiting for each other: a slow or failing one holds up no more than the scores that
are compared with it. Every explanation, simulation and score has a key over all that decides it. What the catalogue
holds under a key is not made again, so an interrupted command goes on where it stopped, and one that has finished has
nothing to do. Nothing here grows with the number of neurons but a few bytes for each of the layer at hand.
"""

from __future__ import annotations

import asyncio
import os
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING

from neuroexplain.judges import Bench, Brief
from neuroexplain.catalogue import Collection, ExplanationRef, KnownSimulation
from neuroexplain.collecting import collect, layers_of, load_subject
from neuroexplain.config import ExplainConfig, ScoreConfig, SweepConfig
from neuroexplain.errors import ConfigError, PluginError
from neuroexplain.explaining import Explained, Explaining
from neuroexplain.judging import Judge, OwnJudge
from neuroexplain.models import check_models, language_models
from neuroexplain.records import NeuronId
from neuroexplain.registry import check, find, require_llm
from neuroexplain.rings import Ready, Ring, batched, ring_order
from neuroexplain.run import Run
from neuroexplain.scoring import Scoring, Simulated, check_pair
from neuroexplain.selection import LayerNeurons, by_layer, check_selector

if TYPE_CHECKING:
    from neuroexplain.subjects import Subject

CHUNK = 64
"""Neurons that are looked up in the catalogue together."""
PILE = 512
"""Scores that may be computed while neurons go on."""
WORTH_A_PROCESS = 500
"""Neurons from which on scores are computed in a process of their own."""


@dataclass
class Group:
    """Neurons of one layer and polarity whose explanations are compared with each other."""

    ring: Ring
    simulated: dict[int, Simulated] = field(default_factory=dict)
    """By place in the ring."""
    strangers: list[Simulated] | None = None
    """Explanations that are not in the ring; looked up where it has too few."""


@dataclass(frozen=True)
class Job:
    """One neuron, as far as the catalogue has it."""

    group: Group
    place: int
    """In the group's ring."""
    neuron: NeuronId
    explained: Explained | None
    simulation: KnownSimulation | None


@dataclass(frozen=True)
class Plan:
    """What there is to do."""

    jobs: Iterator[Job]
    total: int


def sweep(
    run: Run, config: SweepConfig, subject: Subject | None = None
) -> tuple[Collection, Sequence[int]]:
    """Collect, explain and score: everything, from a subject and a corpus to scores in the catalogue.

    Args:
        run: where results are counted and saved.
        config: everything that decides them.
        subject: the model, where it is loaded already.

    Returns:
        The collection, and the rows of the explanations that the sweep was about.

    Raises:
        NeuroexplainError: a setting that makes no sense is found before any work is done.
    """
    check_plugins(config.explain, config.score)
    check_selector(config.neurons)
    check_models(run, config.explain, config.score)
    subject = subject or load_subject(run.execution, config.collect)
    run.catalogue.check_subject(subject.info)
    widths = {layer: subject.sites[layer].width for layer in layers_of(config.collect, subject)}
    neurons = by_layer(config.neurons, subject.name, widths, seed=config.explain.seed)
    collection = collect(run, config.collect, subject)
    return collection, explain_and_score(run, collection, neurons, config.explain, config.score)


def explain_and_score(
    run: Run,
    collection: Collection,
    neurons: Sequence[LayerNeurons],
    explain_config: ExplainConfig | None,
    score_config: ScoreConfig | None,
    *,
    explainer: str | None = None,
) -> Sequence[int]:
    """Explain neurons that have been collected, score their explanations, or both.

    Args:
        run: where results are counted and saved.
        collection: the neurons' activations.
        neurons: which.
        explain_config: how explanations are written; None leaves it at those that are there.
        score_config: how explanations are scored; None does not score them.
        explainer: of explanations that are there, only those of this explainer.

    Returns:
        Rows of the good explanations that it was about.

    Raises:
        ConfigError: there is no explanation to score.
        PluginError: a plug-in does not exist, or the simulator cannot read these explanations.
        LLMError: the language model refuses every call, or no longer answers.
        LimitError: the run has reached what it may spend.
    """
    with ExitStack() as opened:
        writer, reader = opened.enter_context(language_models(run, explain_config, score_config))
        explaining = scoring = None
        if explain_config is not None:
            explaining = Explaining(run, collection, explain_config, writer)
        if score_config is not None:
            judge = _judge(run, collection, score_config, sum(map(len, neurons)))
            opened.callback(lambda: run.drive(judge.close()))
            scoring = Scoring(run, collection, score_config, reader, judge)
        plan = (
            _plan(explaining, scoring, neurons)
            if explaining is not None
            else _readable(scoring, neurons, explainer)
        )
        flow = Flow(run, explaining, scoring)
        called = any(s is not None and s.llm is not None for s in (explaining, scoring))
        names = [n for n, s in (("explaining", explaining), ("scoring", scoring)) if s is not None]
        run.work(
            " and ".join(names),
            plan.jobs,
            flow.one,
            finish=flow.finish,
            total=plan.total,
            workers=_workers(run) if called else 16,
        )
    return flow.numbers


def _workers(run: Run) -> int:
    """Neurons under way: they wait for the writer too, and meanwhile others may ask the language model's servers."""
    return 2 * run.execution.in_flight


def _judge(run: Run, collection: Collection, config: ScoreConfig, total: int) -> Judge:
    """Scores are computed beside this process where that is worth starting another."""
    processes = run.execution.processes
    if processes is None:
        processes = 1 if total >= WORTH_A_PROCESS and (os.cpu_count() or 1) > 1 else 0
    used = [find("simulator", config.simulator), *(find("scorer", s) for s in config.scorers)]
    modules = tuple(sorted({plugin.__module__ for plugin in used}))
    if (
        not processes or "__main__" in modules
    ):  # another process would not find what was written there
        return OwnJudge(run.catalogue, collection, config)
    brief = Brief(run.catalogue.path.absolute(), collection.key, config, modules)
    return Bench(brief, processes)


class Flow:
    """Takes one neuron after the other through the stages that a command has."""

    def __init__(self, run: Run, explaining: Explaining | None, scoring: Scoring | None) -> None:
        self.run = run
        self.explaining = explaining
        self.scoring = scoring
        self.numbers: array[int] = array("q")
        """Rows of the good explanations."""
        self._room = asyncio.Semaphore(PILE)
        self._scores: set[asyncio.Task[None]] = set()
        self._failed: BaseException | None = None

    async def one(self, job: Job) -> None:
        """Everything that can be done for a neuron now, and whatever that makes possible for others."""
        explained = job.explained
        if explained is not None:
            self.run.counts["reused"] += 1
        elif self.explaining is not None:
            explained = await self.explaining.explain(job.neuron)
        if explained is not None:
            self.numbers.append(explained.number)
        if self.scoring is None:
            return
        simulated = None
        if explained is not None:
            simulated = await self.scoring.simulated(explained, job.simulation)
            job.group.simulated[job.place] = simulated
        ready = job.group.ring.settle(
            job.place,
            usable=simulated is not None and simulated.complete,
            wants=simulated is not None,
        )
        # Scores are for others to compute, and neurons need not wait for them, unless too many pile up.
        for r in ready:
            await self._room.acquire()
            task = asyncio.create_task(self._score(self.scoring, job.group, r))
            self._scores.add(task)
            task.add_done_callback(self._scored)
        if self._failed is not None:
            raise self._failed

    async def finish(self) -> None:
        """Wait for the scores that are still being computed."""
        if self._scores:
            await asyncio.wait(self._scores)
        if self._failed is not None:
            raise self._failed

    def _scored(self, task: asyncio.Task[None]) -> None:
        self._room.release()
        self._scores.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failed = self._failed or task.exception()

    async def _score(self, scoring: Scoring, group: Group, ready: Ready) -> None:
        simulated = group.simulated[ready.place]
        group.simulated[ready.place] = replace(simulated, fresh=False)
        others = [group.simulated[place] for place in ready.others]
        missing = scoring.config.null - len(others)
        if missing > 0:
            if group.strangers is None:
                taken = {s.explained.neuron for s in group.simulated.values()}
                group.strangers = scoring.others_of(simulated, taken)
            others += group.strangers[:missing]
        await scoring.score(simulated, others)


def check_plugins(explain: ExplainConfig, score: ScoreConfig) -> None:
    """Find wrong names and settings before any work is done.

    Raises:
        PluginError: a plug-in or a setting does not exist, a language model is missing, or the simulator cannot read
            such explanations.
    """
    check("explainer", explain.explainer, explain.settings)
    require_llm("explainer", explain.explainer, explain.llm)
    check("simulator", score.simulator, score.settings)
    check_pair(explain.explainer, score.simulator)
    require_llm("simulator", score.simulator, score.llm)
    for name in score.scorers:
        find("scorer", name)


def neurons_of(collection: Collection, selector: str, seed: int) -> list[LayerNeurons]:
    """The recorded neurons that a selector names.

    Raises:
        ConfigError: the selector makes no sense, or names what is not recorded.
    """
    widths = dict(enumerate(collection.subject.widths))
    recorded = {layer: widths[layer] for layer in collection.layers}
    return by_layer(selector, collection.subject.name, recorded, seed=seed)


def _plan(explaining: Explaining, scoring: Scoring | None, layers: Sequence[LayerNeurons]) -> Plan:
    """Neurons to explain, and to score where there is a scoring."""
    return Plan(_jobs(explaining, scoring, layers), sum(map(len, layers)))


def _jobs(
    explaining: Explaining, scoring: Scoring | None, layers: Sequence[LayerNeurons]
) -> Iterator[Job]:
    catalogue = explaining.run.catalogue
    seed = explaining.config.seed if scoring is None else scoring.config.seed
    for layer in layers:
        group = Group(Ring(len(layer), scoring.config.null if scoring else 0))
        ordered = ring_order(layer.indices, _salt(layer.layer, layer.polarity, seed))
        for start, indices in enumerate(batched(ordered, CHUNK)):
            neurons = [
                NeuronId(layer.subject, layer.layer, index, layer.polarity)
                for index in indices.tolist()
            ]
            keys = [explaining.keys.of(neuron) for neuron in neurons]
            numbers = catalogue.known_explanations(keys)
            explained = [
                Explained(neuron, numbers[key], key) if key in numbers else None
                for neuron, key in zip(neurons, keys, strict=True)
            ]
            yield from _as_jobs(scoring, group, start * CHUNK, neurons, explained)


def _as_jobs(
    scoring: Scoring | None,
    group: Group,
    start: int,
    neurons: Sequence[NeuronId],
    explained: Sequence[Explained | None],
) -> Iterator[Job]:
    """Jobs of consecutive places in a ring, with the simulations that there are."""
    known: dict[str, KnownSimulation] = {}
    keys = [scoring.keys.of(e.key) if scoring and e else "" for e in explained]
    if scoring is not None:
        known = scoring.catalogue.known_simulations([key for key in keys if key])
    for place, (neuron, entry, key) in enumerate(zip(neurons, explained, keys, strict=True)):
        yield Job(group, start + place, neuron, entry, known.get(key))


def _readable(
    scoring: Scoring | None, layers: Sequence[LayerNeurons], explainer: str | None
) -> Plan:
    """The explanations of some neurons that the simulator can read.

    Raises:
        ConfigError: these neurons have no explanation, or none of this explainer.
        PluginError: they have, but none that the simulator can read.
    """
    assert scoring is not None
    reads = getattr(scoring.simulator, "reads", None)
    there: set[str] = set()
    total = 0
    for layer in layers:
        found = _refs(scoring, layer)
        there |= {ref.explainer for ref in found}
        total += sum(_fits(ref, explainer, reads) for ref in found)
    names = ", ".join(sorted(there)) or "none"
    if not there or explainer not in (None, *there):
        raise ConfigError(
            f"these {sum(map(len, layers))} neurons have no explanation"
            f"{f' of {explainer}' if explainer else ''} to score (explainers here: {names}); "
            "run neuroexplain explain first"
        )
    if not total:
        raise PluginError(
            f'simulator "{scoring.config.simulator}" reads explanations of "{reads}" only; these neurons have: {names}'
        )
    return Plan(_scoring_jobs(scoring, layers, explainer), total)


def _scoring_jobs(
    scoring: Scoring, layers: Sequence[LayerNeurons], explainer: str | None
) -> Iterator[Job]:
    reads = getattr(scoring.simulator, "reads", None)
    for layer in layers:
        refs = [ref for ref in _refs(scoring, layer) if _fits(ref, explainer, reads)]
        order = ring_order(
            layer.indices, _salt(layer.layer, layer.polarity, scoring.config.seed)
        ).tolist()
        place_of = {index: place for place, index in enumerate(order)}
        refs.sort(key=lambda ref: (ref.kind, place_of[ref.neuron.index], ref.number))
        for _, members in groupby(refs, key=lambda ref: ref.kind):
            kind = list(members)
            owners = [ref.neuron.index for ref in kind]
            group = Group(Ring(len(kind), scoring.config.null, owners))
            for start in range(0, len(kind), CHUNK):
                chunk = kind[start : start + CHUNK]
                explained = [Explained(ref.neuron, ref.number, ref.key) for ref in chunk]
                neurons = [ref.neuron for ref in chunk]
                yield from _as_jobs(scoring, group, start, neurons, explained)


def _refs(scoring: Scoring, layer: LayerNeurons) -> list[ExplanationRef]:
    """The explanations of a layer's chosen neurons."""
    chosen = set(layer.indices.tolist())
    return [
        ref
        for ref in scoring.catalogue.explanation_refs(scoring.collection, layer.layer)
        if ref.neuron.polarity == layer.polarity and ref.neuron.index in chosen
    ]


def _fits(ref: ExplanationRef, explainer: str | None, reads: str | None) -> bool:
    return explainer in (None, ref.explainer) and reads in (None, ref.explainer)


def _salt(layer: int, polarity: int, seed: int) -> int:
    return (seed * 65536 + layer) * 2 + (polarity > 0)
