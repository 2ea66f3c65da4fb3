"""Queues of what reviewers differ on, for somebody to settle."""

from __future__ import annotations

from collections import defaultdict

from neuroexplain.catalogue import Reviews
from neuroexplain.errors import ConfigError
from neuroexplain.queueing.drawn import Drawn
from neuroexplain.queueing.plans import Plan
from neuroexplain.reviewed import QueueItem, Target, Verdict


def unsettled(reviews: Reviews, plan: Plan) -> Drawn:
    """Explanations with different verdicts and no last word, those with most different ones first.

    `cannot-tell` is no verdict, and differs from none.

    Raises:
        ConfigError: there is nothing to settle.
        CatalogueError: there is no such queue.
    """
    if plan.queue is not None:
        reviews.queue(plan.queue)
    given: dict[Target, list[Verdict]] = defaultdict(list)
    for judgement in reviews.judgements(queue=plan.queue):
        if judgement.verdict != "cannot-tell":
            given[judgement.target].append(judgement.verdict)
    settled = {event.target for event in reviews.counting("adjudication")}
    differing = {t: verdicts for t, verdicts in given.items() if len(set(verdicts)) > 1}
    waiting = [target for target in differing if target not in settled]
    if not waiting:
        raise ConfigError(
            f"reviewers differ on {len(differing)} explanations, and all of them are settled"
            if differing
            else "nothing to settle: no explanation has different verdicts"
        )
    waiting.sort(key=lambda t: (-len(set(differing[t])), -len(differing[t]), t))
    left_out = {"settled already": len(differing) - len(waiting)}
    return Drawn(tuple(QueueItem(0, target) for target in waiting[: plan.n]), left_out=left_out)
