"""Replies to explainers that are of no use, or only look it, in sweeps by the command line: what is in the catalogue afterwards."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from neuroexplain.errors import NO_ANSWER as ASKED_AGAIN
from neuroexplain.registry import BUILT_IN, find, needs_llm
from neuroexplain.testing import serve
from tests.hostile import (
    LONG,
    NO_ANSWER,
    NO_REPLY,
    ODD,
    Sent,
    Spoilt,
    good,
    said,
)
from tests.kept import SPARE, Catalogue, Explanation, Sweep, reasons
from tests.program import Result, neuroexplain
from tests.sweeps import Sweeps

EXPLAINERS = [n for n in BUILT_IN["explainer"] if needs_llm(find("explainer", n))]

USELESS: dict[str, Sent] = {
    "nothing": said("", "empty_reply"),
    "blanks": said(" \r\n\t\u2028", "empty_reply"),
    "what cannot be seen": said("\0\u200b\ufeff\x1b", "empty_reply"),
    "null": said("null", "empty_reply"),
    "null inside": said('{"explanation":\r\n null}', "empty_reply"),
    "a thought": said("<think>Is it ice? — “ice”, снег.</think>\n", "empty_reply"),
    "a refusal": said("I’m sorry, but I can’t help with that.\r\n", "refusal"),
    "a refusal in JSON": said('{"explanation": "I cannot determine one — é"}', "refusal"),
    "half a sentence": said("words about the U.S. Pre", "truncated", finish="length"),
    "half a number": said("masses such as 4.", "truncated", finish="length"),
    "half of JSON": said('{"explanation": "words ab', "truncated", finish="length"),
    "half of JSON, and no word of it": said('{"explanation": "wörds ab', "no_sentence"),
    "two texts": said('["ice", "снег"]', "no_sentence"),
    "points": said("- ice\r\n- snow\r\n", "no_sentence"),
    "the answer to another question": said('{"fires": [[1, 10], [2, 3]]}', "no_sentence"),
    "a number in JSON": said('{"explanation": 1990}', "no_sentence"),
    "half a pair in JSON": said('{"explanation": "half of 🧊: \\ud83e"}', "no_sentence"),
    "10 kB": said(LONG.replace("\r\n", " "), "too_long"),
    "10 kB in JSON": said(json.dumps({"explanation": "U.S. " * 2000}), "too_long"),
    "brackets": said("[" * 9000, "too_long"),
}
SENTENCES = (
    *("1990s", "4.5 kg", "U.S. presidents, e.g. in 1990s", "Theater", "Allergies", "U.S.", "1990", "3.14"),
    *('the word "ice", and “snow” after it', "'quoted' at one end", "«neige» ou ‹glace›", "names (e.g. “HMS”)"),
    *("naïve café 河 🧊", "👩‍🚀 and 🏳️‍🌈", "e\u0301 in two parts", "كلمات عن الثلج", "שלג and \u200fmixed\u200e words"),
    *("a\ttab and  two spaces", "\\n and \\u0041 as they stand", "nul\0inside", "a bell\x07 and \x1b[31mcolour\x1b[0m"),
    *("{{ x }} in templates", "{% raw %}", "<script>alert(1)</script>", "50 % of %d", "a; DROP TABLE explanation; --"),
    *("null pointers", "NaN and inf", "None of it", "[bold]markup[/bold]", "https://example.org/?q=1&r=2#s", "I cannot and other modals"),
)  # fmt: skip
SURVIVORS: dict[str, Sent] = {
    **{f"bare {text}": said(text, explains=text) for text in SENTENCES},
    **{
        f"in JSON {text}": said(json.dumps({"explanation": text}), explains=text)
        for text in SENTENCES
    },
    "prose round JSON": said('Sure!\r\n{"explanation": "4.5 kg"}\r\nI hope this helps.', explains="4.5 kg"),
    "a fence": said('```json\r\n{"explanation": "U.S. “ice”"}\r\n```', explains="U.S. “ice”"),
    "a label": said("**Explanation:** the 1990s\r\n\r\nBecause of 1. and 2.", explains="the 1990s"),
    "a label and a thought": said("<think>1. ice\n2. snow</think>\nExplanation: 4.5 kg", explains="4.5 kg"),
    "the first of two lines": said("Theater\nAllergies\n", explains="Theater"),
    "what is whole": said("In the 1990s. And in the 20", explains="In the 1990s.", finish="length"),
}  # fmt: skip
BAD: dict[str, Sent] = {**USELESS, **NO_REPLY, **NO_ANSWER}
SENT: dict[str, Sent] = {**BAD, **ODD, **SURVIVORS}


@pytest.fixture(scope="module")
def collected(sweeps: Sweeps, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue with all that explainers may want; not to be written to."""
    path = sweeps.copy(tmp_path_factory.mktemp("collected") / "c.sqlite")
    made = neuroexplain("ngrams", "--catalogue", str(path))
    assert made.code == 0, made.err
    return path


