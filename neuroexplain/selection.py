"""Which neurons: `*`, `3:*`, `3:17`, `3:0-99`, `random:200`, unions by comma, `+` or `-` behind each for the polarity."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping

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


def select(
    selector: str, subject: str, widths: Mapping[int, int], *, seed: int = 0
) -> list[NeuronId]:
    """The neurons that a selector names, each once, in order of layer, index and polarity.

    Args:
        selector: see the module's docstring.
        subject: the subject's name.
        widths: neurons of every recorded layer.
        seed: of `random:N`.

    Raises:
        ConfigError: a term of another form, or a layer or neuron that is not there.
    """
    chosen: set[NeuronId] = set()
    for term in selector.split(","):
        match = _parse(term)
        polarity = -1 if match["sign"] == "-" else 1
        chosen.update(
            NeuronId(subject, layer, index, polarity) for layer, index in _term(match, widths, seed)
        )
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


def _term(match: re.Match[str], widths: Mapping[int, int], seed: int) -> Iterator[tuple[int, int]]:
    if match["all"] or match["random"]:
        everything = [(layer, index) for layer in sorted(widths) for index in range(widths[layer])]
        if match["all"]:
            yield from everything
            return
        wanted = int(match["random"])
        if not 0 < wanted <= len(everything):
            raise ConfigError(
                f"random:{wanted} of {len(everything)} neurons; choose 1-{len(everything)}"
            )
        yield from random.Random(seed).sample(everything, wanted)
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
    for index in range(low, high + 1):
        yield layer, index


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
