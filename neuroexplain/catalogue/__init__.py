"""The catalogue: everything that was found, in one SQLite file or PostgreSQL database. The only code that imports SQLModel.

`store` has `Catalogue`, which is what others see; its parts are in `stores`. `storage` has files and servers, migrations and rows,
`tables` the tables for statements; `collections` what passes over a corpus found, `results` what became of the neurons. A query's
text becomes a tree in `language`, and rows, counts and rankings in `searching`. Records go out and come in by `exchange`; `care`
checks, merges, copies and upgrades. `reviewing` keeps what people think of explanations, in a file of its own.
"""

from neuroexplain.catalogue.collections.ngram_writer import NewPass
from neuroexplain.catalogue.collections.ngrams import NgramPass
from neuroexplain.catalogue.collections.reader import Collection
from neuroexplain.catalogue.collections.sketches import TokenResponse
from neuroexplain.catalogue.exchange.export_block import Parts
from neuroexplain.catalogue.exchange.import_place import Target
from neuroexplain.catalogue.exchange.importing import Importer
from neuroexplain.catalogue.results.explanations import ExplanationRef, NewExplanation
from neuroexplain.catalogue.results.scores import NewScores
from neuroexplain.catalogue.results.simulations import KnownSimulation, NewSimulation
from neuroexplain.catalogue.results.texts import TextSet
from neuroexplain.catalogue.reviewing.comparing import Beside
from neuroexplain.catalogue.reviewing.frames import Frame
from neuroexplain.catalogue.reviewing.reviews import Reviews, reviews_path
from neuroexplain.catalogue.searching.found import SearchResult, SearchRow
from neuroexplain.catalogue.searching.rankings import Ranking
from neuroexplain.catalogue.store import Catalogue

__all__ = [
    "Beside",
    "Catalogue",
    "Collection",
    "ExplanationRef",
    "Frame",
    "Importer",
    "KnownSimulation",
    "NewExplanation",
    "NewPass",
    "NewScores",
    "NewSimulation",
    "NgramPass",
    "Parts",
    "Ranking",
    "Reviews",
    "SearchResult",
    "SearchRow",
    "Target",
    "TextSet",
    "TokenResponse",
    "reviews_path",
]
