"""Which rows of explanations count: a later row of the same key stands for the earlier ones."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, exists, or_
from sqlalchemy.orm import aliased
from sqlmodel import col

from neuroexplain.catalogue import tables


def superseded(table: type[tables.Explanation]) -> ColumnElement[bool]:
    """Whether an explanation of the same key replaces a row: a later one, or a good one if the row is a failure."""
    other = aliased(tables.Explanation)
    later = and_(col(other.status) == col(table.status), col(other.id) > col(table.id))
    better = and_(col(other.status) == "ok", col(table.status) == "failed")
    return exists().where(col(other.key) == col(table.key), or_(later, better))
