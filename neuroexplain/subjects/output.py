"""What neurons write towards the vocabulary: `W_U · LN_f(w_out)`.

    w_out   what one unit of the neuron adds to the residual stream: its weights in the MLP's output projection, of an
            expert's neuron those in the expert's, of a latent of an autoencoder its decoder's row, taken on through the
            projection where the autoencoder sits on the MLP's neurons; behind them whatever norm the block has there
    LN_f    what the model does to the stream behind its last block: the final norm, and a projection where there is one
    W_U     the unembedding

Norms are the model's own modules, run in float32 on w_out as if it were the whole stream. A norm of a bare vector fixes its
length, so logits tell a neuron's tokens apart, and not a strong neuron from a weak one. What a norm adds whatever it is given
(its bias, its answer to zero) is taken off, and the unembedding's bias left out: they are no neuron's. So the logits of
-w_out, the other side of the neuron, are those of w_out with the sign turned. Scales and caps of the logits, which keep their
order, are left out too.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroexplain.errors import SubjectError
from neuroexplain.recorded import OutputBlock
from neuroexplain.subjects.experts import expert_rows
from neuroexplain.subjects.following import followings, same
from neuroexplain.subjects.loading import head_shapes, load
from neuroexplain.subjects.search import find_sites
from neuroexplain.subjects.token_texts import token_texts
from neuroexplain.subjects.watching import first_tensor

if TYPE_CHECKING:
    from torch import Tensor, nn

    from neuroexplain.subjects.model import Subject
    from neuroexplain.subjects.sites import Site

_AT_ONCE = 16_384
"""Rows of the unembedding in one product."""


@dataclass(frozen=True)
class NoOutput:
    """Why neurons write towards no vocabulary."""

    reason: str
    """A short code: encoder, encoder_decoder, no_head, head_of_several_maps, unknown_norm, no_mlp, no_weights."""


class Output:
    """The way from the neurons of a decoder to its vocabulary; see `Output.of`.

    Args:
        subject: a decoder.
        norms: the modules behind the output projection of every layer, in float32.
        final: those behind the last block.
        unembedding: [token, hidden]; of token ids that the tokenizer has.
    """

    def __init__(
        self,
        subject: Subject,
        norms: dict[int, list[nn.Module]],
        final: list[nn.Module],
        unembedding: Tensor,
    ) -> None:
        self._subject = subject
        self._norms = norms
        self._final = final
        self._unembedding = unembedding

    @classmethod
    def of(
        cls, subject: Subject, *, allow_pickle: bool = False, trust_remote_code: bool = False
    ) -> Output | NoOutput:
        """Find the way, or why there is none.

        Where the unembedding is not the embedding turned round, the model is read once more, with its head.

        Args:
            subject: the model.
            allow_pickle: read weights that are not safetensors.
            trust_remote_code: run code that comes with the weights.

        Raises:
            SubjectError: the model with its head cannot be loaded.
        """
        settings = subject.settings
        if settings["site"] != "mlp" and not (settings["site"] == "resid" and settings["sae"]):
            return NoOutput("no_mlp")
        if getattr(subject.model.config, "is_encoder_decoder", False):
            return NoOutput("encoder_decoder")
        if _reads_on(subject):
            return NoOutput("encoder")
        observed = _observed(subject)
        if isinstance(observed, NoOutput):
            return observed
        unembedding = _unembedding(subject, allow_pickle, trust_remote_code)
        if isinstance(unembedding, NoOutput):
            return unembedding
        return cls(subject, *observed, unembedding[: len(subject.tokenizer)])

    def tokens(self, layer: int, indices: Sequence[int], n: int) -> OutputBlock | NoOutput:
        """The vocabulary that some neurons of a layer promote and suppress most, on their upper side.

        Args:
            layer: number of the layer.
            indices: its neurons.
            n: token ids of either sort.

        Raises:
            SubjectError: the logits are NaN or infinite.
        """
        import torch

        with torch.inference_mode():
            written = _written(self._subject.sites[layer], list(indices))
            if written is None:
                return NoOutput("no_weights")
            logits = self._logits(layer, written.float())
            if not logits.isfinite().all():
                raise SubjectError(
                    f"{self._subject.name}: what layer {layer} writes towards the vocabulary is NaN or infinite; its "
                    "weights are damaged"
                )
            promoted, up = _largest(logits, n)
            suppressed, down = _largest(-logits, n)
        ids = np.union1d(promoted, suppressed).tolist()
        texts = token_texts(self._subject.tokenizer, ids)
        return OutputBlock(layer, np.array(indices), promoted, up, suppressed, -down, texts)

    def _logits(self, layer: int, vectors: Tensor) -> Tensor:
        """[neuron, token] of vectors [neuron, hidden], float32."""
        import torch

        for module in (*self._norms[layer], *self._final):
            vectors = module(vectors) - module(torch.zeros_like(vectors[:1]))
        blocks = torch.split(self._unembedding, _AT_ONCE)
        return torch.cat([vectors @ block.float().t() for block in blocks], dim=1)


def _reads_on(subject: Subject) -> bool:
    """Whether a token's vectors depend on the tokens behind it, as in encoders."""
    import torch

    seen = [_forward(subject, (3, 4, 5, last)) for last in (3, 4)]
    one, other = (first_tensor(output)[:, contents[False].start] for output, contents in seen)
    return not torch.allclose(one.float(), other.float(), rtol=1e-3, atol=1e-4)


