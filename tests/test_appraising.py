"""What reviews say of a real catalogue: every number against what was decided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from neuroexplain.appraising import agreement, appraise
from neuroexplain.appraising.answers import ANSWERS, GRADES, grade
from neuroexplain.appraising.sampling import score_name, score_part
from neuroexplain.catalogue import Catalogue, Reviews
from neuroexplain.errors import CatalogueError
from neuroexplain.queueing import Plan, plan
from neuroexplain.reviewed import (
    Adjudicated,
    Data,
    Event,
    Judged,
    Preferred,
    Queue,
    QueueItem,
    Simulated,
    Skipped,
    Stratum,
    Target,
    Undone,
    Verdict,
    Winner,
)
from neuroexplain.testing import catalogues

DRAWN, CHOSEN = "a" * 32, "b" * 32


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    path = tmp_path_factory.mktemp("made") / "made.sqlite"
    catalogues.make(path, neurons=40, explanations=200, layers=2, spans=300, reviews=0)
    with Catalogue(path, read_only=True) as found:
        yield found


@dataclass
class Panel:
    """Reviewers, and what they say."""

    reviews: Reviews
    said: int = 0

    def say(
        self,
        name: str,
        target: Target,
        data: Data,
        *,
        other: Target | None = None,
        queue: str | None = None,
        position: int | None = None,
        seconds: float | None = None,
    ) -> Event:
        self.said += 1
        at = (
            f"2026-11-25T{self.said // 3600:02}:{self.said // 60 % 60:02}:{self.said % 60:02}+00:00"
        )
        event = Event(
            f"{self.said:032x}",
            name,
            target,
            data,
            at,
            other=other,
            queue=queue,
            position=position,
            seconds=seconds,
        )
        return self.reviews.add(event)

    def judge(self, name: str, target: Target, verdict: Verdict, **where: object) -> Event:
        return self.say(name, target, Judged(verdict), **where)  # type: ignore[arg-type]


@pytest.fixture
def panel(tmp_path: Path) -> Iterator[Panel]:
    with Reviews(tmp_path / "r.sqlite") as reviews:
        yield Panel(reviews)


def targets(catalogue: Catalogue, n: int) -> list[Target]:
    rows = catalogue.search("score>=0", limit=3 * n).rows
    found = catalogue.targets([row.explanation_id for row in rows]).values()
    return list(dict.fromkeys(found))[:n]


def drawn(panel: Panel, about: list[Target]) -> list[QueueItem]:
    """A queue of two strata of equal numbers of items, one of a population three times as large as the other's."""
    half = len(about) // 2
    items = [
        QueueItem(i, target, stratum=int(i >= half), weight=10.0 if i < half else 30.0)
        for i, target in enumerate(about)
    ]
    strata = (Stratum("low", 10 * half, half), Stratum("high", 30 * half, half))
    panel.reviews.make_queue(
        Queue(DRAWN, "Drawn", "verdict", "none", 0, {}, strata, 0, "ann", ""), items
    )
    return items


def test_shares_of_a_queue_are_of_its_population(catalogue: Catalogue, panel: Panel) -> None:
    about = targets(catalogue, 20)
    for item in drawn(panel, about):
        right = item.position % 2 if item.position < 10 else item.position % 5 == 0
        verdict: Verdict = "correct" if right else "too-broad" if item.position < 10 else "wrong"
        panel.judge("ann", item.target, verdict, queue=DRAWN, position=item.position)
    found = appraise(catalogue, panel.reviews, DRAWN)
    assert (found.name, found.reviewers, found.decisions) == ("Drawn", 1, 20)
    assert found.not_drawn is None
    overall = found.overall
    assert overall.strict.estimate.value == pytest.approx(0.25 * 0.5 + 0.75 * 0.2)
    assert overall.lenient.estimate.value == pytest.approx(0.25 * 1 + 0.75 * 0.2)
    assert overall.strict.population == 400
    assert overall.strict.estimate.low is not None and overall.strict.estimate.high is not None
    assert overall.strict.estimate.low < 0.275 < overall.strict.estimate.high
    assert sum(c.strict.population or 0 for c in found.layers) == pytest.approx(400)
    assert sum(c.strict.items for c in found.scores) >= 20
    assert {c.name for c in found.layers} <= {"made, layer 0", "made, layer 1"}


