"""What a report says must be minded: each thing where it holds, and nothing where all is well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from neuroexplain.reporting import Scope, assemble
from tests.reporting.made import Made, score

FINE: dict[str, Any] = {"p": 0.01, "null_n": 199}


def fine(made: Made, run: int) -> None:
    made.score(run, made.explain(run, "0/0", "ice"), score(0.5, **FINE))
    made.score(run, made.explain(run, "0/1", "lakes"), score(0.1, **FINE))


def with_score(**changes: Any) -> Callable[[Made, int], None]:
    """Two explanations without blame, and one with another kind of score."""

    def fill(made: Made, run: int) -> None:
        fine(made, run)
        value = changes.get("value", 0.4)
        rest = {k: v for k, v in changes.items() if k != "value"}
        made.score(run, made.explain(run, "2/0", "snow"), score(value, **{**FINE, **rest}))

    return fill


def several(made: Made, run: int) -> None:
    fine(made, run)
    made.score(run, made.explain(run, "0/0", "frost"), score(0.6, **FINE))
    made.score(run, made.explain(run, "0/0", "hail"), score(0.2, **FINE))


def other_readers(made: Made, run: int) -> None:
    made.score(
        run, made.explain(run, "0/0", explainer="ngram"), score(0.5, **FINE), simulator="ngram"
    )


def repeated(made: Made, run: int) -> None:
    for index in range(3):
        made.score(run, made.explain(run, f"0/{index}", "various words"), score(0.4, **FINE))
    made.score(run, made.explain(run, "0/3", "lakes"), score(0.2, **FINE))


def own_floor(made: Made, run: int) -> None:
    for index, value in enumerate((0.5, 0.2)):
        number = made.explain(run, f"0/{index}", f"table {index}", explainer="token-table")
        made.score(run, number, score(value, floor=value + 1e-5, **FINE))


def test_nothing_where_all_is_well(made: Made) -> None:
    fine(made, made.run(neurons="0:0-1"))
    assert assemble(made.catalogue).caveats == ()


@pytest.mark.parametrize(
    ("fill", "caveat"),
    [
        (
            with_score(null_n=20),
            None,  # the largest null decides
        ),
        (
            with_score(p=None, null_mean=None, null_own=None, null_reason="11 others, 20 needed"),
            "fixed → made (correlation): 1 of 3 scores have no p-value (11 others, 20 needed).",
        ),
        (
            with_score(value=None, reason="constant_simulation", p=None),
            "fixed → made (correlation): 33 % of the scores are undefined (1 constant_simulation); the quantiles are those of "
            "the others.",
        ),
        (
            with_score(null_own=0.2),
            "fixed → made (correlation): the null of 1 scores is taken on a part of the spans; over null, p and q compare like with "
            "like there.",
        ),
        (
            with_score(coverage=0.8),
            "fixed → made (correlation): 1 scores leave out more than 10 % of what they were to rest on: tokens without a simulation, or texts that could not be had.",
        ),
        (
            several,
            "fixed → made: 1 neurons have up to 3 explanations scored on the test split; the best of them, if chosen by these "
            "scores, scores too well, because choice and report share a split.",
        ),
        (
            other_readers,
            "The simulator ngram reads the data that the explainer ngram keeps, not its words.",
        ),
        (
            repeated,
            "75 % of the explanations by fixed are a text that other neurons have too: words that fit many neurons explain none.",
        ),
        (
            own_floor,
            "token-table → made (correlation): every score is its own floor, so that none lies above it but by rounding.",
        ),
    ],
)
def test_what_holds_is_said(
    made: Made, fill: Callable[[Made, int], None], caveat: str | None
) -> None:
    fill(made, made.run())
    assert assemble(made.catalogue).caveats == (() if caveat is None else (caveat,))


def test_a_small_null_allows_no_small_p(made: Made) -> None:
    run = made.run()
    made.score(run, made.explain(run, "0/0"), score(0.5, p=1 / 21))
    assert assemble(made.catalogue).caveats == (
        "With 20 other explanations in the null, p is never below 0.048: q < 0.1 takes at least 48 % of the explanations at that "
        "value; --null 199 tells more apart.",
    )


def test_what_several_scorers_share_is_said_once(made: Made) -> None:
    run = made.run()
    scores = score(None, **FINE), score(None, scorer="other", **FINE)
    made.score(run, made.explain(run, "0/0"), *scores)
    (caveat,) = assemble(made.catalogue).caveats
    assert caveat.startswith("fixed → made (correlation, other): 100 % of the scores are undefined")


def test_neurons_that_are_not_here(made: Made) -> None:
    run = made.run(neurons="0:*,2:1-", score={"seed": 3})
    fine(made, run)
    made.fail(run, "0/2", "dead_neuron")
    assert assemble(made.catalogue).caveats == (
        "2 of the 5 neurons that were asked for are not here: not reached, never explained, or taken as they were from an earlier "
        "run; --neurons reports on them whatever run it was.",
    )
    assert assemble(made.catalogue, Scope((run,), neurons="0:0")).caveats == ()


@pytest.mark.parametrize("state", ["interrupted", "failed"])
def test_a_run_that_is_not_done(made: Made, state: str) -> None:
    fine(made, made.run(state=state))
    assert assemble(made.catalogue).caveats == (
        f"Run 1 is {state}: what is here may be a part of what it would find.",
    )
    fine(made, made.run())  # the same work again, which came to its end
    assert assemble(made.catalogue).caveats == ()
