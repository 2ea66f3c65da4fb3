"""The catalogue: everything that was found, in one SQLite file. The only code that imports SQLModel."""

from neuroexplain.catalogue.reader import Collection
from neuroexplain.catalogue.results import ExplanationRef, KnownSimulation
from neuroexplain.catalogue.search import SearchResult, SearchRow
from neuroexplain.catalogue.sketches import TokenResponse
from neuroexplain.catalogue.store import Catalogue

__all__ = [
    "Catalogue",
    "Collection",
    "ExplanationRef",
    "KnownSimulation",
    "SearchResult",
    "SearchRow",
    "TokenResponse",
]
