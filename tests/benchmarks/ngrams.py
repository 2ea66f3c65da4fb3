"""What the n-gram pass costs, and how much of a neuron five of its words tell.

    python tests/benchmarks/ngrams.py [--pass | --keywords] [--text FILE] [--threads 1] [--held-out 24000]

Without a choice it does both, on MiniLM. The text is WikiText-2's validation part where it lies in the folder of shared
data beside the checkout, else the corpus `docs`.

`--pass`: all n-grams of the text through all 9,216 neurons, by the same stage as `neuroexplain ngrams`. CPU seconds are those
of the whole process, most memory that of the process since the model was loaded.

`--keywords`: SASC's LLM-free baseline. Lists come from the explain split; its five words of highest lift say which unseen
n-grams of the test split hold one of them, and these are compared with the others: AUROC, and the difference in standard
deviations over the explain split's n-grams. The control gives every neuron the words of another one of its layer.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata

from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.collecting import collect
from neuroexplain.collectors.ngram_pass import batches
from neuroexplain.collectors.ngram_responses import respond
from neuroexplain.collectors.ngram_set import Reading, build
from neuroexplain.config import CollectConfig, NgramConfig
from neuroexplain.corpora.encoding import Encoder
from neuroexplain.explainers.keywords import keywords
from neuroexplain.ngrams import collect_ngrams
from neuroexplain.recorded import AGGREGATORS, Aggregator, NgramSet
from neuroexplain.records import SPLITS, Floats, NeuronId
from neuroexplain.run import Execution, Run
from neuroexplain.subjects import LayerActivations, Subject
from neuroexplain.words import words

SHARED = Path(__file__).parents[3] / "shared" / "data" / "wikitext2-valid.txt"
Halves = NDArray[np.float16]
LEAST = 5
"""Held-out n-grams that must hold a neuron's words for it to count."""


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    subject = Subject.load("minilm")
    with (
        tempfile.TemporaryDirectory() as folder,
        Catalogue(Path(folder) / "catalogue.sqlite") as catalogue,
    ):
        collection = collected(catalogue, subject, arguments.text)
        if not arguments.keywords:
            whole_pass(catalogue, collection, subject)
        if not arguments.only_pass:
            baseline(catalogue, collection, subject, arguments.held_out)


def collected(catalogue: Catalogue, subject: Subject, text: str) -> Collection:
    """A collection of the text that keeps as little as possible: it is what n-gram passes belong to."""
    config = CollectConfig(
        "minilm", text, tokens=10_000_000, top_k=1, held_out_top_k=1, random=0, quantile_bands=0,
        sample_tokens=0,
    )  # fmt: skip
    with Run(catalogue, "collect", config) as run:
        return collect(run, config, subject)


def whole_pass(catalogue: Catalogue, collection: Collection, subject: Subject) -> None:
    """The pass over all splits, and what it took."""
    config = NgramConfig(splits=SPLITS)
    before = catalogue.path.stat().st_size
    reset_peak()
    with Run(catalogue, "ngrams", config, Execution(checkpoint=60)) as run, timed() as seconds:
        found = collect_ngrams(run, collection, config, subject)
    cpu = seconds[0]
    grown = catalogue.path.stat().st_size - before
    neurons = sum(collection.subject.widths)
    out = sys.stdout.write
    out(f"{found.n_ngrams:,} n-grams x {neurons:,} neurons: {cpu:,.0f} CPU seconds, all in\n")
    out(f"{found.n_ngrams / cpu:,.0f} n-grams a CPU second, {seconds[1]:,.0f} s of wall time\n")
    out(f"most memory {peak() / 2**20:,.0f} MB\n")
    out(f"catalogue: {grown / 2**20:,.0f} MB, {grown / neurons / 1024:.1f} KB a neuron\n")


def baseline(catalogue: Catalogue, collection: Collection, subject: Subject, held_out: int) -> None:
    """How well keywords tell unseen n-grams apart, by layer."""
    config = NgramConfig()
    with Run(catalogue, "ngrams", config) as run:
        collect_ngrams(run, collection, config, subject)
    unseen = sample(catalogue, collection, subject, held_out)
    places = Places(unseen.texts)
    out = sys.stdout.write
    out(f"{len(unseen):,} held-out n-grams; medians over neurons, shuffled control behind\n")
    answered = answers(subject, unseen)
    for aggregator in AGGREGATORS:
        for layer, responses in answered[aggregator].items():
            neurons = [NeuronId("minilm", layer, index) for index in range(responses.shape[1])]
            listed = [keywords(catalogue.ngrams(collection, n, aggregator), 5) for n in neurons]
            sigma = catalogue.ngram_moments(collection, layer).std(aggregator)
            judge = Judge(responses.astype(np.float32), sigma)
            own = judge.scores([places.of(found) for found in listed])
            shuffled = np.random.default_rng(layer).permutation(len(listed))
            other = judge.scores([places.of(listed[place]) for place in shuffled])
            out(f"{aggregator:>4} layer {layer}: {line(*own)} | {line(*other)}\n")
            sys.stdout.flush()