def check_failed(row: Explanation, expected: Sent) -> None:
    assert row.raw is not None and row.raw.decode() == expected.raw
    assert (row.text, row.status, row.reason) == (b"", "failed", expected.reason)
    assert row.message and row.message.isprintable()


def check_catalogue(found: Catalogue, true: Catalogue, sent: Mapping[int, Sent]) -> None:
    """Every bad reply is a failure that keeps it, every text is as it came, and nobody else's results are touched."""
    texts = {row.neuron: row.text for row in true.explanations}
    for row in found.explanations:
        expected = sent.get(row.neuron)
        if expected is not None and expected.reason:
            check_failed(row, expected)
        elif expected is not None and expected.text is not None:
            assert (row.text.decode(), row.status, row.raw) == (expected.text, "ok", None)
        else:
            assert row.text == texts[row.neuron]
    assert [row.neuron for row in found.explanations] == list(texts), "one of each"
    failed = {neuron for neuron, one in sent.items() if one.reason}
    levels, true_levels = found.levels(), true.levels()
    assert levels.keys() == true_levels.keys() - failed
    for neuron, spans in levels.items():
        assert spans.keys() == true_levels[neuron].keys()
        assert all(s is not None and 0 <= s.min() <= s.max() <= 10 for s in spans.values())
    assert {row.neuron for row in found.scores} == {row.neuron for row in true.scores} - failed
    changed = {neuron for neuron, one in sent.items() if one.reason or one.text is not None}
    untouched = texts.keys() - changed
    assert found.about(untouched) == true.about(untouched)
    assert len(untouched) >= SPARE


@pytest.mark.parametrize("explainer", EXPLAINERS)
def test_every_bad_reply_is_a_failure_that_keeps_it(
    explainer: str, sweeps: Sweeps, collected: Path, tmp_path: Path
) -> None:
    options = ("--score-top", "1", "--score-random", "1", "--score-quantile", "0", "--null", "0")
    sweep = Sweep(
        *(sweeps, "--explainer", explainer, "--simulator", "sparse", "--bootstrap", "10"),
        *(*options, "--neurons", f"0:0-{len(SENT) + 2 * SPARE - 1}"),
    )
    true_path, path = tmp_path / "true.sqlite", tmp_path / "hostile.sqlite"
    shutil.copy(collected, true_path)
    shutil.copy(collected, path)
    with serve(good) as server:
        undisturbed = sweep(true_path, server.base_url)
    true = Catalogue(true_path)
    explained = [row for row in true.explanations if row.status == "ok"]
    neurons = {row.prompt_sha256 or "": row.neuron for row in explained}
    assert len(neurons) == len(explained), "no two have one prompt"
    sent = dict(zip(sorted(neurons.values()), SENT.values(), strict=False))
    assert len(sent) == len(SENT)
    patient = frozenset(n for n, one in sent.items() if one.reason in ASKED_AGAIN)

    with serve(Spoilt(neurons, sent, patient=patient)) as server:
        first = sweep(path, server.base_url)
        asked = len(server.chats)
        check_catalogue(Catalogue(path), true, sent)
        again = sweep(path, server.base_url)
        # What never was a reply may be one now; no other is asked for again.
        assert len(server.chats) - asked == sum(not one.is_reply for one in sent.values())
    check_catalogue(Catalogue(path), true, sent)
    expected = Counter(one.reason for one in sent.values() if one.reason)
    assert (first.code, again.code) == (3, 3), first.err
    assert reasons(first) == reasons(again) == dict(expected + Counter(reasons(undisturbed)))


