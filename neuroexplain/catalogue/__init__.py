"""The catalogue: everything that was found, in one SQLite file. The only code that imports SQLModel."""

from neuroexplain.catalogue.explanations import ExplanationRef, NewExplanation
from neuroexplain.catalogue.reader import Collection
from neuroexplain.catalogue.scores import NewScores
from neuroexplain.catalogue.search import SearchResult, SearchRow
from neuroexplain.catalogue.simulations import KnownSimulation, NewSimulation
from neuroexplain.catalogue.sketches import TokenResponse
from neuroexplain.catalogue.store import Catalogue

__all__ = [
    "Catalogue",
    "Collection",
    "ExplanationRef",
    "KnownSimulation",
    "NewExplanation",
    "NewScores",
    "NewSimulation",
    "SearchResult",
    "SearchRow",
    "TokenResponse",
]
