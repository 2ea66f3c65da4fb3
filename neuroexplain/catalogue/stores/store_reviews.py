"""What reviews need of a catalogue: which explanations a decision is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import bindparam, select
from sqlmodel import col

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.results import live
from neuroexplain.catalogue.reviewing import mirror
from neuroexplain.catalogue.reviewing.mirror import Mirrored
from neuroexplain.catalogue.reviewing.reviews import Reviews
from neuroexplain.catalogue.storage.rows import Prepared, listed
from neuroexplain.catalogue.stores.store_file import StoreFile
from neuroexplain.errors import CatalogueError
from neuroexplain.records import NeuronId
from neuroexplain.reviewed import Target

_E, _N, _S = tables.Explanation, tables.Neuron, tables.Subject
_PLACE = (_S.name, _N.layer, _N.idx, _E.polarity)
_TARGETS = Prepared(
    select(*(col(c) for c in (_E.id, _E.text, _E.status, *_PLACE)))
    .join(_N, col(_N.id) == col(_E.neuron_id))
    .join(_S, col(_S.id) == col(_N.subject_id))
    .where(col(_E.id).in_(listed("numbers")))
)
_OF_NEURON = Prepared(
    select(col(_E.id), col(_E.text))
    .join(_N, col(_N.id) == col(_E.neuron_id))
    .join(_S, col(_S.id) == col(_N.subject_id))
    .where(
        col(_S.name) == bindparam("subject"),
        col(_N.layer) == bindparam("layer"),
        col(_N.idx) == bindparam("idx"),
        col(_E.polarity) == bindparam("polarity"),
        col(_E.status) == "ok",
        ~live.superseded(_E),
    )
    .order_by(col(_E.id))
)


class ReviewStore(StoreFile):
    """Explanations as decisions name them."""

    def targets(self, explanations: Sequence[int]) -> dict[int, Target]:
        """What a decision about each explanation is about; failed ones are left out, for there is nothing to judge."""
        numbers = str(list(explanations))
        with self._database.reading() as connection:
            return {
                row.id: Target.of(NeuronId(row.name, row.layer, row.idx, row.polarity), row.text)
                for row in _TARGETS(connection, numbers=numbers)
                if row.status == "ok"
            }

    def explanations_saying(self, target: Target) -> list[int]:
        """Explanations of a neuron with exactly that text, the oldest first; none in a catalogue that lacks it."""
        n = target.neuron
        place = {"subject": n.subject, "layer": n.layer, "idx": n.index, "polarity": n.polarity}
        with self._database.reading() as connection:
            return [row.id for row in _OF_NEURON(connection, **place) if row.text == target.text]

    def target(self, explanation: int) -> Target:
        """What a decision about an explanation is about.

        Raises:
            CatalogueError: there is no such explanation, or it failed.
        """
        found = self.targets([explanation])
        if explanation not in found:
            raise CatalogueError(
                f"no explanation {explanation} in this catalogue that says anything"
            )
        return found[explanation]

    def mirror(self, reviews: Reviews, *, targets: Iterable[Target] | None = None) -> Mirrored:
        """Write what reviewers think beside the explanations, for searches; see `reviewing.mirror`.

        Args:
            reviews: the file that has it.
            targets: only what is thought of these; None for all.

        Raises:
            CatalogueError: this catalogue is open for reading only, or another process keeps it locked.
        """
        return mirror.mirror(self._database, reviews.standing(targets))
