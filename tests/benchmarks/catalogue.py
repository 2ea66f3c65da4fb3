"""What a catalogue of a million explanations takes to search, to read and to export: the table of its targets.

    python tests/benchmarks/catalogue.py                       # makes bench.sqlite (3 minutes) if it is not there
    python tests/benchmarks/catalogue.py --only page words     # some figures
    python tests/benchmarks/catalogue.py --file small.sqlite --neurons 30000 --explanations 100000

Times are CPU milliseconds of this process, all threads, of the calls that users make: `Catalogue.search`, `Catalogue.show`.
Percentiles are over the queries of a pass; shown is the median over passes, each with other queries and a newly opened
catalogue, and in brackets the slowest pass. The words of the first line about words are drawn evenly from the ordinary words of the
explanations (all but the commonest); those of the lines below by rank of document frequency, evenly on a logarithmic scale, so that common
and rare ones are alike in number. The index of meanings is of made vectors with clusters, in a copy of the file:
embedding a million texts would take an hour and change nothing for the search. Export runs in a process of its own.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neuroexplain.catalogue import Catalogue
from neuroexplain.records import Floats, NeuronId
from neuroexplain.testing.catalogues import LAYERS, SUBJECT, make

PAGE = 50
"""Rows of a page."""
BOILERPLATE = "words"
ORDINARY = 0.05
"""Share of the explanations that an ordinary word is in at most."""
DEPTH = 100_000
MODEL, DIMENSIONS, CLUSTERS = "made vectors", 384, 2_000
Ms = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A line of the table."""

    name: str
    found: str
    target: float | None = None
    value: float = 0.0
    """What is compared with the target."""

    def __str__(self) -> str:
        if self.target is None:
            return f"  {self.name:<66}{self.found:>34}"
        met = "met" if self.value <= self.target else "NOT MET"
        return f"{self.name:<68}{self.found:>34}{self.target:>8,.0f}  {met}"


@dataclass(frozen=True)
class Bench:
    """What the figures are taken from."""

    path: Path
    passes: int
    queries: int
    words: tuple[str, ...]
    """Ordinary ones, the commonest first."""
    widths: tuple[int, ...]

    def rng(self, number: int) -> np.random.Generator:
        """For a pass."""
        return np.random.default_rng([17, number])

    def open(self) -> Catalogue:
        """A new catalogue, which has nothing in memory."""
        gc.collect()
        return Catalogue(self.path, read_only=True)

    def drawn(self, n: int, rng: np.random.Generator) -> list[str]:
        """Words by rank, no word twice."""
        weights = 1 / np.arange(1, len(self.words) + 1)
        n = min(n, len(self.words))
        return list(map(str, rng.choice(self.words, n, replace=False, p=weights / weights.sum())))

    def neurons(self, n: int, rng: np.random.Generator) -> list[NeuronId]:
        """Of all layers, at random."""
        layers = rng.integers(0, len(self.widths), n).tolist()
        return [
            NeuronId(SUBJECT, layer, int(rng.integers(self.widths[layer])), 1) for layer in layers
        ]


def cpu(do: Callable[[], object]) -> float:
    """CPU milliseconds of a call."""
    start = time.process_time()
    do()
    return (time.process_time() - start) * 1e3


def summed_up(name: str, passes: Sequence[Ms], target: float | None = None) -> Figure:
    """The median over passes of their 50 % and 95 % points."""
    middle = float(np.median([np.percentile(p, 50) for p in passes]))
    highs = [float(np.percentile(p, 95)) for p in passes]
    high = float(np.median(highs))
    return Figure(name, f"{middle:.2f} / {high:.2f} ({max(highs):.2f})", target, high)


def page(bench: Bench) -> Iterator[Figure]:
    """Full pages of random neurons."""
    first: list[Ms] = []
    fresh: list[Ms] = []
    again: list[Ms] = []
    for number in range(bench.passes):
        rng = bench.rng(number)
        neurons = bench.neurons(1_000, rng)
        with bench.open() as catalogue:
            warm = bench.neurons(50, rng)
            first.append(np.array([cpu(partial(catalogue.show, n)) for n in warm]))
            for passes in (fresh, again):
                passes.append(np.array([cpu(partial(catalogue.show, n)) for n in neurons]))
    yield summed_up("full page of one neuron, 1,000 at random behind 50 others", fresh, 2)
    yield summed_up("the first 50 of a newly opened catalogue", first)
    yield summed_up("the same 1,000 again", again)


def _timed(catalogue: Catalogue, queries: Sequence[str], *, facets: bool = False) -> Ms:
    def once(query: str) -> float:
        return cpu(lambda: catalogue.search(query, limit=PAGE, facets=facets))

    return np.array([once(query) for query in queries])


def _filtered(words: Sequence[str], rng: np.random.Generator, n_layers: int) -> list[str]:
    """Each with a range of layers and a least score."""
    queries = []
    for word in words:
        low = int(rng.integers(n_layers))
        high = min(low + int(rng.integers(8)), n_layers - 1)
        queries.append(f"{word} layer:{low}..{high} score>={rng.uniform(0, 0.5):.2f}")
    return queries