def test_a_planned_sample_tells_of_the_whole_catalogue(catalogue: Catalogue, panel: Panel) -> None:
    """Of 20 samples by layer and score, the intervals of all but a few hold the share of the whole."""
    held = 0
    for seed in range(20):
        drawn = plan(
            catalogue,
            panel.reviews,
            Plan(f"{seed}", n=60, seed=seed, strata=("layer", "score"), allocation="equal"),
            by="ann",
        )
        queue = panel.reviews.make_queue(*drawn)
        for item in panel.reviews.items(queue):
            right = len(item.target.text) % 3 > 0
            place = {"queue": queue.uuid, "position": item.position}
            panel.judge("ann", item.target, "correct" if right else "wrong", **place)
        found = appraise(catalogue, panel.reviews, queue.uuid)
        whole = [row.text for row in catalogue.search("", limit=1000).rows if row.status == "ok"]
        truth = sum(len(text) % 3 > 0 for text in whole) / len(whole)
        estimate = found.overall.strict.estimate
        assert found.overall.strict.population == pytest.approx(len(whole))
        assert estimate.low is not None and estimate.high is not None
        held += estimate.low <= truth <= estimate.high
    assert held >= 17


def test_what_was_not_drawn_has_no_interval(catalogue: Catalogue, panel: Panel) -> None:
    about = targets(catalogue, 4)
    panel.reviews.make_queue(
        Queue(CHOSEN, "Chosen", "verdict", "none", 0, {}, (), 0, "ann", ""),
        [QueueItem(i, t) for i, t in enumerate(about)],
    )
    panel.judge("ann", about[0], "correct", queue=CHOSEN, position=0)
    panel.judge("ann", about[1], "wrong", queue=CHOSEN, position=1)
    panel.judge("ann", about[2], "cannot-tell", queue=CHOSEN, position=2)
    panel.say("ann", about[3], Skipped(), queue=CHOSEN, position=3)
    found = appraise(catalogue, panel.reviews, CHOSEN)
    share = found.overall.strict
    assert (share.estimate.value, share.estimate.n, share.estimate.low) == (0.5, 2, None)
    assert share.estimate.reason == found.not_drawn
    assert found.not_drawn == "the queue was not drawn at random, so it stands for itself alone"
    assert (share.lowest, share.highest, share.items) == (0.25, 0.75, 4)
    everything = appraise(catalogue, panel.reviews)
    assert everything.not_drawn == "not drawn at random as a whole; choose a queue that was"
    assert everything.overall.strict.items == 2
    assert everything.verdicts["cannot-tell"] == 1


def test_the_last_word_stands_above_the_shares_of_reviewers(
    catalogue: Catalogue, panel: Panel
) -> None:
    a, b, c = targets(catalogue, 3)
    for target in (a, b, c):
        panel.judge("ann", target, "correct")
        panel.judge("bob", target, "wrong")
    panel.say("cy", b, Adjudicated("partly"))
    panel.say("cy", c, Adjudicated("wrong"))
    panel.say("cy", c, Adjudicated("cannot-tell"))
    found = appraise(catalogue, panel.reviews).overall
    assert found.strict.estimate.value == pytest.approx((0.5 + 0) / 2)
    assert found.lenient.estimate.value == pytest.approx((0.5 + 1) / 2)
    agreed = agreement(panel.reviews)
    assert [d.text for d in agreed.differing] == [a.text]
    assert agreed.differing[0].verdicts == {"ann": "correct", "bob": "wrong"}
    assert agreed.differing[0].neuron == str(a.neuron)
    assert agreed.settled == 2


