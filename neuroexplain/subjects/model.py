"""A subject: a model whose neurons are explained, with the forward pass that shows them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from neuroexplain.errors import SubjectError
from neuroexplain.recorded import SubjectInfo
from neuroexplain.records import Floats
from neuroexplain.subjects import sae as autoencoders
from neuroexplain.subjects.loading import load
from neuroexplain.subjects.search import find_sites
from neuroexplain.subjects.sites import NAMED, OnLayer, Site, parse, short_name
from neuroexplain.subjects.verify import verify
from neuroexplain.subjects.watching import Contents, Enough, counting, unshared, watched

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


class Subject:
    """A loaded model with its tokenizer and the places of its neurons.

    Args:
        spec: as the user wrote it.
        name: short name.
        model: without a head, in evaluation mode.
        tokenizer: its fast tokenizer.
        weights_sha256: tells it from others of the same name.
        site: what a neuron is; see `neuroexplain.subjects.sites`.
        sae: spec of a sparse autoencoder whose latents are the neurons; see `neuroexplain.subjects.sae`.

    Attributes:
        name: short name, the first part of a neuron's address.
        tokenizer: its fast tokenizer.
        sites: one per layer that has neurons.
        prefix: special token ids that the tokenizer puts before a text (`[CLS]`, a BOS).
        suffix: those behind it.
        max_positions: tokens that the model takes, special ones included.

    Raises:
        SubjectError: the site is not found.
    """

    def __init__(
        self,
        spec: str,
        name: str,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        weights_sha256: str,
        *,
        site: str = "mlp",
        sae: str | None = None,
    ) -> None:
        self.spec = spec
        self.name = name
        self.model = model
        self.tokenizer = tokenizer
        self.weights_sha256 = weights_sha256
        self.site = site if sae is None else f"{site} sae"
        self._settings = {"site": site, "sae": sae}
        self.prefix, self.suffix = _special_tokens(spec, tokenizer)
        self.max_positions = _max_positions(model, self.suffix)
        self.sites: dict[int, Site] = {s.layer: s for s in self._sites(site)}
        if sae is not None:
            self._put_on(sae, site)

    @classmethod
    def load(
        cls,
        spec: str,
        *,
        site: str = "mlp",
        sae: str | None = None,
        device: str = "cpu",
        dtype: str = "float32",
        allow_pickle: bool = False,
        trust_remote_code: bool = False,
        name: str | None = None,
        weights: bool = True,
    ) -> Subject:
        """Load a subject by spec: `minilm`, `smollm2`, a hub id, a directory or a `.gguf` file.

        Args:
            spec: which model.
            site: what a neuron is: `mlp`, `resid`, `attention`, or `PATH.{}.MODULE:input` (or `:output`).
            sae: a sparse autoencoder on the site, `FILE.safetensors`, `{}` for the layer.
            device: cpu, cuda or mps.
            dtype: number type of the weights.
            allow_pickle: read weights that are not safetensors.
            trust_remote_code: run code that comes with the weights.
            name: in the catalogue; without it that of the spec, and of the site where that is not `mlp`.
            weights: False leaves them unread, for a look at the sites alone.

        Raises:
            SubjectError: it cannot be found or loaded, or the site is not found in it.
        """
        parse(site)  # a wrong one is found before minutes of loading
        loaded = load(
            spec,
            head=False,
            device=device,
            dtype=dtype,
            allow_pickle=allow_pickle,
            trust_remote_code=trust_remote_code,
            weights=weights,
        )
        suffix = short_name(site, sae)
        return cls(
            spec,
            name or (f"{loaded.name}.{suffix}" if suffix else loaded.name),
            loaded.model,
            loaded.tokenizer,
            loaded.weights_sha256,
            site=site,
            sae=sae,
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What a collection's settings say of the subject: site, sae, dtype."""
        return {**self._settings, "dtype": str(self.model.dtype).removeprefix("torch.")}

    @property
    def info(self) -> SubjectInfo:
        """What the catalogue keeps of the subject."""
        return SubjectInfo(
            name=self.name,
            spec=self.spec,
            weights_sha256=self.weights_sha256,
            architecture=str(self.model.config.model_type),
            site=self.site,
            widths=tuple(
                self.sites[layer].width if layer in self.sites else 0
                for layer in range(max(self.sites) + 1)
            ),
        )

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers that have neurons, in the order in which the forward pass shows them."""
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
            SubjectError: the sequence is longer than the model allows, or a module runs for several layers.
        """
        import torch

        length = len(self.prefix) + len(token_ids[0]) + len(self.suffix)
        if length > self.max_positions:
            raise SubjectError(
                f"{self.name} takes {self.max_positions} tokens, special ones included; {length} were given: "
                "choose a smaller --seq-len"
            )
        inputs, contents = self.inputs(token_ids)
        sites = [self.sites[layer] for layer in layers]
        with (
            torch.inference_mode(),
            suppress(Enough),
            watched(sites, len(token_ids), contents, on_layer, stop=bool(sites)),
        ):
            self.model(**inputs)

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
        self.run(
            [ids],
            [layer],
            lambda seen: kept.append(seen.neurons[0, seen.content].float().cpu().numpy()),
        )
        return kept[0]

    def verify(self) -> None:
        """Check the hooks against a plain forward pass on a few tokens.

        The hooked pass must leave the output bit-identical, and what each hook saw must be exactly what its module
        turned into its output, or what it gave out.

        Raises:
            SubjectError: a hook does not see the neurons.
        """
        verify(self)

    def inputs(
        self, token_ids: Sequence[Sequence[int]], *, behind: Sequence[int] | None = None
    ) -> tuple[dict[str, Any], Contents]:
        """What the model is called with, and where the texts are in it.

        The decoder of an encoder-decoder reads the text itself behind its start token, as if it had to repeat it.

        Args:
            token_ids: [batch, token], without special tokens.
            behind: what such a decoder reads instead of every text.
        """
        import torch

        def tensor(rows: list[list[int]]) -> Any:
            return torch.tensor(rows, device=self.model.device)

        config = self.model.config
        batch = tensor([[*self.prefix, *ids, *self.suffix] for ids in token_ids])
        start = len(self.prefix)
        inputs = {"input_ids": batch, "attention_mask": torch.ones_like(batch)}
        contents = {False: slice(start, start + len(token_ids[0]))}
        if getattr(config, "is_encoder_decoder", False):
            texts = token_ids if behind is None else [behind] * len(token_ids)
            rows = [[_start_token(config), *self.prefix, *ids] for ids in texts]
            inputs["decoder_input_ids"] = tensor(rows)
            contents[True] = slice(start + 1, len(rows[0]))
        # Without this a decoder builds a key-value cache that nobody reads.
        options = {"use_cache": False} if hasattr(config, "use_cache") else {}
        return {**inputs, **options}, contents

    def _sites(self, site: str) -> list[Site]:
        """The sites, with what only a forward pass can tell: widths of other modules, layers that share their weights."""
        found = find_sites(self.model, site)
        depth = getattr(self.model.config.get_text_config(), "num_hidden_layers", len(found))
        encoder_decoder = getattr(self.model.config, "is_encoder_decoder", False)
        if len(found) < depth and not encoder_decoder and site in NAMED:
            found = self._counted(found)
        return self._measured(found) if any(not s.width for s in found) else found

    def _counted(self, sites: list[Site]) -> list[Site]:
        """One site per call, where a module is called for several layers."""
        import torch

        order: list[int] = []
        inputs, _ = self.inputs([_FEW])
        # Its values would be looked at, and without weights there are none.
        del inputs["attention_mask"]
        with torch.inference_mode(), counting([s.module for s in sites], order.append):
            self.model(**inputs)
        return sites if len(order) == len(sites) else unshared(sites, order)

    def _measured(self, sites: list[Site]) -> list[Site]:
        """Sites with their widths."""
        import torch

        widths: dict[int, int] = {}
        inputs, contents = self.inputs([_FEW])
        with (
            torch.inference_mode(),
            watched(
                sites,
                1,
                contents,
                lambda seen: widths.__setitem__(seen.layer, seen.neurons.shape[-1]),
            ),
        ):
            self.model(**inputs)
        silent = [s.module_name for s in sites if s.layer not in widths]
        if silent:
            raise SubjectError(
                f"{silent[0]} does not run in a forward pass of {self.name}; choose another module"
            )
        return [replace(s, width=widths[s.layer]) for s in sites]

    def _put_on(self, sae: str, site: str) -> None:
        """Make the latents of autoencoders the neurons; layers without one have none."""
        loaded = autoencoders.load(sae, self.layers, site, self.model.device)
        for layer, encoder in loaded.by_layer.items():
            if encoder.inputs != self.sites[layer].width:
                raise SubjectError(
                    f"{sae} reads vectors of {encoder.inputs} components; the site {site} of layer {layer} has "
                    f"{self.sites[layer].width}: choose the --site that it was trained on, for example resid"
                )
        self.sites = {
            layer: replace(self.sites[layer], width=encoder.latents, sae=encoder)
            for layer, encoder in sorted(loaded.by_layer.items())
        }
        both = f"{self.weights_sha256}:{loaded.sha256}"
        self.weights_sha256 = hashlib.sha256(both.encode()).hexdigest()


UNLIMITED = 2**30
"""Positions of a model that takes any number of them."""
_FEW = (3, 4, 5)
"""Token ids of a pass whose numbers do not matter."""


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


def _start_token(config: Any) -> int:
    """What the decoder of an encoder-decoder reads first."""
    names = ("decoder_start_token_id", "pad_token_id", "bos_token_id")
    return next((int(v) for n in names if (v := getattr(config, n, None)) is not None), 0)


def _max_positions(model: Any, suffix: tuple[int, ...]) -> int:
    """Tokens that the model takes, special ones included."""
    config = model.config.get_text_config()
    most = int(getattr(config, "max_position_embeddings", None) or UNLIMITED)
    if hasattr(config, "relative_attention_num_buckets"):
        # T5 knows distances alone: any length will do.
        return UNLIMITED
    if getattr(config, "is_encoder_decoder", False) and not suffix:
        # The decoder has its start token in addition.
        most -= 1
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    # RoBERTa's positions begin behind that of the padding token.
    return most if padding is None else most - padding - 1
