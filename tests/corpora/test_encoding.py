from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from neuroexplain.corpora.encoding import Encoder, Encoding
from neuroexplain.errors import CorpusError
from neuroexplain.recorded import token_texts

TEXTS = [
    "The river froze.",
    "a  b\n\n c\td ",
    "snow ❄️ and 🌊 waves, 👩‍👩‍👧 too",
    "日本語のテキスト と 中文",
    "éÉ ﬁ ½ İ",
    "x",
]
FAST = ("byte_level", "word_piece", "word_level")


def encode(tokenizer: PreTrainedTokenizerFast, text: str) -> Encoding:
    return Encoder.of(tokenizer).encode([text])[0]


@pytest.fixture(params=FAST)
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerFast:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("text", TEXTS)
def test_joined_tokens_are_the_text(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    found = encode(tokenizer, text)
    assert "".join(token_texts(text, found.offsets)).strip() == text.strip()


@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_those_of_the_tokenizer(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    plain = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    assert encode(tokenizer, text).ids.tolist() == plain


@pytest.mark.parametrize("text", TEXTS)
def test_offsets_do_not_overlap(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    flat = encode(tokenizer, text).offsets.reshape(-1).tolist()
    assert flat == sorted(flat)


def test_a_split_character_belongs_to_its_first_token(byte_level: PreTrainedTokenizerFast) -> None:
    found = encode(byte_level, "a🌊b")
    assert len(found) == 6
    assert token_texts("a🌊b", found.offsets) == ("a", "🌊", "", "", "", "b")


def test_leading_spaces_stay_with_their_token(byte_level: PreTrainedTokenizerFast) -> None:
    found = encode(byte_level, "river river")
    assert token_texts("river river", found.offsets[-1:]) == (" river",)


@pytest.mark.parametrize(
    ("name", "special"),
    [("byte_level", "<|endoftext|>"), ("word_piece", "[SEP]"), ("word_level", "[SEP]")],
)
def test_spelt_special_tokens_are_ordinary(
    name: str, special: str, request: pytest.FixtureRequest
) -> None:
    tokenizer = request.getfixturevalue(name)
    text = f"river {special} boat {special}{special} frost"
    found = encode(tokenizer, text)
    assert tokenizer.convert_tokens_to_ids(special) not in found.ids.tolist()
    assert "".join(token_texts(text, found.offsets)) == text
    assert len(found) > 3


def test_spelt_special_token_of_a_unigram_model() -> None:
    pieces = [("<unk>", -9.0), ("</s>", 0.0), ("▁a", -2.0), ("▁", -3.0)]
    pieces += [(character, -3.0) for character in "</s>"]
    backend = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=False))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", eos_token="</s>"
    )
    found = encode(tokenizer, "a </s> a")
    assert 1 not in found.ids.tolist()
    assert "".join(token_texts("a </s> a", found.offsets)) == "a </s> a"


def test_the_tokenizer_is_left_as_it_was(word_piece: PreTrainedTokenizerFast) -> None:
    text = "river [SEP] boat"
    before, state = word_piece(text)["input_ids"], word_piece.backend_tokenizer.to_str()
    encode(word_piece, text)
    assert word_piece.backend_tokenizer.to_str() == state
    assert word_piece(text)["input_ids"] == before


def test_hash_ignores_padding_and_truncation(
    byte_level: PreTrainedTokenizerFast, word_piece: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    byte_level.save_pretrained(tmp_path)
    again = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    again.backend_tokenizer.enable_truncation(4)
    again.backend_tokenizer.enable_padding(length=9)
    assert Encoder.of(again).sha256 == Encoder.of(byte_level).sha256
    assert Encoder.of(again).sha256 != Encoder.of(word_piece).sha256
    assert len(encode(again, "river boat river boat river boat")) > 4


def test_slow_tokenizer_is_refused() -> None:
    with pytest.raises(CorpusError, match="ByT5Tokenizer gives no character offsets"):
        Encoder.of(ByT5Tokenizer())
