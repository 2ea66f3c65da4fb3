"""The catalogue: everything that was found, in one SQLite file. The only code that imports SQLModel."""

from neuroexplain.catalogue.explanations import ExplanationRef, NewExplanation
from neuroexplain.catalogue.ngram_writer import NewPass
from neuroexplain.catalogue.ngrams import NgramPass
from neuroexplain.catalogue.reader import Collection
from neuroexplain.catalogue.scores import NewScores
from neuroexplain.catalogue.search import SearchResult, SearchRow
from neuroexplain.catalogue.simulations import KnownSimulation, NewSimulation
from neuroexplain.catalogue.sketches import TokenResponse
from neuroexplain.catalogue.store import Catalogue
from neuroexplain.catalogue.texts import TextSet

__all__ = [
    "Catalogue",
    "Collection",
    "ExplanationRef",
    "KnownSimulation",
    "NewExplanation",
    "NewPass",
    "NewScores",
    "NewSimulation",
    "NgramPass",
    "SearchResult",
    "SearchRow",
    "TextSet",
    "TokenResponse",
]
