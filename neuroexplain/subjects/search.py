"""Finds the sites of a model by the shapes and the nesting of its modules, not by a list of architectures.

Layers are the entries of the outermost module list; an encoder-decoder has two such lists, numbered encoder first. The
MLP's output projection is a linear map I -> hidden that is fed by one hidden -> I (or 2 I, when gate and up are one
matrix), outside attention and state-space mixers. That of attention is the last map to hidden within self-attention.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from posixpath import commonpath
from typing import TYPE_CHECKING, Any

from neuroexplain.errors import SubjectError
from neuroexplain.subjects.experts import experts_within
from neuroexplain.subjects.sites import PATH_FORM, Path, Site, parse

if TYPE_CHECKING:
    from torch import nn

_ATTENTION = re.compile(r"att(n|ention)", re.IGNORECASE)
_MIXER = re.compile(r"att(n|ention)|mamba|mixer|ssm", re.IGNORECASE)
"""Names of modules that mix positions: their projections look like an MLP's."""
_CROSS = re.compile(r"cross|enc(oder)?_?(dec|att)", re.IGNORECASE)
"""Names of attention to another text."""
_MLP = re.compile(r"mlp|ffn|feed_?forward|densereludense", re.IGNORECASE)
_NUMBER = re.compile(r"(?:^|(?<=\.))\d+(?=\.|$)")


@dataclass(frozen=True)
class Block:
    """One layer of a model."""

    layer: int
    name: str
    module: nn.Module
    decoder: bool


@dataclass(frozen=True)
class _Linear:
    name: str
    module: nn.Module
    n_in: int
    n_out: int


def find_sites(model: nn.Module, site: str = "mlp") -> list[Site]:
    """The places of a site, one per layer that has it, in layer order.

    Args:
        model: a model without a head.
        site: `mlp`, `resid`, `attention`, or the path of a module with `:input` or `:output` behind it.

    Raises:
        SubjectError: there is none, or the rule cannot choose; the message says how to name a module.
    """
    spec = parse(site)
    if isinstance(spec, Path):
        return _given(model, spec)
    blocks = list(_blocks(model))
    finder = {"mlp": _mlp, "attention": _attention, "resid": _residual}[spec]
    sites = [
        found
        for block in blocks
        if (found := finder(model, block, _hidden_size(model))) is not None
    ]
    if not sites:
        raise SubjectError(_nothing_found(model, spec, blocks))
    return sites


def own_name(name: str) -> str:
    """A module's path with `{}` for its first number."""
    return _NUMBER.sub("{}", name, count=1)


def _blocks(model: nn.Module) -> Iterator[Block]:
    """The layers, those of an encoder before those of its decoder."""
    config: Any = getattr(model, "config", None)
    if not getattr(config, "is_encoder_decoder", False):
        names = _longest_list(model, "", getattr(_text(config), "num_hidden_layers", None))
    else:
        names = [n for stack in ("encoder", "decoder") for n in _longest_list(model, stack, None)]
    for layer, name in enumerate(names):
        yield Block(layer, name, model.get_submodule(name), decoder(model, name))


def decoder(model: nn.Module, name: str) -> bool:
    """Whether a module belongs to the second stack of an encoder-decoder."""
    both = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    return bool(both) and name.startswith("decoder.")


def _longest_list(model: nn.Module, stack: str, depth: int | None) -> list[str]:
    """Names of the entries of an outermost module list: one of the model's depth, else the longest."""
    from torch import nn

    root: Any = getattr(model, stack, None) if stack else model
    lists = [
        (f"{stack}.{name}" if stack else name, len(module))
        for name, module in (root.named_modules() if root is not None else ())
        if isinstance(module, nn.ModuleList) and not _NUMBER.search(name)
    ]
    if not lists:
        return []
    name, length = max(lists, key=lambda entry: (entry[1] == depth, entry[1]))
    return [f"{name}.{i}" for i in range(length)]


def _text(config: Any) -> Any:
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def _hidden_size(model: nn.Module) -> int:
    return int(_text(getattr(model, "config", None)).hidden_size)


def _mlp(model: nn.Module, block: Block, hidden: int) -> Site | None:
    experts = experts_within(block.module)
    if experts is not None:
        inner, module, count, width = experts
        return Site(
            block.layer,
            f"{block.name}.{inner}",
            module,
            count * width,
            side="experts",
            decoder=block.decoder,
            experts=count,
        )
    found = [] if _MIXER.search(block.name) else _projections(block.module, hidden)
    if len({p.n_in for p in found}) > 1:
        # Some blocks add a narrow map of another kind, such as Gemma 3n's per-layer embeddings.
        found = [p for p in found if _MLP.search(p.name)] or found
    if not found:
        return None
    last = found[-1]
    # Where the MLP is as wide as the model its gate and up maps fit too; the last is the output projection.
    fits = 3 if last.n_in == hidden else 1
    if len(found) > fits or any(p.n_in != last.n_in for p in found):
        shared = commonpath([f"{block.name}.{p.name}".replace(".", "/") for p in found])
        raise SubjectError(
            f"{block.name} of {type(model).__name__} has several MLP projections "
            f"({', '.join(p.name for p in found[:4])}{', ...' if len(found) > 4 else ''}), as experts in a list are, "
            f"which see some of the tokens only; {_say_how(own_name(shared.replace('/', '.')) + ':output')}"
        )
    return _linear_site(block, last)


