"""Reviews out and in: nothing is lost, nothing comes twice, and two files agree in whatever order they met."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neuroexplain.catalogue import Reviews
from neuroexplain.catalogue.reviewing import exchange
from neuroexplain.errors import ExchangeError
from neuroexplain.records import NeuronId
from neuroexplain.reviewed import (
    Adjudicated,
    Edited,
    Event,
    Judged,
    MarkedSpan,
    Preferred,
    Queue,
    QueueItem,
    SavedQuery,
    Seen,
    Simulated,
    Skipped,
    Stratum,
    Target,
    Undone,
    Written,
)

NEURON = NeuronId("tiny/deep", 2, 3, -1)
ODD = 'a "b" \\ \u202e\0 \u2028 <script> 🧊\n'
SAID = (
    Judged("partly", 2, ("geography", ODD), ODD, "frozen rivers"),
    Judged("cannot-tell"),
    Skipped(),
    Preferred("tie", "both"),
    Written(ODD),
    Edited("thin ice", "sparse"),
    Simulated((MarkedSpan(4, 7, (0, 10, 3)),), "correlation", 0.1 + 0.2, None, -0.5, 1.0),
    Simulated((), "correlation", None, "no_variance"),
    Adjudicated("wrong", "after talk"),
    Undone("e1"),
)


def at(second: int) -> str:
    return f"2026-11-25T12:00:{second:02}.125+00:00"


def event(uuid: str, data: Any, second: int, by: str = "ann", text: str = ODD) -> Event:
    return Event(uuid, by, Target.of(NEURON, text), data, at(second))


def fill(reviews: Reviews) -> Reviews:
    for n, data in enumerate(SAID):
        full: dict[str, Any] = {"queue": "q", "position": n, "seconds": n / 3} if n % 2 else {}
        seen = Seen("scores", "tokens", "m", 0.25, "1")
        made = replace(event(f"e{n}", data, n), seen=seen, **full)
        other = Target.of(NEURON, "right") if isinstance(data, Preferred) else None
        reviews.add(replace(made, other=other))
    items = [
        QueueItem(0, Target.of(NEURON, ODD), Target.of(NEURON, "right"), 1, 2.5, True),
        QueueItem(1, Target.of(NEURON, "left"), weight=None),
    ]
    strata = (Stratum("layer 0", 7, 0), Stratum("layer 2", 5, 2))
    plan = {"query": 'text:"ice"', "shared": 0.5}
    reviews.make_queue(
        Queue("q", ODD, "pairwise", "scores", -(2**63), plan, strata, 2, "ann", at(3)), items
    )
    reviews.save_query(SavedQuery("mine", "layer:2", "ann", ""))
    return reviews


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Reviews]:
    return lambda name: Reviews(tmp_path / f"{name}.sqlite")


def lines(reviews: Reviews) -> list[str]:
    return list(reviews.export())


def stream(given: list[str]) -> io.BytesIO:
    return io.BytesIO("".join(given).encode())


def test_nothing_is_lost(file: Callable[[str], Reviews]) -> None:
    with fill(file("a")) as a, file("b") as b:
        taken = b.take_lines(stream(lines(a)), "a")
        assert taken.new == {"events": len(SAID), "queues": 1, "queries": 1}
        assert taken.targets == {Target.of(NEURON, ODD)}
        assert b.log() == a.log()
        assert b.judgements() == a.judgements()
        (queue,) = b.queues()
        assert [queue] == a.queues()
        assert b.items(queue) == a.items(queue)
        assert b.saved_queries() == a.saved_queries()
        assert lines(b) == lines(a)


class _Slow(io.BytesIO):
    """Lines of somebody who takes their time; meanwhile a reviewer decides."""

    def __init__(self, given: bytes, meanwhile: Callable[[], object]) -> None:
        super().__init__(given)
        self._meanwhile = meanwhile

    def readline(self, size: int | None = -1, /) -> bytes:
        self._meanwhile()
        return super().readline(size)


def test_no_decision_waits_for_whoever_writes_the_lines(
    file: Callable[[str], Reviews], tmp_path: Path
) -> None:
    with fill(file("a")) as a, file("b") as b, Reviews(b.path, timeout=0.2) as other:
        said = (event(f"m{n}", Judged("wrong"), 50, by="cid") for n in range(1000))
        taken = b.take_lines(_Slow("".join(lines(a)).encode(), lambda: other.add(next(said))), "a")
        assert taken.new["events"] == len(SAID)
        assert len(b.counting("verdict", reviewer="cid")) == len(lines(a)) + 1


def test_a_decision_gets_its_turn_while_a_long_queue_is_written(
    file: Callable[[str], Reviews],
) -> None:
    items = [QueueItem(n, Target.of(NEURON, f"text {n}")) for n in range(2000)]
    with file("a") as a, Reviews(a.path, timeout=0.2) as other:
        queue = Queue("q", "long", "verdict", "none", 0, {}, (), 0, "ann", "")
        thread = threading.Thread(target=a.make_queue, args=(queue, items))
        thread.start()
        sizes = set()
        while thread.is_alive():
            with other._database.reading() as connection:
                sizes.add(connection.exec_driver_sql("SELECT count(*) FROM target").scalar_one())
        thread.join()
        assert [i.target for i in a.items(a.queue("q"))] == [i.target for i in items]
        assert sizes - {0, len(items)}, "all of it was written at once"


def test_what_comes_again_changes_nothing(file: Callable[[str], Reviews]) -> None:
    with fill(file("a")) as a, file("b") as b:
        b.take(a)
        before = lines(b)
        for taken in (b.take(a), b.take_lines(stream(before), "a")):
            assert set(taken.new.values()) == {0}
            assert taken.known == {"events": len(SAID), "queues": 1, "queries": 1}
            assert taken.targets == frozenset()
        assert lines(b) == before


def test_merging_both_ways_gives_the_same(file: Callable[[str], Reviews]) -> None:
    with file("a") as a, file("b") as b:
        a.add(event("1", Judged("wrong"), 1))
        b.add(event("3", Judged("correct"), 3))
        a.add(event("2", Judged("partly"), 5, "bob"))
        b.add(event("4", Judged("too-broad"), 4, "bob"))
        b.add(event("5", Undone("3"), 6))
        a.take(b)
        b.take(a)
        assert a.judgements() == b.judgements()
        assert [(j.reviewer, j.verdict) for j in a.judgements()] == [("ann", "wrong"), ("bob", "partly")]  # fmt: skip
        assert lines(a) == lines(b)


def test_an_undo_may_come_before_what_it_takes_back(file: Callable[[str], Reviews]) -> None:
    with file("a") as a, file("b") as b:
        a.add(event("1", Judged("wrong"), 1))
        a.add(event("2", Undone("1"), 2))
        head, first, second = lines(a)
        b.take_lines(stream([head, second]), "undo")
        b.take_lines(stream([head, first]), "verdict")
        assert b.judgements() == []
        assert lines(b) == lines(a)


def test_the_undo_of_another_is_kept_and_without_effect(file: Callable[[str], Reviews]) -> None:
    with file("a") as a, file("b") as b:
        a.add(event("1", Judged("wrong"), 1))
        a.add(event("2", Undone("1"), 2))
        head, first, second = lines(a)
        b.take_lines(stream([head, second.replace('"ann"', '"eve"'), first]), "x")
        assert [j.verdict for j in b.judgements()] == ["wrong"]


def test_other_contents_under_a_uuid_are_refused_and_nothing_is_taken(
    file: Callable[[str], Reviews],
) -> None:
    with file("a") as a, file("b") as b:
        a.add(event("0", Judged("correct"), 0))
        a.add(event("1", Judged("wrong"), 1))
        b.add(event("1", Judged("partly"), 1))
        with pytest.raises(ExchangeError, match="event 1 of ann is there already and says"):
            b.take(a)
        with pytest.raises(ExchangeError, match="x, line 3: event 1 of ann is there already"):
            b.take_lines(stream(lines(a)), "x")
        assert [e.uuid for e in b.log()] == ["1"]
    with fill(file("c")) as c, file("d") as d:
        d.take(c)
        changed = [line.replace('"shared":true', '"shared":false') for line in lines(c)]
        with pytest.raises(ExchangeError, match=r'(?s)x, line 2: queue q ".*other contents'):
            d.take_lines(stream(changed), "x")


def test_of_two_queries_of_one_name_the_later_stands(file: Callable[[str], Reviews]) -> None:
    with file("a") as a, file("b") as b:
        a.save_query(SavedQuery("mine", "layer:1", "ann", ""))
        old = [line.replace("2026", "2020").replace("layer:1", "layer:0") for line in lines(a)]
        old = [json.dumps(json.loads(line)) + "\n" for line in old]
        old[1] = json.dumps({"query": json.loads(old[1])["query"] | {"made_at": at(0).replace("2026", "2020")}})  # fmt: skip
        assert b.take_lines(stream(old), "old").new["queries"] == 1
        assert b.take(a).new["queries"] == 1
        assert b.take_lines(stream(old), "old").new["queries"] == 0
        assert [q.query for q in b.saved_queries()] == ["layer:1"]


def changed(change: Callable[[dict[str, Any]], object], kind: str = "event") -> Callable[[list[str]], list[str]]:  # fmt: skip
    """A file whose first line of a kind was changed."""

    def changing(given: list[str]) -> list[str]:
        n = next(i for i, line in enumerate(given) if line.startswith(f'{{"{kind}"'))
        values = json.loads(given[n])
        change(values[kind])
        return [*given[:n], json.dumps(values) + "\n", *given[n + 1 :]]

    return changing


def put(key: str, value: object, kind: str = "event") -> Callable[[list[str]], list[str]]:
    return changed(lambda values: values.update({key: value}), kind)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda given: [], "x: empty"),
        (lambda given: given[1:], "line 1: no file of reviews"),
        (lambda given: ["{}\n"], "line 1: no file of reviews, which begins with"),
        (lambda given: [given[0].replace("1", "2")], "line 1: version 2 of the format, this one reads 1"),
        (lambda given: [given[0].replace("neuroexplain", "other")], 'line 1: a file of "other reviews"'),
        (lambda given: [given[0], "\n", "nonsense\n"], "line 3: Invalid JSON"),
        (lambda given: [given[0], "[1]\n"], "line 2: Input should be"),
        (lambda given: [given[0], "{}\n"], "line 2: Dictionary should have at least 1"),
        (lambda given: [given[0], '{"vote": {}}\n'], 'line 2: "vote" is none of event, queue, query'),
        (lambda given: [given[0], given[-1][:40]], "line 2: Invalid JSON"),
        (lambda given: [given[0], "[" * 100_000], "line 2: Invalid JSON"),
        (put("uuid", ""), "line 4: event.uuid: String should have at least 1"),
        (put("uuid", 7), "line 4: event.uuid: Input should be a valid string"),
        (put("kind", "vote"), 'line 4: unknown kind of event "vote"'),
        (put("neuron", "tiny"), 'line 4: "tiny" is no neuron'),
        (put("neuron", "tiny/1/99999999999999999999+"), "line 4: .* is no neuron"),
        (put("text", "\ud800"), "line 4: .*Invalid JSON|half a character"),
        (put("at", "noon"), 'line 4: "noon" is no ISO time'),
        (put("at", 5), "line 4: event.at"),
        (put("position", -1), "line 4: event.position"),
        (put("position", 2**70), "line 4: event.position"),
        (put("position", True), "line 4: event.position"),
        (put("seconds", float("inf")), "line 4: event.seconds|line 4: Invalid JSON"),
        (put("seconds", -1.0), "line 4: event.seconds"),
        (put("said", {"verdict": "good"}), "line 4: event of kind verdict: verdict: Input should be 'correct'"),
        (put("said", []), "line 4: event.said"),
        (put("seen", {"blind": 3}), "line 4: what was seen: blind"),
        (put("mode", "vote", "queue"), "line 2: queue.mode"),
        (put("items", [], "queue"), "line 2: queue.items"),
        (put("strata", [], "queue"), "line 2: items.0.stratum: there are 0"),
        (put("seed", 2**63, "queue"), "line 2: queue.seed"),
        (put("query", None, "query"), "line 3: query.query"),
    ],
)  # fmt: skip
def test_a_line_of_no_use_is_named_and_nothing_is_taken(
    file: Callable[[str], Reviews], change: Callable[[list[str]], list[str]], wanted: str
) -> None:
    with fill(file("a")) as a, file("b") as b:
        with pytest.raises(ExchangeError, match=wanted) as caught:
            b.take_lines(stream(change(lines(a))), "x")
        assert "\n" not in str(caught.value)
        assert (b.log(), b.queues(), b.saved_queries()) == ([], [], [])


def test_bytes_of_no_use(file: Callable[[str], Reviews], monkeypatch: pytest.MonkeyPatch) -> None:
    with fill(file("a")) as a, file("b") as b:
        given = stream(lines(a)).getvalue()
        with pytest.raises(ExchangeError, match="x, line 2: no UTF-8 at byte 0"):
            b.take_lines(io.BytesIO(given.split(b"\n")[0] + b"\n\xff\xfe\n"), "x")
        with_mark = b"\xef\xbb\xbf" + given.replace(b"\n", b"\r\n")
        assert b.take_lines(io.BytesIO(with_mark), "x").new["events"] == len(SAID)
        monkeypatch.setattr(exchange, "LONGEST", 2**20)
        long = given + b'{"event": "' + b"x" * 2**20 + b'"}'
        with pytest.raises(ExchangeError, match="longer than 1 MB"):
            b.take_lines(io.BytesIO(long), "x")
