"""Texts that show what explanations say: written by a language model, or found in the corpus.

explanation ─┬─ a sentence ────── the scorer `synthetic` has texts written ────────┐
             └─ a list of words ─ n-grams of the test split that hold one of them ─┴─▶ TextSet in the catalogue
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroexplain.catalogue import Catalogue, Collection, ExplanationRef, NgramPass, TextSet
from neuroexplain.config import SyntheticConfig, run_key
from neuroexplain.errors import (
    NO_ANSWER,
    ConfigError,
    LLMError,
    LLMPermanentError,
    LLMReplyError,
    LLMUnavailableError,
)
from neuroexplain.llm.base import LLM
from neuroexplain.records import Explanation, Failure
from neuroexplain.registry import chosen, create
from neuroexplain.run import Run
from neuroexplain.scorers.synthetic import NAME, MatchingTexts, Synthetic
from neuroexplain.words import words

if TYPE_CHECKING:
    from neuroexplain.subjects import Subject


@dataclass(frozen=True)
class Hypothesis:
    """An explanation that texts are wanted about, without what else it may hold."""

    ref: ExplanationRef
    text: str
    words: tuple[str, ...]
    """That it consists of, the most telling first; empty where it is a sentence."""

    @classmethod
    def of(cls, ref: ExplanationRef, explanation: Explanation) -> Hypothesis:
        """From an explanation in the catalogue."""
        listed: Sequence[Any] = (explanation.data or {}).get("words", ())
        return cls(ref, explanation.text, tuple(str(word) for word, _ in listed))

    @property
    def identity(self) -> str:
        """The same for explanations that say the same in the same words."""
        if self.words:
            return " ".join(sorted(self.words))
        return " ".join(self.text.casefold().split()).rstrip(".")


class Matching:
    """Finds or has written what the catalogue lacks.

    Args:
        run: where results are counted and saved.
        collection: the explanations' neurons.
        config: how many texts, and how they are written.
        llm: writes them; may be None where all explanations are lists of words.
    """

    def __init__(
        self, run: Run, collection: Collection, config: SyntheticConfig, llm: LLM | None
    ) -> None:
        self.run = run
        self.collection = collection
        self.config = config
        self.llm = llm
        self._scorer: Synthetic | None = None

    def known(self, wanted: Iterable[Hypothesis]) -> dict[int, TextSet]:
        """Texts that the catalogue has, by the explanations' rows."""
        keys = {h.ref.number: self.key(h) for h in wanted}
        found = self.run.catalogue.known_texts(list(keys.values()))
        return {number: found[key] for number, key in keys.items() if key in found}

    def texts(
        self, wanted: Sequence[Hypothesis], subject: Callable[[], Subject]
    ) -> dict[int, TextSet]:
        """Texts about explanations by their rows, failures among them; those that are still to come are missing.

        Args:
            wanted: the explanations.
            subject: loads it, to tokenise the n-grams of the corpus; called for lists of words alone.

        Raises:
            ConfigError: there are lists of words, and no n-gram pass.
            PluginError: there is no language model to write texts.
            LLMError: it refuses every call, or no longer answers.
        """
        found = self.known(wanted)
        for text_set in found.values():
            self._count(text_set)
        missing = [
            h for h in wanted if h.ref.number not in found or self._again(found[h.ref.number])
        ]
        if not missing:
            return found
        index = self._index(subject()) if any(h.words for h in missing) else None

        async def one(hypothesis: Hypothesis) -> None:
            text_set = await self._made(hypothesis, index)
            await self.run.saver.texts(text_set)
            found[hypothesis.ref.number] = text_set
            if text_set.failure is not None:
                self.run.failed(text_set.failure.reason)
            else:
                self.run.succeeded("texts")

        async def finish() -> None:
            """Nothing is left under way."""

        workers = 2 * self.run.execution.in_flight
        self.run.work(
            "finding texts", missing, one, finish=finish, total=len(missing), workers=workers
        )
        return found

    def key(self, hypothesis: Hypothesis) -> str:
        """Hash of everything that determines the texts about an explanation."""
        explanation = hypothesis.ref.key
        if hypothesis.words:
            return run_key("texts", explanation, "corpus", self.config.texts, self.config.seed)
        scorer = self.scorer
        made_by = [chosen(scorer), scorer.llm.identity, scorer.template_sha256, self.config.seed]
        return run_key("texts", explanation, "llm", made_by)

    @property
    def scorer(self) -> Synthetic:
        """Has texts written.

        Raises:
            PluginError: there is no language model, or a setting makes no sense.
        """
        if self._scorer is None:
            settings = {"texts": self.config.texts, **self.config.settings}
            self._scorer = create("scorer", NAME, settings, self.llm)
        assert self._scorer is not None
        return self._scorer

    def _index(self, subject: Subject) -> NgramIndex:
        """The n-grams of the test split that the n-gram pass has not seen."""
        from neuroexplain.collectors import ngram_set
        from neuroexplain.corpora.encoding import Encoder

        catalogue, collection = self.run.catalogue, self.collection
        passed = ngram_pass(catalogue, collection)
        encoder = Encoder.of(subject.tokenizer)
        held_out = ngram_set.build(
            catalogue.texts(collection, ["test"]),
            encoder,
            ngram_set.Reading.of(subject, encoder),
            corpus_sha256=collection.corpus.sha256,
            orders=int(passed.config["orders"]),
            min_count=1,
        )
        seen = catalogue.ngram_texts(passed)
        return NgramIndex([t for t in held_out.texts if t not in seen], self.config.seed)

    async def _made(self, hypothesis: Hypothesis, index: NgramIndex | None) -> TextSet:
        key = self.key(hypothesis)
        if index is not None and hypothesis.words:
            texts = index.holding(hypothesis.words, self.config.texts)
            return TextSet(hypothesis.ref.number, key, "corpus", texts, self.config.texts)
        scorer = self.scorer
        written = await self._written(scorer, hypothesis.text)
        return TextSet(
            explanation_id=hypothesis.ref.number,
            key=key,
            source="llm",
            texts=written.texts,
            wanted=written.wanted,
            n_duplicates=written.duplicates,
            n_unusable=written.unusable,
            llm=scorer.llm.spec,
            settings=chosen(scorer),
            template_sha256=scorer.template_sha256,
            prompt_sha256=written.prompt_sha256,
            failure=written.failure,
        )

    async def _written(self, scorer: Synthetic, explanation: str) -> MatchingTexts:
        failed: LLMError
        try:
            return await scorer.write(explanation, seed=self.config.seed)
        except LLMPermanentError as error:
            self.run.permanent(error)
            failed = error
        except (LLMReplyError, LLMUnavailableError) as error:
            self.run.unanswered(error)
            failed = error
        failure = Failure("score", failed.reason, str(failed), failed.raw)
        return MatchingTexts((), self.config.texts, failure=failure)

    def _again(self, known: TextSet) -> bool:
        """Whether texts that failed are worth another try."""
        if known.failure is None:
            return False
        execution = self.run.execution
        return not execution.use_ledger or known.failure.reason in NO_ANSWER | execution.retry

    def _count(self, known: TextSet) -> None:
        """Count what is taken as it is: a failure stays one, however often the command is given."""
        if known.failure is None:
            self.run.counts["reused"] += 1
        elif not self._again(known):
            self.run.failed(known.failure.reason)


def ngram_pass(catalogue: Catalogue, collection: Collection) -> NgramPass:
    """The n-gram pass of a collection.

    Raises:
        ConfigError: there is none.
    """
    found = catalogue.ngram_pass(collection)
    if found is None:
        raise ConfigError(
            f"scores by texts are in units of the spread over n-grams, and {collection.subject.name} has no n-gram pass; "
            "run neuroexplain ngrams first"
        )
    return found


class NgramIndex:
    """N-grams by the words that they hold, in an order drawn by lot.

    Args:
        texts: distinct n-grams.
        seed: of the lot.
    """

    def __init__(self, texts: Sequence[str], seed: int) -> None:
        self._by_word: Mapping[str, list[str]] = defaultdict(list)
        for place in np.random.default_rng(seed).permutation(len(texts)).tolist():
            for word in set(words(texts[place])):
                self._by_word[word].append(texts[place])

    def holding(self, wanted: Sequence[str], n: int) -> tuple[str, ...]:
        """Up to n n-grams that hold one of some words at least, from all words in turn."""
        lists = [self._by_word.get(word, [])[:n] for word in wanted]
        in_turn = chain.from_iterable(zip_longest(*lists))
        return tuple(dict.fromkeys(text for text in in_turn if text is not None))[:n]
