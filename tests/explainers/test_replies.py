"""Replies as language models write them: what is an explanation survives byte for byte, what is none is a failure."""

from __future__ import annotations

import json

import pytest

from neuroexplain.explainers.base import MAX_TEXT
from neuroexplain.explainers.replies import sentence
from neuroexplain.llm.base import Reply
from neuroexplain.records import Failure


def read(text: str, finish: str = "stop") -> str | Failure:
    return sentence(Reply(text, 1, 1, 0.0, finish))


SENTENCES = [
    "ice",
    "ice and snow.",
    "Theater",
    "Allergies",
    "Areas of land",
    "Describes theology",
    "Answering machines",
    "Explanations of physics",
    "Summary judgments in U.S. courts",
    "U.S. presidents",
    "subjects of study, e.g. algebra",
    "1990s",
    "1990",
    "2. Bundesliga",
    "4.5 kg",
    "null pointers",
    "true",
    "NaN",
    '"ice" and "snow"',
    "“ice” or “snow”",
    "'ice' and 'snow'",
    "**kwargs in calls",
    "`def` and `class`",
    "{{ and }} in templates",
    '{"key": in JSON objects',
    "[CLS] and what follows it",
    "the tag </think>",
    "# signs before comments",
    "- as a dash between numbers",
    "Sure, certainly and other words of assent",
    "Here and there, pairs of adverbs",
    "Here is where a place is named",
    "The neuron in biology texts",
    "The answer to a question",
    "I cannot and other negated modal verbs",
    "I'm sorry and other apologies",
    "Sorry, I can't and similar excuses",
    "As an adverb of time",
    "ships (e.g. “HMS”), boats",
    "the time 10:30",
    "first part: second part",
    "naïve café 河 \u200b🙂",
    "a  double space\tand a tab",
    "<script>alert(1)</script>",
    "x" * MAX_TEXT,
]


@pytest.mark.parametrize("text", SENTENCES)
def test_a_sentence_survives_byte_for_byte(text: str) -> None:
    assert read(text) == text
    assert read(f"\n\r\n  {text}\n\nBecause all texts have it.") == text


@pytest.mark.parametrize(
    "around",
    [
        '"{}"',
        "“{}”",
        "```\n{}\n```",
        "```text\n{}\n```\n",
        "Explanation: {}",
        "explanation :{}",
        "**Explanation:** {}",
        "**Explanation**: {}",
        "**Explanation: {}**",
        'Final answer: "{}"',
        "Explanation:\n\n{}",
        "## Explanation\n{}",
        "**Answer**\n{}",
        "Sure!\n{}",
        "Here is my explanation:\n{}",
        "Here's the explanation: {}",
        "Certainly! Here is one short sentence: {}",
        "Based on these texts, I think this of the neuron:\n\n{}",
        "This neuron fires on {}",
        "This neuron fires on: {}",
        "The neuron responds to {}",
        "The neuron mainly responds strongly to {}",
        "<think>Is it water? No:\n\nit is ice.</think>\n\n{}",
        "It might be water.\n</think>\n{}",
    ],
)
def test_what_stands_round_it_goes(around: str) -> None:
    # A sentence that has the same marks itself would no longer have them round the whole.
    marks = {mark for mark in ('"', "“", "'", "`", "**") if mark in around.replace("Here's", "")}
    texts = [text for text in SENTENCES if not any(mark in text for mark in marks)]
    assert len(texts) > 30
    assert [read(around.format(text)) for text in texts] == texts


