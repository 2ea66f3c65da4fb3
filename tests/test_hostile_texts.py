"""Replies of no use where texts are to be written: a failure and no score, and texts that survive byte for byte."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from neuroexplain.scorers.synthetic import LONGEST
from neuroexplain.testing import serve
from tests.hostile import (
    NO_ANSWER,
    NO_REPLY,
    ODD,
    UNREADABLE,
    Sent,
    Spoilt,
    bad,
    good,
    said,
    worse,
)
from tests.kept import NEURONS, Place, explain, reasons, scoring
from tests.program import neuroexplain
from tests.sweeps import Sweeps

WRITTEN = (
    "1990s",
    "4.5 kg",
    "1. e4 e5",
    "the U.S.",
    "Theater",
    "  led by spaces",
    "“ice”, 'snow'",
    "\\n as it stands",
)
OTHERS = (
    "تكتب من اليمين",
    "שלג",
    "👩‍🚀 🧊",
    "a\ttab",
    "\x1b[2J",
    "e\u0301",
    "100 %",
    "{{ x }}",
    "NaN",
    "null",
)
TEXTS = (*WRITTEN, *OTHERS, "at its end ", "x" * LONGEST)
"""Twenty, all of which have to survive."""


def written(texts: Sequence[object], reason: str = "too_few_texts") -> Sent:
    return said(json.dumps({"texts": texts}, ensure_ascii=False), reason)


WRITING: dict[str, Sent] = {
    **{
        n: one
        for n, one in UNREADABLE.items()
        if '"fires"' not in (one.raw or "") and n != "two lists"
    },
    "half": said('{"texts": ["the pond fr', "truncated", finish="length"),
    "worse": worse('{"texts": 0}', " “null”\t"),
    "no texts": said('{"texts":\r\n []}', "too_few_texts"),
    "half of what is wanted but one": written([f"text {n}" for n in range(9)]),
    "one text all over": written(["Theater", " theater", "THEATER\t"] * 10),
    "what no tokenizer reads": written(["", " \n", "nul\0", "x" * (LONGEST + 1)] * 10),
    "half pairs": said(json.dumps(["\ud83e"] * 20), "too_few_texts"),
    "numbers": written([1990, 4.5] * 10, "parse_failed"),
    "objects": written([{"text": "ice"}] * 20, "parse_failed"),
    "null among texts": written([*TEXTS, None], "parse_failed"),
    "lines": bad("1. 1990s\r\n2. 4.5 kg\r\n"),
    "prose round it": bad(f"Sure:\n{json.dumps(TEXTS)}"),
    **NO_REPLY,
    **NO_ANSWER,
}
SURVIVING: dict[str, Sent] = {
    "an object": said(json.dumps({"texts": TEXTS})),
    "a list": said(json.dumps(TEXTS, ensure_ascii=False)),
    "a fence": said(f"```json\r\n{json.dumps({'texts': TEXTS})}\r\n```"),
    "some twice": said(json.dumps([*TEXTS[:10], *TEXTS])),
    "more than are wanted": said(json.dumps([*TEXTS, "one more"])),
}
TEXT_SETS = """
    SELECT n.idx, t.source, t.reason, CAST(t.raw_reply AS BLOB), t.texts, t.n, t.wanted FROM text_set t
    JOIN explanation e ON e.id = t.explanation_id JOIN neuron n ON n.id = e.neuron_id ORDER BY n.idx, t.id
"""


def test_texts_that_are_not_written_are_a_failure_and_no_score(
    sweeps: Sweeps, tmp_path: Path
) -> None:
    explained = explain(sweeps, tmp_path / "explained.sqlite")
    place = Place(sweeps, explained, tmp_path, scoring("synthetic", 1, 1))
    chosen = place.assign(WRITING | SURVIVING | ODD)
    with serve(Spoilt(place.neurons, chosen, explaining=False)) as server:
        first = place.sweep(place.path, server.base_url)
        asked, rows = len(server.chats), place.found.rows(TEXT_SETS)
        again = place.sweep(place.path, server.base_url)
        assert len(server.chats) - asked == len(NO_ANSWER)
    assert (first.code, again.code) == (3, 3), first.err
    expected = Counter(one.reason for one in chosen.values() if one.reason)
    assert reasons(first) == reasons(again) == expected
    true = {row[0]: row for row in place.true.rows(TEXT_SETS)}
    assert [row[0] for row in rows] == [*true] == [*range(NEURONS)]
    surviving = {n for n, one in chosen.items() if one in SURVIVING.values()}
    assert len(surviving) == len(SURVIVING)
    for neuron, source, reason, raw, texts, n, wanted in rows:
        assert (source, wanted) == ("llm", 20)
        if neuron in chosen and chosen[neuron].reason:
            assert (reason, raw) == (chosen[neuron].reason, (chosen[neuron].raw or "").encode())
            assert (json.loads(texts), n) == ([], 0)
        elif neuron in surviving:
            assert (tuple(json.loads(texts)), n, reason) == (TEXTS, 20, None)
        else:
            assert (neuron, source, reason, raw, texts, n, wanted) == true[neuron]
    for score in place.found.scores:
        if score.neuron in chosen and chosen[score.neuron].reason:
            assert (score.value, score.reason) == (None, "generation_failed")
        else:
            assert score.value is not None and math.isfinite(score.value)
    assert {s.neuron for s in place.found.scores} == {*range(NEURONS)}
    listed = neuroexplain("runs", "--catalogue", str(place.path), "--json").json
    assert listed[1]["failures"] == expected
    with serve(good) as server:
        mended = place.retry(server.base_url, listed[1]["run_id"])
    assert mended.code == 0, mended.err
    newest = {row[0]: row for row in place.found.rows(TEXT_SETS)}
    assert all(newest[neuron] == true[neuron] for neuron in true if neuron not in surviving)
