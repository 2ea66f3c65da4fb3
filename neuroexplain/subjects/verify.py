"""Checks a subject's hooks against plain forward passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from neuroexplain.errors import SubjectError
from neuroexplain.subjects.experts import recomputed
from neuroexplain.subjects.sites import Site
from neuroexplain.subjects.watching import first_tensor, watched

if TYPE_CHECKING:
    from torch import Tensor

    from neuroexplain.subjects.model import Subject


@dataclass(frozen=True)
class _Call:
    """One call of a module."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Any


def verify(subject: Subject) -> None:
    """Compare a pass with hooks and one without; see `Subject.verify`.

    Raises:
        SubjectError: the output changes, or a hook does not see what its module took in or gave out.
    """
    import torch

    vocabulary = int(subject.model.config.get_text_config().vocab_size)
    ids = [(7 * i + 11) % vocabulary for i in range(8)]
    texts = [ids, ids[::-1]]
    # Without their autoencoders: what those read can be compared with what the modules do.
    sites = [_bare(subject.sites[layer]) for layer in subject.layers]
    seen: dict[int, Tensor] = {}
    # The decoder of an encoder-decoder reads less, so that what follows the encoder's text there is found.
    inputs, contents = subject.inputs(texts, behind=ids[:-3])
    with torch.inference_mode():
        plain = subject.model(**inputs).last_hidden_state
        with (
            _recording(sites) as calls,
            watched(
                sites,
                len(texts),
                contents,
                lambda shown: seen.__setitem__(shown.layer, shown.neurons.clone()),
            ),
        ):
            hooked = subject.model(**inputs).last_hidden_state
        _require_order(subject, tuple(seen))
        for site in sites:
            _require_finite(subject, site, seen[site.layer])
            length = inputs["decoder_input_ids" if site.decoder else "input_ids"].shape[1]
            expected = (len(texts), length, site.width)
            if seen[site.layer].shape != expected:
                raise SubjectError(
                    f"the {site.side} of {site.module_name} has the shape {tuple(seen[site.layer].shape)} on "
                    f"{len(texts)} texts of {length} tokens where {expected} is expected: not one vector per token; "
                    "choose another module"
                )
            if not _consumed(site, seen[site.layer], calls[site.layer]):
                raise SubjectError(
                    f"{site.module_name}: the hook does not see the module's {site.side}"
                )
    if not torch.equal(plain, hooked):
        raise SubjectError(
            f"{subject.name}: the model's output changes when its neurons are watched"
        )


def _bare(site: Site) -> Site:
    return site if site.sae is None else replace(site, width=site.sae.inputs, sae=None)


def _require_order(subject: Subject, fired: tuple[int, ...]) -> None:
    """Every layer must have been shown, after the one below and by a call of its own."""
    own = {(id(site.module), site.call) for site in subject.sites.values()}
    if fired != subject.layers or len(own) < len(fired):
        raise SubjectError(
            f"{subject.name}: its layers {subject.layers} showed neurons in the order {fired}; "
            "the places of its neurons are wrong"
        )


def _require_finite(subject: Subject, site: Site, vectors: Tensor) -> None:
    if not vectors.isfinite().all():
        raise SubjectError(
            f"{subject.name}: the activations of layer {site.layer} are NaN or infinite on any text; its weights "
            "are damaged, or the dtype is too small: try --dtype float32"
        )


def _consumed(site: Site, seen: Tensor, call: _Call) -> bool:
    """Whether the module, run again on what the hook saw, gives what it gave in the pass."""
    if site.side == "experts":
        args = (*call.args, *call.kwargs.values())
        # Summed in another order than the model's own, which may be in a number type of 8 bits.
        share = 1e-3 if call.output.dtype == seen.new_empty(0).float().dtype else 2e-2
        again = recomputed(site.module, seen.flatten(0, 1), args)
        return _close(again, call.output, share * float(call.output.abs().max()))
    if site.side == "output":
        again = first_tensor(site.module(*call.args, **call.kwargs))
        return _close(again, call.output) and _close(seen.reshape(again.shape), again)
    args, kwargs = _replaced(call, seen)
    return _close(first_tensor(site.module(*args, **kwargs)), call.output)


def _replaced(call: _Call, seen: Tensor) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call with the vectors that the hook saw, in the shape that the module was given.

    Another shape may round differently.
    """
    names = list(call.kwargs)
    values = [*call.args, *call.kwargs.values()]
    first = values[0]
    if isinstance(first, (tuple, list)):
        values[0] = (seen.reshape(first[0].shape), *first[1:])
    else:
        values[0] = seen.reshape(first.shape)
    count = len(call.args)
    return tuple(values[:count]), dict(zip(names, values[count:], strict=True))


def _close(again: Tensor, before: Tensor, most: float = 0.0) -> bool:
    import torch

    again = again.float()
    return torch.allclose(again, before.float().reshape(again.shape), rtol=1e-3, atol=1e-4 + most)


@contextmanager
def _recording(sites: list[Site]) -> Iterator[dict[int, _Call]]:
    """What every site's module took in and gave out, by layer."""
    calls: dict[int, _Call] = {}
    counts: dict[int, int] = {}

    def keep(module: Any, args: Any, kwargs: Any, output: Any) -> None:
        number = counts.get(id(module), 0)
        counts[id(module)] = number + 1
        for site in sites:
            if site.module is module and site.call == number:
                # Falcon adds to the output in place.
                calls[site.layer] = _Call(args, kwargs, first_tensor(output).clone())

    modules = {id(site.module): site.module for site in sites}
    handles = [module.register_forward_hook(keep, with_kwargs=True) for module in modules.values()]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()
