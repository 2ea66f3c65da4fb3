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
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from neuroexplain.catalogue import Collection
from neuroexplain.choosing import Choosing, chooses
from neuroexplain.collecting import collect, layers_of, load_subject
from neuroexplain.config import ExplainConfig, ScoreConfig, SweepConfig
from neuroexplain.errors import AwaitedError, PluginError
from neuroexplain.explaining import Explained, Explaining
from neuroexplain.jobs import Group, Job, Plan, jobs, readable
from neuroexplain.judges import Bench, Brief
from neuroexplain.judging import Judge, OwnJudge
from neuroexplain.models import check_models, language_models
from neuroexplain.preparing import prepare_for
from neuroexplain.registry import check, find, needs_llm, require_llm
from neuroexplain.rings import Ready
from neuroexplain.run import Run
from neuroexplain.scoring import Scoring, check_pair
from neuroexplain.selection import LayerNeurons, by_layer, check_selector
from neuroexplain.synthesising import synthesise
from neuroexplain.tracks import asks, is_staged, predictor_kind, synthetic, tracks

if TYPE_CHECKING:
    from neuroexplain.subjects import Subject

PILE = 512
"""Scores that may be computed while neurons go on."""
WORTH_A_PROCESS = 500
"""Neurons from which on scores are computed in a process of their own."""


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
    explanations = explain_and_score(
        *(run, collection, neurons, config.explain, config.score), subject=subject
    )
    return collection, explanations


def explain_and_score(
    run: Run,
    collection: Collection,
    neurons: Sequence[LayerNeurons],
    explain_config: ExplainConfig | None,
    score_config: ScoreConfig | None,
    *,
    explainer: str | None = None,
    subject: Subject | None = None,
) -> Sequence[int]:
    """Explain neurons that have been collected, score their explanations, or both.

    Args:
        run: where results are counted and saved.
        collection: the neurons' activations.
        neurons: which.
        explain_config: how explanations are written; None leaves it at those that are there.
        score_config: how explanations are scored; None does not score them.
        explainer: of explanations that are there, only those of this explainer.
        subject: the model, where it is loaded already; else it is loaded if it has to run.

    Returns:
        Rows of the good explanations that it was about.

    Raises:
        ConfigError: there is no explanation to score.
        PluginError: a plug-in does not exist, or the simulator cannot read these explanations.
        LLMError: the language model refuses every call, or no longer answers.
        LimitError: the run has reached what it may spend.
    """
    if explain_config is not None:
        prepare_for(
            *(find("explainer", explain_config.explainer), run, collection, neurons),
            subject=subject,
        )
    with ExitStack() as opened:
        writer, reader = opened.enter_context(language_models(run, explain_config, score_config))
        scorings = [
            Scoring(run, collection, track, reader, _judge(run, collection, track, neurons, opened))
            for track in (tracks(score_config) if score_config is not None else ())
        ]
        explaining = choosing = None
        if explain_config is not None:
            explaining = Explaining(run, collection, explain_config, writer)
            if score_config is not None and chooses(explain_config):
                choosing = Choosing(explaining, score_config, reader)
        flow = Flow(run, explaining, choosing, scorings)
        if explaining is not None:
            plan = Plan(jobs(explaining, scorings, neurons), sum(map(len, neurons)))
        else:
            seed = score_config.seed if score_config is not None else 0
            plan = readable(run, collection, scorings, neurons, explainer, seed)
        flow.work(plan)
        staged = synthetic(score_config) if score_config is not None else None
        if staged is not None and run.finished:
            rows = sorted(flow.numbers)
            synthesise(run, collection, rows, staged, reader, subject, ensure=True)
    return flow.numbers


def _workers(run: Run) -> int:
    """Neurons under way: they wait for the writer too, and meanwhile others may ask the language model's servers."""
    return 2 * run.execution.in_flight


def _judge(
    run: Run,
    collection: Collection,
    config: ScoreConfig,
    neurons: Sequence[LayerNeurons],
    opened: ExitStack,
) -> Judge:
    """Scores are computed beside this process where that is worth starting another."""
    processes = run.execution.processes
    if processes is None:
        many = sum(map(len, neurons)) >= WORTH_A_PROCESS
        processes = 1 if many and (os.cpu_count() or 1) > 1 else 0
    used = [
        find(predictor_kind(config.simulator), config.simulator),
        *(find("scorer", s) for s in config.scorers),
    ]
    modules = tuple(sorted({plugin.__module__ for plugin in used}))
    judge: Judge
    if not processes or "__main__" in modules:  # another process would not find what is there
        judge = OwnJudge(run.catalogue, collection, config)
    else:
        brief = Brief(run.catalogue.location, collection.key, config, modules)
        judge = Bench(brief, processes)
    opened.callback(lambda: run.drive(judge.close()))
    return judge


