"""What scores by texts say of real neurons, by the whole stage: lists of words of their own, and lists of others'.

    python tests/benchmarks/sasc.py [--neurons random:2000] [--tokens 30000] [--text docs] [--threads 1]

MiniLM. SASC's explanation without a language model, the five words of highest lift among a neuron's n-grams, is scored by
n-grams of the test split that the n-gram pass has not seen, beside those about other neurons' words. The control gives
every neuron the words of another of its layer: its scores should lie around 0 σ and an area of a half, and one in twenty
should have p < 0.05.
"""

from __future__ import annotations

import argparse
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.collecting import collect
from neuroexplain.config import CollectConfig, ExplainConfig, NgramConfig, SyntheticConfig, run_key
from neuroexplain.ngrams import collect_ngrams
from neuroexplain.records import NeuronId
from neuroexplain.run import Execution, Run
from neuroexplain.runner import explain_and_score, neurons_of
from neuroexplain.subjects import Subject
from neuroexplain.synthesising import synthesise

SHUFFLED = "shuffled"
_SCORES = """
SELECT layer, value, p_value FROM v_scores JOIN v_explanations USING (explanation_id)
WHERE explainer = ? AND scorer = ? AND value IS NOT NULL
"""


def main() -> None:
    arguments = _arguments()
    subject = Subject.load("minilm")
    with (
        tempfile.TemporaryDirectory() as folder,
        Catalogue(Path(folder) / "catalogue.sqlite") as catalogue,
    ):
        execution = Execution(threads=arguments.threads, processes=0)
        config = CollectConfig("minilm", arguments.text, tokens=arguments.tokens)
        with timed("collection"), Run(catalogue, "collect", config, execution) as run:
            collection = collect(run, config, subject)
        with timed("n-gram pass"), Run(catalogue, "ngrams", {}, execution) as run:
            passed = collect_ngrams(run, collection, NgramConfig(), subject)
        out(f"{passed.n_ngrams:,} n-grams of the explain split\n")
        own = explained(catalogue, collection, arguments.neurons, subject, execution)
        others = shuffled(catalogue, collection, own)
        for name, rows in (("keywords", own), (SHUFFLED, others)):
            with timed(f"{len(rows):,} explanations by {name}"):
                score(catalogue, collection, rows, subject, execution)
        for name in ("keywords", SHUFFLED):
            table(catalogue.path, name, collection.layers)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        out(f"most memory {memory / 1024:,.0f} MB, the subject and the n-gram pass included\n")


def explained(
    catalogue: Catalogue,
    collection: Collection,
    selector: str,
    subject: Subject,
    execution: Execution,
) -> list[int]:
    """Rows of the neurons' lists of words."""
    neurons = neurons_of(collection, selector, 0)
    config = ExplainConfig(explainer="keywords")
    with timed("lists of words"), Run(catalogue, "explain", config, execution) as run:
        return list(explain_and_score(run, collection, neurons, config, None, subject=subject))


def shuffled(catalogue: Catalogue, collection: Collection, rows: Sequence[int]) -> list[int]:
    """The same explanations, each given to another neuron of its layer."""
    explanations = list(catalogue.explanations_of(rows).values())
    random = np.random.default_rng(0)
    run_id = catalogue.begin_run(SHUFFLED, "explain", {}, {})
    made = []
    for layer in collection.layers:
        here = [e for e in explanations if e.neuron.layer == layer]
        order = random.permutation(len(here))
        for place, to in zip(order.tolist(), np.roll(order, 1).tolist(), strict=True):
            neuron: NeuronId = here[to].neuron
            moved = replace(here[place], neuron=neuron, explainer=SHUFFLED)
            key = run_key(SHUFFLED, str(neuron))
            made.append(catalogue.save_explanation(run_id, collection, key, moved))
    return made


def score(
    catalogue: Catalogue,
    collection: Collection,
    rows: Sequence[int],
    subject: Subject,
    execution: Execution,
) -> None:
    with Run(catalogue, "score", list(rows), execution) as run:
        synthesise(run, collection, rows, SyntheticConfig(), None, subject)


def table(path: Path, explainer: str, layers: Sequence[int]) -> None:
    """By layer: how many have a score, the scores, and how many are significant."""
    with closing(sqlite3.connect(path)) as connection:
        units, areas = (
            np.array(connection.execute(_SCORES, (explainer, scorer)).fetchall(), dtype=float)
            for scorer in ("synthetic", "synthetic_auroc")
        )
    out(
        f"\n{explainer}: scored, median σ, |σ|, share above 1 σ, median area, share of p < 0.05 (σ, area)\n"
    )
    for layer in [*layers, None]:
        of_units, of_areas = (s if layer is None else s[s[:, 0] == layer] for s in (units, areas))
        value = of_units[:, 1]
        out(
            f"{'all' if layer is None else layer:>4} {len(value):6,} {np.median(value):6.2f} {np.median(np.abs(value)):6.2f} "
            f"{np.mean(value > 1):6.3f} {np.median(of_areas[:, 1]):6.3f} {np.mean(of_units[:, 2] < 0.05):6.3f} "
            f"{np.mean(of_areas[:, 2] < 0.05):6.3f}\n"
        )


def out(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


@contextmanager
def timed(what: str) -> Iterator[None]:
    cpu, wall = time.process_time(), time.monotonic()
    yield
    out(f"{what}: {time.process_time() - cpu:,.0f} CPU seconds, {time.monotonic() - wall:,.0f} s\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--neurons", default="random:2000")
    parser.add_argument("--tokens", type=int, default=30_000)
    parser.add_argument("--text", default="docs", help="spec of the corpus")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
