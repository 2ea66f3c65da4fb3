"""What every request works with: the catalogue, the reviews, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated

from fastapi import Depends, Request

from neuroexplain import __version__
from neuroexplain.catalogue import Catalogue, Reviews
from neuroexplain.rescoring import Reader
from neuroexplain.review.jobs import Jobs
from neuroexplain.run import Execution
from neuroexplain.searching import Resolver

QUERY_SECONDS = 0.5
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
    version: str = __version__

    @cached_property
    def resolver(self) -> Resolver:
        """Answers `meaning:`, `similar:` and `activates:`; keeps loaded models."""
        return Resolver(self.catalogue, execution=self.execution)

    def writing(self) -> Catalogue:
        """The catalogue opened for writing, to be closed by whoever asks; it waits while a sweep writes."""
        return Catalogue(self.catalogue.location)

    def close(self) -> None:
        """End the jobs, then close the files that they work with."""
        self.jobs.close()
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
