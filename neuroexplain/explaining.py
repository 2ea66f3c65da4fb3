"""From neurons to explanations in the catalogue: one neuron at a time, each saved before it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neuroexplain.catalogue import Collection, NewExplanation, NgramPass
from neuroexplain.config import ExplainConfig, run_key
from neuroexplain.errors import (
    AwaitedError,
    LLMError,
    LLMPermanentError,
    LLMReplyError,
    LLMUnavailableError,
)
from neuroexplain.explainers.base import Explainer, looks_at, wants
from neuroexplain.explainers.revising import Residual, revise
from neuroexplain.llm.base import LLM
from neuroexplain.pipeline import unexplained
from neuroexplain.records import Evidence, Explanation, Failure, NeuronId, Ngram
from neuroexplain.registry import chosen, create, needs_llm
from neuroexplain.run import Run


@dataclass(frozen=True)
class Explained:
    """A good explanation in the catalogue."""

    neuron: NeuronId
    number: int
    """Row in the catalogue."""
    key: str
    """Hash of everything that determines it."""
    explanation: Explanation | None = None
    """None where it has not been read, or is no longer needed."""


class ExplanationKeys:
    """What decides an explanation, hashed; made by the hundred thousand.

    Args:
        collection: the neurons' activations.
        config: how explanations are written.
        explainer: made from it.
        identity: of the language model; None where none is asked.
        ngrams: the n-gram pass that there is, where there is one.
    """

    def __init__(
        self,
        collection: Collection,
        config: ExplainConfig,
        explainer: Explainer,
        identity: str | None,
        ngrams: NgramPass | None = None,
    ) -> None:
        self._made_by = [
            collection.key,
            config.explainer,
            chosen(explainer),
            identity,
            getattr(explainer, "template_sha256", None),
            config.seed if identity else None,
        ]
        if "ngrams" in wants(type(explainer)):
            self._made_by.append(ngrams.key if ngrams is not None else None)

    def of(self, neuron: NeuronId, sample: int = 0) -> str:
        """The key of a neuron's explanation, or of one of several candidates."""
        others = [sample] if sample else []
        return run_key("explanation", str(neuron), self._made_by, *others)

    def of_revision(self, simulation_key: str, round: int) -> str:
        """The key of what becomes of an explanation in the light of its simulation."""
        return run_key("revision", simulation_key, round, self._made_by)


class Explaining:
    """Explains the neurons of a collection."""

    def __init__(
        self, run: Run, collection: Collection, config: ExplainConfig, llm: LLM | None
    ) -> None:
        self.run = run
        self.collection = collection
        self.config = config
        self.explainer: Explainer = create("explainer", config.explainer, config.settings, llm)
        # What it takes instead of a part that there cannot be is there only where it is needed.
        kind = type(self.explainer)
        self._wants = looks_at(kind)
        self.llm = llm if needs_llm(kind) else None
        identity = self.llm.identity if self.llm else None
        ngrams = run.catalogue.ngram_pass(collection)
        self.keys = ExplanationKeys(collection, config, self.explainer, identity, ngrams)

    async def explain(self, neuron: NeuronId) -> Explained | None:
        """Explain a neuron and save that; None where it failed, which is saved and counted too.

        Raises:
            LLMError: the language model refuses every call, or no longer answers.
            PostponedError: nothing was done.
        """
        made = await self._candidate(neuron, 0)
        if isinstance(made, Failure):
            self.run.failed(made.reason)
            return None
        self.run.succeeded("explained")
        return made

    async def candidates(self, neuron: NeuronId) -> list[Explained]:
        """Write several explanations of a neuron, and save them; those that the catalogue has are not written again.

        The neuron has failed where none of them is good, for the reason of the first.

        Raises:
            LLMError: the language model refuses every call, or no longer answers.
            PostponedError: some wait for an answer.
        """
        keys = [self.keys.of(neuron, sample) for sample in range(self.config.candidates)]
        known = self.run.catalogue.known_explanations(keys)
        found: list[Explained] = []
        failed: list[Failure] = []
        awaited: AwaitedError | None = None
        for sample, key in enumerate(keys):
            if key in known:
                found.append(Explained(neuron, known[key], key))
                continue
            try:
                made = await self._candidate(neuron, sample)
            except AwaitedError as error:
                awaited = error  # the other candidates go into the same batch
                continue
            if isinstance(made, Explained):
                found.append(made)
            else:
                failed.append(made)
                if made.reason == "dead_neuron":
                    break
        if awaited is not None:
            raise awaited
        if len(known) == len(keys):
            self.run.counts["reused"] += 1
        elif found:
            self.run.succeeded("explained")
        else:
            self.run.failed(failed[0].reason)
        return found

    async def revise(
        self, explained: Explained, simulation_key: str, round: int, residuals: Sequence[Residual]
    ) -> Explained | None:
        """Have an explanation written anew in the light of where it failed; None where that gave nothing.

        Args:
            explained: the explanation.
            simulation_key: of the simulation that shows where it failed.
            round: from 1.
            residuals: where it failed most.

        Raises:
            LLMError: the language model refuses every call, or no longer answers.
            PostponedError: nothing was done.
        """
        assert self.llm is not None
        key = self.keys.of_revision(simulation_key, round)
        known = self.run.catalogue.known_explanations([key])
        if key in known:
            return Explained(explained.neuron, known[key], key)
        await self.run.turn()
        parent = explained.explanation or self.run.catalogue.explanation(explained.number)
        try:
            explanation = await revise(
                *(self.llm, parent, residuals), seed=self.config.seed, sample=round
            )
        except (LLMPermanentError, LLMReplyError, LLMUnavailableError) as error:
            explanation = self._failed(parent.neuron, parent.scale, error)
        made = await self._save(key, explanation, parent=explained.number)
        return made if isinstance(made, Explained) else None

    async def _candidate(self, neuron: NeuronId, sample: int) -> Explained | Failure:
        await self.run.turn()
        evidence = self.run.catalogue.evidence(self.collection, neuron, self._wants)
        explanation = await self._explanation(evidence, sample)
        return await self._save(self.keys.of(neuron, sample), explanation)

    async def _save(
        self, key: str, explanation: Explanation, parent: int | None = None
    ) -> Explained | Failure:
        ngrams = _ngrams((explanation.data or {}).get("strongest", ()))
        number = await self.run.saver.explanation(
            NewExplanation(self.collection, key, explanation, parent, ngrams=ngrams)
        )
        if explanation.failure is not None:
            return explanation.failure
        return Explained(explanation.neuron, number, key, explanation)

    async def _explanation(self, evidence: Evidence, sample: int) -> Explanation:
        # Another package's explainer may know nothing of candidates.
        more = {"sample": sample} if sample else {}
        try:
            return await self.explainer.explain(evidence, seed=self.config.seed, **more)
        except (LLMPermanentError, LLMReplyError, LLMUnavailableError) as error:
            return self._failed(evidence.neuron, evidence.scale, error)

    def _failed(self, neuron: NeuronId, scale: float, error: LLMError) -> Explanation:
        if isinstance(error, LLMPermanentError):
            self.run.permanent(error)
        elif isinstance(error, (LLMReplyError, LLMUnavailableError)):
            self.run.unanswered(error)
        spec = self.llm.spec if self.llm else None
        return unexplained(neuron, scale, self.config.explainer, spec, error)


def _ngrams(strongest: Sequence[Mapping[str, Any]]) -> list[Ngram]:
    return [Ngram(e["text"], e["mean_response"], e["max_response"], e["count"]) for e in strongest]
