"""How well the neurons of a collection are explained, in numbers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from statistics import fmean, median
from typing import Any

from sqlalchemy import Connection, Row, or_
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.search import rows, to_row


def summary(
    connection: Connection,
    collection_id: int,
    *,
    run_id: int | None,
    explanations: AbstractSet[int] | None,
    simulator: str | None,
    scorer: str,
    top: int,
) -> dict[str, Any]:
    """Summary of the newest test scores of one scorer, over the good explanations of a collection.

    Args:
        connection: a reading transaction.
        collection_id: row of the collection.
        run_id: only explanations that this run wrote or scored.
        explanations: only these, by row.
        simulator: only scores of its simulations.
        scorer: whose scores.
        top: how many of the best and of the worst rows.
    """
    explanation, score = tables.Explanation, tables.Score
    query = rows(scorer, [simulator] if simulator else None).where(
        col(explanation.collection_id) == collection_id, col(explanation.status) == "ok"
    )
    if run_id is not None:
        query = query.where(or_(col(explanation.run_id) == run_id, col(score.run_id) == run_id))
    found = connection.execute(query.order_by(col(explanation.id))).all()
    if explanations is not None:
        found = [row for row in found if row.id in explanations]
    scored = sorted((r for r in found if r.value is not None), key=lambda r: (-r.value, r.id))
    layers: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in found:
        layers[row.layer].append(row)
    worst = sorted(scored, key=lambda r: (r.value, r.id))
    return {
        "scorer": scorer,
        "n_explanations": len(found),
        **_numbers(found),
        "null_reasons": dict(Counter(r.null_reason for r in found if r.null_reason is not None)),
        "layers": [{"layer": n, **_numbers(layers[n])} for n in sorted(layers)],
        "best": [to_row(row) for row in scored[:top]],
        "worst": [to_row(row) for row in worst[:top]],
    }


def _numbers(rows: Sequence[Row[Any]]) -> dict[str, Any]:
    values = [row.value for row in rows if row.value is not None]
    floored = [(row.value, row.floor) for row in rows if None not in (row.value, row.floor)]
    above = [value > floor for value, floor in floored]
    return {
        "n_scored": len(values),
        "n_undefined": dict(Counter(row.reason for row in rows if row.reason is not None)),
        "mean": _mean(values),
        "median": median(values) if values else None,
        "floor": _mean([floor for _, floor in floored]),
        "null_mean": _mean([r.null_mean for r in rows if r.null_mean is not None]),
        "share_above_floor": _mean([float(a) for a in above]),
    }


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