def words(bench: Bench) -> Iterator[Figure]:
    """Ordinary words, with filters, alone, and two of them."""
    n_layers = len(bench.widths)
    kinds: dict[str, list[Ms]] = {}
    for number in range(bench.passes):
        rng = bench.rng(number)
        drawn = bench.drawn(bench.queries, rng)
        queries = {
            "ordinary word + layers + score, first 50": _filtered(
                rng.choice(bench.words, len(drawn)).tolist(), rng, n_layers
            ),
            "the same, common words as often as rare ones": _filtered(drawn, rng, n_layers),
            "ordinary word alone": drawn,
            "two ordinary words": list(map(" ".join, zip(drawn, rng.permutation(drawn), strict=True))),
            "ordinary word OR another, + layers + score": [
                f"({a} OR {b}) {' '.join(query.split()[1:])}"
                for a, b, query in zip(
                    drawn, rng.permutation(drawn), _filtered(drawn, rng, n_layers), strict=True
                )
            ],
        }  # fmt: skip
        for name, some in queries.items():
            with bench.open() as catalogue:
                kinds.setdefault(name, []).append(_timed(catalogue, some))
    for nth, (name, passes) in enumerate(kinds.items()):
        yield summed_up(name, passes, None if nth else 10)


def boilerplate(bench: Bench) -> Iterator[Figure]:
    """A word that a third of the rows have, with other filters each time."""
    passes, first = [], []
    for number in range(bench.passes):
        rng = bench.rng(number)
        queries = [
            BOILERPLATE,
            *_filtered([BOILERPLATE] * 60, rng, len(bench.widths)),
            *(f"{BOILERPLATE} layer:{n}" for n in range(len(bench.widths))),
            *(f"{BOILERPLATE} score<={x:.2f}" for x in rng.uniform(-0.2, 0.6, 40)),
            *(f"{BOILERPLATE} polarity:- p<={x:.2f}" for x in rng.uniform(0.05, 0.9, 20)),
            *(f"{BOILERPLATE} {word}" for word in bench.drawn(30, rng)),
            f"{BOILERPLATE} sort:-score", f"{BOILERPLATE} sort:layer",
        ]  # fmt: skip
        with bench.open() as catalogue:
            passes.append(_timed(catalogue, queries))
            first.append(passes[-1][:1])
    yield summed_up(f'boilerplate word "{BOILERPLATE}", with and without filters', passes, 15)
    yield summed_up("the first query of a newly opened catalogue", first)