def test_what_was_taken_back_counts_for_nothing(catalogue: Catalogue, panel: Panel) -> None:
    (a,) = targets(catalogue, 1)
    panel.judge("ann", a, "correct")
    last = panel.judge("ann", a, "wrong")
    assert appraise(catalogue, panel.reviews).overall.strict.estimate.value == 0
    panel.say("ann", a, Undone(last.uuid))
    found = appraise(catalogue, panel.reviews)
    assert found.overall.strict.estimate.value == 1
    assert found.decisions == 1


def test_methods_and_scores_are_those_of_the_catalogue(catalogue: Catalogue, panel: Panel) -> None:
    about = targets(catalogue, 30)
    known = catalogue.rated(about)
    assert set(known) == set(about)
    for i, target in enumerate(about):
        panel.judge("ann", target, "correct" if i % 3 else "wrong")
    found = appraise(catalogue, panel.reviews)
    names = {str(r.method) for several in known.values() for r in several}
    assert {c.name for c in found.methods} == names
    for part in found.methods:
        own = {t for t, several in known.items() if part.name in {str(r.method) for r in several}}
        right = [i % 3 > 0 for i, t in enumerate(about) if t in own]
        assert part.strict.estimate.value == pytest.approx(sum(right) / len(right))
    for calibration in found.calibrations:
        scored = [r for several in known.values() for r in several if calibration.scale in r.scores]
        assert calibration.n == len(scored) == sum(b.correct.n for b in calibration.bins)
    assert found.calibrations


def test_explanations_that_the_catalogue_lacks_are_counted(
    catalogue: Catalogue, panel: Panel
) -> None:
    (a,) = targets(catalogue, 1)
    panel.judge("ann", Target.of(a.neuron, "a text of another catalogue"), "correct")
    found = appraise(catalogue, panel.reviews)
    assert found.missing == 1
    assert found.overall.strict.estimate.value == 1
    assert not found.methods and not found.calibrations


def test_agreement_counts_what_reviewers_said(panel: Panel, catalogue: Catalogue) -> None:
    about = targets(catalogue, 8)
    ann = ["correct", "correct", "wrong", "wrong", "partly", "correct", "cannot-tell", "wrong"]
    bob = ["correct", "too-broad", "wrong", "correct", "partly", "correct", "wrong"]
    for name, said in (("ann", ann), ("bob", bob)):
        for target, verdict in zip(about, said, strict=False):
            panel.judge(name, target, verdict)  # type: ignore[arg-type]
    found = agreement(panel.reviews)
    assert found.reviewers == {"ann": 7, "bob": 7}
    assert found.judged == 8
    assert found.shared == 6
    (pair,) = found.pairs
    assert (pair.first, pair.second, pair.compared.n) == ("ann", "bob", 6)
    assert pair.compared.percent.value == pytest.approx(4 / 6)
    # ann: 3 correct, 2 wrong, 1 partly; bob: 3 correct, 1 too broad, 1 wrong, 1 partly
    chance = (3 * 3 + 2 * 1 + 1 * 1) / 36
    assert pair.compared.kappa.value == pytest.approx((4 / 6 - chance) / (1 - chance))
    table = pair.compared.table
    assert table[ANSWERS.index("correct")][ANSWERS.index("too-broad")] == 1
    assert table[ANSWERS.index("wrong")][ANSWERS.index("correct")] == 1
    assert sum(map(sum, table)) == 6
    assert len(found.differing) == 2


def test_choices_agree_whichever_was_on_the_left(panel: Panel, catalogue: Catalogue) -> None:
    about = targets(catalogue, 5)
    pairs = [(t, Target.of(t.neuron, f"another {i}")) for i, t in enumerate(about)]
    said: list[tuple[Winner, Winner]] = [
        *(("left", "right"), ("right", "left"), ("tie", "tie"), ("left", "right"), ("left", "tie"))
    ]
    for (a, b), (first, second) in zip(pairs, said, strict=True):
        panel.say("ann", a, Preferred(first), other=b)
        panel.say("bob", b, Preferred(second), other=a)
    found = agreement(panel.reviews).choices
    assert found.n == 5
    assert found.value is not None and 0.5 < found.value < 1
    panel.say("bob", pairs[4][1], Preferred("right"), other=pairs[4][0])
    assert agreement(panel.reviews).choices.value == 1


