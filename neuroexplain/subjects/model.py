"""A subject: a model whose neurons are explained, with the forward pass that shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from neuroexplain.errors import SubjectError
from neuroexplain.recorded import SubjectInfo
from neuroexplain.records import Floats
from neuroexplain.subjects.loading import load
from neuroexplain.subjects.sites import Site, find_sites

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

OnLayer = Callable[[int, "Tensor"], None]
"""Called with the layer and its neurons [batch, position, neuron], special tokens included."""


class _Enough(Exception):
    """Ends a forward pass once all wanted layers have shown their neurons: the rest would be computed for nobody."""


class Subject:
    """A loaded model with its tokenizer and the places of its neurons.

    Attributes:
        name: short name, the first part of a neuron's address.
        tokenizer: its fast tokenizer.
        sites: one per layer.
        prefix: special token ids that the tokenizer puts before a text (`[CLS]`, a BOS).
        suffix: those behind it.
    """

    def __init__(
        self,
        spec: str,
        name: str,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        weights_sha256: str,
    ) -> None:
        config = model.config.get_text_config()
        if getattr(config, "is_encoder_decoder", False):
            raise SubjectError(f"{spec} is an encoder-decoder model; these are not supported yet")
        self.spec = spec
        self.name = name
        self.model = model
        self.tokenizer = tokenizer
        self.weights_sha256 = weights_sha256
        self.sites: dict[int, Site] = {
            site.layer: site for site in find_sites(model, config.hidden_size)
        }
        self.prefix, self.suffix = _special_tokens(spec, tokenizer)
        self.max_positions = _max_positions(model, config)

    @classmethod
    def load(
        cls,
        spec: str,
        *,
        device: str = "cpu",
        dtype: str = "float32",
        allow_pickle: bool = False,
        trust_remote_code: bool = False,
        name: str | None = None,
    ) -> Subject:
        """Load a subject by spec: `minilm`, `smollm2`, a hub id, a directory or a `.gguf` file.

        Raises:
            SubjectError: it cannot be found or loaded, or has no MLP projections.
        """
        loaded = load(
            spec,
            head=False,
            device=device,
            dtype=dtype,
            allow_pickle=allow_pickle,
            trust_remote_code=trust_remote_code,
        )
        return cls(spec, name or loaded.name, loaded.model, loaded.tokenizer, loaded.weights_sha256)

    @property
    def info(self) -> SubjectInfo:
        """What the catalogue keeps of the subject."""
        return SubjectInfo(
            name=self.name,
            spec=self.spec,
            weights_sha256=self.weights_sha256,
            architecture=str(self.model.config.model_type),
            site="mlp",
            widths=tuple(
                self.sites[layer].width if layer in self.sites else 0
                for layer in range(max(self.sites) + 1)
            ),
        )

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers that have neurons."""
        return tuple(sorted(self.sites))

    @property
    def first(self) -> int:
        """Leading text tokens at position 0, which act as attention sinks: 1, or 0 where a special token sits there."""
        return 0 if self.prefix else 1

    def run(
        self, token_ids: Sequence[Sequence[int]], layers: Sequence[int], on_layer: OnLayer
    ) -> None:
        """One forward pass over texts of equal length, up to the last of the layers; special tokens are added here.

        Args:
            token_ids: [batch, token], without special tokens.
            layers: which layers to show.
            on_layer: called once per layer, in the order of the forward pass.

        Raises:
            SubjectError: the sequence is longer than the model allows, or layers share a module.
        """
        import torch

        length = len(self.prefix) + len(token_ids[0]) + len(self.suffix)
        if length > self.max_positions:
            raise SubjectError(
                f"{self.name} takes {self.max_positions} tokens, special ones included; {length} were given: "
                "choose a smaller --seq-len"
            )
        batch = torch.tensor(
            [[*self.prefix, *ids, *self.suffix] for ids in token_ids], device=self.model.device
        )
        with (
            torch.inference_mode(),
            suppress(_Enough),
            self._hooked(layers, on_layer, batch.shape[0], stop=bool(layers)),
        ):
            self.model(input_ids=batch, attention_mask=torch.ones_like(batch), **self._options())

    def activations(self, text: str, layer: int) -> Floats:
        """Neurons of one layer on one text.

        Returns:
            [token, neuron], without special tokens, in the model's own units.

        Raises:
            SubjectError: no such layer, no text, or too long a text.
        """
        if layer not in self.sites:
            raise SubjectError(
                f"{self.name} has no layer {layer}; it has {self.layers[0]}-{self.layers[-1]}"
            )
        ids = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        if not ids:
            raise SubjectError("the text has no tokens")
        kept: list[Floats] = []
        content = slice(len(self.prefix), len(self.prefix) + len(ids))
        self.run(
            [ids],
            [layer],
            lambda _, neurons: kept.append(neurons[0, content].float().cpu().numpy()),
        )
        return kept[0]

    def verify(self) -> None:
        """Check the hooks against a plain forward pass on a few tokens.

        The hooked pass must leave the output bit-identical, and what each hook saw must be exactly what its module
        turned into its output.

        Raises:
            SubjectError: a hook does not see the neurons.
        """
        import torch

        vocabulary = int(self.model.config.get_text_config().vocab_size)
        ids = [(7 * i + 11) % vocabulary for i in range(8)]
        batch = torch.tensor([[*self.prefix, *ids, *self.suffix]], device=self.model.device)
        seen: dict[int, Tensor] = {}
        made: dict[int, Tensor] = {}
        with torch.inference_mode():
            plain = self.model(input_ids=batch, **self._options()).last_hidden_state
            handles = [
                site.module.register_forward_hook(partial(_keep_output, made, layer))
                for layer, site in self.sites.items()
            ]
            try:
                with self._hooked(self.layers, seen.__setitem__, 1):
                    hooked = self.model(input_ids=batch, **self._options()).last_hidden_state
            finally:
                for handle in handles:
                    handle.remove()
            self._require_own_modules(tuple(seen))
            for layer, site in self.sites.items():
                if not seen[layer].isfinite().all():
                    raise SubjectError(
                        f"{self.name}: the activations of layer {layer} are NaN or infinite on any text; its weights "
                        "are damaged, or the dtype is too small: try --dtype float32"
                    )
                # In the shape that the module was given: another may round differently.
                again = seen[layer].shape[-1] == site.width and site.module(
                    seen[layer].reshape(*made[layer].shape[:-1], site.width)
                )
                if again is False or not torch.allclose(again, made[layer], rtol=1e-3, atol=1e-4):
                    raise SubjectError(
                        f"{site.module_name}: the hook does not see the module's input"
                    )
        if not torch.equal(plain, hooked):
            raise SubjectError(
                f"{self.name}: the model's output changes when its neurons are watched"
            )

    def _require_own_modules(self, fired: tuple[int, ...]) -> None:
        """Every layer's module must have run, after that of the layer below and for no other layer."""
        if fired != self.layers or len({s.module for s in self.sites.values()}) < len(fired):
            raise SubjectError(
                f"{self.name}: its layers {self.layers} showed neurons in the order {fired}; "
                "the places of its neurons are wrong"
            )

    def _options(self) -> dict[str, Any]:
        # Without this a decoder builds a key-value cache that nobody reads.
        return {"use_cache": False} if hasattr(self.model.config, "use_cache") else {}

    @contextmanager
    def _hooked(
        self, layers: Sequence[int], on_layer: OnLayer, batch: int, *, stop: bool = False
    ) -> Iterator[None]:
        shown: set[int] = set()

        def show(layer: int, _: Any, args: tuple[Any, ...]) -> None:
            if layer in shown:
                raise SubjectError(
                    f"{self.sites[layer].module_name} runs several times in one pass of {self.name}; "
                    "layers that share their weights are not supported yet"
                )
            shown.add(layer)
            neurons = args[0]
            # OPT flattens (batch, position) before its MLP.
            on_layer(
                layer, neurons if neurons.dim() == 3 else neurons.view(batch, -1, neurons.shape[-1])
            )
            if stop and len(shown) == len(layers):
                raise _Enough

        handles = [
            self.sites[layer].module.register_forward_pre_hook(partial(show, layer))
            for layer in layers
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _keep_output(made: dict[int, Any], layer: int, _: Any, __: Any, output: Any) -> None:
    # Falcon adds to the output in place.
    made[layer] = output.clone()


def _special_tokens(spec: str, tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What the tokenizer puts before and behind a text."""
    if not tokenizer.vocab_size:
        raise SubjectError(
            f"{spec} has no tokenizer; put the model's tokenizer.json and tokenizer_config.json beside its weights"
        )
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a")["input_ids"]
    for start in range(len(full) - len(bare) + 1):
        if full[start : start + len(bare)] == bare:
            return tuple(full[:start]), tuple(full[start + len(bare) :])
    return (), ()


def _max_positions(model: Any, config: Any) -> int:
    """Tokens that the model takes, special ones included."""
    most = int(getattr(config, "max_position_embeddings", None) or 2**30)
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    # RoBERTa's positions begin behind that of the padding token.
    return most if padding is None else most - padding - 1
