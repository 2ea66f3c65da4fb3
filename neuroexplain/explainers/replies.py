"""What a language model's reply says about a neuron: one sentence, or why there is none.

What stands round the sentence goes: a thought before it, code fences, a JSON object, a line that only announces it, a label,
"This neuron fires on", quotation marks round the whole. What is left is the explanation, byte for byte.

    empty_reply   nothing, `null`, a label alone      truncated     cut off before its first sentence ended
    no_sentence   a list, JSON without one text       too_long      no sentence of it ends within the limit
    refusal       begins as only a refusal does       filtered      the server cut it for its content
"""

from __future__ import annotations

import json
import re
from typing import Any

from neuroexplain.explainers.base import MAX_TEXT
from neuroexplain.llm.base import Reply
from neuroexplain.records import Failure

_MESSAGES = {
    "empty_reply": "the reply is empty",
    "no_sentence": "the reply is a list or other data, not a sentence",
    "refusal": "the model refused",
    "truncated": "the reply was cut off before a sentence ended; raise max_tokens",
    "too_long": f"the reply is longer than {MAX_TEXT} characters",
    "filtered": "the server filtered the reply",
}
_LABEL = (
    r"(?:(?:my|the|a|final|short|brief|neuron|one-sentence)\s+)*"
    r"(?:explanation|answer|hypothesis|summary|description)"
    r"(?:\s+(?:of|for)\s+(?:this|the)\s+neuron)?"
)
_OFTEN = r"(?:\s+(?:most|mainly|mostly|primarily|strongly|specifically|typically|often))*"
_LEADS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\*\*{_LABEL}\s*:\*\*\s*|\*\*{_LABEL}\*\*\s*:\s*|{_LABEL}\s*:\s*",
        r"(?:(?:sure|certainly|of course|okay|ok)[,.!]*\s+)?here(?:['’]s|\s+is|\s+it\s+is)\b[^:]{0,80}:\s*",
        rf"(?:this|the)\s+neuron{_OFTEN}\s+(?:fires|activates|responds|reacts|is{_OFTEN}\s+(?:active|activated))"
        rf"{_OFTEN}\s+(?:on|to|for|by)\b\s*:?\s+(?=\S)",
    )
)
"""What may stand before the sentence on its line; an explanation never begins so."""
_NO_KEY = r'(?:(?!\{\s*").)*'
"""Anything in which no JSON object begins."""
_ANNOUNCES = re.compile(
    rf"(?:#+\s*)?(?:\*\*)?(?:{_LABEL}|sure|certainly|of course|okay|ok|{_NO_KEY}:)(?:\*\*)?[:!.]*(?:\*\*)?",
    re.IGNORECASE,
)
"""A line that can only be there for what follows it."""
_DOES_NOT = (
    r"(?:i|we)(?:\s+am|['’]m|\s+are)?\s+"
    r"(?:cannot|can\s+not|can['’]?t|could\s+not|couldn['’]t|will\s+not|won['’]t|unable\s+to|not\s+able\s+to|do\s+not|don['’]t)\s+"
    r"(?:assist|help|comply|provide|answer|determine|identify|explain|fulfil|continue|engage|discuss|analy[sz]e|do\s+th|give"
    r"|have|see|know|understand|write|create|generate)"
)
_REFUSES = re.compile(
    r"(?:as\s+an?\s+(?:ai|large\s+language|language)(?:\s+model|\s+assistant)?\b"
    rf"|(?:(?:(?:i\s+am|i['’]m)\s+(?:very\s+|so\s+)?sorry|sorry|i\s+apologi[sz]e|(?:my\s+)?apologies|unfortunately)[,.;:!]*\s+(?:but\s+)?)?{_DOES_NOT})",
    re.IGNORECASE,
)
_READABLE = 16 * MAX_TEXT
"""Characters beside a thought; more than that is not looked through for a sentence."""
_VISIBLE = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_WRAPS = (
    *(("```", "```"), ("**", "**"), ("`", "`"), ('"', '"'), ("'", "'")),
    *(("“", "”"), ("‘", "’"), ("„", "“"), ("«", "»")),
)
_FENCE = re.compile(r"(?:```|~~~)\w*")
_ITEM = re.compile(r"(?:[-*•–]|\d{1,2}[.)])\s+\S")
_NAMED = re.compile(r'\{\s*"(?:explanation|answer|hypothesis|summary|description)"\s*:', re.I)
_END = re.compile(r"""(\S*?)[.!?]+["'”’)\]]*(?=\s+["“'(]?[A-Z]|\s*\Z)""")
_ABBREVIATION = re.compile(
    "approx|apr|assn|aug|ave|blvd|capt|corp|dec|dept|dist|esp|est|etc|feb|fig|gen|gov|inc|jan|ltd|messrs|mrs|nov|oct|prof|rev"
    "|sen|sept?|sgt|univ|viz|vol",
    re.IGNORECASE,
)


