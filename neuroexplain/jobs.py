"""What is left to do for each neuron, and with which others its explanations are compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from neuroexplain.catalogue import Collection, ExplanationRef, KnownSimulation
from neuroexplain.errors import ConfigError, PluginError
from neuroexplain.explaining import Explained, Explaining
from neuroexplain.records import NeuronId
from neuroexplain.rings import Ring, batched, ring_order
from neuroexplain.run import Run
from neuroexplain.scoring import Scoring
from neuroexplain.selection import LayerNeurons
from neuroexplain.simulating import Simulated

CHUNK = 64
"""Neurons that are looked up in the catalogue together."""


@dataclass
class Group:
    """Neurons of one layer and polarity whose explanations are compared with each other."""

    ring: Ring
    simulated: dict[int, Simulated] = field(default_factory=dict)
    """By place in the ring."""
    strangers: list[Simulated] | None = None
    """Explanations that are not in the ring; looked up where it has too few."""


@dataclass(frozen=True)
class Job:
    """One neuron, as far as the catalogue has it."""

    groups: Sequence[Group]
    """One of every track of the scoring; none where nothing is scored."""
    place: int
    """In the groups' rings."""
    neuron: NeuronId
    explained: Explained | None
    simulations: Sequence[KnownSimulation | None]
    """One of every track."""


@dataclass(frozen=True)
class Plan:
    """What there is to do."""

    jobs: Iterator[Job]
    total: int


def jobs(
    explaining: Explaining, scorings: Sequence[Scoring], layers: Sequence[LayerNeurons]
) -> Iterator[Job]:
    """Neurons to explain, and to score where there are scorings."""
    catalogue = explaining.run.catalogue
    seed = scorings[0].config.seed if scorings else explaining.config.seed
    for layer in layers:
        groups = [Group(Ring(len(layer), scoring.config.null)) for scoring in scorings]
        ordered = ring_order(layer.indices, _salt(layer.layer, layer.polarity, seed))
        for start, indices in enumerate(batched(ordered, CHUNK)):
            neurons = [
                NeuronId(layer.subject, layer.layer, index, layer.polarity)
                for index in indices.tolist()
            ]
            keys = [explaining.keys.of(neuron) for neuron in neurons]
            numbers = catalogue.known_explanations(keys)
            explained = [
                Explained(neuron, numbers[key], key) if key in numbers else None
                for neuron, key in zip(neurons, keys, strict=True)
            ]
            yield from _as_jobs(scorings, groups, start * CHUNK, neurons, explained)


def _as_jobs(
    scorings: Sequence[Scoring],
    groups: Sequence[Group],
    start: int,
    neurons: Sequence[NeuronId],
    explained: Sequence[Explained | None],
) -> Iterator[Job]:
    """Jobs of consecutive places in a ring, with the simulations that there are."""
    known: list[list[KnownSimulation | None]] = []
    for scoring in scorings:
        keys = [scoring.keys.of(e.key) if e else "" for e in explained]
        found = scoring.catalogue.known_simulations([key for key in keys if key])
        known.append([found.get(key) for key in keys])
    for place, (neuron, entry) in enumerate(zip(neurons, explained, strict=True)):
        yield Job(groups, start + place, neuron, entry, [track[place] for track in known])


def readable(
    run: Run,
    collection: Collection,
    scorings: Sequence[Scoring],
    layers: Sequence[LayerNeurons],
    explainer: str | None,
    seed: int,
) -> Plan:
    """The explanations of some neurons that the simulator can read.

    Raises:
        ConfigError: these neurons have no explanation, or none of this explainer.
        PluginError: they have, but none that the simulator can read.
    """
    reads = next((scoring.reads for scoring in scorings if scoring.reads is not None), None)
    there: set[str] = set()
    total = 0
    for layer in layers:
        found = _refs(run, collection, layer)
        there |= {ref.explainer for ref in found}
        total += sum(_fits(ref, explainer, reads) for ref in found)
    names = ", ".join(sorted(there)) or "none"
    if not there or explainer not in (None, *there):
        raise ConfigError(
            f"these {sum(map(len, layers))} neurons have no explanation"
            f"{f' of {explainer}' if explainer else ''} to score (explainers here: {names}); "
            "run neuroexplain explain first"
        )
    if not total:
        raise PluginError(
            f'simulator "{scorings[0].config.simulator}" reads explanations of "{reads}" only; these neurons have: {names}'
        )
    return Plan(_jobs_of(run, collection, scorings, layers, (explainer, reads), seed), total)


def _jobs_of(
    run: Run,
    collection: Collection,
    scorings: Sequence[Scoring],
    layers: Sequence[LayerNeurons],
    explainers: tuple[str | None, str | None],
    seed: int,
) -> Iterator[Job]:
    for layer in layers:
        refs = [ref for ref in _refs(run, collection, layer) if _fits(ref, *explainers)]
        order = ring_order(layer.indices, _salt(layer.layer, layer.polarity, seed)).tolist()
        place_of = {index: place for place, index in enumerate(order)}
        refs.sort(key=lambda ref: (ref.kind, place_of[ref.neuron.index], ref.number))
        for _, members in groupby(refs, key=lambda ref: ref.kind):
            kind = list(members)
            owners = [ref.neuron.index for ref in kind]
            groups = [Group(Ring(len(kind), s.config.null, owners)) for s in scorings]
            for start in range(0, len(kind), CHUNK):
                chunk = kind[start : start + CHUNK]
                explained = [Explained(ref.neuron, ref.number, ref.key) for ref in chunk]
                neurons = [ref.neuron for ref in chunk]
                yield from _as_jobs(scorings, groups, start, neurons, explained)


def _refs(run: Run, collection: Collection, layer: LayerNeurons) -> list[ExplanationRef]:
    """The explanations of a layer's chosen neurons."""
    chosen = set(layer.indices.tolist())
    return [
        ref
        for ref in run.catalogue.explanation_refs(collection, layer.layer)
        if ref.neuron.polarity == layer.polarity and ref.neuron.index in chosen
    ]


def _fits(ref: ExplanationRef, explainer: str | None, reads: str | None) -> bool:
    return explainer in (None, ref.explainer) and reads in (None, ref.explainer)


def _salt(layer: int, polarity: int, seed: int) -> int:
    return (seed * 65536 + layer) * 2 + (polarity > 0)