class Flow:
    """Takes one neuron after the other through the stages that a command has."""

    def __init__(
        self,
        run: Run,
        explaining: Explaining | None,
        choosing: Choosing | None,
        scorings: Sequence[Scoring],
    ) -> None:
        self.run = run
        self.explaining = explaining
        self.choosing = choosing
        self.scorings = scorings
        self.numbers: array[int] = array("q")
        """Rows of the good explanations."""
        self._room = asyncio.Semaphore(PILE)
        self._scores: set[asyncio.Task[None]] = set()
        self._failed: BaseException | None = None

    def work(self, plan: Plan) -> None:
        """Take all neurons of a plan through the stages."""
        parts = [part for part in (self.explaining, *self.scorings) if part is not None]
        names = (("explaining", self.explaining), ("scoring", self.scorings))
        self.run.work(
            " and ".join(name for name, there in names if there),
            plan.jobs,
            self.one,
            finish=self.finish,
            total=plan.total,
            workers=_workers(self.run) if any(p.llm is not None for p in parts) else 16,
        )

    async def one(self, job: Job) -> None:
        """Everything that can be done for a neuron now, and whatever that makes possible for others."""
        explained = await self._explained(job)
        if explained is not None:
            self.numbers.append(explained.number)
        awaited: AwaitedError | None = None
        for track, scoring in enumerate(self.scorings):
            try:
                await self._scored_by(scoring, track, job, explained)
            except AwaitedError as error:
                awaited = error  # what other tracks ask goes into the same batch
        if awaited is not None:
            raise awaited
        if self._failed is not None:
            raise self._failed

    async def _explained(self, job: Job) -> Explained | None:
        if self.choosing is not None:
            return await self.choosing.best(job.neuron)
        if self.explaining is not None and self.explaining.config.candidates > 1:
            return next(iter(await self.explaining.candidates(job.neuron)), None)
        if job.explained is not None:
            self.run.counts["reused"] += 1
            return job.explained
        assert self.explaining is not None  # else there would be an explanation
        return await self.explaining.explain(job.neuron)

    async def _scored_by(
        self, scoring: Scoring, track: int, job: Job, explained: Explained | None
    ) -> None:
        group = job.groups[track]
        simulated = None
        if explained is not None:
            known = job.simulations[track]
            if self.choosing is not None:
                key = scoring.keys.of(explained.key)
                known = self.run.catalogue.known_simulations([key]).get(key)
            simulated = await scoring.simulated(explained, known)
            group.simulated[job.place] = simulated
        ready = group.ring.settle(
            job.place,
            usable=simulated is not None and simulated.complete,
            wants=simulated is not None,
        )
        # Scores are for others to compute, and neurons need not wait for them, unless too many pile up.
        for r in ready:
            await self._room.acquire()
            task = asyncio.create_task(self._score(scoring, group, r))
            self._scores.add(task)
            task.add_done_callback(self._scored)

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
    check_explaining(explain)
    check_scoring(score)
    if chooses(explain) or not all(map(asks, score.scorers)):
        check_pair(explain.explainer, score.simulator)
    if explain.explainer != "keywords":
        for name in filter(is_staged, score.scorers):
            require_llm("scorer", name, score.llm)


def check_explaining(config: ExplainConfig) -> None:
    """Find wrong names and settings of an explaining before any work is done.

    Raises:
        PluginError: a plug-in or a setting does not exist, a language model is missing, or several explanations are
            wanted of an explainer that always writes the same.
    """
    check("explainer", config.explainer, config.settings)
    require_llm("explainer", config.explainer, config.llm)
    if chooses(config) and not needs_llm(find("explainer", config.explainer)):
        raise PluginError(
            f'explainer "{config.explainer}" asks no language model, so that there is nothing to choose from; leave out '
            "--candidates and --revise"
        )


def check_scoring(config: ScoreConfig) -> None:
    """Find wrong names and settings of a scoring before any work is done.

    Raises:
        PluginError: a plug-in or a setting does not exist, or a language model is missing.
    """
    check("simulator", config.simulator, config.settings)
    require_llm("simulator", config.simulator, config.llm)
    synthetic(config)
    for name in config.scorers:
        if not is_staged(name):  # a list of words needs none for its texts
            require_llm("scorer", name, config.llm)
            check("scorer", name, config.scorer_settings.get(name, {}))


def neurons_of(collection: Collection, selector: str, seed: int) -> list[LayerNeurons]:
    """The recorded neurons that a selector names.

    Raises:
        ConfigError: the selector makes no sense, or names what is not recorded.
    """
    widths = dict(enumerate(collection.subject.widths))
    recorded = {layer: widths[layer] for layer in collection.layers}
    return by_layer(selector, collection.subject.name, recorded, seed=seed)
