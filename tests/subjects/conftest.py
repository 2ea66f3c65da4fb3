"""Tiny random models of many architectures and tokenizers trained here, saved as a user's files would be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import CONFIG_MAPPING, AutoModel, PreTrainedTokenizerFast

VOCABULARY = 320
_SMALL_HEADS = {
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
}
OWN_NAMES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_positions": 64, "n_inner": 96},
    "gpt_oss": {
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "head_dim": 8,
        "layer_types": ["full_attention"] * 2,
    },
    "opt": {"ffn_dim": 96, "word_embed_proj_dim": 32},
    "gemma": {"head_dim": 8},
    "gemma2": {"head_dim": 8},
    "distilbert": {"dim": 32, "hidden_dim": 96, "n_layers": 2, "n_heads": 4},
    "t5": {"d_model": 32, "d_kv": 8, "d_ff": 96, "num_layers": 2, "num_decoder_layers": 3},
    "bart": {
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 3,
        "encoder_ffn_dim": 96,
        "decoder_ffn_dim": 80,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
    },
    "switch_transformers": {
        "d_model": 32,
        "d_kv": 8,
        "num_layers": 2,
        "num_decoder_layers": 2,
        "num_experts": 2,
        "num_sparse_encoder_layers": 1,
        "num_sparse_decoder_layers": 1,
    },
    "mamba": {"state_size": 4},
    "albert": {"embedding_size": 16, "num_hidden_layers": 3},
    "mixtral": {"num_local_experts": 4},
    "olmoe": {"num_experts": 4, "num_experts_per_tok": 2},
    "qwen2_moe": {
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 24,
        "shared_expert_intermediate_size": 40,
    },
    "qwen3_moe": {
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 24,
        "head_dim": 8,
    },
    "deepseek_v3": {
        "n_routed_experts": 8,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 24,
        "n_group": 2,
        "topk_group": 1,
        "first_k_dense_replace": 1,
        **_SMALL_HEADS,
    },
    "llama4_text": {"num_local_experts": 4, "head_dim": 8, "intermediate_size_mlp": 96},
}
"""Settings that an architecture has beside the common ones, or calls by a name of its own."""

Make = Callable[..., Any]


@pytest.fixture(scope="session")
def make() -> Make:
    """`make("gpt2", num_hidden_layers=3)`: a random model without a head, in evaluation mode."""

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
                "bos_token_id": None,
                "eos_token_id": None,
                "pad_token_id": 1,
                **OWN_NAMES.get(kind, {}),
                **changes,
            }
        )
        torch.manual_seed(0)
        model = AutoModel.from_config(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        return model

    return build


def _byte_level(special: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["the river froze and the boat stayed by the mill"] * 5, trainer)
    return tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """Byte-level BPE that adds no special tokens, as GPT-2's."""
    return PreTrainedTokenizerFast(tokenizer_object=_byte_level(["<end>"]), eos_token="<end>")


@pytest.fixture(scope="session")
def bos_tokenizer() -> Any:
    """The same with `<s>` put before every text, as Llama's."""
    backend = _byte_level(["<s>"])
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>")


@pytest.fixture(scope="session")
def cls_tokenizer() -> Any:
    """The same with `[CLS]` before and `[SEP]` behind, as BERT's."""
    backend = _byte_level(["[CLS]", "[SEP]"])
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 1)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, cls_token="[CLS]", sep_token="[SEP]")


@pytest.fixture
def save(tmp_path: Path, tokenizer: Any) -> Callable[..., Path]:
    """`save(model)`: a directory that holds the model as safetensors and a tokenizer."""

    def write(model: Any, own: Any = None) -> Path:
        folder = tmp_path / "river"
        model.save_pretrained(folder)
        (own or tokenizer).save_pretrained(folder)
        return folder

    return write
