"""The collector beside other ways to the same thing: the 20 strongest spans of every neuron, with all their activations.

    pip install nnsight
    python tests/benchmarks/peers.py [--tokens 50000] [--threads 1]

On MiniLM, batch by batch in turns in one run; each arm's peak memory in a process of its own.

bare        the forward pass alone
ours        both polarities, three splits, at most one span of a document, statistics and samples of everything
nnsight     its tracing of the modules' inputs, then top-k over kept and new spans in every batch: one polarity, no splits,
            no documents, no statistics
store all   a forward hook that appends every activation to a list, as float16; top-k at the end
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import collector
import torch
from torch import Tensor

from neuroexplain.collectors.collect import run_batch
from neuroexplain.collectors.layer import LayerState
from neuroexplain.collectors.merge import merged
from neuroexplain.collectors.part import Header, Part
from neuroexplain.collectors.plan import Plan, Step, steps
from neuroexplain.config import CollectConfig
from neuroexplain.records import SPLITS
from neuroexplain.subjects import LayerActivations, Subject

K = 20


class Bare:
    """The forward pass alone."""

    def __init__(self, subject: Subject, plan: Plan, folder: Path) -> None:
        self.subject, self.plan = subject, plan

    def run(self, step: Step) -> None:
        """One batch."""
        run_batch(self.subject, self.plan, (), step, lambda _: None)

    def end(self) -> None:
        """What is left to do behind the last batch."""


class Ours(Bare):
    """The collector."""

    def __init__(self, subject: Subject, plan: Plan, folder: Path) -> None:
        super().__init__(subject, plan, folder)
        widths = {layer: subject.sites[layer].width for layer in subject.layers}
        header = Header("0" * 16, collector.BATCH, 1, 1, widths, collector.SEQ_LEN)
        self.part = Part(folder, header).__enter__()
        self.states = {
            layer: LayerState(layer, width, plan, self.part.spools[layer])
            for layer, width in widths.items()
        }
        self.split = 0

    def run(self, step: Step) -> None:
        """One batch."""
        self._reach(step.batch.split)

        def update(seen: LayerActivations) -> None:
            self.states[seen.layer].update(seen, step)

        run_batch(self.subject, self.plan, list(self.states), step, update)

    def end(self) -> None:
        """Put the layers together."""
        self._reach(len(SPLITS))
        self.part.finish(len(self.plan.batches), self.states)
        self.states.clear()
        for _ in merged([self.part], self.plan):
            pass

    def _reach(self, split: int) -> None:
        while self.split < split:
            self.part.save_split(self.split, self.states)
            self.split += 1
            for state in self.states.values():
                state.begin_split(min(self.split, len(SPLITS) - 1))


class NNsight(Bare):
    """Tracing, and the obvious top-k."""

    def __init__(self, subject: Subject, plan: Plan, folder: Path) -> None:
        from nnsight import NNsight as Traced

        super().__init__(subject, plan, folder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.traced = Traced(subject.model)
        self.kept: list[tuple[Tensor, Tensor] | None] = [None] * len(subject.layers)

    def run(self, step: Step) -> None:
        """One batch."""
        ids = _token_ids(self.subject, self.plan, step)
        with torch.inference_mode(), self.traced.trace(input_ids=ids):
            seen = []
            for layer in range(len(self.kept)):
                seen.append(self.traced.encoder.layer[layer].E_output.dense.input.save())
            seen.save()  # type: ignore[attr-defined]
        for layer, neurons in enumerate(seen):
            text = neurons[:, 1:-1]
            peaks, traces = text.amax(1), text.transpose(1, 2)
            known = self.kept[layer]
            if known is not None:
                peaks, traces = torch.cat([known[0], peaks]), torch.cat([known[1], traces])
            best = peaks.topk(min(K, len(peaks)), dim=0)
            index = best.indices[:, :, None].expand(-1, -1, traces.shape[2])
            self.kept[layer] = best.values, traces.gather(0, index)


class StoreAll(Bare):
    """Every activation in memory."""

    def __init__(self, subject: Subject, plan: Plan, folder: Path) -> None:
        super().__init__(subject, plan, folder)
        self.stored: dict[int, list[Tensor]] = {layer: [] for layer in subject.layers}

    def run(self, step: Step) -> None:
        """One batch."""

        def keep(seen: LayerActivations) -> None:
            self.stored[seen.layer].append(seen.neurons[:, seen.content].half())

        run_batch(self.subject, self.plan, self.subject.layers, step, keep)

    def end(self) -> None:
        """Top-k."""
        for pieces in self.stored.values():
            peaks = torch.cat([piece.amax(1) for piece in pieces])
            best = peaks.topk(min(K, len(peaks)), dim=0).indices
            traces = torch.cat(pieces).transpose(1, 2)
            traces.gather(0, best[:, :, None].expand(-1, -1, traces.shape[2]))


ARMS: dict[str, Callable[[Subject, Plan, Path], Bare]] = {
    "bare": Bare,
    "ours": Ours,
    "nnsight": NNsight,
    "store all": StoreAll,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=50_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=ARMS, help="one arm, and print its peak memory")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    subject = Subject.load("minilm")
    corpus = collector.make_corpus(subject, arguments.tokens, None)
    plan = Plan.of(corpus, CollectConfig("minilm", tokens=arguments.tokens), collector.BATCH)
    out = sys.stdout.write
    if arguments.only:
        bare = Bare(subject, plan, Path())
        collector.reset_peak()
        bare.run(next(steps(plan, plan.batches)))
        before = collector.peak()
        seconds(subject, plan, [arguments.only])
        out(f"{(collector.peak() - before) / 2**20:.0f}\n")
        return
    took = seconds(subject, plan, list(ARMS))
    tokens = int(corpus.span_length.sum())
    out(f"{tokens:,} tokens, {sum(subject.info.widths):,} neurons, {arguments.threads} thread(s)\n")
    out(f"{'':10} {'tokens/s':>9} {'of bare':>8} {'MB more':>8}\n")
    for name, time_taken in took.items():
        again = [sys.executable, __file__, "--tokens", str(arguments.tokens), "--only", name]
        peak = subprocess.run(again, capture_output=True, text=True, check=True).stdout.strip()
        out(f"{name:10} {tokens / time_taken:9,.0f} {took['bare'] / time_taken:8.2f} {peak:>8}\n")


def seconds(subject: Subject, plan: Plan, names: list[str]) -> dict[str, float]:
    """Seconds of every arm: the median batch times their number, and what comes behind the last."""
    times: dict[str, list[float]] = {name: [] for name in names}
    ends = {}
    with tempfile.TemporaryDirectory() as folder:
        arms = {name: ARMS[name](subject, plan, Path(folder)) for name in names}
        for at, step in enumerate(steps(plan, plan.batches)):
            turn = at % len(names)
            for name in names[turn:] + names[:turn]:
                start = time.perf_counter()
                arms[name].run(step)
                times[name].append(time.perf_counter() - start)
        for name, arm in arms.items():
            start = time.perf_counter()
            arm.end()
            ends[name] = time.perf_counter() - start
    return {name: statistics.fmean(times[name]) * len(times[name]) + ends[name] for name in names}


def _token_ids(subject: Subject, plan: Plan, step: Step) -> Tensor:
    corpus = plan.corpus
    rows = []
    for span in step.batch.spans.tolist():
        entry = corpus.documents[int(corpus.span_document[span])]
        start = int(corpus.span_start[span])
        ids = entry.token_ids[start : start + int(corpus.span_length[span])].tolist()
        rows.append([*subject.prefix, *ids, *subject.suffix])
    return torch.tensor(rows)


if __name__ == "__main__":
    main()
