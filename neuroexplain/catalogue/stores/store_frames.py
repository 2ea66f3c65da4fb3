"""What queues need of a catalogue: populations, and which rows some decisions were about."""

from __future__ import annotations

from sqlalchemy import select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.reviewing import comparing, frames, measures
from neuroexplain.catalogue.reviewing.comparing import Beside
from neuroexplain.catalogue.reviewing.frames import Frame
from neuroexplain.catalogue.reviewing.rated import Method
from neuroexplain.catalogue.searching import facets
from neuroexplain.catalogue.searching.vocabulary import Vocabulary
from neuroexplain.catalogue.storage.columns import Floats64, Integers, read
from neuroexplain.catalogue.stores.store_file import StoreFile
from neuroexplain.records import SPLITS

SECONDS = 60.0
"""For a population, unless the caller says otherwise."""


class FrameStore(StoreFile):
    """Populations of explanations."""

    def frame(self, query: str = "", *, seconds: float = SECONDS) -> Frame:
        """All explanations that a query finds, as arrays, failed ones left out.

        The whole catalogue is kept until it changes; nobody may write to its arrays.

        Args:
            query: in the language of `search`, without `meaning:`, `similar:`, `activates:` and `limit:`, which find no set.
            seconds: time limit.

        Raises:
            QueryError: an unknown field or a bad value; the message has the valid ones and the column.
            CatalogueError: the time was up: there is no part of a population, for weights drawn from it would be wrong.
        """
        if not query.strip():
            return self._whole(seconds)
        return self._found(query, seconds)

    def held_out_neurons(self, *, seconds: float = SECONDS) -> Integers:
        """Rows of the neurons that have spans of the test split.

        Raises:
            CatalogueError: the time was up.
        """
        table = tables.Exemplar
        wanted = (
            select(col(table.neuron_id))
            .where(col(table.split) == SPLITS.index("test"), col(table.n) > 0)
            .distinct()
        )
        with self._database.reading() as connection, self._database.limited(connection, seconds):
            found: Integers = read(connection, wanted, {"neuron": "integer"})["neuron"]
            return found

    def methods(self) -> list[Method]:
        """Who wrote explanations of this catalogue, in order."""
        with self._database.reading() as connection:
            self._recall.see(connection)
            cells = self._recall.once("cells", lambda: facets.all_cells(connection))
            names = Vocabulary.read(connection).methods
        wrote = {cell.method_id for cell, _ in cells.counts}
        return sorted({Method(names[n][0], names[n][1] or "") for n in wrote})

    def measures(self) -> list[str]:
        """Names of what scores on the test split are of: `SCORER`, whoever simulated, and `SCORER of SIMULATOR, LLM`."""
        with self._database.reading() as connection:
            return measures.names(Vocabulary.read(connection))

    def values_of(self, frame: Frame, measure: str, *, seconds: float = SECONDS) -> Floats64:
        """The newest scores by a measure, [explanation of the frame]; NaN where undefined or not scored.

        Raises:
            ConfigError: there is no such measure; the message has those that there are.
            CatalogueError: the time was up.
        """
        with self._database.reading() as connection, self._database.limited(connection, seconds):
            return measures.values(connection, Vocabulary.read(connection), frame, measure)

    def sides(self, *, seconds: float = SECONDS) -> list[str]:
        """What `beside` can compare: methods as `explainer, llm`, and runs as `run N`.

        Raises:
            CatalogueError: the time was up.
        """
        return comparing.sides(self._whole(seconds))

    def beside(
        self, first: str, second: str, measure: str = "correlation", *, seconds: float = SECONDS
    ) -> Beside:
        """Two methods or runs on the same polarities of the same neurons, with their scores.

        Whole populations are kept until the catalogue changes: the first call takes seconds for a million explanations.

        Args:
            first: one of `sides`.
            second: another.
            measure: one of `measures`.
            seconds: time limit of what is read anew.

        Raises:
            ConfigError: an unknown side or measure; the message has those that there are.
            CatalogueError: the time was up.
        """
        frame = self._whole(seconds)
        # By the frame itself: the catalogue may have changed since it was read, and then these go with no other.
        scores = self._recall.once(
            ("scores", measure, frame), lambda: self.values_of(frame, measure, seconds=seconds)
        )
        return comparing.beside(frame, scores, first, second)

    def side_rows(self, side: str, *, seconds: float = SECONDS) -> Integers:
        """Rows of a side's explanations, ascending.

        Raises:
            ConfigError: there is no such side.
            CatalogueError: the time was up.
        """
        frame = self._whole(seconds)
        return frame.explanation[comparing.rows_of(frame, side)]

    def undefined(self, explanations: Integers, measure: str) -> dict[str, int]:
        """Why explanations have no score by a measure, by reason, the most frequent first."""
        with self._database.reading() as connection:
            return measures.reasons(connection, Vocabulary.read(connection), explanations, measure)

    def _whole(self, seconds: float) -> Frame:
        with self._database.reading() as connection:
            self._recall.see(connection)
        return self._recall.once("frame", lambda: self._found("", seconds))

    def _found(self, query: str, seconds: float) -> Frame:
        with self._database.reading() as connection, self._database.limited(connection, seconds):
            return frames.read(connection, self._recall, query)
