"""Texts of single tokens."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from neuroexplain.subjects.token_texts import token_texts


def wrapped(tokenizer: Tokenizer) -> Any:
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def byte_level() -> Any:
    """As GPT-2: a space is Ġ, and bytes that cannot be seen have characters of their own."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {c: n for n, c in enumerate([*alphabet, "Ġriver", "æ²³", "Ġæ", "æ²", "Ċ"])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return wrapped(backend)


def metaspace() -> Any:
    """As Llama 2: a space is ▁, which decoding drops at the beginning of a text; single bytes are tokens."""
    vocabulary = {"<unk>": 0, "▁": 1, "a": 2, "▁a": 3, "▁river": 4, "s": 5, "<0xE6>": 6}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return wrapped(backend)


def word_piece() -> Any:
    vocabulary = {"[UNK]": 0, "a": 1, "river": 2, "##s": 3, "[MASK]": 4}
    backend = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    backend.decoder = decoders.WordPiece(cleanup=False)
    return wrapped(backend)


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (
            byte_level,
            {"Ġriver": " river", "æ²³": "河", "Ġæ": " <0xE6>", "æ²": "<0xE6><0xB2>", "Ċ": "\n"},
        ),
        (metaspace, {"▁river": " river", "s": "s", "▁": " ", "<0xE6>": "<0xE6>"}),
        (word_piece, {"river": " river", "##s": "s", "[MASK]": " [MASK]"}),
    ],
)
def test_texts_have_their_spaces_and_bytes_are_told(make: Any, wanted: dict[str, str]) -> None:
    tokenizer = make()
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in wanted}
    texts = token_texts(tokenizer, list(ids.values()))
    assert {name: texts[number] for name, number in ids.items()} == wanted


def test_all_bytes_are_known() -> None:
    tokenizer = byte_level()
    texts = token_texts(tokenizer, range(256))
    assert not any("\ufffd" in text for text in texts.values())
    assert len(set(texts.values())) == 256