def test_a_queue_of_pairs_has_no_shares(panel: Panel, catalogue: Catalogue) -> None:
    (a,) = targets(catalogue, 1)
    b = Target.of(a.neuron, "another")
    panel.reviews.make_queue(
        Queue(CHOSEN, "Pairs", "pairwise", "none", 0, {}, (), 0, "ann", ""), [QueueItem(0, a, b)]
    )
    panel.say("ann", a, Preferred("left"), other=b, queue=CHOSEN, position=0)
    found = appraise(catalogue, panel.reviews, CHOSEN)
    assert found.not_drawn == "the queue asks for no verdicts"
    assert found.overall.strict.estimate.reason == "no answers"
    assert found.preferences.decisions == 1


def test_a_reviewer_who_judges_again_is_compared_with_before(
    panel: Panel, catalogue: Catalogue
) -> None:
    about = targets(catalogue, 4)
    first, second = (
        panel.reviews.make_queue(
            Queue(uuid, uuid[0], "verdict", "none", 0, {}, (), 0, "ann", ""),
            [QueueItem(i, target) for i, target in enumerate(about)],
        ).uuid
        for uuid in (DRAWN, CHOSEN)
    )
    for i, target in enumerate(about):
        panel.judge("ann", target, "correct", queue=first, position=i)
    for i, verdict in enumerate(("correct", "wrong", "cannot-tell")):
        panel.judge("ann", about[i], verdict, queue=second, position=i)  # type: ignore[arg-type]
    (again,) = agreement(panel.reviews).again
    assert (again.reviewer, again.compared.n) == ("ann", 2)
    assert again.compared.percent.value == 0.5


def test_a_verdict_that_is_put_right_is_no_second_judgement(
    panel: Panel, catalogue: Catalogue
) -> None:
    a, b = targets(catalogue, 2)
    queue = drawn(panel, [a, b]) and DRAWN
    panel.judge("ann", a, "wrong", queue=queue, position=0)
    panel.judge("ann", a, "correct", queue=queue, position=0)
    panel.judge("ann", b, "wrong")
    panel.judge("ann", b, "correct")
    assert agreement(panel.reviews).again == ()
    panel.judge("ann", a, "correct")
    (again,) = agreement(panel.reviews).again
    assert (again.compared.n, again.compared.percent.value) == (1, 1)


def test_a_verdict_that_was_replaced_is_not_counted(panel: Panel, catalogue: Catalogue) -> None:
    a, b = targets(catalogue, 2)
    for target in (a, b):
        panel.judge("ann", target, "wrong", seconds=2.0)
        panel.judge("ann", target, "correct", seconds=4.0)
    panel.judge("bob", b, "wrong")
    found = appraise(catalogue, panel.reviews)
    assert found.decisions == 3
    assert {v: n for v, n in found.verdicts.items() if n} == {"correct": 2, "wrong": 1}
    assert found.overall.strict.items == 2


def test_wins_go_to_the_methods_that_wrote_the_texts(catalogue: Catalogue, panel: Panel) -> None:
    by_neuron: dict[object, list[Target]] = {}
    for target in targets(catalogue, 120):
        by_neuron.setdefault(target.neuron, []).append(target)
    known = catalogue.rated([t for ts in by_neuron.values() for t in ts])
    winners: list[Winner] = ["left", "right", "tie"]
    expected: dict[str, list[float]] = {}
    n = 0
    for pair in by_neuron.values():
        methods = [{str(r.method) for r in known[t]} for t in pair[:2]]
        if (
            len(pair) < 2
            or len(methods[0]) != 1
            or len(methods[1]) != 1
            or methods[0] == methods[1]
        ):
            continue
        winner = winners[n % 3]
        n += 1
        panel.say("ann", pair[0], Preferred(winner), other=pair[1])
        won = {"left": 1.0, "tie": 0.5, "right": 0.0}[winner]
        expected.setdefault(next(iter(methods[0])), []).append(won)
        expected.setdefault(next(iter(methods[1])), []).append(1 - won)
    assert n > 5
    lost = Target.of(pair[0].neuron, "not in the catalogue")
    panel.say("ann", pair[0], Preferred("left"), other=lost)
    found = appraise(catalogue, panel.reviews).preferences
    assert (found.decisions, found.unknown, found.alike) == (n + 1, 1, 0)
    assert {str(m) for m in found.methods} == set(expected)
    for method, rate in zip(found.methods, found.wins.rates, strict=True):
        own = expected[str(method)]
        assert rate.value == pytest.approx(sum(own) / len(own))
        assert rate.n == len(own)
    assert sum(a.wins + a.ties + a.losses for a in found.against) == n