FEW = ("--score-top", "2", "--score-random", "2", "--score-quantile", "0", "--null", "0", "--bootstrap", "10")  # fmt: skip


def retry(path: Path, url: str, run: int, *more: str) -> Result:
    server = ("--base-url", f"{url},name=here", "--no-probe", "--catalogue", str(path))
    return neuroexplain("runs", "retry", str(run), *server, *more, "--json", OPENAI_API_KEY="none")


def test_some_candidates_of_a_neuron(sweeps: Sweeps, tmp_path: Path) -> None:
    """A neuron is well as long as one of its candidates is; the others are failures beside it."""
    sweep = Sweep(
        *(sweeps, "--explainer", "highlight", "--simulator", "sparse", *FEW),
        *("--candidates", "3", "--neurons", "0:0-9"),
    )
    true_path, path = (sweeps.copy(tmp_path / f"{n}.sqlite") for n in ("true", "hostile"))
    with serve(good) as server:
        sweep(true_path, server.base_url)
    candidates: dict[int, list[Explanation]] = {}
    for row in Catalogue(true_path).explanations:
        candidates.setdefault(row.neuron, []).append(row)
    bad = iter(("nothing", "a refusal", "10 kB", "two texts", "null", "blanks", "brackets"))
    places = ((0, 0), (1, 1), (2, 0), (2, 2), (3, 0), (3, 1), (3, 2))
    chosen = {candidates[n][place].number: USELESS[next(bad)] for n, place in places}
    prompts = {r.prompt_sha256 or "": r.number for rows in candidates.values() for r in rows}
    with serve(Spoilt(prompts, chosen)) as server:
        done = sweep(path, server.base_url, "--json")
        asked = len(server.chats)
        assert sweep(path, server.base_url).code == 3
        assert len(server.chats) == asked
    assert (done.code, reasons(done)) == (3, {chosen[candidates[3][0].number].reason: 1})
    assert (done.json["counts"]["explained"], done.json["counts"]["scored"]) == (9, 9)
    found = Catalogue(path)
    for row in found.explanations:
        expected = chosen.get(prompts[row.prompt_sha256 or ""])
        if expected is None:
            assert row.status == "ok"
        else:
            check_failed(row, expected)
    assert [row.neuron for row in found.explanations] == [n for n in range(10) for _ in range(3)]
    # One of the good ones is scored on `test`.
    assert {row.neuron for row in found.scores} == {*range(10)} - {3}
    assert len(found.scores) == 2 * 9
    good_ones = {row.number for row in found.explanations if row.status == "ok"}
    scored = {n for (n,) in found.rows("SELECT explanation_id FROM v_scores WHERE split = 'test'")}
    assert scored <= good_ones


def test_a_revision_that_fails_leaves_the_explanation_as_it_was(
    sweeps: Sweeps, tmp_path: Path
) -> None:
    sweep = Sweep(
        *(sweeps, "--explainer", "token-activation", "--simulator", "sparse", *FEW),
        *("--revise", "1", "--neurons", "0:0-7"),
    )
    true_path, path = (sweeps.copy(tmp_path / f"{n}.sqlite") for n in ("true", "hostile"))
    with serve(good) as server:
        sweep(true_path, server.base_url)
    query = "SELECT lower(hex(e.prompt_sha256)), n.idx FROM explanation e JOIN neuron n ON n.id = e.neuron_id WHERE e.parent_id IS NOT NULL"
    prompts = dict(Catalogue(true_path).rows(query))
    assert len(prompts) == 8, "all are revised"
    bad = dict(enumerate([USELESS["a refusal"], USELESS["10 kB"], *NO_REPLY.values()][:4]))
    with serve(Spoilt(prompts, bad)) as server:
        done = sweep(path, server.base_url, "--json")
    assert (done.code, reasons(done), done.json["counts"]["scored"]) == (0, {}, 8)
    found = Catalogue(path)
    failed = [row for row in found.explanations if row.status == "failed"]
    assert [row.neuron for row in failed] == [*bad]
    for row in failed:
        check_failed(row, bad[row.neuron])
    parents = {row.number for row in found.explanations if row.status == "ok" and row.neuron in bad}
    scored = {n for (n,) in found.rows("SELECT explanation_id FROM v_scores WHERE split = 'test'")}
    assert len(parents) == len(bad) and parents <= scored
    with serve(good) as server:
        mended = retry(path, server.base_url, done.json["run_id"])
    assert (mended.code, mended.json["retried"]) == (0, 2), "two that had come, and were of no use"
    ok = [row for row in Catalogue(path).explanations if row.status == "ok"]
    assert sorted(row.text for row in ok) == sorted(
        row.text for row in Catalogue(true_path).explanations
    )


