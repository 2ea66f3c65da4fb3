"""What the catalogue page shows of a search: rows with their verdicts, and facets that lead on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from neuroexplain.catalogue import SearchRow
from neuroexplain.catalogue.language.query import Query
from neuroexplain.catalogue.searching.found import Facets, ScoreBin
from neuroexplain.records import NeuronId
from neuroexplain.review.narrowing import asks, narrowed, page_of, sorting, widened
from neuroexplain.review.sparing import HIDDEN
from neuroexplain.reviewed import Judgement

FACETS = ("subject", "layer", "explainer", "llm", "state", "polarity")
_HEADS = (("layer", "Neuron"), ("score", "Score"), ("p", "p"))


class FacetLink(NamedTuple):
    """A value that explanations found share, with where it leads."""

    value: str
    n: int
    share: int
    """Of the largest of its facet, in twentieths."""
    href: str | None
    """None where no query says it."""
    chosen: bool = False


class Head(NamedTuple):
    """The head of a column that the rows can be sorted by."""

    label: str
    href: str
    order: str | None
    """`ascending` or `descending` where they are, else None."""


class Row(NamedTuple):
    """An explanation found, and what reviewers say of it."""

    found: SearchRow
    neuron: NeuronId
    verdicts: tuple[Judgement, ...]
    hidden: bool
    """Whether all but its place is kept from this reviewer, who is to judge it blind."""


def rows(found: Sequence[SearchRow], judgements: Sequence[Judgement]) -> list[Row]:
    """Rows with the verdicts on exactly their texts.

    Args:
        found: explanations; of those that are hidden, `sparing` has left the place alone, and they get no verdicts.
        judgements: on explanations of these neurons.
    """
    by_text: dict[tuple[NeuronId, str], list[Judgement]] = defaultdict(list)
    for judgement in judgements:
        by_text[judgement.target.neuron, judgement.target.text].append(judgement)
    made = []
    for row in found:
        neuron, hidden = NeuronId.parse(row.neuron), row.state == HIDDEN
        said = () if hidden else tuple(by_text[neuron, row.text])
        made.append(Row(row, neuron, said, hidden))
    return made


def facet_links(query: Query, facets: Facets) -> dict[str, list[FacetLink]]:
    """Facets with more than one value, or with one that was chosen: each value adds its term, or takes it out again."""
    made = {}
    for field in FACETS:
        values = getattr(facets, field)
        most = max((v.n for v in values), default=0)
        links = [_facet(query, field, str(v.value), v.n, most) for v in values]
        if len(links) > 1 or any(each.chosen for each in links):
            made[field] = links
    return made


def _facet(query: Query, field: str, value: str, n: int, most: int) -> FacetLink:
    chosen = asks(query, field, value)
    to = widened(query, field) if chosen else narrowed(query, (field, ":", value))
    return FacetLink(value, n, _twentieths(n, most), page_of(to), chosen)


def score_links(query: Query, facets: Facets) -> list[FacetLink]:
    """Bins of correlation, the lowest first; what has none comes last, without a link."""
    most = max((each.n for each in facets.score), default=0)
    return [_bin(query, each, most) for each in facets.score]


def _bin(query: Query, each: ScoreBin, most: int) -> FacetLink:
    share = _twentieths(each.n, most)
    if each.low is None or each.high is None:
        return FacetLink("none", each.n, share, None)
    label = f"{each.low:+.2f} to {each.high:+.2f}".replace("-", "−")
    if query.scorer != "correlation":  # a query for scores would be about the other scorer's
        return FacetLink(label, each.n, share, None)
    # The outermost bins hold what lies beyond them too.
    terms = [("score", ">=", f"{each.low:g}")] if each.low > -1 else []
    terms += [("score", "<", f"{each.high:g}")] if each.high < 1 else []
    return FacetLink(label, each.n, share, page_of(narrowed(query, *terms)))


def _twentieths(n: int, most: int) -> int:
    return max(1, round(20 * n / most))


def heads(query: Query, ranked_by: str | None) -> dict[str, Head]:
    """Heads that sort, by field; `ranked_by` says that the rows stand in another order."""
    now = query.sort or (None if ranked_by else "score")
    made = {}
    for field, label in _HEADS:
        to, order = sorting(query, field, now)
        made[field] = Head(label, page_of(to), order)
    return made


def shown_facets(query: Query, facets: Facets | None) -> dict[str, Any]:
    """What the side of the page gets."""
    if facets is None:
        return {"facets": {}, "scores": []}
    return {"facets": facet_links(query, facets), "scores": score_links(query, facets)}
