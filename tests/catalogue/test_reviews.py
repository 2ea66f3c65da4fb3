"""A file of reviews: the log, what counts of it, queues, and what becomes of a file that is no good."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neuroexplain.catalogue import Reviews
from neuroexplain.catalogue.reviewing import said
from neuroexplain.errors import AbsentError, CatalogueError
from neuroexplain.records import NeuronId
from neuroexplain.reviewed import (
    VERDICTS,
    Edited,
    Event,
    Judged,
    Preferred,
    Queue,
    QueueItem,
    Seen,
    Simulated,
    Skipped,
    Stratum,
    Target,
    Undone,
    Written,
)

AT = "2026-11-25T12:00:00.000+00:00"
NEURON = NeuronId("tiny", 2, 3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "r.sqlite"


@pytest.fixture
def reviews(path: Path) -> Iterator[Reviews]:
    with Reviews(path) as opened:
        yield opened


def target(text: str = "rivers", neuron: NeuronId = NEURON) -> Target:
    return Target.of(neuron, text)


def event(uuid: str, data: Any = None, reviewer: str = "ann", **changes: Any) -> Event:
    made = Event(uuid, reviewer, target(), data or Judged("correct"), AT)
    return replace(made, **changes)


def undo(uuid: str, of: str, reviewer: str = "ann") -> Event:
    return event(uuid, Undone(of), reviewer)


def queue_of(n: int, shared: int = 0, *, uuid: str = "q", **changes: Any) -> tuple[Queue, list[QueueItem]]:  # fmt: skip
    """A queue of that many items, the first `shared` of them for everybody."""
    items = [
        QueueItem(i, target(f"text {i}", NeuronId("tiny", 0, i)), weight=2.0, shared=i < shared)
        for i in range(n)
    ]
    made = Queue(uuid, "first", "verdict", "none", 0, {"query": ""}, (), n, "ann", AT)
    return replace(made, **changes), items


def decide(reviews: Reviews, item: QueueItem, uuid: str, reviewer: str = "ann", data: Any = None) -> None:  # fmt: skip
    reviews.add(event(uuid, data, reviewer, target=item.target, queue="q", position=item.position))


# the log


@pytest.mark.parametrize(
    "data",
    [
        Judged("partly", 2, ("geography", "\u202eodd"), "note\0with nul", "frozen rivers"),
        Skipped(),
        Preferred("tie", "both"),
        Written("ice <b>"),
        Edited("thin ice", "sparse"),
        Simulated((), "correlation", None, "no_variance"),
    ],
)
def test_events_come_back_as_they_were(reviews: Reviews, data: Any) -> None:
    given = event(
        "1", data, other=target("lakes"), queue="q", position=3, seconds=2.5, seen=Seen("scores")
    )
    assert reviews.add(given) == replace(given, number=1)
    assert reviews.log() == [replace(given, number=1)]


def test_an_event_that_is_sent_again_is_written_once(reviews: Reviews) -> None:
    first = reviews.add(event("1"))
    later = "2026-11-25T12:00:07.000+00:00"
    assert reviews.add(event("1", at=later, seen=Seen(version="9"))) == first
    assert reviews.log() == [first]


@pytest.mark.parametrize(
    "changes",
    [
        {"data": Judged("wrong")},
        {"data": Skipped()},
        {"reviewer": "bob"},
        {"target": target("lakes")},
        {"other": target("lakes")},
        {"position": 1, "queue": "q"},
        {"seconds": 1.0},
    ],
)
def test_the_uuid_of_something_else_is_refused_and_named(
    reviews: Reviews, changes: dict[str, Any]
) -> None:
    first = reviews.add(event("1"))
    with pytest.raises(CatalogueError, match=r"event 1 of .* says something else"):
        reviews.add(event("1", **changes))
    assert reviews.log() == [first]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"uuid": ""}, "uuid"),
        ({"reviewer": "\ud800"}, "reviewer"),
        ({"target": target("half \ud83d")}, "half a character"),
        ({"target": Target(NEURON, "0" * 64, "rivers")}, "not its text's"),
        ({"seconds": -1.0}, "below 0"),
        ({"seconds": float("nan")}, "seconds is nan"),
        ({"position": -1}, "below 0"),
        ({"at": "yesterday"}, "no ISO time"),
        ({"at": "2026-11-25T12:00:00"}, "no ISO time with a zone"),
        ({"data": Judged("good")}, "verdict: Input should be 'correct'"),  # type: ignore[arg-type]
        ({"data": Judged("wrong", True)}, "confidence: 1, 2 or 3"),  # type: ignore[arg-type]
        ({"data": Judged("wrong", 4)}, "confidence: Input should be 1, 2 or 3"),  # type: ignore[arg-type]
        ({"data": Judged("wrong", note="\udfff")}, "note|JSON"),
        ({"data": Simulated((), "c", float("inf"), None)}, "cannot be stored"),
        ({"data": Simulated((), "c", None, None)}, "or a reason"),
    ],
)
def test_what_cannot_be_kept_is_refused(
    reviews: Reviews, changes: dict[str, Any], wanted: str
) -> None:
    with pytest.raises(CatalogueError, match=wanted):
        reviews.add(replace(event("1"), **changes))
    assert reviews.log() == []


@pytest.mark.parametrize(
    ("kind", "stored", "wanted"),
    [
        ("verdict", "{", "Invalid JSON"),
        ("verdict", "[]", "should be an object"),
        ("verdict", "{}", "verdict: Field required"),
        ("verdict", '{"verdict": "wrong", "tags": "word"}', "tags: .*array"),
        ("verdict", '{"verdict": "wrong", "confidence": 1.0}', "confidence"),
        ("own", '{"text": 7}', "text: .*string"),
        ("own", '{"text": " "}', "the text is empty"),
        ("undo", '{"event": ""}', "which event"),
        ("simulation", '{"spans": [1], "scorer": "c", "value": 1.0, "reason": null}', "spans.0"),
        ("simulation", '{"spans": [{"document": 1, "start": 0, "levels": [11]}], "scorer": "c", "value": 1.0, "reason": null}', "from 0 to 10"),
        ("vote", "{}", "unknown kind of event"),
    ],
)  # fmt: skip
def test_bad_json_is_one_line(kind: str, stored: str, wanted: str) -> None:
    with pytest.raises(CatalogueError, match=wanted):
        said.data(kind, stored)


def test_what_a_newer_version_says_besides_is_passed_over() -> None:
    assert said.data("verdict", '{"verdict": "wrong", "mood": 3}') == Judged("wrong")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET reviewer = 'eve'",
        "DELETE FROM event",
        "INSERT OR REPLACE INTO event SELECT id, uuid, 'skip', reviewer, target_id, NULL, NULL, NULL, NULL, '{}', seen, NULL, at_ms FROM event",
        "INSERT OR REPLACE INTO event SELECT 99, uuid, 'skip', reviewer, target_id, NULL, NULL, NULL, NULL, '{}', seen, NULL, at_ms FROM event",
        "UPDATE target SET text = 'other'",
        "DELETE FROM target",
        "INSERT OR REPLACE INTO target SELECT id, subject, layer, idx, polarity, text_sha256, 'other' FROM target",
        "UPDATE queue SET name = 'other'",
        "UPDATE queue_item SET position = 7",
    ],
)  # fmt: skip
def test_nothing_that_was_said_can_be_changed(reviews: Reviews, path: Path, statement: str) -> None:
    first = reviews.add(event("1"))
    reviews.make_queue(*queue_of(1))
    with closing(sqlite3.connect(path)) as other, pytest.raises(sqlite3.IntegrityError):
        other.execute(statement)
    assert reviews.log() == [first]


def test_times_of_a_reviewer_follow_the_log_though_the_clock_is_set_back(reviews: Reviews) -> None:
    reviews.add(event("2", Judged("wrong")))
    reviews.add(event("1", Judged("correct"), at="2026-11-25T11:00:00.000+00:00"))
    assert [e.at[11:23] for e in reviews.log()] == ["12:00:00.000", "12:00:00.001"]
    assert [j.verdict for j in reviews.judgements()] == ["correct"]
    newest = reviews.newest("ann")
    assert newest is not None
    assert newest.uuid == "1"


# undo


def test_undo_gives_back_the_verdict_before(reviews: Reviews) -> None:
    reviews.add(event("1", Judged("wrong")))
    reviews.add(event("2", Judged("correct")))
    reviews.add(undo("3", "2"))
    assert [j.verdict for j in reviews.judgements()] == ["wrong"]


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("decision of ann, which bob cannot", undo("9", "1", "bob")),
        ("no event to take back", undo("9", "8")),
        ("decide again instead", undo("9", "2")),
        ("taken back already", undo("9", "1")),
    ],
)
def test_what_cannot_be_taken_back(reviews: Reviews, wanted: str, given: Event) -> None:
    reviews.add(event("1"))
    reviews.add(undo("2", "1"))
    with pytest.raises(CatalogueError, match=wanted):
        reviews.add(given)


@pytest.mark.parametrize("seed", range(8))
def test_judgements_are_what_a_plain_model_says(reviews: Reviews, seed: int) -> None:
    """After any sequence of verdicts, skips and undos by three reviewers on four explanations."""
    dice = random.Random(seed)
    said_: dict[tuple[str, str], list[tuple[str, str]]] = {}
    done: list[tuple[str, str, str | None]] = []
    for n in range(60):
        reviewer, text = dice.choice(("ann", "bob", "cem")), dice.choice("abcd")
        own = [d for d in done if d[0] == reviewer]
        act = dice.random()
        uuid = f"{dice.getrandbits(64):x}"
        if act < 0.3 and own:
            last = reviews.newest(reviewer)
            assert last is not None
            assert last.uuid == own[-1][1]
            reviews.add(undo(uuid, last.uuid, reviewer))
            done.remove(own[-1])
            if own[-1][2] is not None:
                said_[reviewer, own[-1][2]].pop()
        elif act < 0.4:
            reviews.add(event(uuid, Skipped(), reviewer, target=target(text)))
            done.append((reviewer, uuid, None))
        else:
            verdict = VERDICTS[n % len(VERDICTS)]
            reviews.add(event(uuid, Judged(verdict), reviewer, target=target(text)))
            done.append((reviewer, uuid, text))
            said_.setdefault((reviewer, text), []).append((uuid, verdict))
    found = {(j.reviewer, j.target.text): (j.event, j.verdict) for j in reviews.judgements()}
    assert found == {key: verdicts[-1] for key, verdicts in said_.items() if verdicts}
    standing = reviews.standing()
    assert {(r, t.text) for t, by in standing.items() for r in by} == set(said_)
    assert sum(j is not None for by in standing.values() for j in by.values()) == len(found)


def test_judgements_of_a_queue_are_the_last_given_in_it(reviews: Reviews) -> None:
    (queue, items) = queue_of(2)
    reviews.make_queue(queue, items)
    decide(reviews, items[0], "1", data=Judged("wrong"))
    reviews.add(event("2", Judged("correct"), target=items[0].target))
    assert [j.verdict for j in reviews.judgements()] == ["correct"]
    (own,) = reviews.judgements(queue="q")
    assert (own.verdict, own.position, own.weight) == ("wrong", 0, 2.0)


def test_judgements_of_thousands_of_neurons(reviews: Reviews) -> None:
    reviews.add(event("1"))
    many = [NeuronId("tiny", 7, i) for i in range(5_000)]
    assert [j.event for j in reviews.judgements(neurons=[*many, NEURON])] == ["1"]
    assert reviews.judgements(neurons=many) == []
    assert reviews.judgements(neurons=[]) == []
    assert [e.uuid for e in reviews.history(NEURON)] == ["1"]


# queues


def test_items_go_to_one_reviewer_each_but_shared_ones_to_all(reviews: Reviews) -> None:
    queue, items = queue_of(6, shared=2)
    reviews.make_queue(queue, items)
    assert [i.position for i in reviews.coming(queue, "ann")] == [0, 1, 2]
    assert [i.position for i in reviews.coming(queue, "bob", limit=4)] == [0, 1, 3, 4]
    assert [i.position for i in reviews.coming(queue, "cem", limit=9)] == [0, 1, 5]
    assert reviews.progress(queue, "ann").left == 3
    decide(reviews, items[2], "1")
    assert [i.position for i in reviews.coming(queue, "bob", limit=9)] == [0, 1, 3, 4]
    decide(reviews, items[0], "2")
    assert [i.position for i in reviews.coming(queue, "ann")] == [1]
    assert [i.position for i in reviews.coming(queue, "bob", limit=1)] == [0]
    assert reviews.reviewers(queue) == {"ann": 2}


def test_what_lay_before_somebody_for_half_an_hour_goes_to_others(
    reviews: Reviews, path: Path
) -> None:
    queue, items = queue_of(1)
    reviews.make_queue(queue, items)
    assert len(reviews.coming(queue, "ann")) == 1
    assert reviews.coming(queue, "bob") == []
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE dealt SET at_ms = at_ms - 1801000")
        other.commit()
    assert [i.position for i in reviews.coming(queue, "bob")] == [0]
    assert reviews.coming(queue, "ann") == []


def test_skipped_items_come_last_and_again_until_decided(reviews: Reviews) -> None:
    queue, items = queue_of(3)
    reviews.make_queue(queue, items)
    decide(reviews, items[0], "1", data=Skipped())
    assert [(i.position, i.again) for i in reviews.coming(queue, "ann")] == [
        *((1, False), (2, False), (0, True))
    ]
    progress = reviews.progress(queue, "ann")
    assert (progress.done, progress.skipped, progress.left) == (0, 1, 3)
    decide(reviews, items[0], "2")
    assert [i.position for i in reviews.coming(queue, "ann", after=1)] == [2]
    progress = reviews.progress(queue, "ann")
    assert (progress.done, progress.skipped, progress.left) == (1, 0, 2)


def test_the_undo_of_another_reopens_nothing(path: Path, reviews: Reviews) -> None:
    """As it may come from another file, where it stands before what it would take back."""
    queue, items = queue_of(1)
    reviews.make_queue(queue, items)
    decide(reviews, items[0], "1")
    with closing(sqlite3.connect(path)) as other:
        other.execute(
            "INSERT INTO event SELECT 2, '2', 'undo', 'bob', target_id, NULL, NULL, NULL, NULL, '{\"event\": \"1\"}', seen, '1', at_ms FROM event"
        )
        other.commit()
        assert other.execute("SELECT count(*) FROM v_events").fetchone() == (1,)
    assert [j.reviewer for j in reviews.judgements()] == ["ann"]
    assert reviews.progress(queue, "ann").done == 1
    assert reviews.reviewers(queue) == {"ann": 1}


def test_scores_are_hidden_while_an_item_may_come_to_whoever_has_begun(reviews: Reviews) -> None:
    queue, items = queue_of(3, shared=1, blind="scores")
    reviews.make_queue(queue, items)
    neurons = [item.target.neuron for item in items]

    def hidden(reviewer: str) -> list[bool]:
        return [reviews.is_blind(neuron, reviewer) for neuron in neurons]

    assert hidden("ann") == [False, False, False]
    reviews.coming(queue, "ann", limit=2)
    assert hidden("ann") == [True, True, True]
    assert hidden("bob") == [False, False, False]
    reviews.coming(queue, "bob", limit=2)
    assert hidden("bob") == [True, True, True]  # what lies before ann may be dealt again
    decide(reviews, items[0], "1", "bob")
    decide(reviews, items[1], "2")
    assert (hidden("ann"), hidden("bob")) == ([True, False, True], [False, False, True])


def test_what_lies_before_a_reviewer_is_read_without_the_write_lock(path: Path) -> None:
    queue, items = queue_of(4)
    with Reviews(path, timeout=0.05) as reviews, closing(sqlite3.connect(path)) as other:
        reviews.make_queue(queue, items)
        first = reviews.coming(queue, "ann")
        other.execute("BEGIN IMMEDIATE")
        assert reviews.coming(queue, "ann") == first
        with pytest.raises(CatalogueError, match="locked"):
            reviews.coming(queue, "bob")


def test_a_queue_comes_back_with_its_strata_and_is_made_once(reviews: Reviews) -> None:
    queue, items = queue_of(2, strata=(Stratum("layer 0", 40, 2),))
    assert reviews.make_queue(queue, items) == queue
    assert reviews.make_queue(replace(queue, name="other"), items[:1]) == queue
    assert (reviews.queues(), reviews.items(queue)) == ([queue], items)
    with pytest.raises(AbsentError, match='no queue "p"'):
        reviews.queue("p")
    with pytest.raises(CatalogueError, match="would be empty"):
        reviews.make_queue(replace(queue, uuid="p"), [])


# the file

CHILD = """
import sys
from itertools import count
from uuid import uuid4
from neuroexplain.catalogue import Reviews
from neuroexplain.records import NeuronId
from neuroexplain.reviewed import Event, Judged, Target
reviews = Reviews(sys.argv[1])
target = Target.of(NeuronId("tiny", 2, 3), "rivers")
for n in range(int(sys.argv[2])):
    event = Event(uuid4().hex, sys.argv[3], target, Judged("wrong"), "2026-11-25T12:00:00.000+00:00")
    print(reviews.add(event).uuid, flush=True)