STEERING = said("blue \x1b]0;title\x07words\x1b[2J", explains="blue \x1b]0;title\x07words\x1b[2J")


def test_failures_and_texts_are_shown_as_they_are_and_steer_no_terminal(
    sweeps: Sweeps, tmp_path: Path
) -> None:
    sweep = Sweep(
        *(sweeps, "--explainer", "token-activation", "--simulator", "sparse", *FEW),
        *("--neurons", "0:0-9"),
    )
    true_path, path = (sweeps.copy(tmp_path / f"{n}.sqlite") for n in ("true", "hostile"))
    with serve(good) as server:
        sweep(true_path, server.base_url)
    prompts = {r.prompt_sha256 or "": r.neuron for r in Catalogue(true_path).explanations}
    refusal = NO_REPLY["a refusal"]
    bad = dict(enumerate((USELESS["nothing"], USELESS["null"], USELESS["10 kB"], refusal)))
    hostile = bad | {4: STEERING, 5: said("שלג and “ice”", explains="שלג and “ice”")}
    with serve(Spoilt(prompts, hostile)) as server:
        done = sweep(path, server.base_url)
        url = server.base_url
    here, run = ("--catalogue", str(path)), int(re.findall(r"^run (\d+):", done.err, re.M)[0])
    pages = [neuroexplain("show", f"tiny/0/{neuron}", *here, COLUMNS="200") for neuron in range(6)]
    for neuron, why in (
        (0, "empty_reply: the reply is empty"),
        (2, "too_long: the reply is longer than 512 characters"),
        (3, rf"refusal: the model at {url} refused: désolé — no \x1b[2J\ud83e"),
    ):
        shown = " ".join(pages[neuron].out.split())
        assert f"token-activation, openai:test-model: failed, {why}" in shown
        page = neuroexplain("show", f"tiny/0/{neuron}", *here, "--json").json
        (explanation,) = page["explanations"]
        assert (explanation["status"], explanation["reason"]) == ("failed", bad[neuron].reason)
        assert explanation["text"] == ""
        assert explanation["scores"] == explanation["simulations"] == []
    for neuron in (4, 5):
        page = neuroexplain("show", f"tiny/0/{neuron}", *here, "--json").json
        assert [e["text"] for e in page["explanations"]] == [hostile[neuron].text]
        assert page["explanations"][0]["scores"]
    assert "שלג and “ice”  (token-activation, openai:test-model)" in pages[5].out
    listed = neuroexplain("runs", *here, COLUMNS="200")
    assert "2 empty_reply, 1 refusal, 1 too_long" in " ".join(listed.out.split())
    one = neuroexplain("runs", "show", str(run), *here)
    assert "2 failed: empty_reply\n1 failed: refusal\n1 failed: too_long\n" in one.out
    found = neuroexplain("search", *here, COLUMNS="200")
    for result in (*pages, listed, one, found, done):
        assert all(c.isprintable() or c == "\n" for c in result.out), "no control character"
    assert r"blue \x1b]0;title\x07words\x1b[2J" in found.out
    rows = neuroexplain("search", *here, "--json").json
    assert {STEERING.text, "שלג and “ice”"} <= {row["text"] for row in rows}
    with serve(good) as server:
        mended = retry(path, server.base_url, run)
    assert (mended.code, mended.json["retried"]) == (0, 3)
    after, true = Catalogue(path).about({*range(4)}), Catalogue(true_path).about({*range(4)})
    assert [row for row in after["explanations"] if row[4] == "ok"] == true["explanations"]
    assert (after["simulations"], after["scores"]) == (true["simulations"], true["scores"])
