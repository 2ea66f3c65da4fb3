"""How fast the collector is beside the bare forward pass, batch by batch in one run.

    python tests/benchmarks/collector.py [--tokens 400000] [--threads 1] [--shape minilm|gpt2] [--text FILE]

Each batch goes through the bare model and through the collector, in alternating order; the ratio is that of the
medians' sums over batches of equal shape, so that other work on the machine weighs on both alike. Memory is the peak
above that of the bare pass.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np
import torch

from neuroexplain.collectors.collect import in_order, run_batch
from neuroexplain.collectors.layer import LayerState
from neuroexplain.collectors.plan import sample
from neuroexplain.config import CollectConfig
from neuroexplain.recorded import CorpusInfo, TokenCorpus, TokenDocument
from neuroexplain.records import SPLITS, Document
from neuroexplain.subjects import Subject

SEQ_LEN = 64
SPANS_PER_DOCUMENT = 4


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    subject = _gpt2_shaped() if arguments.shape == "gpt2" else Subject.load("minilm")
    corpus = _corpus(subject, arguments.tokens, arguments.text)
    config = CollectConfig(subject=arguments.shape, tokens=arguments.tokens)
    bare, collected, peak = measure(subject, corpus, config)
    out = sys.stdout.write
    tokens = int(corpus.span_length.sum())
    neurons = sum(subject.info.widths)
    out(
        f"{arguments.shape}: {neurons:,} neurons, {tokens:,} tokens, {arguments.threads} thread(s)\n"
    )
    out(f"bare forward pass  {tokens / bare:10,.0f} tokens/s\n")
    out(f"collector          {tokens / collected:10,.0f} tokens/s, ratio {bare / collected:.3f}\n")
    out(f"peak memory above the bare pass: {peak / 2**20:,.0f} MB\n")


def measure(
    subject: Subject, corpus: TokenCorpus, config: CollectConfig
) -> tuple[float, float, int]:
    """Seconds of the bare pass, seconds of the collector, peak bytes above the bare pass."""
    states = {
        layer: LayerState(layer, subject.sites[layer].width, corpus, config)
        for layer in subject.layers
    }
    bare: dict[int, list[float]] = defaultdict(list)
    ours: dict[int, list[float]] = defaultdict(list)
    extra = 0.0
    base = 0
    for number, (split, drawn) in enumerate(zip(SPLITS, sample(corpus, config), strict=True)):
        for state in states.values():
            state.begin_split(split)
        for at, (spans, keep) in enumerate(in_order(corpus, number, drawn, 32)):
            both = [
                partial(run_batch, subject, corpus, {}, spans, False),
                partial(run_batch, subject, corpus, states, spans, keep),
            ]
            times = [0.0, 0.0]
            for which in (0, 1) if at % 2 else (1, 0):
                start = time.perf_counter()
                both[which]()
                times[which] = time.perf_counter() - start
                if not base and which == 0:
                    base = _peak()
            shape = len(spans) * int(corpus.span_length[spans[0]])
            bare[shape].append(times[0])
            ours[shape].append(times[1])
        start = time.perf_counter()
        for state in states.values():
            state.end_split(split, drawn)
        extra += time.perf_counter() - start
    totals = [sum(statistics.median(t) * len(t) for t in times.values()) for times in (bare, ours)]
    return totals[0], totals[1] + extra, _peak() - base


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _corpus(subject: Subject, tokens: int, text: str | None) -> TokenCorpus:
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
    parser.add_argument("--text", help="a text file; the Python documentation without it")
    return parser.parse_args()


if __name__ == "__main__":
    main()
