"""Scores of a population by one measure, as an array; and why some are undefined."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

import numpy as np
from sqlalchemy import Connection, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.reviewing.frames import Frame
from neuroexplain.catalogue.searching.sql import Sql, stream
from neuroexplain.catalogue.searching.vocabulary import Vocabulary
from neuroexplain.catalogue.storage.columns import Floats64, Integers
from neuroexplain.catalogue.storage.rows import Prepared, listed
from neuroexplain.errors import ConfigError, unknown

NOT_SCORED = "not scored"
_S = tables.Score
_REASONS = Prepared(
    select(col(_S.explanation_id), col(_S.reason))
    .where(
        col(_S.explanation_id).in_(listed("explanations")),
        col(_S.measure_id).in_(listed("measures")),
    )
    .order_by(col(_S.id))
)


def names(vocabulary: Vocabulary) -> list[str]:
    """Measures of a catalogue: scorers, whose newest score counts whoever simulated, and scorers of one simulator's work."""
    scorers = sorted({scorer for scorer, _, _ in vocabulary.measures.values()})
    whole = sorted(
        _whole(scorer, simulator, llm) for scorer, simulator, llm in vocabulary.measures.values()
    )
    return [*scorers, *whole]


def _whole(scorer: str, simulator: str, llm: str | None) -> str:
    return f"{scorer} of {simulator}, {llm}" if llm else f"{scorer} of {simulator}"


def values(connection: Connection, vocabulary: Vocabulary, frame: Frame, name: str) -> Floats64:
    """The newest scores on the test split, [explanation]; NaN where undefined or not scored.

    Args:
        connection: a reading transaction.
        vocabulary: names of the catalogue.
        frame: explanations.
        name: one of `names`.

    Raises:
        ConfigError: there is no such measure.
    """
    known = names(vocabulary)
    if name not in known:
        raise ConfigError(unknown("measure", name, known))
    if name == "correlation":
        return frame.score
    if name in vocabulary.scorers:
        number = vocabulary.scorers[name]
        wanted = Sql(
            "SELECT explanation_id, value FROM standing WHERE scorer_id = ? AND value IS NOT NULL",
            (number,),
        )
    else:
        number = next(n for n, each in vocabulary.measures.items() if _whole(*each) == name)
        wanted = Sql(
            "SELECT explanation_id, value FROM score WHERE measure_id = ? ORDER BY id", (number,)
        )
    return _aligned(frame.explanation, dict(stream(connection, wanted)))


def _aligned(explanations: Integers, found: Mapping[int, float | None]) -> Floats64:
    return np.array([found.get(number) for number in explanations.tolist()], np.float64)


def reasons(
    connection: Connection, vocabulary: Vocabulary, explanations: Integers, name: str
) -> dict[str, int]:
    """Why explanations have no score by a measure, by reason, the most frequent first.

    Args:
        connection: a reading transaction.
        vocabulary: names of the catalogue.
        explanations: rows of those whose newest score is undefined, or that have none.
        name: of the measure.
    """
    newest: dict[int, str] = dict.fromkeys(explanations.tolist(), NOT_SCORED)
    numbers = [n for n, each in vocabulary.measures.items() if name in (each[0], _whole(*each))]
    rows = _REASONS.plain(
        connection, explanations=json.dumps(list(newest)), measures=json.dumps(numbers)
    )
    newest |= {number: reason for number, reason in rows if reason is not None}
    return dict(Counter(newest.values()).most_common())
