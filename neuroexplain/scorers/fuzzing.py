"""`fuzzing`: a language model says whether the right words of a text are marked (Paulo et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

import numpy as np

from neuroexplain.llm.base import LLM
from neuroexplain.records import Explanation, Failure, HeldOut, Simulation, SpanSimulation
from neuroexplain.registry import chosen, register
from neuroexplain.scorers.alignment import Aligned
from neuroexplain.scorers.asking import verdicts
from neuroexplain.scorers.marks import marks
from neuroexplain.scorers.verdicts import Items, Measure, Verdicts
from neuroexplain.templates import render, template_hash

TEMPLATE = "fuzzing"


def _marked(aligned: Aligned) -> Items:
    """Every marking, with the level of its first token: that is where `ask` leaves the verdict."""
    spans, right, places = [], [], []
    start = 0
    for place, (span, length) in enumerate(
        zip(aligned.spans, aligned.lengths.tolist(), strict=True)
    ):
        for found in marks(span, aligned.scale):
            spans.append(place)
            right.append(found.right)
            places.append(start + found.tokens[0] - span.span.first)
        start += length
    levels = aligned.expected[:, np.array(places, np.int64)]
    return Items(np.array(spans, np.int64), np.array(right, np.bool_), levels)


def _measure(name: str, measure: Measure) -> Verdicts:
    return Verdicts(
        *(name, measure, _marked),
        natural=False,
        no_null="answers about other neurons are about other marks",
    )


@register("scorer", TEMPLATE)
@dataclass(frozen=True)
class Fuzzing:
    """A language model says whether the marked words are those that the neuron fires on: balanced accuracy, F1, precision."""

    name: ClassVar[str] = TEMPLATE
    statistics: ClassVar[tuple[Verdicts, ...]] = (
        _measure("fuzzing", "balanced_accuracy"),
        _measure("fuzzing_f1", "f1"),
        _measure("fuzzing_auprc", "auprc"),
    )
    comparable: ClassVar[bool] = False
    """The answers are about this neuron's marks, so that another neuron's are nothing to compare them with."""
    llm: LLM
    spans_per_call: int = 20
    """Marked texts in a call; a text on which the neuron fires stands there twice."""

    def __post_init__(self) -> None:
        if self.spans_per_call < 1:
            raise ValueError("spans_per_call must be at least 1")

    @property
    def template_sha256(self) -> str:
        """Version of the prompts."""
        return template_hash(TEMPLATE)

    async def ask(self, explanation: Explanation, held_out: HeldOut) -> Simulation:
        """Ask how sure the model is that each text's marks are right; the marked tokens get that level."""
        items = [
            (place, found)
            for place, span in enumerate(held_out.spans)
            for found in marks(span, held_out.scale)
        ]
        # In an order that says nothing: right ones would else always stand before wrong ones.
        order = np.random.default_rng(len(items)).permutation(len(items)).tolist()
        items = [items[i] for i in order]
        shown = [_shown(held_out.spans[place].span.tokens, found.tokens) for place, found in items]
        calls = await verdicts(
            self.llm, TEMPLATE, explanation.text, shown, per_call=self.spans_per_call
        )
        levels = [np.zeros(len(s.span), np.float32) for s in held_out.spans]
        failed: dict[int, Failure] = {}
        for number, (place, found) in enumerate(items):
            answer = calls[number // self.spans_per_call]
            if isinstance(answer, Failure):
                failed[place] = answer
            else:
                levels[place][list(found.tokens)] = answer[number % self.spans_per_call]
        bad = [answer for answer in calls if isinstance(answer, Failure)]
        if bad and len(bad) == len(calls):
            # Spans without marks would else pass for answered, though nothing was.
            failed = {i: failed.get(i, bad[0]) for i in range(len(held_out.spans))}
        spans = (
            SpanSimulation(s.span, None, failed[i])
            if i in failed
            else SpanSimulation(s.span, levels[i])
            for i, s in enumerate(held_out.spans)
        )
        return Simulation(TEMPLATE, tuple(spans), llm=self.llm.spec, settings=chosen(self))


def _shown(tokens: Sequence[str], marked: Sequence[int]) -> str:
    """A text with its runs of marked tokens apart from the others; spaces round a run stay outside of it."""
    runs: list[tuple[bool, str]] = []
    for mark, run in groupby(range(len(tokens)), key=set(marked).__contains__):
        text = "".join(tokens[place] for place in run)
        word = text.strip() or text  # a run of nothing but spaces is marked as it is
        before, _, behind = text.partition(word) if mark else ("", "", "")
        runs += [(False, before), (True, word), (False, behind)] if mark else [(False, text)]
    return render(f"{TEMPLATE}/item.jinja", runs=[run for run in runs if run[1]])
