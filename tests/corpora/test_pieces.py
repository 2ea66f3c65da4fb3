from __future__ import annotations

import random
import time

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from neuroexplain.corpora import encoding, pieces
from neuroexplain.corpora.encoding import Encoder

from .conftest import make_texts

LONG = {
    "words": " ".join(make_texts(100)),
    "lines": "\n".join(make_texts(100)),
    "emoji": "snow ❄️ and 🌊 waves, 👩‍👩‍👧 too; " * 600,
    "no spaces": "日本語のテキスト、中文。彼は川を渡った。" * 800,
    "digits": "123456789012345678901234567890" * 600,
    "white space": " \n\t " * 4000,
    "specials": "river [SEP] boat <|endoftext|> frost " * 500,
}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts are long from a size on that makes tests fast."""
    monkeypatch.setattr(encoding, "_LONG", 5000)
    monkeypatch.setattr(encoding, "_PIECE", 1500)


@pytest.mark.parametrize("name", ["byte_level", "word_piece", "word_level"])
@pytest.mark.parametrize("text", LONG)
def test_a_long_text_has_the_same_tokens_in_pieces(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    encoder = Encoder.of(request.getfixturevalue(name))
    whole = encoder.encode([LONG[text]])[0]
    monkeypatch.setattr(encoding, "_LONG", 5000)
    monkeypatch.setattr(encoding, "_PIECE", 1500)
    found = encoder.encode(["short", LONG[text], "short"])[1]
    assert np.array_equal(found.ids, whole.ids)
    assert np.array_equal(found.offsets, whole.offsets)


def test_pieces_cover_the_text(byte_level: PreTrainedTokenizerFast) -> None:
    backend = Encoder.of(byte_level).backend
    found = list(pieces.cut(LONG["words"], 1000, lambda text: backend.encode(text).ids))
    assert [a for a, _ in found] == [0, *(b for _, b in found[:-1])]
    assert found[-1][1] == len(LONG["words"])
    assert max(b - a for a, b in found) < 1100


def test_where_a_cut_would_change_tokens_there_is_none() -> None:
    # A mark is put before the first word only, so that no piece begins as it does within the text.
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    trainer = trainers.BpeTrainer(vocab_size=60, show_progress=False)
    backend.train_from_iterator(make_texts(20), trainer)
    text = "a-b.c " * 3000
    found = list(pieces.cut(text, 1000, lambda part: backend.encode(part).ids))
    merged = [i for a, b in found for i in backend.encode(text[a:b]).ids]
    assert merged == backend.encode(text).ids


@pytest.mark.usefixtures("small")
def test_only_as_much_as_is_wanted_is_tokenised(byte_level: PreTrainedTokenizerFast) -> None:
    encoder = Encoder.of(byte_level)
    found = encoder.encode([LONG["words"]], limit=100)[0]
    assert 100 <= len(found) < len(encoder.encode([LONG["words"]])[0]) / 2


def test_a_word_of_two_megabytes_takes_no_quadratic_time(
    byte_level: PreTrainedTokenizerFast,
) -> None:
    encoder = Encoder.of(byte_level)
    rng = random.Random(0)

    def seconds(characters: int) -> float:
        text = "".join(rng.choices("riverfrost", k=characters))
        began = time.process_time()
        encoder.encode([text])
        return time.process_time() - began

    seconds(10_000)
    assert seconds(2_000_000) < 30 * max(seconds(200_000), 0.05)
