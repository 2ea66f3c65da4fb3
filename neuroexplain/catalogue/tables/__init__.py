"""The tables as SQLModel classes, for building statements; `db/*.sql` makes them and says what each column means.

A test compares the two, column by column. CHECK constraints are in the SQL alone. Rows go in and out through
statements, never as objects, so a class here is nothing but a list of columns.
"""

from sqlalchemy import BigInteger, Integer
from sqlmodel import SQLModel

from neuroexplain.catalogue.tables.collected import (
    Collection,
    Exemplar,
    ImportBatch,
    LayerSketch,
    LookAlike,
    Neuron,
    OutputToken,
    PeakToken,
    Statistics,
    Subject,
    TokenResponse,
    Vocabulary,
)
from neuroexplain.catalogue.tables.ngrams import (
    Ngram,
    NgramList,
    NgramMoments,
    NgramPass,
    NgramSet,
    NgramText,
    NgramWord,
)
from neuroexplain.catalogue.tables.results import (
    Explanation,
    Measure,
    Method,
    Review,
    ReviewTag,
    Score,
    Scorer,
    Simulation,
    SimulationFailure,
    TextSet,
)
from neuroexplain.catalogue.tables.runs import (
    BatchRequest,
    BatchResult,
    LlmCall,
    LlmProbe,
    LlmSource,
    Run,
    SchemaMigration,
)
from neuroexplain.catalogue.tables.searched import Embedding, Entry, ExplanationWord, Standing
from neuroexplain.catalogue.tables.texts import Corpus, Document, Span, Token

__all__ = [
    "BatchRequest",
    "BatchResult",
    "Collection",
    "Corpus",
    "Document",
    "Embedding",
    "Entry",
    "Exemplar",
    "Explanation",
    "ExplanationWord",
    "ImportBatch",
    "LayerSketch",
    "LlmCall",
    "LlmProbe",
    "LlmSource",
    "LookAlike",
    "Measure",
    "Method",
    "Neuron",
    "Ngram",
    "NgramList",
    "NgramMoments",
    "NgramPass",
    "NgramSet",
    "NgramText",
    "NgramWord",
    "OutputToken",
    "PeakToken",
    "Review",
    "ReviewTag",
    "Run",
    "SchemaMigration",
    "Score",
    "Scorer",
    "Simulation",
    "SimulationFailure",
    "Span",
    "Standing",
    "Statistics",
    "Subject",
    "TextSet",
    "Token",
    "TokenResponse",
    "Vocabulary",
]

for _table in SQLModel.metadata.tables.values():
    for _column in _table.columns:
        # SQLite does not mind; PostgreSQL's integers end at 32 bits.
        if isinstance(_column.type, Integer):
            _column.type = BigInteger()