@pytest.mark.parametrize(
    "around",
    [
        '{{"explanation": {}}}',
        '{{"explanation": {}, "confidence": 9}}',
        '{{"Answer": [{}]}}',
        '{{"text": {}}}',
        "[{}]",
        "{}",
        'Here it is:\n```json\n{{\n  "explanation": {}\n}}\n```',
        'Sure! Here is the JSON: {{"explanation": {}}} I hope that it helps.',
        '<think>JSON?</think>{{"explanation": {}}}',
        '{{"explanation":\r\n{}}}',
        'Here: {{"answer":\n{}\n}}\nI hope that it helps.',
        '{{\n"text":\n{}\n}}',
    ],
)
def test_inside_json(around: str) -> None:
    assert [read(around.format(json.dumps(text))) for text in SENTENCES] == SENTENCES


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty_reply"),
        (" \n\t\u2028\n", "empty_reply"),
        ("\u200b\x00\n\ufeff", "empty_reply"),
        ("null", "empty_reply"),
        ('""', "empty_reply"),
        ("{}", "empty_reply"),
        ("[]", "empty_reply"),
        ('{"explanation": null}', "empty_reply"),
        ('{"explanation":\r\n null}', "empty_reply"),
        ('{"explanation": " "}', "empty_reply"),
        ("```\n```", "empty_reply"),
        ("Explanation:", "empty_reply"),
        ("**Explanation:**", "empty_reply"),
        ("<think>It is ice.</think>", "empty_reply"),
        ('{"explanation": {"en": "ice", "de": "Eis"}}', "no_sentence"),
        ('{"explanation": 7}', "no_sentence"),
        ('{"explanation": "ice', "no_sentence"),
        ('{"first": "ice", "second": "snow"}', "no_sentence"),
        ('["ice", "snow"]', "no_sentence"),
        ("[[1, 10], [2, 3]]", "no_sentence"),
        ('{"explanation": "half of a pair: \\ud83d"}', "no_sentence"),
        ("- ice\n- snow", "no_sentence"),
        ("1. ice\n2. snow", "no_sentence"),
        ("This neuron fires on:\n* ice\n* snow", "no_sentence"),
        ("Words of two kinds:\n1) ice\n2) snow", "no_sentence"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("I’m sorry, I cannot assist with this request.", "refusal"),
        ("Sorry, but I am unable to determine it.", "refusal"),
        ("I cannot provide an explanation.", "refusal"),
        ("I can't identify a common theme.", "refusal"),
        ("I do not have enough texts.", "refusal"),
        ("Unfortunately, I cannot see any text.", "refusal"),
        ("As an AI language model, I have no neurons.", "refusal"),
        ("\"I'm sorry, but I can't help with that.\"", "refusal"),
        ("Explanation: I cannot determine one.", "refusal"),
        ('{"explanation": "I cannot determine one."}', "refusal"),
        ("x" * (MAX_TEXT + 1), "too_long"),
        ("U.S. presidents, " * 40, "too_long"),
        ("[" * 100_000, "too_long"),
        ("." * 10_000_000, "too_long"),
        ("[" * 8_000, "too_long"),
        (":" * 8_000 + "x", "too_long"),
        ("." * 8_000, "too_long"),
        ("x." * 4_000, "too_long"),
    ],
)
def test_what_is_no_sentence_is_a_failure(text: str, reason: str) -> None:
    found = read(text)
    assert isinstance(found, Failure)
    assert (found.stage, found.reason, found.raw_reply) == ("explain", reason, text)
    assert found.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ice\nThe second line was c", "ice"),
        ("Words of ice. And also th", "Words of ice."),
        ("Words of ice.", "Words of ice."),
        ("One. Two. Thr", "One. Two."),
        ("Is it ice? It se", "Is it ice?"),
        ("“Ice.” And th", "“Ice.”"),
        ("Born in 1990. They w", "Born in 1990."),
        ("Explanation: Words of ice. And al", "Words of ice."),
        ("Explanation:\nWords of ice. And al", "Words of ice."),
        ('{"explanation": "ice and snow"}', "ice and snow"),
        ('```json\n{"explanation": "ice and snow"}\n', "ice and snow"),
    ],
)
def test_of_a_cut_reply_whole_sentences_survive(text: str, expected: str) -> None:
    assert read(text, "length") == expected


@pytest.mark.parametrize(
    "text",
    [
        "words about the ri",
        "about 3.5 metres of wa",
        "names of the U.S. Pre",
        "subjects, e.g. Alg",
        "firms such as Corp. Al",
        "in the U.S.",
        "No. 5 is a perfume, and so is Ch",
        "- ic",
        "Explanation:",
        '{"explanation": "ice and sn',
        '```json\n{"explanation": "ice',
        "<think>Is it water? No: it is ice. The sec",
    ],
)
def test_of_a_cut_reply_half_a_sentence_is_a_failure(text: str) -> None:
    found = read(text, "length")
    assert isinstance(found, Failure)
    assert (found.reason, found.raw_reply) == ("truncated", text)


def test_a_long_reply_keeps_the_sentences_that_fit() -> None:
    first = "Words for frozen water in all its forms."
    rambling = f"{first} {'It is found in many texts, and in many more besides. ' * 12}"
    found = read(rambling)
    assert isinstance(found, str)
    assert read(f"{rambling}and it is als", "length") == found
    assert found.startswith(first)
    assert found.endswith("besides.")
    assert MAX_TEXT - 60 < len(found) <= MAX_TEXT


def test_a_filtered_reply_is_no_sentence() -> None:
    found = read("words about", "content_filter")
    assert isinstance(found, Failure)
    assert (found.reason, found.raw_reply) == ("filtered", "words about")