def _attention(model: nn.Module, block: Block, hidden: int) -> Site | None:
    found = [
        entry
        for entry in _linears(block.module)
        if _ATTENTION.search(entry.name) and not _CROSS.search(entry.name) and entry.n_out == hidden
    ]
    if not found:
        return None
    config = _text(getattr(model, "config", None))
    heads = getattr(config, "num_attention_heads", 0)
    if block.decoder:
        heads = getattr(config, "decoder_attention_heads", heads)
    last = found[-1]
    # Layers of one model may have other numbers of heads.
    return replace(
        _linear_site(block, last), heads=heads if heads and last.n_in % heads == 0 else 0
    )


def _residual(_: nn.Module, block: Block, hidden: int) -> Site:
    return Site(block.layer, block.name, block.module, hidden, side="output", decoder=block.decoder)


def _linear_site(block: Block, found: _Linear) -> Site:
    name = f"{block.name}.{found.name}"
    return Site(block.layer, name, found.module, found.n_in, decoder=block.decoder)


def _projections(block: nn.Module, hidden: int) -> list[_Linear]:
    maps = [entry for entry in _linears(block) if not _MIXER.search(entry.name)]
    return [
        entry
        for entry in maps
        if entry.n_out == hidden
        and any(
            other.n_out in (entry.n_in, 2 * entry.n_in) and other.n_in == hidden
            for other in maps
            if other is not entry
        )
    ]


def _linears(block: nn.Module) -> Iterator[_Linear]:
    for name, module in block.named_modules():
        shape = _linear_shape(module)
        if shape is not None:
            yield _Linear(name, module, *shape)


def _linear_shape(module: nn.Module) -> tuple[int, int] | None:
    """(in, out) of a linear map, whichever class and layout it has."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    if isinstance(module, Conv1D):
        n_in, n_out = module.weight.shape
        return n_in, n_out
    return None


def _given(model: nn.Module, path: Path) -> list[Site]:
    """The modules that a user's path names, one per number that fits into its braces."""
    modules = dict(model.named_modules())
    text = _resolved(model, path.text, modules)
    if "{}" not in text:
        numbered = {0: text}
    else:
        pattern = re.compile(re.escape(text).replace(r"\{\}", r"(\d+)"))
        found = ((pattern.fullmatch(name), name) for name in modules)
        numbered = {int(match[1]): name for match, name in found if match is not None}
    sites = []
    for layer, name in sorted(numbered.items()):
        shape = _linear_shape(modules[name])
        width = 0 if shape is None else shape[path.side == "output"]
        sites.append(
            Site(layer, name, modules[name], width, path.side, decoder=decoder(model, name))
        )
    return sites


def _resolved(model: nn.Module, text: str, modules: dict[str, nn.Module]) -> str:
    """The path as this model has it: without the name that a model with a head puts before it.

    Raises:
        SubjectError: no module has such a path.
    """
    known = {own_name(name) if "{}" in text else name for name in modules if name}
    if "{}" in text:
        # Braces may stand for another number than the first.
        known |= {
            f"{name[: m.start()]}{{}}{name[m.end() :]}"
            for name in modules
            for m in _NUMBER.finditer(name)
        }
    head = f"{getattr(model, 'base_model_prefix', '') or 'model'}."
    for candidate in (text, text.removeprefix(head), text.removeprefix("model.")):
        if candidate in known:
            return candidate
    close = difflib.get_close_matches(text.removeprefix(head), known, n=1, cutoff=0.3)
    hint = f'; did you mean "{close[0]}"?' if close else ""
    raise SubjectError(
        f'{type(model).__name__} has no module "{text}"{hint} A site is mlp, resid, attention or {PATH_FORM}'
    )


def _nothing_found(model: nn.Module, spec: str, blocks: list[Block]) -> str:
    what = {
        "mlp": "no MLP projections to take neurons from (a linear map to the hidden size that is fed by one from it, "
        "outside attention and state spaces)",
        "attention": "no self-attention with an output projection",
        "resid": "no list of layers",
    }[spec]
    inside = [b for b in blocks if any(_linears(b.module))] or blocks
    names = [f"{b.name}.{entry.name}" for b in inside[:1] for entry in _linears(b.module)]
    names = names or [name for name, _ in model.named_modules() if name] or ["layers.0.out"]
    return f"{type(model).__name__} has {what}; {_say_how(own_name(names[-1]) + ':input')}"


def _say_how(example: str) -> str:
    return f"name the module whose vectors are the neurons, for example --site '{example}'"