def sentence(reply: Reply) -> str | Failure:
    """The sentence of a reply, at most `MAX_TEXT` characters, or the record of why there is none."""
    if reply.finish_reason == "content_filter":
        text, reason = "", "filtered"
    else:
        text, reason = _read(reply.text, reply.finish_reason == "length")
    return text if text else Failure("explain", reason, _MESSAGES[reason], reply.text)


def _read(text: str, cut: bool) -> tuple[str, str]:
    """The sentence, or an empty text and the reason; `cut` says that the text has no end."""
    rest = _after_thought(text).strip()
    if len(rest) > _READABLE:
        return "", "too_long"
    lines = [line.strip() for line in rest.splitlines()]
    lines = [line for line in lines if _VISIBLE.search(line) and not _FENCE.fullmatch(line)]
    while len(lines) > 1 and _ANNOUNCES.fullmatch(lines[0]):
        del lines[0]
    if not lines:
        return "", "truncated" if cut and text.strip() else "empty_reply"
    inside, reason = _from_json("\n".join(lines))
    if reason:
        return "", "truncated" if cut and reason == "no_sentence" else reason
    if inside:
        return _read(inside, False)
    if len(lines) > 1 and _ITEM.match(lines[0]) and _ITEM.match(lines[1]):
        return "", "no_sentence"
    found = _bare(lines[0])
    if _REFUSES.match(found):
        return "", "refusal"
    if cut and len(lines) == 1:
        # Whole sentences survive; half of one would be a claim that nobody made.
        found = _whole_sentences(found, min(len(found), MAX_TEXT))
        return found, "" if found else "truncated"
    if len(found) > MAX_TEXT:
        found = _whole_sentences(found, MAX_TEXT)
        return found, "" if found else "too_long"
    return found, "" if found else "empty_reply"


def _after_thought(text: str) -> str:
    """What follows the thought of a model that writes it into its reply."""
    if text.lstrip().startswith("<think>"):
        return text.partition("</think>")[2]
    return re.split(r"(?m)^[ \t]*</think>[ \t]*$", text)[-1]


def _from_json(text: str) -> tuple[str, str]:
    """The one text of a reply in JSON, or the reason why there is none; neither where it is no JSON.

    A number is no JSON here: `1990` is an explanation. An object with a key such as `explanation` counts wherever it stands.
    """
    named = _NAMED.search(text)
    at = named.start() if named else 0
    if named is None and not (text[0] in '{["' or text == "null"):
        return "", ""
    try:
        data, end = json.JSONDecoder().raw_decode(text, at)
    except (ValueError, RecursionError):
        return "", "no_sentence" if named else ""
    if named is None and text[end:].strip():
        return "", ""  # `"ice" and "snow"`
    data = _only(data)
    if data in (None, "", [], {}) or (isinstance(data, str) and not data.strip()):
        return "", "empty_reply"
    # Half of a surrogate pair can be escaped in JSON, but it is no character.
    whole = isinstance(data, str) and _SURROGATE.search(data) is None
    return (data, "") if whole else ("", "no_sentence")


def _only(data: Any) -> Any:
    """What objects and lists hold, as long as that is one thing."""
    while True:
        if isinstance(data, dict):
            named = [v for key, v in data.items() if re.fullmatch(_LABEL, key, re.IGNORECASE)]
            data = named or list(data.values())
        elif isinstance(data, list) and len(data) == 1:
            data = data[0]
        else:
            return data


def _bare(line: str) -> str:
    """A line without what stands before and round its sentence."""
    before = None
    while line != before:
        before = line
        for opening, closing in _WRAPS:
            inside = line[len(opening) : len(line) - len(closing)]
            if (
                len(line) >= len(opening) + len(closing)
                and line.startswith(opening)
                and line.endswith(closing)
                and opening not in inside
                and closing not in inside
            ):
                line = inside.strip()
        for lead in _LEADS:
            line = lead.sub("", line, count=1) if lead.match(line) else line
    return line


def _whole_sentences(text: str, limit: int) -> str:
    """The sentences that certainly end within so many characters: "the U.S." may go on, and so may "such as Corp."."""
    whole = ""
    for end in _END.finditer(text[: limit + 4]):
        word = end[1].strip("\"'“”‘’([")
        certain = len(word) > 2 and "." not in word and not _ABBREVIATION.fullmatch(word)
        if end.end() <= limit and (certain or text[end.end() - 1] in "!?"):
            whole = text[: end.end()]
    return whole