"""


def child(path: Path, n: int, reviewer: str = "ann") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(path), str(n), reviewer]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_an_answered_decision_outlives_a_kill(path: Path) -> None:
    answered: list[str] = []
    for after in (1, 40, 300):
        with child(path, 10**6) as process:
            assert process.stdout is not None
            answered += [process.stdout.readline().strip() for _ in range(after)]
            process.send_signal(signal.SIGKILL)
            answered += [line.strip() for line in process.stdout if line.endswith("\n")]
    with Reviews(path) as reviews:
        log = [e.uuid for e in reviews.log()]
    assert len(set(answered)) == len(answered) >= 341
    assert set(answered) <= set(log)
    assert len(log) <= len(answered) + 3  # written, and killed before saying so


def test_two_processes_that_add_at_once_lose_nothing(path: Path) -> None:
    Reviews(path).close()
    children = [child(path, 150, reviewer) for reviewer in ("ann", "bob")]
    answered = [set(process.communicate()[0].split()) for process in children]
    assert [process.returncode for process in children] == [0, 0]
    with Reviews(path) as reviews:
        log = reviews.log()
    assert [e.number for e in log] == list(range(1, 301))
    for reviewer, said_ in zip(("ann", "bob"), answered, strict=True):
        assert {e.uuid for e in log if e.reviewer == reviewer} == said_


def test_writing_waits_for_the_disk(reviews: Reviews) -> None:
    with reviews._database.writing() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE x (y)")


def newer(path: Path) -> None:
    Reviews(path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("INSERT INTO schema_migration VALUES (99, 'x', 'x', 'x')")
        other.commit()


def damaged(path: Path) -> None:
    Reviews(path).close()
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 8000)


@pytest.mark.parametrize(
    ("spoil", "wanted"),
    [
        (
            lambda path: path.write_bytes(b"no database, " * 100),
            "file of reviews .* is no SQLite file; give the path of a file of reviews by --reviews",
        ),
        (foreign, "of another program; give another path by --reviews"),
        (newer, "schema 99, this version knows up to 1"),
        (damaged, "file of reviews .* is damaged"),
        (lambda path: path.mkdir(), "file of reviews .* is a folder"),
    ],
)
def test_a_file_that_is_no_good_is_one_line(path: Path, spoil: Any, wanted: str) -> None:
    spoil(path)
    with pytest.raises(CatalogueError, match=wanted) as caught, Reviews(path) as opened:
        opened.log()
    assert "\n" not in str(caught.value)


def test_a_locked_file_and_one_for_reading(path: Path) -> None:
    with Reviews(path, timeout=0.05) as reviews, closing(sqlite3.connect(path)) as other:
        first = reviews.add(event("1"))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            CatalogueError, match=r"file of reviews .* is locked by another process"
        ):
            reviews.add(event("2"))
    with Reviews(path, read_only=True) as reviews:
        assert reviews.log() == [first]
        with pytest.raises(CatalogueError, match=r"file of reviews .* is open for reading only"):
            reviews.add(event("2"))
    path.unlink()
    with pytest.raises(
        CatalogueError, match=r"no file of reviews .*`neuroexplain review` makes one"
    ):
        Reviews(path, read_only=True)
