"""The short numbers of what many rows share: how explanations and simulations were made, and what scores are of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, func, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.storage import codec
from neuroexplain.catalogue.storage.rows import Prepared, add_one
from neuroexplain.records import Split

_METHOD, _MEASURE, _SCORER = tables.Method, tables.Measure, tables.Scorer
CORRELATION = 1
"""Row of scorer `correlation`, whose scores searches sort by unless told otherwise."""


def _same(column: Any, name: str) -> Any:
    """Equal, where None counts as equal to None; as the unique indexes have it."""
    return func.coalesce(col(column), "") == bindparam(name)


_FIND_METHOD = Prepared(
    select(col(_METHOD.id)).where(
        col(_METHOD.plugin) == bindparam("plugin"),
        _same(_METHOD.llm, "llm"),
        col(_METHOD.settings) == bindparam("settings"),
        _same(_METHOD.template_sha256, "template_sha256"),
    )
)
_FIND_SCORER = Prepared(select(col(_SCORER.id)).where(col(_SCORER.name) == bindparam("name")))
_FIND_MEASURE = Prepared(
    select(col(_MEASURE.id)).where(
        col(_MEASURE.scorer_id) == bindparam("scorer_id"),
        col(_MEASURE.simulator) == bindparam("simulator"),
        _same(_MEASURE.llm, "llm"),
        col(_MEASURE.split) == bindparam("split"),
    )
)


def method_id(
    connection: Connection,
    plugin: str,
    llm: str | None,
    settings: Mapping[str, Any],
    template_sha256: str | None = None,
) -> int:
    """Row of a method; added where there is none. Needs a transaction that holds the write lock."""
    row = {
        "plugin": plugin,
        "llm": llm,
        "settings": codec.to_json(settings, f"settings of {plugin}"),
        "template_sha256": template_sha256,
    }
    known = _FIND_METHOD(connection, **{name: value or "" for name, value in row.items()})
    return int(known[0].id) if known else add_one(connection, _METHOD, row)


def scorer_id(connection: Connection, name: str) -> int:
    """Row of a scorer; added where there is none. Needs a transaction that holds the write lock."""
    known = find_scorer(connection, name)
    return known if known is not None else add_one(connection, _SCORER, {"name": name})


def find_scorer(connection: Connection, name: str) -> int | None:
    """Row of a scorer, if any score is by it."""
    known = _FIND_SCORER(connection, name=name)
    return int(known[0].id) if known else None


def measure_id(
    connection: Connection, scorer_id: int, simulator: str, llm: str | None, split: Split
) -> int:
    """Row of what a score is of; added where there is none. Needs a transaction that holds the write lock."""
    row = {"scorer_id": scorer_id, "simulator": simulator, "llm": llm, "split": split}
    known = _FIND_MEASURE(connection, **(row | {"llm": llm or ""}))
    return int(known[0].id) if known else add_one(connection, _MEASURE, row)
