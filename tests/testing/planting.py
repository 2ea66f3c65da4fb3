"""Planted subjects collected into real catalogues."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import neuroexplain as nx
from neuroexplain.catalogue import Collection
from neuroexplain.records import Exemplar
from neuroexplain.testing.planted import Meaning, PlantedSubject, save


def collected(
    catalogue: nx.Catalogue, subject: PlantedSubject, texts: Sequence[str], **settings: Any
) -> Collection:
    """All of some texts, read by a subject."""
    corpus = save(texts, Path(catalogue.path).with_suffix(".txt"))
    chosen = {"tokens": 10**9, "seq_len": 32, **settings}
    return nx.collect(subject, corpus=str(corpus), catalogue=catalogue, **chosen)


def peaks_on(exemplars: Sequence[Exemplar], meaning: Meaning) -> float:
    """Share of exemplars whose strongest token is a word on which a meaning fires, whatever stands around it."""
    peaks = [e.span.tokens[e.peak_position].strip() for e in exemplars]
    return float(np.mean([meaning.on(peak).max() > 0 for peak in peaks]))
