"""Tries spans on the subject, each once for all neurons that it is tried for, and keeps those on which a neuron stays quiet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuroexplain.collectors.plan import Numbers
from neuroexplain.collectors.traces import pack, unpack
from neuroexplain.errors import CollectError
from neuroexplain.recorded import SplitTokens
from neuroexplain.records import Floats, NeuronId

if TYPE_CHECKING:
    from neuroexplain.subjects import LayerActivations, Subject


@dataclass(frozen=True)
class Quiet:
    """What a neuron does on a span on which it stays quiet."""

    trace: NDArray[np.float16]
    """[token]; multiply by `2 ** exponent`."""
    exponent: int
    peak: float
    """Largest activation on the polarity's side over the counted tokens, signed."""
    position: int
    """Of the peak."""


class Trial:
    """Which neurons are tried on which spans.

    Args:
        tokens: of the spans.
        neurons: which.
        limits: [neuron]; a neuron is quiet while it stays below, on its polarity's side.
        places: of the spans that each is tried on.

    Attributes:
        quiet: what was found, by number of the neuron and place of the span.
    """

    def __init__(
        self,
        tokens: SplitTokens,
        neurons: Sequence[NeuronId],
        limits: Sequence[float],
        places: Sequence[Numbers],
    ) -> None:
        self.quiet: dict[tuple[int, int], Quiet] = {}
        self._tokens = tokens
        numbers = np.repeat(np.arange(len(neurons)), [len(own) for own in places])
        tried = np.concatenate([np.empty(0, np.int64), *places])
        order = np.argsort(tried, kind="stable")
        self._places, self._numbers = tried[order], numbers[order]
        self._layer = np.array([neuron.layer for neuron in neurons])
        self._index = np.array([neuron.index for neuron in neurons])
        self._polarity = np.array([neuron.polarity for neuron in neurons], dtype=np.float32)
        self._limit = np.array(limits)

    def run(
        self,
        subject: Subject,
        batch_size: int,
        on_spans: Callable[[int, int], None] | None = None,
    ) -> None:
        """Run every span once.

        Args:
            subject: the model.
            batch_size: full-length spans per forward pass.
            on_spans: told how many spans of how many have run.

        Raises:
            CollectError: an activation is NaN or infinite.
        """
        layers = np.unique(self._layer[self._numbers]).tolist()
        every = np.unique(self._places)
        done = 0
        for places in self._batches(every, batch_size):
            rows = [self._tokens.ids(place).tolist() for place in places.tolist()]
            subject.run(rows, layers, partial(self._see, places))
            done += len(places)
            if on_spans is not None:
                on_spans(done, len(every))

    def _batches(self, places: Numbers, batch_size: int) -> Iterator[Numbers]:
        """Spans of one length together, so that none has to be padded; longest first."""
        lengths = self._tokens.lengths[places]
        longest = int(self._tokens.lengths.max(initial=0))
        for length in np.unique(lengths)[::-1].tolist():
            group = places[lengths == length]
            size = max(1, batch_size * longest // length)
            yield from (group[start : start + size] for start in range(0, len(group), size))

    def _see(self, batch: Numbers, seen: LayerActivations) -> None:
        """Take in one layer of some spans."""
        start, stop = (np.searchsorted(self._places, batch, side) for side in ("left", "right"))
        rows = np.repeat(np.arange(len(batch)), stop - start)
        pairs = np.concatenate([np.arange(a, b) for a, b in zip(start, stop, strict=True)])
        here = self._layer[self._numbers[pairs]] == seen.layer
        rows, numbers = rows[here], self._numbers[pairs[here]]
        if not len(numbers):
            return
        packed, exponents = pack(_traces(seen, rows, self._index[numbers]))
        # Judged by what is kept, so that a trace and what is said of it agree.
        counted = unpack(packed, exponents)[:, self._tokens.first :]
        counted = counted * self._polarity[numbers, None]
        positions, peaks = counted.argmax(axis=1), counted.max(axis=1)
        for i in np.flatnonzero(peaks < self._limit[numbers]).tolist():
            self.quiet[int(numbers[i]), int(batch[rows[i]])] = Quiet(
                packed[i],
                int(exponents[i]),
                float(peaks[i] * self._polarity[numbers[i]]),
                int(positions[i]) + self._tokens.first,
            )


def _traces(seen: LayerActivations, rows: Numbers, neurons: Numbers) -> Floats:
    """[pair, token] of rows of a batch with a neuron each."""
    import torch

    text = seen.neurons[:, seen.content].transpose(1, 2)
    row, neuron = (torch.from_numpy(numbers).to(text.device) for numbers in (rows, neurons))
    traces: Floats = text[row, neuron].float().cpu().numpy()
    finite = np.isfinite(traces).all(axis=1)
    if not finite.all():
        raise CollectError(
            f"layer {seen.layer}, neuron {neurons[~finite][0]}: an activation is NaN or infinite; try --dtype float32"
        )
    return traces
