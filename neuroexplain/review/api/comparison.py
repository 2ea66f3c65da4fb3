"""Two methods or runs on the same neurons."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from neuroexplain.agreement.estimates import Estimate
from neuroexplain.review.comparing import Comparison, Sort, compare
from neuroexplain.review.desk import AtDesk, By
from neuroexplain.review.sparing import spared_pairs

router = APIRouter(tags=["comparison"])
Side = Annotated[str, Query(max_length=300, description="`explainer`, `explainer, llm` or `run N`")]
Measure = Annotated[
    str, Query(max_length=300, description="`SCORER`, or `SCORER of SIMULATOR, LLM`")
]
After = Annotated[int | None, Query(ge=0, lt=2**63, description="`next` of the page before")]


class PairOut(BaseModel):
    """Two explanations of a neuron."""

    neuron: str
    first: str
    second: str
    first_score: float
    second_score: float
    difference: float


class ComparisonOut(BaseModel):
    """Two sides; counts are of polarities of neurons."""

    first: str
    second: str
    measure: str
    common: int
    only_first: int
    only_second: int
    scored: int
    """By both; what follows is of these."""
    mean_difference: Estimate
    median_difference: float | None
    first_better: Estimate
    second_better: Estimate
    sign_test_p: float | None
    signed_rank_p: float | None
    undefined_first: dict[str, int]
    undefined_second: dict[str, int]
    chosen: dict[str, int]
    """By reviewers, in pairs: first, second, tie."""
    pairs: list[PairOut]
    hidden: int
    """Pairs of this page that are left out, for they wait for the reviewer in a blind queue."""
    next: int | None

    @classmethod
    def of(cls, found: Comparison, hidden: int) -> ComparisonOut:
        """As it is shown."""
        own = found.differences
        names = ("first", "second", "measure", "common", "only_first", "only_second", "next")
        given: dict[str, Any] = {name: getattr(found, name) for name in names}
        return cls(
            **given,
            hidden=hidden,
            scored=own.n,
            mean_difference=own.mean,
            median_difference=own.median,
            first_better=own.better,
            second_better=own.worse,
            sign_test_p=own.sign_p,
            signed_rank_p=own.rank_p,
            undefined_first=dict(found.undefined_first),
            undefined_second=dict(found.undefined_second),
            chosen=vars(found.chosen),
            pairs=[
                PairOut(
                    neuron=str(pair.first.neuron),
                    first=pair.first.text,
                    second=pair.second.text,
                    first_score=pair.first_score,
                    second_score=pair.second_score,
                    difference=pair.difference,
                )
                for pair in found.pairs
            ],
        )


@router.get("/comparison")
def comparison(
    desk: AtDesk,
    reviewer: By,
    first: Side,
    second: Side,
    measure: Measure = "correlation",
    sort: Sort = "first",
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 25,
) -> ComparisonOut:
    """Which of two explains neurons better by one measure, on those that both explain, and the pairs by their difference."""
    found = compare(
        desk.catalogue,
        desk.reviews,
        first,
        second,
        measure,
        sort=sort,
        after=after,
        limit=limit,
    )
    return ComparisonOut.of(*spared_pairs(desk, found, reviewer))
