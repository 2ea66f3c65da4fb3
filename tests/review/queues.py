"""Queues made straight from the targets of a catalogue, one of every kind."""

from __future__ import annotations

from collections import defaultdict
from uuid import uuid4

from neuroexplain.records import NeuronId
from neuroexplain.reviewed import Blind, Event, Judged, Mode, Queue, QueueItem, Target, Verdict
from tests.review.conftest import Site


def targets(site: Site, n: int) -> list[Target]:
    """Scored explanations, the first `n` by the default order."""
    rows = site.catalogue.search("score>=0", limit=3 * n).rows
    found = site.catalogue.targets([row.explanation_id for row in rows])
    return list(dict.fromkeys(found.values()))[:n]


def pairs(site: Site, n: int) -> list[tuple[Target, Target]]:
    """Two explanations of one neuron each."""
    by_neuron: dict[NeuronId, list[Target]] = defaultdict(list)
    for target in targets(site, 15 * n):
        by_neuron[target.neuron].append(target)
    return [(found[0], found[1]) for found in by_neuron.values() if len(found) > 1][:n]


def make(
    site: Site,
    n: int = 6,
    *,
    mode: Mode = "verdict",
    blind: Blind = "none",
    shared: bool = True,
    name: str | None = None,
) -> Queue:
    """A queue of the first targets, or of pairs of them."""
    if mode == "pairwise":
        items = [QueueItem(i, a, b, shared=shared) for i, (a, b) in enumerate(pairs(site, n))]
    else:
        items = [QueueItem(i, t, shared=shared) for i, t in enumerate(targets(site, n))]
    assert len(items) == n
    return site.reviews.make_queue(
        Queue(uuid4().hex, name or f"{mode} {blind}", mode, blind, 0, {}, (), 0, "ann", ""), items
    )


def make_queues(site: Site) -> dict[str, str]:
    """A queue of every kind, with their names; two reviewers differ on what is to be settled."""
    made = {
        "verdict": make(site),
        "blind": make(site, blind="scores"),
        "own": make(site, blind="explanation"),
        "pairwise": make(site, 3, mode="pairwise", blind="scores"),
        "simulation": make(site, mode="simulation"),
        "adjudication": make(site, mode="adjudication"),
    }
    said: dict[str, Verdict] = {"cid": "correct", "ottilie": "too-broad"}
    for reviewer, verdict in said.items():
        for target in targets(site, 6):
            site.reviews.add(
                Event(uuid4().hex, reviewer, target, Judged(verdict), "2026-01-01T00:00:00+00:00")
            )
    return {name: queue.uuid for name, queue in made.items()}