class Places:
    """Which n-grams hold which words."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._rows: dict[str, list[int]] = {}
        for row, text in enumerate(texts):
            for word in set(words(text)):
                self._rows.setdefault(word, []).append(row)

    def of(self, wanted: Sequence[str]) -> NDArray[np.int64]:
        """Rows of the n-grams that hold one of some words."""
        found = [self._rows.get(word, []) for word in wanted]
        return np.unique(np.concatenate([np.empty(0, np.int64), *map(np.array, found)]).astype(int))


class Judge:
    """Scores of n-grams that hold words against the others, neuron by neuron; responses are [n-gram, neuron]."""

    def __init__(self, responses: Floats, sigma: NDArray[np.float64]) -> None:
        self._responses = responses
        self._sums = responses.sum(axis=0, dtype=np.float64)
        self._ranks = rankdata(responses, axis=0).astype(np.float32)
        self._sigma = sigma

    def scores(
        self, held: Sequence[NDArray[np.int64]]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Differences of the means in standard deviations, and AUROC, of the neurons that can be judged."""
        total = len(self._responses)
        differences, areas = [], []
        for neuron, rows in enumerate(held):
            n = len(rows)
            if not LEAST <= n <= total - LEAST or self._sigma[neuron] < 1e-3:
                continue
            inside = self._responses[rows, neuron].sum(dtype=np.float64)
            outside = (self._sums[neuron] - inside) / (total - n)
            differences.append((inside / n - outside) / self._sigma[neuron])
            ranks = self._ranks[rows, neuron].sum(dtype=np.float64)
            areas.append((ranks - n * (n + 1) / 2) / (n * (total - n)))
        return np.array(differences), np.array(areas)


def sample(catalogue: Catalogue, collection: Collection, subject: Subject, size: int) -> NgramSet:
    """N-grams of the test split that the explain split lacks."""
    encoder = Encoder.of(subject.tokenizer)
    reading = Reading.of(subject, encoder)
    sets = [
        build(
            catalogue.texts(collection, [split]), encoder, reading,
            corpus_sha256=collection.corpus.sha256, orders=3, min_count=1,
        )
        for split in ("explain", "test")
    ]  # fmt: skip
    known = set(sets[0].texts)
    new = np.array([n for n, text in enumerate(sets[1].texts) if text not in known])
    chosen = np.sort(np.random.default_rng(0).permutation(new)[:size])
    stops = np.cumsum(sets[1].lengths)
    ids = [sets[1].token_ids[stops[n] - sets[1].lengths[n] : stops[n]] for n in chosen]
    return NgramSet(
        "", "", tuple(sets[1].texts[n] for n in chosen), sets[1].counts[chosen],
        sets[1].lengths[chosen], np.concatenate(ids),
    )  # fmt: skip


def answers(subject: Subject, ngrams: NgramSet) -> dict[Aggregator, dict[int, Halves]]:
    """Responses of every layer by both aggregators, [n-gram, neuron]."""
    stops = np.cumsum(ngrams.lengths)
    found: dict[Aggregator, dict[int, Halves]] = {
        aggregator: {
            layer: np.zeros((len(ngrams), site.width), dtype=np.float16)
            for layer, site in subject.sites.items()
        }
        for aggregator in AGGREGATORS
    }

    def take(batch: NDArray[np.int64], seen: LayerActivations) -> None:
        responses = respond(seen, subject.first)
        found["mean"][seen.layer][batch] = responses.mean.numpy()
        found["max"][seen.layer][batch] = responses.highest.numpy()

    for batch in batches(ngrams.lengths):
        length = int(ngrams.lengths[batch[0]])
        rows = ngrams.token_ids[(stops[batch] - length)[:, None] + np.arange(length)]
        subject.run(rows.tolist(), subject.layers, partial(take, batch))
    return found


def line(differences: NDArray[np.float64], areas: NDArray[np.float64]) -> str:
    above = (differences > 1).mean()
    return (
        f"score {np.median(differences):5.2f}, AUROC {np.median(areas):.2f}, above 1 sigma {above:6.1%}, "
        f"{len(areas):,} neurons"
    )


@contextmanager
def timed() -> Iterator[list[float]]:
    """CPU and wall seconds of what is done within."""
    found: list[float] = []
    cpu, wall = _cpu(), time.perf_counter()
    yield found
    found += [_cpu() - cpu, time.perf_counter() - wall]


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak() -> int:
    """Most memory since `reset_peak`, in bytes (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(row.split()[1]) for row in status.splitlines() if "VmHWM" in row) * 1024


def reset_peak() -> None:
    """Forget the memory that loading took."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pass", dest="only_pass", action="store_true")
    parser.add_argument("--keywords", action="store_true")
    parser.add_argument("--text", default=str(SHARED) if SHARED.exists() else "docs")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--held-out", type=int, default=24_000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
