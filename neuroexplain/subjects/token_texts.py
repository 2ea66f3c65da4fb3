"""Texts of single token ids, with the spaces that belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_BEFORE = "a"
"""Decoded before a token: by itself, many tokenizers decode it without its leading space."""
_NO_CHARACTER = "\ufffd"


def token_texts(tokenizer: PreTrainedTokenizerFast, ids: Sequence[int]) -> dict[int, str]:
    """What every token id stands for within a text.

    Bytes that are only a part of a character are written as `<0xE6><0xB2>`, as tokenizers with byte fallback call them.
    """
    wanted = sorted(set(ids))
    before = tokenizer(_BEFORE, add_special_tokens=False)["input_ids"]
    settings = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
    start = tokenizer.decode(before, **settings)
    behind = tokenizer.batch_decode([[*before, token_id] for token_id in wanted], **settings)
    texts = {i: text.removeprefix(start) for i, text in zip(wanted, behind, strict=True)}
    broken = [i for i, text in texts.items() if _NO_CHARACTER in text]
    names = tokenizer.convert_ids_to_tokens(broken)
    return texts | {i: _as_bytes(name) for i, name in zip(broken, names, strict=True)}


def _as_bytes(name: str) -> str:
    """The bytes of a byte-level token; another tokenizer's token as it is called there."""
    known = _byte_of()
    if any(character not in known for character in name):
        return name
    codes = [known[character] for character in name]
    return "".join(chr(code) if 0x20 <= code < 0x7F else f"<0x{code:02X}>" for code in codes)


@cache
def _byte_of() -> dict[str, int]:
    """The bytes that the characters of byte-level tokenizers stand for: bytes that cannot be seen have others than Latin-1's."""
    seen = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    unseen = [byte for byte in range(0x100) if byte not in seen]
    return {chr(byte): byte for byte in seen} | {chr(0x100 + n): b for n, b in enumerate(unseen)}
