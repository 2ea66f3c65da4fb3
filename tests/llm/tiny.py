"""A chat model with two small random layers that always says the same, saved as servers load it.

Greedy generation from random weights runs to its limit and says nothing. Here the weights that read and write tokens are
arranged: a token of the sentence is followed by the next one, the last by the end of the text, a tab by a digit, and anything
else by the sentence's first token. The layers stay random, so which digit it is hangs on all that stands before.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SAYS = "rain falls on cold rivers while snow covers the high green hills"
"""Its answer to every chat: all tokens are different, and more than a probe's limit lets through."""
START, END = "<|start|>", "<|end|>"
TEMPLATE = (
    "{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content | trim }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def save(folder: Path) -> None:
    """Write the model and its tokenizer, as `save_pretrained` does."""
    tokenizer = _tokenizer()
    tokenizer.save_pretrained(folder)
    _model(tokenizer).save_pretrained(folder)


def _tokenizer() -> Any:
    """Bytes, and the words of the sentence."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=340, special_tokens=[START, END], initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator([SAYS] * 9, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=START, eos_token=END, chat_template=TEMPLATE
    )


def _model(tokenizer: Any) -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,  # of 32 numbers: some servers have no kernel for fewer
        num_key_value_heads=1,
        max_position_embeddings=8192,
        initializer_range=0.1,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = LlamaForCausalLM(config).eval()
    said = [*tokenizer.encode(SAYS), tokenizer.eos_token_id]
    assert len(set(said)) == len(said), "a token has one successor"
    (tab,) = tokenizer.encode("\t")
    levels = tokenizer.convert_tokens_to_ids([*"0123456789X"])
    with torch.no_grad():
        read, write = model.model.embed_tokens.weight, model.lm_head.weight
        read.normal_()
        write.normal_(std=0.5)
        for token, following in pairwise(said):
            write[following] += 4 * read[token]
        write[levels] += 4 * read[tab]
        # The first number of a token's vector tells that the sentence begins behind it.
        read[:, 0] = 4.0
        read[[*said[:-1], tab], 0] = 0.0
        write[:, 0] = 0.0
        write[said[0], 0] = 60.0
    return model
