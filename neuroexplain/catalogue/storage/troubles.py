"""What can become of a transaction that is nobody's mistake in the program."""

from __future__ import annotations

from neuroexplain.errors import CatalogueError


class NoRoomError(CatalogueError):
    """The disk takes no more.

    Args:
        name: the catalogue.
        why: what the disk says.
    """

    def __init__(self, name: object, why: str) -> None:
        super().__init__(
            f"the disk of catalogue {name} {why}; make room and run the same command again"
        )
        self.why = why


class BusyError(CatalogueError):
    """Another process keeps the catalogue locked."""


class CutError(CatalogueError):
    """A time limit cut statements off; what came before is as it was."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"cut off after {seconds:g} s")
        self.seconds = seconds
