"""What tests of export and import share: catalogues that hold something of everything, and comparing two of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from neuroexplain.catalogue import Catalogue, Importer, Target
from neuroexplain.catalogue.exchange import importing
from neuroexplain.catalogue.searching import entries
from neuroexplain.config import EvidenceConfig
from neuroexplain.exchanged import NeuronRecord
from neuroexplain.recorded import OutputBlock
from neuroexplain.records import NeuronId, Ngram
from tests.catalogue.conftest import Sweep, make_score
from tests.exchange.made import compared

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.catalogue.exchanges"])

VIEWS = {
    "v_neurons": "subject layer idx site n_tokens mean std min max frac_positive",
    "v_exemplars": "subject layer idx polarity split kind rank document start peak peak_position inclusion_probability text",
    "v_quantiles": "subject layer idx level value",
    "v_explanations": "subject layer idx polarity explainer llm prompt_sha256 text status reason created_at",
    "v_scores": "subject layer idx polarity explainer scorer simulator llm split value ci_low ci_high null_mean p_value floor n_tokens n_nonzero coverage reason null_own null_n null_reason",
    "v_ngrams": "subject layer idx rank ngram mean_response max_response count",
    "v_output_tokens": "subject layer idx polarity effect rank token logit",
}  # fmt: skip
"""Columns by natural keys: the row numbers of two files differ."""
_OWN = {"v_neurons": "", "v_explanations": "", "v_scores": " JOIN (SELECT explanation_id, subject, layer, idx, polarity, explainer FROM v_explanations) USING (explanation_id)"}  # fmt: skip
_NEURON = " JOIN (SELECT neuron_id, subject, layer, idx FROM v_neurons) USING (neuron_id)"


def fill(sweep: Sweep) -> None:
    """Explanations good, failed, revised and superseded, with scores, simulations, n-grams and output tokens."""
    catalogue, collection = sweep.catalogue, sweep.collection
    first = sweep.explain("tiny/0/0+", "the river “froze” \x00 🧊", llm="openai:m")
    sweep.score(first, make_score(0.5, p_value=0.05), make_score(None, scorer="detection"))
    sweep.score(first, make_score(0.25), split="select")
    other = sweep.explain("tiny/0/0+", "ice", explainer="keywords")
    sweep.score(other, make_score(-0.125), simulator="keywords")
    lower = sweep.explain("tiny/0/0-", "warm water")
    simulation = sweep.simulation("sparse", failed=2)
    row = catalogue.save_simulation(sweep.run_id, lower, "partly", "test", simulation)
    catalogue.save_scores(
        *(sweep.run_id, lower, row, "partly", "test", [make_score(0.75)], simulation)
    )
    sweep.fail("tiny/2/3+")
    sweep.fail("tiny/0/1+", key="tiny/0/1+ ngram better now", reason="timed_out")
    sweep.explain("tiny/0/1+", "better now")
    ngrams = [Ngram("the river", 2.5, 3.25, 4), Ngram("Paris", 0.1, 0.3, 1)]
    catalogue.save_ngrams(collection, NeuronId("tiny", 0, 0), ngrams)
    block = OutputBlock(
        layer=2,
        indices=np.array([1, 3]),
        promoted=np.array([[5, 6], [7, 8]], np.uint32),
        promoted_logits=np.array([[3.5, 1.25], [2.0, 0.5]], np.float32),
        suppressed=np.array([[9, 10], [11, 5]], np.uint32),
        suppressed_logits=np.array([[-3.0, -1.0], [-0.25, 0.125]], np.float32),
        texts={n: f" t{n}" for n in range(5, 12)},
    )
    catalogue.save_output_tokens(collection, block, EvidenceConfig())


def exported(catalogue: Catalogue, subject: str | None = None) -> list[NeuronRecord]:
    return list(catalogue.export(catalogue.collection(subject)))


def importer(
    catalogue: Catalogue, source: Catalogue, *, attach: bool = False, files: str = "files"
) -> Importer:
    """One for the records of another catalogue's collection."""
    run = catalogue.begin_run("import-key", "import", {}, {})
    about = source.about(source.collection())
    return catalogue.importer(run, Target(about, files, "jsonl", attach=attach))


def parts(records: list[NeuronRecord], n: int = 3) -> Iterable[tuple[str, str, list[NeuronRecord]]]:
    """Batches with their names and hashes."""
    for start in range(0, len(records), n):
        yield f"file#{start}", f"{start:064x}", records[start : start + n]


def plain(records: Iterable[NeuronRecord]) -> list[Any]:
    """Records as plain values, with activations as float16: an import keeps them so, a collection less exactly."""
    found = []
    for record in records:
        spans = (
            replace(s, activations=s.activations.astype(np.float16).astype(np.float32))
            for s in record.spans
        )
        found.append(compared(replace(record, spans=tuple(spans))))
    return found


def bring(catalogue: Catalogue, source: Catalogue, n: int = 3) -> Importer:
    """Import all of another catalogue."""
    found = importer(catalogue, source)
    for batch in parts(exported(source), n):
        found.add(*batch)
    found.finish()
    return found


def killed(source: Path, path: Path, kill_at: int) -> None:
    """Import, and be killed when a batch is written but not committed."""
    done, write = 0, importing.Importer._write

    def counted(*values: Any) -> None:
        nonlocal done
        write(*values)
        done += 1
        if done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(importing.Importer, "_write", counted)  # noqa: B010
    with Catalogue(source, read_only=True) as theirs, Catalogue(path) as ours:
        bring(ours, theirs)


def life(source: Path, path: Path, kill_at: int) -> int | None:
    """A process that imports until it is killed; its exit code."""
    process = FORKS.Process(target=killed, args=(source, path, kill_at))
    process.start()
    process.join(60)
    return process.exitcode


def view(path: Path, name: str) -> list[tuple[Any, ...]]:
    """A view's rows without row numbers, in an order of their own."""
    columns = VIEWS[name].split()
    source = f"SELECT {', '.join(columns)} FROM {name}{_OWN.get(name, _NEURON)}"
    with closing(sqlite3.connect(path)) as connection:
        return sorted(connection.execute(source).fetchall(), key=repr)


def sound(path: Path) -> None:
    """A file that opens, whose references hold, and whose narrow tables say what the wide ones do."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    with Catalogue(path) as catalogue, catalogue._database.reading() as open_connection:
        assert list(entries.differences(open_connection)) == []
