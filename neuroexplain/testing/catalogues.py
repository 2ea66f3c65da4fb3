"""A catalogue of any size for benchmarks: real text, made-up neurons, explanations, scores and reviews.

    python -m neuroexplain.testing catalogue bench.sqlite --neurons 300000 --explanations 1000000

Layers and corpus go through the code that collections are saved by; results are loaded in bulk. What a full sweep
would also leave is not in it: calls of language models, simulations (but of SCORED neurons), n-gram passes.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from neuroexplain.catalogue.collections import writer
from neuroexplain.catalogue.exchange.loading import Loader, loading
from neuroexplain.catalogue.storage.engine import Database
from neuroexplain.config import CollectConfig
from neuroexplain.recorded import SubjectInfo
from neuroexplain.testing import catalogue_results as results
from neuroexplain.testing.catalogue_corpus import SEQ_LEN, TOKENIZER, corpus, vocabulary
from neuroexplain.testing.catalogue_layers import HELD_OUT, TOP, Layers
from neuroexplain.testing.catalogue_results import PASSES, Explained, Results
from neuroexplain.testing.catalogue_texts import Sentences

SUBJECT = "made"
LAYERS = 48
SKETCHED = 1
"""Layers with token responses and directions."""
SCORED = 3_000
"""Neurons, the first ones of layer 0, with float16 spans of the select and test splits, and simulations on these."""
_SIMULATOR = 100
"""Row of the method of simulations."""
_SPANS = """
SELECT explanation.id, exemplar.spans
FROM explanation
JOIN exemplar ON exemplar.neuron_id = explanation.neuron_id AND exemplar.split = 2 AND exemplar.kind = 0 AND exemplar.n > 0
WHERE explanation.status = 'ok' AND explanation.neuron_id IN (SELECT id FROM neuron ORDER BY id LIMIT {n})
ORDER BY explanation.id
"""


def make(
    path: Path,
    *,
    neurons: int = 300_000,
    explanations: int = 1_000_000,
    seed: int = 0,
    layers: int = LAYERS,
    spans: int = 20_000,
    reviews: int = 2_000,
    sketched: int = SKETCHED,
) -> None:
    """Make a catalogue; an equal seed and equal numbers make equal contents.

    Args:
        path: of the file, which takes this name once it is complete; one that is there is replaced.
        neurons: a multiple of `layers`.
        explanations: of both polarities, by five pairs of explainer and language model, with failed and superseded ones.
        seed: decides everything.
        layers: equally wide.
        spans: of the corpus, 64 tokens each.
        reviews: explanations with a verdict.
        sketched: layers with token responses and directions: 1.2 KB a neuron.
    """
    if neurons % layers:
        raise ValueError(f"neurons must be a multiple of layers: {neurons} of {layers}")
    made = path.with_name(f"{path.name}-making")
    _remove(made)
    try:
        _collection(made, (neurons // layers,) * layers, spans, sketched, seed)
        with loading(made) as loader:
            _results(loader, explanations, reviews, seed)
        _remove(path, "-wal", "-shm")  # they would be taken for the new file's
        made.replace(path)
    finally:
        _remove(made)


def _remove(path: Path, *ends: str) -> None:
    for end in ends or ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)


def _collection(path: Path, widths: tuple[int, ...], spans: int, sketched: int, seed: int) -> None:
    texts = corpus(spans, seed)
    weights = hashlib.sha256(f"made {widths} {seed}".encode()).hexdigest()
    subject = SubjectInfo(SUBJECT, SUBJECT, weights, "made", "mlp", widths)
    config = asdict(
        CollectConfig(
            subject=SUBJECT,
            tokens=texts.info.n_tokens,
            seq_len=SEQ_LEN,
            layers=f"0-{len(widths) - 1}",
            top_k=TOP,
            held_out_top_k=HELD_OUT,
            random=HELD_OUT,
            seed=seed,
        )
    )
    key = hashlib.sha256(f"{config} {TOKENIZER}".encode()).hexdigest()
    database = Database(path, read_only=False)
    try:
        content = Layers(texts, widths, seed=seed, scored=SCORED, sketched=sketched)
        writer.save_collection(database, key, config, subject, texts, content)
    finally:
        database.close()


def _results(loader: Loader, n: int, reviews: int, seed: int) -> None:
    neurons = np.array(
        [row[0] for row in loader.rows("SELECT id FROM neuron ORDER BY id")], np.int64
    )
    made = Results(neurons, Sentences(vocabulary(), seed), seed)
    methods = _methods(loader)
    loader.add("scorer", ("id", "name"), [(2, results.SECOND)])
    measures = _measures(loader)
    counts = [round(n * part.share) for part in PASSES]
    counts[0] += n - sum(counts)
    parts: list[Explained] = []
    first = 1
    for nth, count in enumerate(counts):
        run_id = _run(loader, 2 * nth + 1, "explain", seed, nth)
        parts.append(made.explained(nth, count, first))
        rows = made.explanations(nth, parts[-1], methods[nth], run_id)
        loader.add("explanation", results.EXPLANATION, rows)
        first += count
    runs = [_run(loader, 2 * nth + 2, "score", seed, nth) for nth in range(len(parts))]
    simulated = _simulations(loader, made, runs[0])
    for nth, part in enumerate(parts):
        for measure, share in ((measures[nth][0], 1.0), (measures[nth][1], 1 / 3)):
            known = simulated if share == 1 else {}
            rows = made.scores(nth, part, measure, runs[nth], known, share)
            loader.add("score", results.SCORE, rows)
    ids = np.concatenate([part.ids for part in parts])
    reviews = min(reviews, len(ids))
    loader.add("review", results.REVIEW, made.reviews(ids, reviews))
    loader.add("review_tag", ("review_id", "tag"), made.tags(reviews))


def _simulations(loader: Loader, made: Results, run_id: int) -> dict[int, int]:
    """Add simulations; their rows, by explanation."""
    method = (_SIMULATOR, "logprob", "gpt-4o-mini", "{}")
    loader.add("method", ("id", "plugin", "llm", "settings"), [method])
    spans = loader.rows(_SPANS.format(n=SCORED))
    loader.add("simulation", results.SIMULATION, made.simulations(spans, _SIMULATOR, run_id))
    return {number: i + 1 for i, (number, _) in enumerate(spans)}


def _methods(loader: Loader) -> list[int]:
    """Rows of the methods, [pass]; passes over both sides share one."""
    kinds = list(dict.fromkeys((part.explainer, part.llm) for part in PASSES))
    rows = [
        (i + 1, explainer, llm, '{"examples": 10}', llm and hashlib.sha256(explainer.encode()).hexdigest())
        for i, (explainer, llm) in enumerate(kinds)
    ]  # fmt: skip
    loader.add("method", ("id", "plugin", "llm", "settings", "template_sha256"), rows)
    return [kinds.index((part.explainer, part.llm)) + 1 for part in PASSES]


def _measures(loader: Loader) -> list[tuple[int, int]]:
    """Rows of the measures of both scorers, [pass]."""
    kinds = [
        (scorer, simulator, llm)
        for scorer in (1, 2)
        for simulator, llm in (("logprob", "gpt-4o-mini"), ("keywords", None))
    ]
    rows = [(i + 1, *kind, "test") for i, kind in enumerate(kinds)]
    loader.add("measure", ("id", "scorer_id", "simulator", "llm", "split"), rows)
    return [(1, 3) if part.llm else (2, 4) for part in PASSES]


def _run(loader: Loader, number: int, command: str, seed: int, nth: int) -> int:
    """The row of a run that is done."""
    row: dict[str, Any] = {
        "id": number,
        "run_key": hashlib.sha256(f"{command} {seed} {nth}".encode()).hexdigest(),
        "command": command, "state": "done", "config": "{}", "versions": "{}", "counts": "{}",
        "message": "", "started_at": f"2026-05-{nth + 1:02}T08:00:00.000+00:00",
        "finished_at": f"2026-05-{nth + 1:02}T18:00:00.000+00:00",
    }  # fmt: skip
    loader.add("run", tuple(row), [tuple(row.values())])
    return number
