"""Export: which neurons, and in which format.

query, selector ─▶ Catalogue.export ─▶ exchange.FORMAT.write
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroexplain.catalogue import Catalogue, Collection, Parts
from neuroexplain.catalogue.language import grammar
from neuroexplain.errors import CatalogueError, ExchangeError, unknown
from neuroexplain.exchanged import NeuronRecord
from neuroexplain.records import NeuronId
from neuroexplain.run import Advance, Progress, Silent
from neuroexplain.searching import Resolver, search
from neuroexplain.selection import by_layer

FORMATS = {
    "jsonl": "jsonl",
    "parquet": "parquet",
    "neuronpedia": "neuronpedia",
    "openai": "openai_explainer",
    "html": "html",
}
"""Modules of `exchange` by the name of their format."""
PARTS = ("neurons", "explanations", "simulations")
_PAGE = 2_000
"""Rows of a page of a search."""
_SECONDS = 600.0
"""For a page."""
_INDICES = 2**40
"""Above every index of a neuron."""


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    format: str
    out: str
    subject: str
    counts: dict[str, int]
    """Of what was written, and of what the format had no place for."""
    cut: str | None
    """Why neurons that match the query may be missing; None where none are."""


def export(
    catalogue: Catalogue,
    out: Path,
    *,
    format: str,
    query: str = "",
    neurons: str | None = None,
    subject: str | None = None,
    parts: Iterable[str] = PARTS,
    seed: int = 0,
    progress: Progress | None = None,
    resolver: Resolver | None = None,
) -> Exported:
    """Write neurons of one subject to files.

    Args:
        catalogue: holds them.
        out: folder of the files.
        format: one of FORMATS.
        query: only neurons with an explanation that matches; with all of their explanations.
        neurons: only those that a selector names, for example `3:*`. Without it and a query: every side of a neuron of which
            anything is known.
        subject: name of the subject, where the catalogue holds several.
        parts: some of PARTS. Without `neurons` the formats jsonl and parquet hold explanations alone, which another catalogue
            that has the neurons can take in.
        seed: of `random:N`.
        progress: shows how far it is.
        resolver: of earlier searches, so that models stay loaded.

    Raises:
        NeuroexplainError: no such format, subject or neurons, a query that cannot be understood, or files that cannot be
            written.
    """
    if format not in FORMATS:
        raise ExchangeError(unknown("format", format, FORMATS))
    wanted = _parts(parts, format)
    collection = catalogue.collection(subject)
    chosen, cut = _chosen(catalogue, collection, query, neurons, seed, resolver)
    total = len(chosen) if chosen is not None else _neurons(collection)
    with (progress or Silent()).stage("export", total) as advance:
        named = None if chosen is None else _ids(collection.subject.name, chosen)
        records = catalogue.export(collection, named, wanted)
        counts = _write(
            catalogue, collection, format, out, _watched(records, advance, chosen is None), wanted
        )
    return Exported(format, str(out), collection.subject.name, counts, cut)


def _parts(parts: Iterable[str], format: str) -> Parts:
    named = set(parts)
    for name in sorted(named - set(PARTS)):
        raise ExchangeError(unknown("part", name, PARTS))
    if format not in ("jsonl", "parquet") and named != set(PARTS):
        raise ExchangeError(f"parts can be left out of jsonl and parquet, not of {format}")
    if not named & {"neurons", "explanations"}:
        raise ExchangeError("wanted neurons, explanations, or both")
    return Parts(
        spans="neurons" in named,
        explanations="explanations" in named,
        simulations="simulations" in named and "explanations" in named,
    )


def _write(
    catalogue: Catalogue,
    collection: Collection,
    format: str,
    out: Path,
    records: Iterator[NeuronRecord],
    parts: Parts,
) -> dict[str, int]:
    try:
        writer: Any = importlib.import_module(f"neuroexplain.exchange.{FORMATS[format]}")
    except ModuleNotFoundError as error:
        raise ExchangeError(
            f"{format} needs {error.name}: pip install 'neuroexplain[{format}]'"
        ) from None
    about = catalogue.about(collection)
    match format:
        case "jsonl" | "parquet":
            written = writer.write(records, out, about, neurons=parts.spans)
        case "html":
            written = writer.write(records, out, f"Neurons of {about.subject}", first=about.first)
        case "openai":
            written = writer.write(records, out)
        case _:
            written = writer.write(records, out, about)
    return asdict(written)


def _watched(
    records: Iterator[NeuronRecord], advance: Advance, by_neuron: bool
) -> Iterator[NeuronRecord]:
    """Records, of which the sides are counted, or the neurons."""
    last = None
    for record in records:
        yield record
        place = record.neuron.layer, record.neuron.index
        if not by_neuron or place != last:
            advance(1)
        last = place


def _neurons(collection: Collection) -> int:
    widths = dict(enumerate(collection.subject.widths))
    return sum(widths.get(layer, 0) for layer in collection.layers)


def _chosen(
    catalogue: Catalogue,
    collection: Collection,
    query: str,
    neurons: str | None,
    seed: int,
    resolver: Resolver | None,
) -> tuple[NDArray[np.int64] | None, str | None]:
    """Sides of neurons as numbers in their order, and why some may be missing; None where all are wanted."""
    named = None
    if neurons is not None:
        widths = dict(enumerate(collection.subject.widths))
        recorded = {layer: widths[layer] for layer in collection.layers}
        groups = by_layer(neurons, collection.subject.name, recorded, seed=seed)
        named = np.sort(np.concatenate([_numbers(g.layer, g.indices, g.polarity) for g in groups]))
    if not query.strip():
        return named, None
    found, cut = _matching(catalogue, collection, query, resolver)
    if named is not None:
        found = np.intersect1d(found, named, assume_unique=True)
    if not len(found):
        raise CatalogueError(f"no neuron of {collection.subject.name} matches; nothing was written")
    return found, cut


def _matching(
    catalogue: Catalogue, collection: Collection, query: str, resolver: Resolver | None
) -> tuple[NDArray[np.int64], str | None]:
    """Neurons that have an explanation that matches a query, page by page."""
    limit = grammar.parse(query).limit
    resolver = resolver or Resolver(catalogue)
    pages, after, seen, cut = [np.zeros(0, np.int64)], None, 0, None
    prefix = f"{collection.subject.name}/"
    while limit is None or seen < limit:
        most = _PAGE if limit is None else min(_PAGE, limit - seen)
        page = search(
            catalogue, query, limit=most, after=after, seconds=_SECONDS, resolver=resolver
        )
        rows = [
            row
            for row in page.rows
            if row.neuron.rpartition("/")[0].rpartition("/")[0] + "/" == prefix
        ]
        layers, indices, sides = (
            np.array([getattr(row, name) for row in rows], dtype=np.int64)
            for name in ("layer", "idx", "polarity")
        )
        pages.append(np.unique(_numbers(layers, indices, sides)))
        seen += len(page.rows)
        cut = page.cut or cut
        after = page.next
        if after is None:
            break
    return np.unique(np.concatenate(pages)), cut


def _numbers(layer: Any, index: NDArray[np.int64], polarity: Any) -> NDArray[np.int64]:
    """Sides of neurons as numbers, in order of layer and index, the upper side first."""
    numbers: NDArray[np.int64] = (layer * _INDICES + index) * 2 + (np.asarray(polarity) < 0)
    return numbers


def _ids(subject: str, numbers: NDArray[np.int64]) -> Iterator[NeuronId]:
    """The reverse of `_numbers`."""
    for number in numbers.tolist():
        neuron, lower = divmod(number, 2)
        layer, index = divmod(neuron, _INDICES)
        yield NeuronId(subject, layer, index, -1 if lower else 1)
