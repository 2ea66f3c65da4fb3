"""Replies to simulators, and to scorers that ask, that are of no use: spans that fail are failures, and no zeros."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from neuroexplain.errors import NO_ANSWER as ASKED_AGAIN
from neuroexplain.registry import BUILT_IN, PluginKind, find, needs_llm
from neuroexplain.testing import serve
from tests.hostile import NO_ANSWER, NO_REPLY, ODD, UNREADABLE, Sent, Spoilt, bad, good, repaired
from tests.kept import Catalogue, Place, Sweep, check_spans, explain, reasons, scoring
from tests.program import neuroexplain
from tests.sweeps import Sweeps

LISTS = ("sparse", "detection", "fuzzing")
"""What reads a list in JSON, and asks once more where it cannot be read."""
ALONE = ("per-token", "logprob", "synthetic")


def test_whatever_asks_is_here() -> None:
    kinds: tuple[PluginKind, ...] = ("simulator", "scorer")
    asking = {n for kind in kinds for n in BUILT_IN[kind] if needs_llm(find(kind, n))}
    assert asking == {*LISTS, *ALONE}


ENTRIES: dict[str, dict[str, Sent]] = {
    "sparse": {
        "no such line": bad('{"fires":[[99,"a",5]]}'),
        "no such text": bad('{"fires":[[1,"désolé 🧊",5]]}'),
        "too high": bad('[[0,"a",11]]'),
        "too low": bad('[[0,"a",-1]]'),
        "half a level": bad('[[0,"a",7.5]]'),
        "not a number": bad('[[0,"a",NaN]]'),
        "twice": bad('[[0,"a",5],[0,"a",6]]'),
    },
    "detection": {
        "no such number": bad('{"fires": [[99, 5]]}'),
        "number 0": bad('{"fires": [[0, 5]]}'),
        "too high": bad("[[1, 11]]"),
        "too low": bad("[[1, -0.5]]"),
        "infinite": bad("[[1, 1e999]]"),
        "not a number": bad("[[1, NaN]]"),
        "twice": bad("[[1, 5], [1, 5]]"),
    },
}
ENTRIES["fuzzing"] = ENTRIES["detection"]
WELL: dict[str, Sent] = {
    **ODD,
    "a fence": Sent(lambda _, well: f"```json\r\n{well}\r\n```\n"),
    "blanks round it": Sent(lambda _, well: f"\t\r\n{well} \n"),
    "repaired": repaired("oops"),
    "repaired after nothing": repaired(""),
}
"""As good as a good reply."""


@pytest.fixture(scope="module")
def explained(sweeps: Sweeps, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue with good explanations; not to be written to."""
    return explain(sweeps, tmp_path_factory.mktemp("explained") / "c.sqlite")


@pytest.mark.parametrize("name", LISTS)
def test_a_neuron_whose_only_reply_is_bad_has_failed(
    name: str, sweeps: Sweeps, explained: Path, tmp_path: Path
) -> None:
    place = Place(sweeps, explained, tmp_path, scoring(name, 2, 2))
    replies = UNREADABLE | ENTRIES[name] | NO_REPLY | NO_ANSWER | WELL
    chosen = place.assign(replies)
    with serve(Spoilt(place.neurons, chosen, explaining=False)) as server:
        first = place.sweep(place.path, server.base_url)
        asked = len(server.chats)
        check_spans(place.found, place.true, chosen)
        again = place.sweep(place.path, server.base_url)
        # What did not come may come now; no other is asked for again.
        missing = sum(one.reason in ASKED_AGAIN for one in chosen.values())
        assert len(server.chats) - asked == missing == len(NO_ANSWER)
    check_spans(place.found, place.true, chosen)
    expected = Counter(one.reason for one in chosen.values() if one.reason)
    assert (first.code, again.code) == (3, 3), first.err
    assert reasons(first) == reasons(again) == expected
    failed = next(neuron for neuron, one in chosen.items() if one.reason == "parse_failed")
    here = ("--catalogue", str(place.path))
    page = neuroexplain("show", f"tiny/0/{failed}", *here, COLUMNS="200")
    assert "undefined, parse_failed" in page.out
    (shown,) = neuroexplain("show", f"tiny/0/{failed}", *here, "--json").json["explanations"]
    assert {(s["status"], s["reason"], s["expected"]) for s in shown["simulations"]} == {
        ("failed", "parse_failed", None)
    }
    assert {(s["value"], s["reason"]) for s in shown["scores"]} == {(None, "parse_failed")}
    newest, before, *_ = neuroexplain("runs", *here, "--json").json
    assert before["failures"].keys() == expected.keys()
    assert newest["failures"].keys() == expected.keys() & ASKED_AGAIN


