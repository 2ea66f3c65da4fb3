"""Parquet of our own: a table of neurons, and one each of their spans, n-grams, explanations, scores and simulations.

Every row has `subject`, `layer`, `index` and `polarity`, and the rows of every table are in that order, the upper side first:
so all tables are read side by side, and nothing has to be looked up. `columns` says what they hold. Needs pyarrow.
"""

from neuroexplain.exchange.parquet.reading import has_neurons, read
from neuroexplain.exchange.parquet.writing import Written, write

__all__ = ["Written", "has_neurons", "read", "write"]
