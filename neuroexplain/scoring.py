"""From simulations to scores in the catalogue: each beside those of other neurons of its layer.

Statistics follow from what is stored, so that scoring again costs no language model call.
"""

from __future__ import annotations

from collections.abc import Sequence

from neuroexplain.catalogue import Collection, KnownSimulation, NewScores
from neuroexplain.config import ScoreConfig, as_dict, run_key
from neuroexplain.errors import PluginError
from neuroexplain.explaining import Explained
from neuroexplain.judging import Case, Judge
from neuroexplain.llm.base import LLM
from neuroexplain.records import NeuronId
from neuroexplain.registry import find
from neuroexplain.run import Run
from neuroexplain.simulating import Simulated, Simulating
from neuroexplain.tracks import score_names


def default_simulator(explainer: str | None, llm: str) -> str:
    """The simulator that fits: the explainer's own where it needs no language model, else what the model can do."""
    if explainer in ("keywords", "ngram", "token-table"):
        return explainer
    if llm == "none":
        return "ngram"
    return "logprob" if llm.startswith("local:") else "sparse"


def check_pair(explainer: str, simulator: str) -> None:
    """Refuse a simulator that cannot read an explainer's explanations.

    Raises:
        PluginError: it reads those of another explainer only.
    """
    reads = getattr(find("simulator", simulator), "reads", None)
    if reads not in (None, explainer):
        raise PluginError(
            f'simulator "{simulator}" reads explanations of explainer "{reads}" only, not of "{explainer}"; '
            f"choose --explainer {reads}, --simulator embedding, or --simulator sparse or logprob with --llm"
        )


class Scoring:
    """Simulates explanations of a collection on their neurons' held-out spans, and has them scored.

    Args:
        run: where results are counted and saved.
        collection: the neurons' activations.
        config: a track, see `tracks`.
        llm: that its predictor may ask.
        judge: computes the scores.
    """

    def __init__(
        self,
        run: Run,
        collection: Collection,
        config: ScoreConfig,
        llm: LLM | None,
        judge: Judge,
    ) -> None:
        self.run = run
        self.catalogue = run.catalogue
        self.collection = collection
        self.config = config
        self.judge = judge
        self.simulating = Simulating(run, collection, config, llm)
        self.llm = self.simulating.llm
        self.keys = self.simulating.keys
        self._scored_by = {k: v for k, v in as_dict(config).items() if k != "scorer_settings"}
        self._names = score_names(config)

    @property
    def reads(self) -> str | None:
        """The only explainer whose explanations can be simulated; None where any can."""
        found: str | None = getattr(self.simulating.predictor, "reads", None)
        return found

    async def simulated(self, explained: Explained, known: KnownSimulation | None) -> Simulated:
        """Simulate an explanation on its neuron's test spans, unless the catalogue has that.

        Raises:
            LLMError: the language model refuses every call, or no longer answers.
            PostponedError: nothing was done.
        """
        return await self.simulating.simulated(explained, known)

    async def score(self, simulated: Simulated, others: Sequence[Simulated]) -> None:
        """Have a simulation scored beside the explanations of other neurons, unless the catalogue has that."""
        # One with failed spans may be made again, under the same key and with fewer of them.
        own = simulated.key if simulated.complete else [simulated.key, simulated.number]
        key = run_key("score", self._scored_by, own, [other.key for other in others])
        number = simulated.explained.number
        if not simulated.fresh and self._is_scored(number, key):
            return
        rows = [o.number if self.llm is not None else o.explained.number for o in others]
        await self.run.turn()
        case = Case(simulated.explained.neuron, simulated.number, tuple(rows))
        scores = await self.judge.scores(case)
        spec = self.llm.spec if self.llm else None
        await self.run.saver.scores(
            NewScores(number, simulated.number, key, "test", scores, simulated.simulator, spec)
        )
        defined = any(score.value is not None for score in scores)
        self.run.counts["scored" if defined else "without a score"] += 1

    def others_of(self, simulated: Simulated, taken: set[NeuronId]) -> list[Simulated]:
        """Explanations of the same layer and kind in the catalogue, of neurons that are not taken; one of each.

        Where a language model simulates, those that have been simulated: the others would multiply the bill.
        """
        neuron = simulated.explained.neuron
        refs = self.catalogue.explanation_refs(self.collection, neuron.layer)
        # Another run may have explained the neuron anew meanwhile.
        own = next(ref for ref in refs if ref.key == simulated.explained.key)
        newest = {
            ref.neuron: ref for ref in refs if ref.kind == own.kind and ref.neuron not in taken
        }
        order = sorted(newest, key=lambda n: run_key(self.config.seed, str(n)))
        found = [Explained(n, newest[n].number, newest[n].key) for n in order]
        keys = [self.keys.of(e.key) for e in found]
        name = self.config.simulator
        if self.llm is None:
            return [Simulated(e, 0, k, True, name) for e, k in zip(found, keys, strict=True)]
        known = self.catalogue.known_simulations(keys)
        return [
            Simulated(e, known[k].number, k, True, name)
            for e, k in zip(found, keys, strict=True)
            if k in known and not known[k].reasons
        ]

    def _is_scored(self, number: int, key: str) -> bool:
        newest = self.catalogue.newest_score_keys(number, "test")
        return all(newest.get(name) == key for name in self._names)
