"""Hooks that show the vectors of sites while a model runs, and go when it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from neuroexplain.errors import SubjectError
from neuroexplain.subjects.experts import watching
from neuroexplain.subjects.sites import LayerActivations, OnLayer, Site

if TYPE_CHECKING:
    from torch import Tensor, nn

Contents = Mapping[bool, slice]
"""Positions of the text's own tokens, in the decoder of an encoder-decoder (True) and everywhere else (False)."""


class Enough(Exception):
    """Ends a forward pass once all wanted layers have been shown: the rest would be computed for nobody."""


@contextmanager
def watched(
    sites: Sequence[Site],
    batch: int,
    contents: Contents,
    on_layer: OnLayer,
    *,
    stop: bool = False,
) -> Iterator[None]:
    """Show sites during the forward passes within.

    Args:
        sites: what to show.
        batch: texts in the pass.
        contents: where the texts are.
        on_layer: called once per site.
        stop: raise `Enough` after the last one.

    Raises:
        SubjectError: a module runs more often than it has layers.
    """
    left = len(sites)

    def show(site: Site, vectors: Tensor, routed: Tensor | None = None) -> None:
        nonlocal left
        neurons = _by_text(vectors, batch)
        if site.sae is not None:
            neurons = site.sae.encode(neurons)
        on_layer(
            LayerActivations(
                site.layer,
                neurons,
                contents[site.decoder],
                None if routed is None else _by_text(routed, batch),
            )
        )
        left -= 1
        if stop and left == 0:
            raise Enough

    with ExitStack() as stack:
        for shared in _by_module(sites):
            stack.enter_context(_hooked(shared, show))
        yield


def first_tensor(value: Any) -> Any:
    """What a module passes on: many give or take a tuple, with the hidden states first."""
    while isinstance(value, (tuple, list, Mapping)) and value:
        value = next(iter(value.values())) if isinstance(value, Mapping) else value[0]
    return value


def given(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The tensor that a module was given first, by place or by name."""
    return first_tensor(args) if args else first_tensor(list(kwargs.values()))


@contextmanager
def counting(modules: Sequence[nn.Module], on_call: Callable[[int], None]) -> Iterator[None]:
    """Tell the number of a module in the sequence each time it is called."""
    handles = [
        module.register_forward_pre_hook(lambda *_, number=number: on_call(number))
        for number, module in enumerate(modules)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def unshared(sites: Sequence[Site], order: Sequence[int]) -> list[Site]:
    """One site per call, in the order of the calls: layers that share their weights are the calls of one module.

    Args:
        sites: one per module.
        order: which of them was called, call after call.
    """
    calls = [0] * len(sites)
    found = []
    for layer, number in enumerate(order):
        site = replace(sites[number], layer=layer, call=calls[number], calls=order.count(number))
        found.append(site)
        calls[number] += 1
    return found


def _by_text(vectors: Tensor, batch: int) -> Tensor:
    # Some flatten (batch, position) before their MLP, as OPT does.
    return vectors if vectors.dim() == 3 else vectors.reshape(batch, -1, vectors.shape[-1])


def _by_module(sites: Sequence[Site]) -> list[dict[int, Site]]:
    """Sites by call, for every module."""
    found: dict[int, dict[int, Site]] = {}
    for site in sites:
        found.setdefault(id(site.module), {})[site.call] = site
    return list(found.values())


@contextmanager
def _hooked(by_call: Mapping[int, Site], show: Callable[..., None]) -> Iterator[None]:
    """Watch one module."""
    any_site = next(iter(by_call.values()))
    calls = 0

    def shown(*vectors: Tensor) -> None:
        nonlocal calls
        if calls == any_site.calls:
            raise SubjectError(
                f"{any_site.module_name} runs several times in one pass; the calls are not layers of their own, "
                "choose another module"
            )
        site = by_call.get(calls)
        calls += 1
        if site is not None:
            show(site, *vectors)

    if any_site.side == "experts":
        with watching(any_site.module, any_site.width // any_site.experts, shown):
            yield
        return
    handle = _register(any_site, shown)
    try:
        yield
    finally:
        handle.remove()


def _register(site: Site, shown: Callable[..., None]) -> Any:
    if site.side == "output":
        return site.module.register_forward_hook(partial(_output, site, shown))
    return site.module.register_forward_pre_hook(partial(_input, site, shown), with_kwargs=True)


def _input(site: Site, shown: Callable[..., None], _: Any, args: Any, kwargs: Any) -> None:
    shown(_checked(site, given(args, kwargs)))


def _output(site: Site, shown: Callable[..., None], _: Any, __: Any, output: Any) -> None:
    shown(_checked(site, first_tensor(output)))


def _checked(site: Site, vectors: Any) -> Tensor:
    import torch

    if not isinstance(vectors, torch.Tensor) or vectors.dim() not in (2, 3):
        seen = tuple(vectors.shape) if isinstance(vectors, torch.Tensor) else type(vectors).__name__
        raise SubjectError(
            f"the {site.side} of {site.module_name} is no vector per token but {seen}; choose another module"
        )
    return vectors