PARTLY = {
    "sparse": scoring("sparse", 2, 2, "--simulator-set", "spans_per_call=2"),
    "detection": scoring("detection", 10, 10, "--score-quantile", "1"),
    "fuzzing": scoring("fuzzing", 10, 10, "--score-quantile", "1"),
}
SOME = ("nothing", "null", "10 kB", "half", "a refusal")


@pytest.mark.parametrize("name", PARTLY)
def test_a_bad_reply_among_good_ones_fails_its_own_spans(
    name: str, sweeps: Sweeps, explained: Path, tmp_path: Path
) -> None:
    place = Place(sweeps, explained, tmp_path, PARTLY[name])
    chosen = place.assign({n: UNREADABLE[n] for n in SOME} | {"no text": NO_REPLY["null"]} | WELL)
    with serve(Spoilt(place.neurons, chosen, explaining=False, from_=1)) as server:
        done = place.sweep(place.path, server.base_url, "--json")
        asked = len(server.chats)
        assert place.sweep(place.path, server.base_url).code == 0
        assert len(server.chats) == asked
    found = place.found
    check_spans(found, place.true, chosen)
    failing = {neuron for neuron, one in chosen.items() if one.reason}
    assert (done.code, reasons(done)) == (0, {})
    assert done.json["counts"]["simulated in part"] == len(failing) == len(SOME) + 1
    assert {row.neuron for row in found.failed_spans} == failing
    coverages = {s.coverage for s in found.scores if s.neuron in failing}
    assert all(0 < coverage < 1 for coverage in coverages)


TRIED = """
    SELECT DISTINCT n.idx, e.id, s.value IS NULL, s.reason, s.split FROM v_scores s
    JOIN explanation e ON e.id = s.explanation_id JOIN neuron n ON n.id = e.neuron_id WHERE s.scorer = 'correlation'
"""
TRIED_IN_VAIN = """
    SELECT s.explanation_id, s.split, f.reason, CAST(f.raw_reply AS BLOB)
    FROM simulation_failure f JOIN simulation s ON s.id = f.simulation_id
"""


def test_a_candidate_whose_trial_fails_is_not_chosen(sweeps: Sweeps, tmp_path: Path) -> None:
    """Where all of them fail, the first one is, and has no score."""
    sweep = Sweep(
        *(sweeps, "--explainer", "highlight", "--candidates", "3", "--neurons", "0:0-9"),
        *(*scoring("sparse", 2, 2), "--null", "0", "--bootstrap", "10", "--score-quantile", "0"),
    )
    true_path, path = (sweeps.copy(tmp_path / f"{n}.sqlite") for n in ("true", "hostile"))
    with serve(good) as server:
        assert sweep(true_path, server.base_url).code == 0
    true = Catalogue(true_path)
    texts = {row.text.decode(): row.number for row in true.explanations}
    numbers = {n: [r.number for r in true.explanations if r.neuron == n] for n in range(10)}
    best = {neuron: number for neuron, number, *_, split in true.rows(TRIED) if split == "test"}
    replies = [UNREADABLE[n] for n in SOME]
    chosen = {best[neuron]: replies[neuron] for neuron in range(4)}
    chosen |= dict.fromkeys(numbers[4], replies[4])
    with serve(Spoilt(texts, chosen, explaining=False)) as server:
        done = sweep(path, server.base_url)
    assert (done.code, reasons(done)) == (3, {"parse_failed": 1})
    found = Catalogue(path)
    number_of = {row.number: texts[row.text.decode()] for row in found.explanations}
    for number, _, reason, raw in found.rows(TRIED_IN_VAIN):
        expected = chosen[number_of[number]]
        assert (reason, raw) == (expected.reason, (expected.raw or "").encode())
    rows = [(n, number_of[number], *rest) for n, number, *rest in found.rows(TRIED)]
    in_vain = {(number, split) for _, number, undefined, _, split in rows if undefined}
    assert in_vain == {(number, "select") for number in chosen} | {(numbers[4][0], "test")}
    assert {reason for *_, undefined, reason, _ in rows if undefined} == {"parse_failed"}
    after = {neuron: number for neuron, number, *_, split in rows if split == "test"}
    assert {n for n in range(10) if after[n] != best[n]} >= {0, 1, 2, 3}
    assert all(after[n] == best[n] for n in range(5, 10))
