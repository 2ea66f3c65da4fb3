"""Equal collections have equal fingerprints, and every recorded number counts."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.recorded import LayerCollection, SubjectInfo, TokenCorpus


def fingerprint(
    path: Path, subject: SubjectInfo, corpus: TokenCorpus, layers: list[LayerCollection]
) -> str:
    with Catalogue(path) as catalogue:
        catalogue.save_collection("collection-key", {"top_k": 4}, subject, corpus, layers)
        return catalogue.fingerprint(catalogue.collection(subject.name))


def test_rows_and_times_do_not_count(
    catalogue: Catalogue,
    collection: Collection,
    subject: SubjectInfo,
    corpus: TokenCorpus,
    layers: list[LayerCollection],
    tmp_path: Path,
) -> None:
    wanted = catalogue.fingerprint(collection)
    assert len(wanted) == 64
    path = tmp_path / "other.sqlite"
    with Catalogue(path) as other:  # so that its rows have other numbers
        stranger = replace(subject, name="stranger", weights_sha256="b" * 64)
        other.save_collection("another", {}, stranger, corpus, layers[::-1])
    assert fingerprint(path, subject, corpus, layers[::-1]) == wanted
    run = catalogue.begin_run("r", "explain", {}, {})
    catalogue.finish_run(run, "done", {})
    assert catalogue.fingerprint(collection) == wanted


ARRAYS = ("n_tokens", "mean", "std", "min", "max", "frac_positive", "peaks_excluded")
BLOCK = ("spans", "peak_positions", "activations", "exponents")
TABLE = ("token_ids", "means", "extremes", "counts")


def changed(record: Any, name: str, at: int) -> Any:
    """A record with one number of one array changed a little."""
    values = getattr(record, name).copy()
    number = values.flat[at]
    values.flat[at] = np.nextafter(number, number / 2) if values.dtype.kind == "f" else number + 1
    return replace(record, **{name: values})


def variants(layer: LayerCollection, corpus: TokenCorpus) -> dict[str, LayerCollection]:
    found = {name: changed(layer, name, 2) for name in ARRAYS}
    found["n_spans"] = replace(layer, n_spans=28)
    block = layer.blocks[-1]
    for name in BLOCK:
        blocks = (*layer.blocks[:-1], changed(block, name, 1))
        found[f"block.{name}"] = replace(layer, blocks=blocks)
    assert layer.sketch is not None
    for name in ("quantiles", "directions"):
        found[name] = replace(layer, sketch=changed(layer.sketch, name, 5))
    for name in TABLE:
        # The next id need not occur in the corpus, so that one of another place is taken.
        table = changed(layer.sketch.token_table, name, 1)
        if name == "token_ids":
            table.token_ids.flat[1] = next(
                i
                for i in corpus.documents[0].token_ids
                if i != layer.sketch.token_table.token_ids.flat[1]
            )
        found[f"table.{name}"] = replace(layer, sketch=replace(layer.sketch, token_table=table))
    return found


@pytest.mark.parametrize(
    "name",
    [*ARRAYS, "n_spans", *(f"block.{n}" for n in BLOCK), "quantiles", "directions"]
    + [f"table.{n}" for n in TABLE],
)
def test_every_number_counts(
    collection: Collection,
    catalogue: Catalogue,
    subject: SubjectInfo,
    corpus: TokenCorpus,
    layers: list[LayerCollection],
    tmp_path: Path,
    name: str,
) -> None:
    other = [variants(layers[0], corpus)[name], layers[1]]
    found = fingerprint(tmp_path / "other.sqlite", subject, corpus, other)
    assert found != catalogue.fingerprint(collection)


def test_nothing_is_left_out() -> None:
    seen = {*ARRAYS, "n_spans", "layer", "blocks", "sketch", "troughs_excluded"}
    assert {field.name for field in fields(LayerCollection)} == seen
