"""Which neurons: `*`, `3:*`, `3:17`, `3:0-99`, `random:200`, unions by comma, `+` or `-` behind each for the polarity."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroexplain.errors import ConfigError
from neuroexplain.records import NeuronId

FORMS = (
    "*, 3:* (layer 3), 3:17, 3:0-99, random:200, unions such as 0:5,1:*, each with + or - behind it"
)
_TERM = re.compile(
    r"(?:(?P<all>\*)|random:(?P<random>\d+)|(?P<layer>\d+):(?:(?P<whole>\*)|(?P<low>\d+)(?:-(?P<high>\d+))?))"
    r"(?P<sign>[+-]?)"
)
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


@dataclass(frozen=True)
class LayerNeurons:
    """Neurons of one layer and polarity; arrays, because there may be hundreds of thousands."""

    subject: str
    layer: int
    polarity: int
    indices: NDArray[np.int64]
    """[neuron], ascending."""

    def __len__(self) -> int:
        return len(self.indices)

    def neurons(self) -> Iterator[NeuronId]:
        """One after the other."""
        for index in self.indices.tolist():
            yield NeuronId(self.subject, self.layer, index, self.polarity)


def by_layer(
    selector: str, subject: str, widths: Mapping[int, int], *, seed: int = 0
) -> list[LayerNeurons]:
    """The neurons that a selector names, each once, by layer and polarity.

    Args:
        selector: see the module's docstring.
        subject: the subject's name.
        widths: neurons of every recorded layer.
        seed: of `random:N`.

    Raises:
        ConfigError: a term of another form, or a layer or neuron that is not there.
    """
    chosen: dict[tuple[int, int], NDArray[np.bool_]] = {}
    for term in selector.split(","):
        match = _parse(term)
        polarity = -1 if match["sign"] == "-" else 1
        for layer, indices in _term(match, widths, seed):
            mask = chosen.setdefault((layer, -polarity), np.zeros(widths[layer], dtype=np.bool_))
            mask[indices] = True
    return [
        LayerNeurons(subject, layer, -side, np.flatnonzero(chosen[layer, side]))
        for layer, side in sorted(chosen)
        if chosen[layer, side].any()
    ]


def select(
    selector: str, subject: str, widths: Mapping[int, int], *, seed: int = 0
) -> list[NeuronId]:
    """The neurons that a selector names, as `by_layer`, in order of layer, index and polarity."""
    groups = by_layer(selector, subject, widths, seed=seed)
    chosen = [neuron for group in groups for neuron in group.neurons()]
    return sorted(chosen, key=lambda n: (n.layer, n.index, -n.polarity))


def check_selector(selector: str) -> None:
    """Find a term of the wrong form before it is known which neurons there are.

    Raises:
        ConfigError: a term of another form.
    """
    for term in selector.split(","):
        _parse(term)


def layers(selector: str, available: tuple[int, ...]) -> tuple[int, ...]:
    """Layers from `*` or numbers and ranges such as `0-5,8`.

    Raises:
        ConfigError: another form, or a layer that the subject does not have.
    """
    if selector.strip() == "*":
        return available
    chosen: set[int] = set()
    for part in selector.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise ConfigError(f'"{part.strip()}" names no layers; write *, 3, 0-5 or 0-2,8')
        chosen.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    missing = sorted(chosen - set(available))
    if missing or not chosen:
        raise ConfigError(
            f"no layer {missing[0] if missing else selector}; there are {_shown(available)}"
        )
    return tuple(sorted(chosen))


def _parse(term: str) -> re.Match[str]:
    match = _TERM.fullmatch(term.strip())
    if match is None:
        raise ConfigError(f'"{term.strip()}" selects no neurons; valid: {FORMS}')
    return match


def _term(
    match: re.Match[str], widths: Mapping[int, int], seed: int
) -> Iterator[tuple[int, Sequence[int] | slice]]:
    """Layers, and which of their neurons a term names."""
    if match["all"]:
        for layer in widths:
            yield layer, slice(None)
        return
    if match["random"]:
        yield from _random(int(match["random"]), widths, seed)
        return
    layer = int(match["layer"])
    if layer not in widths:
        raise ConfigError(
            f"layer {layer} is not recorded; there are {_shown(tuple(sorted(widths)))}"
        )
    if not widths[layer]:
        raise ConfigError(
            f"layer {layer} has no neurons; there are {_shown(_with_neurons(widths))}"
        )
    low, high = (
        (0, widths[layer] - 1)
        if match["whole"]
        else (int(match["low"]), int(match["high"] or match["low"]))
    )
    if high >= widths[layer] or low > high:
        raise ConfigError(f"layer {layer} has neurons 0-{widths[layer] - 1}, not {match[0]}")
    yield layer, slice(low, high + 1)


def _random(wanted: int, widths: Mapping[int, int], seed: int) -> Iterator[tuple[int, list[int]]]:
    """A sample of all neurons, as if they stood in one row."""
    total = sum(widths.values())
    if not 0 < wanted <= total:
        raise ConfigError(f"random:{wanted} of {total} neurons; choose 1-{total}")
    places = np.array(random.Random(seed).sample(range(total), wanted))
    start = 0
    for layer in sorted(widths):
        inside = places[(places >= start) & (places < start + widths[layer])]
        yield layer, (inside - start).tolist()
        start += widths[layer]


def _with_neurons(widths: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(layer for layer in sorted(widths) if widths[layer])


def _shown(available: tuple[int, ...]) -> str:
    """Layers as ranges: 0-3,7."""
    runs: list[list[int]] = []
    for layer in available:
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ",".join(f"{r[0]}-{r[-1]}" if len(r) > 1 else str(r[0]) for r in runs)
