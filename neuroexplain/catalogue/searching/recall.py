"""What searches find out about a catalogue, kept until something is added to it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from sqlalchemy import Connection

from neuroexplain.catalogue.searching.sql import Sql, fetch

T = TypeVar("T")
KEPT = 200
"""Findings; of candidates, each holds some thousand numbers at most."""
_VERSION = Sql(
    "SELECT (SELECT max(id) FROM explanation), (SELECT max(id) FROM score), (SELECT max(id) FROM review), "
    "(SELECT count(*) FROM review), (SELECT created_at FROM review ORDER BY id DESC LIMIT 1), "
    "(SELECT max(id) FROM method), (SELECT max(id) FROM collection)"
)


class Recall:
    """Findings about one state of one catalogue; may be used from several threads."""

    def __init__(self) -> None:
        self._version: object = None
        self._found: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def see(self, connection: Connection) -> None:
        """Forget everything if the catalogue has changed."""
        (version,) = fetch(connection, _VERSION)
        with self._lock:
            if version != self._version:
                self._version = version
                self._found = OrderedDict()

    def once(self, key: Hashable, find: Callable[[], T]) -> T:
        """What is known under a key; found out where it is not."""
        with self._lock:
            found, version = self._found, self._version
            if key in found:
                found.move_to_end(key)
                known: T = found[key]
                return known
        value = find()
        with self._lock:
            if version == self._version:
                self._found[key] = value
                while len(self._found) > KEPT:
                    self._found.popitem(last=False)
        return value
