"""`neuroexplain reviews agreement`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from neuroexplain.cli import options
from neuroexplain.cli.queue import uuid_of

if TYPE_CHECKING:
    from rich.table import Table

    from neuroexplain.agreement.estimates import Estimate
    from neuroexplain.appraising import Agreement, Appraisal


@click.command()
@options.catalogue
@options.option("--reviews", "File of the reviews; without it, the one beside the catalogue.")
@options.option("--queue", "Only what was decided in a queue: its name, or its uuid.")
@options.as_json
def agreement(**values: Any) -> None:
    """Say what reviews say: how many explanations are correct, and how far reviewers agree.

    Of a queue that was drawn at random, shares are of what it was drawn from, with an interval.
    """
    from neuroexplain.appraising import agreement as agreement_
    from neuroexplain.appraising import appraise
    from neuroexplain.catalogue import Catalogue, Reviews, reviews_path

    path = values["reviews"] or reviews_path(values["catalogue"])
    with (
        Catalogue(values["catalogue"], read_only=True) as catalogue,
        Reviews(path, read_only=True) as reviews,
    ):
        queue = uuid_of(reviews, values["queue"])
        found = appraise(catalogue, reviews, queue)
        agreed = agreement_(reviews, queue)
    if values["json"]:
        options.echo_json({"appraisal": asdict(found), "agreement": asdict(agreed)})
        return
    _print(found, agreed)


def _print(found: Appraisal, agreed: Agreement) -> None:
    from neuroexplain.cli.table import console

    out = console()
    out.print(f"{found.decisions} verdicts of {found.reviewers} reviewers")
    if found.not_drawn is not None:
        out.print(f"no intervals of shares: {found.not_drawn}")
    rows: list[tuple[str, ...]] = []
    for c in (found.overall, *found.methods, *found.layers, *found.scores):
        shares = (_said(s.estimate, 100, " %") for s in (c.strict, c.lenient, c.uninterpretable))
        rows.append((c.name, f"{c.strict.estimate.n} of {c.strict.items}", *shares))
    names = ("explanations", "judged", "correct", "at least in part", "uninterpretable")
    out.print(_table(names, rows))
    alphas = (
        ("each verdict by itself", agreed.alpha),
        ("correct, or not", agreed.alpha_strict),
        ("correct, in part, not", agreed.alpha_graded),
        ("which of two", agreed.choices),
    )
    rows = [(name, str(e.n), _said(e)) for name, e in alphas]
    out.print(_table(("of", "decided by two", "Krippendorff's alpha"), rows))
    pairs = [(f"{p.first}, {p.second}", p.compared) for p in agreed.pairs]
    pairs += [(f"{a.reviewer}, again", a.compared) for a in agreed.again]
    if pairs:
        rows = [(name, str(c.n), _said(c.percent, 100, " %"), _said(c.kappa)) for name, c in pairs]
        out.print(_table(("reviewers", "both judged", "same verdict", "Cohen's kappa"), rows))
    if found.calibrations:
        rows = [
            (str(c.scale), str(c.n), _said(c.auc), _said(c.spearman)) for c in found.calibrations
        ]
        out.print(_table(("score", "judged", "AUC", "Spearman"), rows))
    if found.preferences.methods:
        won = zip(found.preferences.methods, found.preferences.wins.rates, strict=True)
        rows = [(str(method), str(rate.n), _said(rate, 100, " %")) for method, rate in won]
        out.print(_table(("method", "compared", "won"), rows))
    out.print(f"to be settled: {len(agreed.differing)} explanations; settled: {agreed.settled}")


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    from rich.table import Table

    from neuroexplain.levels import printable

    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name)
    for row in rows:
        table.add_row(*(printable(cell) for cell in row))
    return table


def _said(found: Estimate, times: float = 1, unit: str = "") -> str:
    """An estimate with its interval, or the reason why it is undefined."""
    digits = 1 if times > 1 else 2
    if found.value is None:
        return f"undefined: {found.reason}"
    value = f"{times * found.value:.{digits}f}{unit}"
    if found.low is None or found.high is None:
        return value
    return f"{value} [{times * found.low:.{digits}f}, {times * found.high:.{digits}f}]"
