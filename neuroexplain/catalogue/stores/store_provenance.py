"""Where a catalogue's explanations come from."""

from __future__ import annotations

from dataclasses import replace

from neuroexplain.catalogue.results import provenance
from neuroexplain.catalogue.results.provenance import Provenance
from neuroexplain.catalogue.searching.search import SECONDS
from neuroexplain.catalogue.storage.troubles import CutError
from neuroexplain.catalogue.stores.store_file import StoreFile


class ProvenanceStore(StoreFile):
    """What led to each explanation."""

    def provenance(self, explanation: int, *, seconds: float = SECONDS) -> Provenance:
        """All that led to an explanation, failed ones too: method, run, prompt, reply, cost, and what it revises.

        Args:
            explanation: its row.
            seconds: time limit for the ledger; `calls_cut` says where it was not read to its end.

        Raises:
            AbsentError: there is no such explanation.
        """
        with self._database.reading() as connection:
            found = provenance.provenance(connection, explanation)
            try:
                with self._database.limited(connection, seconds):
                    return replace(found, calls=provenance.calls(connection, found))
            except CutError:
                return replace(found, calls_cut=True)
