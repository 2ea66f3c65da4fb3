"""Tiny random subjects and corpora of random tokens, made in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, processors
from transformers import CONFIG_MAPPING, AutoModel, PreTrainedTokenizerFast

from neuroexplain.recorded import CorpusInfo, TokenCorpus, TokenDocument
from neuroexplain.records import SPLITS, Document, Split
from neuroexplain.subjects import Subject

VOCABULARY = 120
SPECIAL = [("[CLS]", 0), ("[SEP]", 1)]
EXPERTS = {
    "intermediate_size": 12,
    "num_local_experts": 4,
    "num_experts_per_tok": 1,
    "num_key_value_heads": 2,
}


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Tiny tensors gain nothing from more, and lose much where other tests run beside these."""
    torch.set_num_threads(1)


def _tokenizer(special: bool) -> Any:
    vocabulary = {"[CLS]": 0, "[SEP]": 1, "a": 2, "[UNK]": 3}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    if special:
        backend.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=SPECIAL
        )
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]")


@pytest.fixture
def make_subject() -> Callable[[str], Subject]:
    """`make_subject("opt")`: two layers of 48 neurons; `bert` has special tokens, the others are decoders.

    `mixtral` has four experts of 12 neurons, one for every token.
    """

    def make(kind: str) -> Subject:
        config = CONFIG_MAPPING[kind](
            vocab_size=VOCABULARY,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=64,
            bos_token_id=None,
            eos_token_id=None,
            **({"n_inner": 48} if kind == "gpt2" else {}),
            **({"intermediate_size": 48} if kind == "bert" else {}),
            **({"ffn_dim": 48, "word_embed_proj_dim": 16} if kind == "opt" else {}),
            **(EXPERTS if kind == "mixtral" else {}),
        )
        torch.manual_seed(0)
        model = AutoModel.from_config(config).eval().requires_grad_(False)
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        return Subject(kind, kind, model, _tokenizer(kind == "bert"), "0")

    return make


@pytest.fixture
def make_corpus() -> Callable[..., TokenCorpus]:
    """`make_corpus(explain=[20, 5], test=[8])`: documents of so many random tokens, in spans of `seq_len`."""

    def make(*, seq_len: int = 8, first: int = 1, **lengths: Sequence[int]) -> TokenCorpus:
        rng = np.random.default_rng(0)
        documents: list[TokenDocument] = []
        spans: list[tuple[int, int, int, int]] = []
        for split in SPLITS:
            for tokens in lengths.get(split, []):
                position = len(documents)
                documents.append(_document(position, split, tokens, rng))
                spans += [
                    (position, start, min(seq_len, tokens - start), SPLITS.index(split))
                    for start in range(0, tokens, seq_len)
                    if tokens - start > first
                ]
        n_tokens = sum(map(sum, lengths.values()))
        info = CorpusInfo("made", "0", "0", seq_len, first, len(documents), n_tokens, 0, 0)
        document, start, length, number = np.array(spans, dtype=np.int64).T
        return TokenCorpus(info, tuple(documents), document, start, length, number.astype(np.int8))

    return make


def _document(number: int, split: Split, length: int, rng: np.random.Generator) -> TokenDocument:
    text = f"document {number}"
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return TokenDocument(
        Document(number, text, sha256, split, f"made:{number}"),
        rng.integers(10, VOCABULARY, length).astype(np.uint32),
        np.zeros((length, 2), dtype=np.uint32),
    )