def test_people_stand_beside_simulators_of_the_same_scorer(
    catalogue: Catalogue, panel: Panel
) -> None:
    about = targets(catalogue, 6)
    known = catalogue.rated(about)
    for target in about[:5]:
        panel.say("ann", target, Simulated((), "correlation", 2.0, None))
    panel.say("ann", about[5], Simulated((), "correlation", None, "nothing was marked"))
    (person,) = appraise(catalogue, panel.reviews).people
    assert (person.reviewer, person.scorer, person.n, person.median) == ("ann", "correlation", 5, 2)
    assert person.undefined == {"nothing was marked": 1}
    for beside in person.beside:
        assert beside.scale.scorer == "correlation"
        assert beside.n == sum(any(beside.scale in r.scores for r in known[t]) for t in about[:5])
        assert beside.better.value == 1
    assert person.beside


def test_a_prediction_made_after_the_answer_does_not_count(
    catalogue: Catalogue, panel: Panel
) -> None:
    about = targets(catalogue, 1)[0]
    for value in (0.08, 0.91):
        panel.say("ann", about, Simulated((), "correlation", value, None))
    (person,) = appraise(catalogue, panel.reviews).people
    assert (person.n, person.median) == (1, 0.08)


def test_time_per_decision_of_every_kind(catalogue: Catalogue, panel: Panel) -> None:
    about = targets(catalogue, 5)
    for target, seconds in zip(about, (1.0, 2.0, 3.0, 4.0, 90.0), strict=True):
        panel.judge("ann", target, "correct", seconds=seconds)
    panel.judge("bob", about[0], "correct", seconds=5e-324)  # no person is so fast
    panel.say("ann", about[0], Adjudicated("wrong"), seconds=7.2)
    last, pace = appraise(catalogue, panel.reviews).pace
    assert (pace.reviewer, pace.kind, pace.decisions) == ("ann", "verdict", 5)
    assert (pace.lower, pace.median, pace.upper, pace.per_hour) == (2, 3, 4, 1200)
    assert (last.reviewer, last.kind, last.decisions) == ("ann", "adjudication", 1)
    assert last.per_hour == pytest.approx(500)


def test_nothing_decided_is_said_and_no_error(catalogue: Catalogue, panel: Panel) -> None:
    found = appraise(catalogue, panel.reviews)
    assert found.overall.strict.estimate.reason == "no answers"
    assert found.decisions == 0
    agreed = agreement(panel.reviews)
    assert agreed.alpha.reason == "too few items that two or more judged: 0"
    assert agreed.judged == agreed.shared == 0
    assert not agreed.pairs and not agreed.differing
    drawn(panel, targets(catalogue, 4))
    assert appraise(catalogue, panel.reviews, DRAWN).overall.strict.estimate.reason == "no answers"
    with pytest.raises(CatalogueError, match="no queue"):
        appraise(catalogue, panel.reviews, "c" * 32)


def test_grades_and_parts_of_the_scale() -> None:
    assert [GRADES[grade(v)] for v in ANSWERS] == [
        *("correct", "in part", "in part", "in part", "not correct", "not correct")
    ]
    assert [score_part(s) for s in (None, -0.3, 0.0, 0.6, 1.0)] == [None, -1.0, 0.0, 0.6, 0.8]
    assert [score_name(s) for s in (-1.0, 0.6)] == ["below 0", "0.6 to 0.8"]
