"""Forward passes of one causal language model over several rows of tokens, and its key-value caches."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from neuroexplain.errors import SubjectError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import DynamicCache, PreTrainedModel


class Pace(NamedTuple):
    """How much it is worth to run rows together."""

    tokens: int
    """Padded tokens of a forward pass at most."""
    similar: float
    """Share of the longest row's tokens that every row has at least."""


# A CPU core is as fast with one long row as with many and computes the padding too; an accelerator wants many rows.
CPU = Pace(tokens=512, similar=0.9)
ACCELERATOR = Pace(tokens=4096, similar=0.5)

CACHE_NAMES = ("past_key_values", "cache_params")
"""What a forward pass calls its cache."""


class Network:
    """A model with its language-modelling head, in evaluation mode.

    Raises:
        SubjectError: the model keeps no cache that transformers can make.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        from transformers import DynamicCache, modeling_utils

        takes: Any = inspect.signature(model.forward).parameters
        self._model = model
        names = [name for name in CACHE_NAMES if name in takes]
        if not names:
            raise SubjectError(
                f"{type(model).__name__} keeps its state in a way of its own; use another language model"
            )
        self._cache_name = names[0]
        layers = {type(layer).__name__ for layer in DynamicCache(config=model.config).layers}
        self.continues = layers <= {"DynamicLayer", "DynamicSlidingWindowLayer", "DummyLayer"}
        """Whether several tokens may follow on a cache: not on a recurrent state, which many models begin anew."""
        self.together = (
            # Other layers forget (a sliding window), and then padding counts.
            layers == {"DynamicLayer"}
            # These are told which places are padding, and where each row is.
            and {"attention_mask", "position_ids"} <= set(takes)
            # Encoders made decoders count positions in their own ways.
            and not getattr(model.config, "is_decoder", False)
            # An older transformers reads logits at the same places of all rows.
            and hasattr(modeling_utils, "slice_logits_to_keep")
        )
        """Whether rows of any length may run together; else every cache here has one row, and is used whole."""

    @property
    def pace(self) -> Pace:
        """How much it is worth to run rows together on the model's device."""
        return CPU if self._model.device.type == "cpu" else ACCELERATOR

    def logits(
        self, rows: Sequence[Sequence[int]], cache: DynamicCache, places: Sequence[Sequence[int]]
    ) -> Tensor:
        """[row, place, vocabulary] float32 at some places of each row; the cache, which all fill up, grows.

        Rows and places are padded on the right.
        """
        import torch

        device = self._model.device
        # One row takes its places as a plain list: so does every version of every model.
        kept = torch.tensor(padded(places) if len(rows) > 1 else places[0], device=device)
        return self._run(padded(rows), cache, kept)

    def next_logits(
        self, rows: Sequence[Sequence[int]], cache: DynamicCache, lengths: Sequence[int]
    ) -> Tensor:
        """[row, vocabulary] float32 behind one more token of every row.

        Args:
            rows: the tokens.
            cache: what comes before them, padded on the left; it grows.
            lengths: tokens of each row in the cache.
        """
        import torch

        device = self._model.device
        where = {}
        longest = max(lengths)
        if min(lengths) < longest:
            filled = torch.tensor(lengths, device=device)[:, None]
            places = torch.arange(longest + 1, device=device)
            where["attention_mask"] = (places >= longest - filled).long()
            where["position_ids"] = filled
        return self._run(rows, cache, torch.tensor([0], device=device), **where)[:, 0]

    def fork(self, cache: DynamicCache | None, length: int, rows: int) -> DynamicCache:
        """The first tokens of a cache with one row, for several rows that go on from there; it stays as it is."""
        from transformers import DynamicCache

        if cache is None or length == 0:
            return DynamicCache(config=self._model.config)
        if not self.together:
            return copy.deepcopy(cache)  # other layers change in place
        return _changed(cache, lambda held: held[..., :length, :].expand(rows, -1, -1, -1))

    def part(self, cache: DynamicCache, row: int, length: int) -> DynamicCache:
        """The first tokens of one row."""
        if not self.together:
            return cache
        return _changed(cache, lambda held: held[row : row + 1, :, :length])

    def picked(self, cache: DynamicCache, rows: Sequence[int], length: int) -> DynamicCache:
        """The last tokens of some rows."""
        if not self.together:
            return cache
        return _changed(cache, lambda held: held[list(rows), :, -length:])

    def merged(self, caches: Sequence[DynamicCache]) -> DynamicCache:
        """The rows of some caches in one, padded on the left; the caches are used up, so that nothing is held twice."""
        import torch

        if len(caches) == 1:
            return caches[0]
        longest = max(cache.get_seq_length() for cache in caches)

        def stacked(held: Sequence[Tensor]) -> Tensor:
            pad = torch.nn.functional.pad
            return torch.cat([pad(one, (0, 0, longest - one.shape[-2], 0)) for one in held])

        for layer, *others in zip(*(cache.layers for cache in caches), strict=True):
            layer.keys = stacked([one.keys for one in (layer, *others)])
            layer.values = stacked([one.values for one in (layer, *others)])
            for one in others:
                one.reset()
        return caches[0]

    def _run(
        self, rows: Sequence[Sequence[int]], cache: DynamicCache, kept: Tensor, **where: Tensor
    ) -> Tensor:
        import torch

        output = self._model(
            input_ids=torch.tensor(rows, device=self._model.device),
            use_cache=True,
            # The head is by far the widest layer: it runs at these places alone.
            logits_to_keep=kept,
            **{self._cache_name: cache},
            **where,
        )
        logits: Tensor = output.logits.float()
        return logits


def padded(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """Rows of equal length, with zeros on the right.

    >>> padded([[7, 8], [9]])
    [[7, 8], [9, 0]]
    """
    longest = max(len(row) for row in rows)
    return [[*row, *[0] * (longest - len(row))] for row in rows]


def _changed(cache: DynamicCache, change: Callable[[Tensor], Tensor]) -> DynamicCache:
    """A copy with other keys and values; plain layers replace theirs when they grow, so that nothing is shared."""
    twin = copy.copy(cache)
    twin.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in twin.layers:
        layer.keys, layer.values = change(layer.keys), change(layer.values)
    return twin
