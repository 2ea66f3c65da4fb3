from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from neuroexplain.collectors.ngram_set import MOST_TOKENS, Reading, build
from neuroexplain.corpora.encoding import Encoder
from neuroexplain.errors import CollectError
from neuroexplain.recorded import NgramSet
from neuroexplain.subjects import Subject


@cache
def subject_of(name: str) -> Subject:
    return Subject.load(name, weights=False)


def made(*texts: str, subject: str = "minilm", orders: int = 3, min_count: int = 1) -> NgramSet:
    loaded = subject_of(subject)
    encoder = Encoder.of(loaded.tokenizer)
    reading = Reading.of(loaded, encoder)
    return build(texts, encoder, reading, corpus_sha256="c", orders=orders, min_count=min_count)


def ids(ngrams: NgramSet) -> list[list[int]]:
    """Token ids of every n-gram."""
    cuts = np.cumsum(ngrams.lengths)[:-1]
    return [part.tolist() for part in np.split(ngrams.token_ids, cuts)]


def counted(ngrams: NgramSet) -> dict[str, int]:
    return dict(zip(ngrams.texts, ngrams.counts.tolist(), strict=True))


def test_the_commonest_first_and_equal_ones_by_text() -> None:
    ngrams = made("the ice. The ice", orders=2)
    assert ngrams.texts == ("ice", "the", "the ice", ". the", "ice.")
    assert ngrams.counts.tolist() == [2, 2, 2, 1, 1]


SEPARATE: dict[str, Sequence[str]] = {
    "documents": ("red", "blue"),
    "lines": ("red\nblue",),
    "other line ends": ("red\r\nblue",),
    "unreadable words": ("red <unk> blue",),
    "escapes of WikiText": ("red @-@ blue",),
    "documents of nothing": ("", "red", "\n\n  \n", "blue", " , . "),
}


@pytest.mark.parametrize("what", SEPARATE)
def test_no_ngram_reaches_across(what: str) -> None:
    assert made(*SEPARATE[what]).texts == ("blue", "red")


def test_marks_alone_are_no_ngram_and_words_keep_theirs() -> None:
    found = made('He said: "U.S. 4.5 kg" -- in the 1990s, father\'s!', orders=2)
    assert {"u.s. 4.5", "4.5 kg", 'kg"', "- in", "1990s,", "father's!", "the 1990s"} <= set(
        found.texts
    )
    assert all(any(map(str.isalnum, text)) for text in found.texts)
    assert not {"--", '"', ': "'} & set(found.texts)


def test_lower_case_where_the_tokenizer_knows_no_other() -> None:
    assert counted(made("The river. the RIVER", orders=1)) == {"river": 2, "the": 2}
    cased = made("The river. the RIVER", orders=1, subject="smollm2")
    assert counted(cased) == dict.fromkeys(("The", "river", "the", "RIVER"), 1)


def test_the_text_is_that_of_the_first_occurrence() -> None:
    assert "(see below)" in made("look (see   below) or ( see below )", orders=4).texts


def test_equal_tokens_are_one_ngram_with_the_sum_of_counts() -> None:
    # MiniLM's tokenizer drops accents.
    ngrams = made("cafe cafe café café café naïve", orders=1)
    assert counted(ngrams) == {"café": 5, "naïve": 1}
    assert len({tuple(row) for row in ids(ngrams)}) == len(ngrams)


def test_counts_below_the_least_are_left_out() -> None:
    text = "one two. one two. one three"
    assert set(made(text, min_count=2).texts) == {
        "one",
        "two",
        "one two",
        "two.",
        ". one",
        "one two.",
        "two. one",
    }
    assert set(made(text, min_count=3).texts) == {"one"}
    with pytest.raises(CollectError, match=r"no n-gram occurs 4 times .* lower --min-count"):
        made(text, min_count=4)


def test_a_document_of_one_word_is_enough() -> None:
    ngrams = made("river")
    assert (ngrams.texts, ngrams.counts.tolist()) == (("river",), [1])
    with pytest.raises(CollectError, match="no n-gram"):
        made("", " ... ")


def test_token_ids_are_those_of_the_tokenizer() -> None:
    text = "The neurophysiologist's 4.5 kg river, isn't it?"
    tokenizer = subject_of("minilm").tokenizer
    ngrams = made(text)
    for phrase, found in zip(ngrams.texts, ids(ngrams), strict=True):
        assert found == tokenizer(phrase, add_special_tokens=False)["input_ids"]


def test_words_of_a_decoder_are_given_as_in_running_text() -> None:
    tokenizer = subject_of("smollm2").tokenizer
    ngrams = made("a river, frozen (see below)", subject="smollm2")
    by_text = dict(zip(ngrams.texts, ids(ngrams), strict=True))
    for phrase in ("river", "a river", "frozen (see"):
        assert by_text[phrase] == tokenizer(f" {phrase}", add_special_tokens=False)["input_ids"]
    # No space stands before a comma, and there was one before the bracket.
    assert tokenizer.decode(by_text[", frozen"]) == ", frozen"
    assert tokenizer.decode(by_text["(see"]) == " (see"
    assert tokenizer.decode(by_text["see"]) == " see"


def test_how_subjects_are_given_a_text() -> None:
    readings = {}
    for name in ("minilm", "smollm2"):
        loaded = subject_of(name)
        readings[name] = Reading.of(loaded, Encoder.of(loaded.tokenizer))
    encoder, decoder = readings["minilm"], readings["smollm2"]
    assert (encoder.lowercase, encoder.space, encoder.lead, encoder.least) == (True, False, (), 1)
    bos = subject_of("smollm2").tokenizer.bos_token_id
    assert (decoder.lowercase, decoder.space) == (False, True)
    assert (decoder.lead, decoder.least) == ((bos,), 1), "the first position counts for nothing"


def test_what_cannot_be_read_is_left_out() -> None:
    # A script that MiniLM's vocabulary lacks, and a word of far more tokens than words have.
    endless = "xq7" * 40
    ngrams = made(f"river \U00011640\U00011641 stream {endless} ice", orders=1)
    assert set(ngrams.texts) == {"river", "stream", "ice"}
    assert ngrams.lengths.max() <= MOST_TOKENS


def test_the_hash_tells_sets_apart_and_nothing_else() -> None:
    one, again = made("the river froze"), made("the river froze", "the river froze")
    assert one.sha256 == again.sha256, "counts are not part of what is run"
    others = [
        made("the river froze", orders=2),
        made("the river froze over"),
        made("a river froze"),
    ]
    assert len({one.sha256, *(other.sha256 for other in others)}) == 4
    assert one.corpus_sha256 == "c"