def _forward(subject: Subject, ids: Sequence[int]) -> Any:
    import torch

    inputs, contents = subject.inputs([ids])
    with torch.inference_mode():
        return subject.model(**inputs), contents


def _observed(
    subject: Subject,
) -> tuple[dict[int, list[nn.Module]], list[nn.Module]] | NoOutput:
    """Modules behind the neurons' projections, by layer, and those behind the last block; copies in float32."""
    last = find_sites(subject.model, "resid")[-1].module
    behind_mlp = subject.settings["site"] == "mlp"
    layers = subject.layers if behind_mlp else ()
    outputs: list[Any] = []
    *norms, final = followings(
        subject.model,
        [*(subject.sites[layer].module for layer in layers), last],
        lambda: outputs.append(first_tensor(_forward(subject, (3, 4, 5))[0])),
    )
    if not same(final.output, outputs[0]):
        return NoOutput("unknown_norm")
    by_layer: dict[int, list[nn.Module]] = {layer: [] for layer in subject.layers}
    for layer, chain in zip(layers, norms, strict=True):
        by_layer[layer] = _in_float32(chain.modules)
    return by_layer, _in_float32(final.modules)


def _in_float32(modules: Sequence[nn.Module]) -> list[nn.Module]:
    return [copy.deepcopy(module).float() for module in modules]


def _unembedding(
    subject: Subject, allow_pickle: bool, trust_remote_code: bool
) -> Tensor | NoOutput:
    """[token, hidden]; from the subject itself where it is tied to the embedding."""
    try:
        shapes = head_shapes(subject.model, trust_remote_code=trust_remote_code)
    except SubjectError:
        return NoOutput("no_head")
    head = shapes.get_output_embeddings()
    if head is None:
        return NoOutput("no_head")
    body = {*shapes.base_model.modules(), head}
    others = [module for module in shapes.modules() if module not in body]
    if any(next(module.parameters(recurse=False), None) is not None for module in others):
        return NoOutput("head_of_several_maps")
    if head.weight is shapes.get_input_embeddings().weight:
        tied: Tensor = subject.model.get_input_embeddings().weight
        return tied
    loaded = load(
        subject.spec,
        head=True,
        dtype=subject.settings["dtype"],
        allow_pickle=allow_pickle,
        trust_remote_code=trust_remote_code,
    )
    if subject.settings["sae"] is None and loaded.weights_sha256 != subject.weights_sha256:
        raise SubjectError(f"{subject.spec} has other weights now than when it was loaded")
    own: Tensor = loaded.model.get_output_embeddings().weight
    return own.to(subject.model.device)


def _written(site: Site, indices: list[int]) -> Tensor | None:
    """What one unit of each neuron adds to the residual stream, [neuron, hidden]; None where there is no such vector."""
    if site.sae is not None:
        decoded = site.sae.decoded(indices)
        if decoded is None or site.side == "output":
            return decoded
        projected = _rows(site, list(range(site.sae.inputs)))
        return None if projected is None else decoded @ projected.float()
    return _rows(site, indices)


def _rows(site: Site, indices: list[int]) -> Tensor | None:
    """The weights of neurons in their output projection, [neuron, hidden]; None where they are packed."""
    if site.side == "experts":
        return expert_rows(site.module, indices)
    weight: Any = site.module.weight
    if not weight.is_floating_point():
        return None
    # Conv1D has the neurons on its first axis.
    linear = hasattr(site.module, "in_features")
    rows: Tensor = weight[:, indices].t() if linear else weight[indices]
    return rows


def _largest(logits: Tensor, n: int) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    """Token ids and logits [neuron, rank], largest first, of equal ones the smaller id."""
    values, ids = (part.cpu().numpy() for part in logits.topk(min(n, logits.shape[1]), dim=1))
    order = np.lexsort((ids, -values), axis=1)
    return (
        np.take_along_axis(ids, order, axis=1).astype(np.uint32),
        np.take_along_axis(values, order, axis=1),
    )