def depth(bench: Bench) -> Iterator[Figure]:
    """Pages behind the first hundred thousand explanations."""
    for nth, (name, query) in enumerate(
        {
            f"page at depth {DEPTH:,}, by score": "",
            "the same, explanations in order of layer and index": "sort:layer",
            "the same, boilerplate word by score": BOILERPLATE,
        }.items()
    ):
        with bench.open() as catalogue:
            after: str | None = None
            for _ in range(DEPTH // 1000):
                after = catalogue.search(query, limit=1000, after=after).next
            passes = []
            for _ in range(bench.passes):
                times = []
                for _ in range(100):
                    start = time.process_time()
                    found = catalogue.search(query, limit=PAGE, after=after)
                    times.append((time.process_time() - start) * 1e3)
                    after = found.next
                passes.append(np.array(times))
        yield summed_up(name, passes, None if nth else 1)


def facets(bench: Bench) -> Iterator[Figure]:
    """Counts by layer, explainer, state and score, first and again."""
    cold, cached, some = [], [], []
    for number in range(bench.passes):
        rng = bench.rng(number)
        for _ in range(4):
            with bench.open() as catalogue:
                cold.append(_timed(catalogue, [""], facets=True))
                plain = _timed(catalogue, [""] * 50)
                both = _timed(catalogue, [""] * 50, facets=True)
                # What the counts add to the page that they are shown beside.
                cached.append(np.maximum(both - np.median(plain), 0))
        with bench.open() as catalogue:
            queries = _filtered(bench.drawn(100, rng), rng, len(bench.widths))
            some.append(_timed(catalogue, queries, facets=True))
    yield summed_up("page with facets and histogram, newly opened", cold, 150)
    yield summed_up("facets and histogram again, beyond the page", cached, 1)
    yield summed_up("ordinary word + layers + score, with facets", some)


def meaning(bench: Bench) -> Iterator[Figure]:
    """The nearest of a million vectors, and the page that is made of them."""
    copy = bench.path.with_name(f"{bench.path.stem}-meanings.sqlite")
    if not copy.exists():
        _indexed(bench.path, copy)
    whole, nearest, opening = [], [], []
    with Catalogue(copy, read_only=True) as catalogue:
        opening.append(np.array([cpu(lambda: catalogue.nearest(_vectors(0, 1, 9)[0]))]))
        for number in range(bench.passes):
            vectors = _vectors(number, 100, 10)
            nearest.append(np.array([cpu(partial(catalogue.nearest, v)) for v in vectors]))
            whole.append(np.array([cpu(partial(_meant, catalogue, v)) for v in vectors]))
    yield summed_up("semantic search, without the query's own embedding", whole, 30)
    yield summed_up("the ranking alone", nearest)
    yield summed_up("reading the index, once", opening)
    yield Figure("file with the index of meanings, MB", f"{copy.stat().st_size / 1e6:,.0f}")


def _meant(catalogue: Catalogue, vector: Floats) -> object:
    """The page of a query of which this is the vector."""
    return catalogue.search(
        'meaning:"made"', limit=PAGE, resolve=lambda _: catalogue.nearest(vector)
    )


def _vectors(number: int, n: int, seed: int) -> Floats:
    """Around the same centres each time: cosines within a cluster are some 0.6, between clusters some 0."""
    centres = np.random.default_rng(5).standard_normal((CLUSTERS, DIMENSIONS), np.float32)
    rng = np.random.default_rng([6, seed, number])
    # Clusters of unequal size, as topics are.
    chosen = (CLUSTERS * rng.random(n) ** 2).astype(np.int64)
    found = centres[chosen] + 0.8 * rng.standard_normal((n, DIMENSIONS), np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found.astype(np.float32)


def _indexed(path: Path, copy: Path) -> None:
    """A copy of a catalogue with vectors of all its explanations."""
    making = copy.with_name(f"{copy.name}-making")
    shutil.copy(path, making)
    with Catalogue(making) as catalogue:
        for number in range(1_000):
            ids = catalogue.without_meaning(MODEL)[:100_000]
            if not len(ids):
                break
            catalogue.save_meanings(MODEL, ids.tolist(), _vectors(number, len(ids), 7))
    making.replace(copy)


def size(bench: Bench) -> Iterator[Figure]:
    """Of the file."""
    found = bench.path.stat().st_size / 1e6
    yield Figure("file, MB", f"{found:,.0f}", 1200, found)


def export(bench: Bench) -> Iterator[Figure]:
    """Memory of an export of everything to Parquet."""
    with tempfile.TemporaryDirectory(dir=bench.path.parent) as folder:
        command = [sys.executable, __file__, "--exporting", folder, "--file", str(bench.path)]
        start = time.perf_counter()
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        seconds = time.perf_counter() - start
        written = sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file())
    grown = float(run.stdout.split()[-1])
    yield Figure("export to Parquet, peak memory above start, MB", f"{grown:,.0f}", 300, grown)
    yield Figure("its seconds of wall time, and MB", f"{seconds:,.0f}; {written / 1e6:,.0f}")


def exporting(path: Path, folder: str) -> None:
    """Export in this process, and say how much its memory grew at most, in MB."""
    from neuroexplain.cli import cli

    # What the command itself takes to start is no part of it.
    arguments = ["export", "--format", "parquet", "--catalogue", str(path), "--out", folder]
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    cli(arguments, standalone_mode=False)
    sys.stdout.write(f"\n{_memory('VmHWM') - before:.1f}\n")


def _memory(name: str) -> float:
    """MB by the system's account of this process (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(row.split()[1]) for row in status.splitlines() if name in row) / 1024


FIGURES: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    f.__name__: f for f in (page, words, boilerplate, depth, facets, meaning, size, export)
}


def _bench(path: Path, passes: int, queries: int) -> Bench:
    with Catalogue(path, read_only=True) as catalogue:
        collection = catalogue.collection(SUBJECT)
        # Scores say nothing about the words.
        counts: Counter[str] = Counter()
        n = 0
        for layer in collection.layers:
            for row in catalogue.search(f"layer:{layer}", limit=2_000).rows:
                counts.update(set(row.text.lower().replace(",", " ").replace(":", " ").split()))
                n += 1
        ordinary = [
            word
            for word, count in counts.most_common()
            if count <= ORDINARY * n and word.isalpha() and word not in {"or", "and", "not"}
        ]
        return Bench(path, passes, queries, tuple(ordinary), collection.subject.widths)


def main() -> None:
    """Print the table."""
    arguments = _arguments()
    if arguments.exporting:
        exporting(arguments.file, arguments.exporting)
        return
    if not arguments.file.exists():
        make(arguments.file, neurons=arguments.neurons, explanations=arguments.explanations)
    bench = _bench(arguments.file, arguments.passes, arguments.queries)
    out = sys.stdout.write
    out(f"{'':<68}{'p50 / p95 (slowest pass)':>34}{'target':>8}\n")
    for name in arguments.only or FIGURES:
        for figure in FIGURES[name](bench):
            out(f"{figure}\n")
            sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--file", type=Path, default=Path("bench.sqlite"))
    parser.add_argument("--neurons", type=int, default=300_000, help=f"a multiple of {LAYERS}")
    parser.add_argument("--explanations", type=int, default=1_000_000)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--only", nargs="+", choices=FIGURES)
    parser.add_argument("--exporting", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
