"""What every request works with: the catalogue, the reviews, and what they may do."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from neuroexplain import __version__
from neuroexplain.catalogue import Catalogue, Reviews
from neuroexplain.readers import Reader
from neuroexplain.records import NeuronId
from neuroexplain.review.finding import SECONDS, Finder
from neuroexplain.review.jobs import Jobs
from neuroexplain.review.mirroring import Mirror, still_there
from neuroexplain.review.timing import Timings
from neuroexplain.review.trying import Trying
from neuroexplain.run import Execution
from neuroexplain.searching import Resolver

QUERY_SECONDS = SECONDS
"""Time limit of a query from the browser; what was found until then is shown, and the page says so."""


@dataclass
class Desk:
    """The open files, and how this server was started."""

    catalogue: Catalogue
    """Open for reading only; see `writing` for the other."""
    reviews: Reviews
    reviewer: str
    """Name of whoever does not give another."""
    read_only: bool = False
    """Whether decisions are refused."""
    execution: Execution = field(default_factory=Execution)
    """How subjects and simulators run."""
    reader: Reader = field(default_factory=Reader)
    """Who reads explanations that are edited here."""
    jobs: Jobs = field(default_factory=Jobs)
    """Work that outlasts a request."""
    timings: Timings = field(default_factory=Timings)
    """How long requests took."""
    revealed: set[tuple[str, NeuronId]] = field(default_factory=set)
    """Reviewers, with neurons that they were shown in spite of a blind queue."""
    version: str = __version__

    def __post_init__(self) -> None:
        # Made now: of two requests at once each would make its own, and load its own models.
        _ = self.finder, self.trying, self.mirror

    @cached_property
    def mirror(self) -> Mirror:
        """Has the catalogue follow the reviews."""
        return Mirror(self.catalogue.location, self.reviews, on=not self.read_only)

    @cached_property
    def resolver(self) -> Resolver:
        """Answers `meaning:`, `similar:` and `activates:`; keeps loaded models."""
        return Resolver(self.catalogue, execution=self.execution)

    @cached_property
    def trying(self) -> Trying:
        """Runs texts through subjects."""
        return Trying(self.catalogue, self.resolver)

    def writing(self) -> Catalogue:
        """The catalogue opened for writing, to be closed by whoever asks; it waits while a sweep writes.

        Raises:
            CatalogueError: its file is gone; a new one would have none of its neurons.
        """
        return still_there(self.catalogue.location)

    @cached_property
    def finder(self) -> Finder:
        """Searches the catalogue within the limits of a page."""
        return Finder(self.catalogue, self.resolver)

    def without_folders(self, message: str) -> str:
        """A message in which files have their names only: whoever reads it in a browser need not know where they lie."""
        for path in (self.catalogue.path, self.reviews.path):
            for folder in {path.parent, path.parent.absolute(), path.parent.resolve()}:
                if folder.name:  # neither here nor the root
                    message = message.replace(f"{folder}{os.sep}", "")
        return message.replace(str(Path.home()), "~")

    def close(self) -> None:
        """End the jobs, then close the files that they work with."""
        self.jobs.close()
        self.mirror.close()
        self.catalogue.close()
        self.reviews.close()


def desk_of(request: Request) -> Desk:
    """The desk of the application that a request came to."""
    found: Desk = request.app.state.desk
    return found


def reviewer_of(request: Request) -> str:
    """Who is asking, by the session."""
    name: str = request.scope["session"].reviewer
    return name


AtDesk = Annotated[Desk, Depends(desk_of)]
By = Annotated[str, Depends(reviewer_of)]
