"""The pass: every span of a shard once through the subject, all layers at a time."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroexplain.collectors.layer import LayerState
from neuroexplain.collectors.merge import merged
from neuroexplain.collectors.part import Header, Part, writing
from neuroexplain.collectors.pausing import CHECKPOINT_SECONDS, Clock, interruptible
from neuroexplain.collectors.plan import Plan, Step, steps
from neuroexplain.config import CollectConfig
from neuroexplain.recorded import LayerCollection, TokenCorpus
from neuroexplain.records import SPLITS

if TYPE_CHECKING:
    from neuroexplain.subjects import LayerActivations, Subject

Advance = Callable[[int, str], None]
"""Called with the tokens of every batch, and what is to be said about the pass."""

_TIMED = 16
"""One batch of so many is timed."""


def collect_part(
    subject: Subject,
    plan: Plan,
    part: Part,
    *,
    advance: Advance | None = None,
    checkpoint: float = CHECKPOINT_SECONDS,
) -> None:
    """Run a part to its end, from its newest checkpoint on.

    Args:
        subject: the model.
        plan: of the whole collection.
        part: where it is recorded; entered.
        advance: told about every batch.
        checkpoint: seconds between two of them.

    Raises:
        CollectError: an activation is NaN or infinite, or the disk is full.
        KeyboardInterrupt: it was interrupted, after a last checkpoint.
    """
    advance = advance or _unseen
    header = part.header
    shard = plan.shard(header.shard, header.shards)
    if part.finished:
        advance(_tokens(plan, [batch.spans for batch in shard]), "done before")
        return
    meter, clock = _Meter(subject), Clock(checkpoint)
    with _sorters(subject) as pool, interruptible() as interrupted, writing(part.folder):
        states = {
            layer: LayerState(layer, width, plan, part.spools[layer], pool=pool)
            for layer, width in header.widths.items()
        }
        done, split = part.restore(states)
        advance(_tokens(plan, [batch.spans for batch in shard[:done]]), "")
        for number, step in enumerate(steps(plan, shard)):
            if number < done:
                continue
            split = _reach(step.batch.split, split, part, states)
            meter.run(plan, states, step)
            advance(_tokens(plan, [step.batch.spans]), meter.note)
            if interrupted.is_set() or clock.due:
                with clock.measured():
                    part.save(number + 1, split, states)
            if interrupted.is_set():
                raise KeyboardInterrupt
        _reach(len(SPLITS), split, part, states)
        part.finish(len(shard), states)


def collect_layers(
    subject: Subject,
    corpus: TokenCorpus,
    config: CollectConfig,
    *,
    layers: Sequence[int],
    batch_size: int = 32,
) -> Iterator[LayerCollection]:
    """Record some layers in one go, in a folder that is gone afterwards; see `collect_part`.

    Yields:
        One record per layer, in order, after the whole corpus has gone by.
    """
    plan = Plan.of(corpus, config, batch_size)
    widths = {layer: subject.sites[layer].width for layer in layers}
    header = Header("0" * 16, batch_size, 1, 1, widths, config.seq_len)
    with tempfile.TemporaryDirectory() as folder:
        with Part(Path(folder), header) as part:
            collect_part(subject, plan, part)
        yield from merged([part], plan)


def run_batch(
    subject: Subject,
    plan: Plan,
    layers: Sequence[int],
    step: Step,
    on_layer: Callable[[LayerActivations], None],
) -> None:
    """Run one batch and show its layers."""
    corpus = plan.corpus
    token_ids = []
    for span in step.batch.spans.tolist():
        entry = corpus.documents[int(corpus.span_document[span])]
        start = int(corpus.span_start[span])
        token_ids.append(entry.token_ids[start : start + int(corpus.span_length[span])].tolist())
    subject.run(token_ids, layers, on_layer)


def _reach(split: int, current: int, part: Part, states: Mapping[int, LayerState]) -> int:
    """End every split before the given one."""
    for number in range(current, split):
        part.save_split(number, states)
        for state in states.values():
            state.begin_split(min(number + 1, len(SPLITS) - 1))
    return max(split, current)


def _unseen(tokens: int, note: str) -> None:
    """Progress that nobody wants to see."""


def _tokens(plan: Plan, spans: Sequence[Any]) -> int:
    return sum(int(plan.corpus.span_length[numbers].sum()) for numbers in spans)


class _Meter:
    """Runs batches, and says what share of the time the model has itself."""

    def __init__(self, subject: Subject) -> None:
        self.note = ""
        self._subject = subject
        self._batches = 0
        self._whole = self._ours = 0.0

    def run(self, plan: Plan, states: Mapping[int, LayerState], step: Step) -> None:
        """One batch; every 16th is timed, for on an accelerator timing means waiting."""
        timed = self._batches % _TIMED == 1
        self._batches += 1
        ours = 0.0

        def on_layer(seen: LayerActivations) -> None:
            nonlocal ours
            start = self._now() if timed else 0.0
            states[seen.layer].update(seen, step)
            if timed:
                ours += self._now() - start

        start = self._now() if timed else 0.0
        run_batch(self._subject, plan, list(states), step, on_layer)
        if timed:
            self._whole += self._now() - start
            self._ours += ours
            self.note = f"{1 - self._ours / self._whole:.0%} in the model"

    def _now(self) -> float:
        import torch

        if self._subject.model.device.type == "cuda":
            torch.cuda.synchronize(self._subject.model.device)
        return time.perf_counter()


@contextmanager
def _sorters(subject: Subject) -> Iterator[ThreadPoolExecutor | None]:
    """Threads that sort spans in beside an accelerator; on a processor the model has the cores."""
    if subject.model.device.type == "cpu":
        yield None
    else:
        with ThreadPoolExecutor() as pool:
            yield pool
