"""Search in the catalogue."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from neuroexplain.catalogue import SearchResult, SearchRow
from neuroexplain.catalogue.language import query as language
from neuroexplain.catalogue.language.fields import HELP
from neuroexplain.catalogue.language.grammar import pointer
from neuroexplain.catalogue.searching.found import Facets
from neuroexplain.errors import QueryError
from neuroexplain.records import NeuronId
from neuroexplain.review.desk import QUERY_SECONDS, AtDesk
from neuroexplain.review.narrowing import asks, narrowed, page_of, parsed, sorted_by, widened
from neuroexplain.review.pages.neuron import link
from neuroexplain.review.rendering import page
from neuroexplain.searching import search

router = APIRouter()
ROWS = 50
"""On a page."""
_FACETS = ("subject", "layer", "explainer", "llm", "state", "polarity")
_SORTS = (("score", "Score"), ("layer", "Neuron"))
MostText = Annotated[str, Query(max_length=100_000)]


class FacetLink(NamedTuple):
    """A value that explanations found share, with where it leads."""

    value: str
    n: int
    share: int
    """Of the largest of its facet, in twentieths."""
    href: str
    chosen: bool


@router.get("/catalogue")
def catalogue(
    request: Request, desk: AtDesk, q: MostText = "", after: MostText | None = None
) -> HTMLResponse:
    """The explanations that a query finds, a page at a time, with what they have in common."""
    shown: dict[str, Any] = {"q": q, "help": HELP, "after": after}
    try:
        query = parsed(q)
        found = search(
            desk.catalogue,
            q,
            limit=query.limit or ROWS,
            after=after,
            count=True,
            facets=True,
            seconds=QUERY_SECONDS,
            resolver=desk.resolver,
        )
    except QueryError as error:
        pointed = "" if error.column is None else pointer(q, error.column)
        return page(
            request, "catalogue.html.jinja", 400, **shown, error=str(error), pointed=pointed
        )
    return page(request, "catalogue.html.jinja", **shown, error=None, **_found(query, q, found))


def _found(query: language.Query, q: str, found: SearchResult) -> dict[str, Any]:
    return {
        "found": found,
        "links": [link(_neuron(row)) for row in found.rows],
        "facets": {} if found.facets is None else _facets(query, found.facets),
        "scores": [] if found.facets is None else _scores(query, found.facets),
        "sorts": {field: page_of(sorted_by(query, field)) for field, _ in _SORTS},
        "next": None if found.next is None else page_of(q, after=found.next),
    }


def _neuron(row: SearchRow) -> NeuronId:
    return NeuronId.parse(row.neuron)


def _facets(query: language.Query, facets: Facets) -> dict[str, list[FacetLink]]:
    made = {}
    for field in _FACETS:
        values = getattr(facets, field)
        links = [_facet(query, field, str(v.value), v.n, values) for v in values]
        if len(links) > 1 or any(each.chosen for each in links):
            made[field] = links
    return made


def _facet(query: language.Query, field: str, value: str, n: int, values: Any) -> FacetLink:
    chosen = asks(query, field, value)
    to = widened(query, field) if chosen else narrowed(query, (field, ":", value))
    return FacetLink(value, n, _twentieths(n, values), page_of(to), chosen)


def _scores(query: language.Query, facets: Facets) -> list[FacetLink]:
    """Bins of correlation; explanations without one have no link."""
    made = []
    for each in facets.score:
        if each.low is None or each.high is None:
            continue
        terms = ("score", ">=", f"{each.low:g}"), ("score", "<", f"{each.high:g}")
        to = page_of(narrowed(query, *terms))
        label = f"{each.low:+.2f}".replace("-", "−")
        made.append(FacetLink(label, each.n, _twentieths(each.n, facets.score), to, False))
    return made


def _twentieths(n: int, values: Any) -> int:
    most: int = max(v.n for v in values)
    return max(1, round(20 * n / most))
