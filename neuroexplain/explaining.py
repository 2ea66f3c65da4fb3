"""From neurons to explanations in the catalogue: one neuron at a time, each saved before it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neuroexplain.catalogue import Collection, NewExplanation
from neuroexplain.config import ExplainConfig, run_key
from neuroexplain.errors import LLMError, LLMPermanentError, LLMReplyError, LLMUnavailableError
from neuroexplain.explainers.base import Explainer
from neuroexplain.llm.base import LLM
from neuroexplain.pipeline import unexplained
from neuroexplain.records import Evidence, Explanation, NeuronId, Ngram
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
    """

    def __init__(
        self,
        collection: Collection,
        config: ExplainConfig,
        explainer: Explainer,
        identity: str | None,
    ) -> None:
        self._made_by = [
            collection.key,
            config.explainer,
            chosen(explainer),
            identity,
            getattr(explainer, "template_sha256", None),
            config.seed if identity else None,
        ]

    def of(self, neuron: NeuronId) -> str:
        """The key of a neuron's explanation."""
        return run_key("explanation", str(neuron), self._made_by)


class Explaining:
    """Explains the neurons of a collection."""

    def __init__(
        self, run: Run, collection: Collection, config: ExplainConfig, llm: LLM | None
    ) -> None:
        self.run = run
        self.collection = collection
        self.config = config
        self.explainer: Explainer = create("explainer", config.explainer, config.settings, llm)
        self.llm = llm if needs_llm(type(self.explainer)) else None
        identity = self.llm.identity if self.llm else None
        self.keys = ExplanationKeys(collection, config, self.explainer, identity)

    async def explain(self, neuron: NeuronId) -> Explained | None:
        """Explain a neuron and save that; None where it failed, which is saved and counted too.

        Raises:
            LLMError: the language model refuses every call, or no longer answers.
            PostponedError: nothing was done.
        """
        await self.run.turn()
        evidence = self.run.catalogue.evidence(self.collection, neuron)
        explanation = await self._explanation(evidence)
        key = self.keys.of(neuron)
        data = explanation.data or {}
        ngrams = _ngrams(data.get("strongest", ()))
        number = await self.run.saver.explanation(
            NewExplanation(self.collection, key, explanation, ngrams=ngrams)
        )
        if explanation.failure is not None:
            self.run.failed(explanation.failure.reason)
            return None
        self.run.succeeded("explained")
        return Explained(neuron, number, key, explanation)

    async def _explanation(self, evidence: Evidence) -> Explanation:
        try:
            return await self.explainer.explain(evidence, seed=self.config.seed)
        except LLMPermanentError as error:
            self.run.permanent(error)
            return self._failed(evidence, error)
        except (LLMReplyError, LLMUnavailableError) as error:
            self.run.unanswered(error)
            return self._failed(evidence, error)

    def _failed(self, evidence: Evidence, error: LLMError) -> Explanation:
        spec = self.llm.spec if self.llm else None
        return unexplained(evidence, self.config.explainer, spec, error)


def _ngrams(strongest: Sequence[Mapping[str, Any]]) -> list[Ngram]:
    return [Ngram(e["text"], e["mean_response"], e["max_response"], e["count"]) for e in strongest]
