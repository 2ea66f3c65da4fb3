"""How fast the collector is beside the bare forward pass, batch by batch in one run.

    python tests/benchmarks/collector.py [--tokens 400000] [--threads 1] [--shape minilm|gpt2] [--keep top|all]

Each batch goes through the bare model and through the collector, in alternating order; the ratio is that of the
medians' sums over batches of equal shape, so that other work on the machine weighs on both alike. What the collector does
between batches (ending a split, putting the layers together) is added to its time. Memory is the peak above that of the
bare pass. `--keep top` keeps the strongest spans with the activations of all their tokens, `all` statistics and samples too.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from neuroexplain.collectors.collect import run_batch
from neuroexplain.collectors.layer import LayerState
from neuroexplain.collectors.merge import merged
from neuroexplain.collectors.part import Header, Part
from neuroexplain.collectors.plan import Plan, steps
from neuroexplain.config import CollectConfig
from neuroexplain.recorded import CorpusInfo, TokenCorpus, TokenDocument
from neuroexplain.records import SPLITS, Document
from neuroexplain.subjects import LayerActivations, Subject

SEQ_LEN = 64
SPANS_PER_DOCUMENT = 4
BATCH = 32
_MMAP_THRESHOLD = -3
"""glibc's number of the setting: larger blocks go back to the system at once when they are freed."""


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    if arguments.memory:
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, 1 << 20)
    subject = _gpt2_shaped() if arguments.shape == "gpt2" else Subject.load("minilm")
    corpus = make_corpus(subject, arguments.tokens, arguments.text)
    config = CollectConfig(subject=arguments.shape, tokens=arguments.tokens)
    if arguments.keep == "top":
        config = replace(config, sample_tokens=0, random=0, quantile_bands=0)
    bare, collected, memory = measure(subject, Plan.of(corpus, config, BATCH), arguments.keep)
    out = sys.stdout.write
    tokens = int(corpus.span_length.sum())
    neurons = sum(subject.info.widths)
    out(
        f"{arguments.shape}: {neurons:,} neurons, {tokens:,} tokens, {arguments.threads} thread(s), keeping {arguments.keep}\n"
    )
    out(f"bare forward pass  {tokens / bare:10,.0f} tokens/s\n")
    out(f"collector          {tokens / collected:10,.0f} tokens/s, ratio {bare / collected:.3f}\n")
    out(f"peak memory above the bare pass: {memory / 2**20:,.0f} MB\n")


def measure(subject: Subject, plan: Plan, keep: str) -> tuple[float, float, int]:
    """Seconds of the bare pass, seconds of the collector, peak bytes above the bare pass."""
    widths = {layer: subject.sites[layer].width for layer in subject.layers}
    header = Header("0" * 16, BATCH, 1, 1, widths, SEQ_LEN)
    times: tuple[dict[int, list[float]], ...] = (defaultdict(list), defaultdict(list))
    first = next(steps(plan, plan.batches))
    reset_peak()
    run_batch(subject, plan, (), first, lambda _: None)
    base = peak()
    between, split = 0.0, 0
    with tempfile.TemporaryDirectory() as folder, Part(Path(folder), header) as part:
        states = {
            layer: LayerState(layer, width, plan, part.spools[layer], statistics=keep == "all")
            for layer, width in widths.items()
        }
        for at, step in enumerate(steps(plan, plan.batches)):
            start = time.perf_counter()
            while split < step.batch.split:
                part.save_split(split, states)
                split += 1
                for state in states.values():
                    state.begin_split(split)
            between += time.perf_counter() - start

            def update(seen: LayerActivations) -> None:
                states[seen.layer].update(seen, step)  # noqa: B023  called at once

            both: list[Callable[[], None]] = [
                lambda: run_batch(subject, plan, (), step, update),  # noqa: B023
                lambda: run_batch(subject, plan, list(states), step, update),  # noqa: B023
            ]
            shape = len(step.batch.spans) * int(plan.corpus.span_length[step.batch.spans[0]])
            for which in (0, 1) if at % 2 else (1, 0):
                start = time.perf_counter()
                both[which]()
                times[which][shape].append(time.perf_counter() - start)
        start = time.perf_counter()
        while split < len(SPLITS):
            part.save_split(split, states)
            split += 1
        part.finish(len(plan.batches), states)
        states.clear()
        for _ in merged([part], plan):
            pass
        between += time.perf_counter() - start
    totals = [sum(statistics.median(t) * len(t) for t in arm.values()) for arm in times]
    sys.stderr.write(f"between batches: {between:.1f} s\n")
    return totals[0], totals[1] + between, peak() - base


def peak() -> int:
    """Most memory since `reset_peak`, in bytes (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line) * 1024


def reset_peak() -> None:
    """Forget the memory that loading took."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def make_corpus(subject: Subject, tokens: int, text: str | None) -> TokenCorpus:
    """Real text cut into documents of a few full spans; where it ends it begins again with another cut."""
    from neuroexplain.corpora import python_docs

    words = (
        Path(text).read_text(encoding="utf-8")
        if text
        else "\n".join(t for t, _ in python_docs.read())
    )
    ids = np.array(
        subject.tokenizer(words, add_special_tokens=False, verbose=False)["input_ids"], np.uint32
    )
    size = SEQ_LEN * SPANS_PER_DOCUMENT
    documents = []
    for position in range(tokens // size):
        start = position * (size + 7) % (len(ids) - size)
        chunk = ids[start : start + size]
        split = SPLITS[(0, 0, 2, 0, 2, 1)[position % 6]]
        made = Document(position, str(position), f"{position:064x}", split, "benchmark")
        documents.append(TokenDocument(made, chunk, np.zeros((size, 2), np.uint32)))
    numbers = np.arange(len(documents) * SPANS_PER_DOCUMENT)
    splits = [SPLITS.index(d.document.split) for d in documents]
    info = CorpusInfo("benchmark", "", "", SEQ_LEN, subject.first, len(documents), tokens, 0, 0)
    return TokenCorpus(
        info,
        tuple(documents),
        numbers // SPANS_PER_DOCUMENT,
        numbers % SPANS_PER_DOCUMENT * SEQ_LEN,
        np.full(len(numbers), SEQ_LEN),
        np.repeat(np.array(splits, np.int8), SPANS_PER_DOCUMENT),
    )


def _gpt2_shaped() -> Subject:
    """A random model of GPT-2 small's shape; speed does not depend on the weights."""
    from transformers import GPT2Config, GPT2Model

    torch.manual_seed(0)
    encoder = Subject.load("minilm")
    model = GPT2Model(GPT2Config(vocab_size=len(encoder.tokenizer))).eval().requires_grad_(False)
    model.config.use_cache = False
    subject = Subject("gpt2-shaped", "gpt2-shaped", model, encoder.tokenizer, "0" * 64)
    subject.prefix, subject.suffix = (), ()
    return subject


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=400_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--shape", choices=("minilm", "gpt2"), default="minilm")
    parser.add_argument("--keep", choices=("top", "all"), default="all")
    parser.add_argument(
        "--memory", action="store_true", help="count what is in use, not what the allocator keeps"
    )
    parser.add_argument("--text", help="a text file; the Python documentation without it")
    return parser.parse_args()


if __name__ == "__main__":
    main()
