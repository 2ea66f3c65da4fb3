"""Where a catalogue is: a file, or a database of a PostgreSQL server."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import platformdirs
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from neuroexplain.errors import CatalogueError

DEFAULT = "neuroexplain.sqlite"
"""File of a catalogue that nobody named."""
_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
_SHOWN = ("host", "port", "options")
"""Parts of a URL's query that tell one catalogue from another."""


@dataclass(frozen=True)
class Place:
    """Where a catalogue is.

    Attributes:
        path: the file. Of a server's database, a name in a folder of this user beside which this machine keeps unfinished work.
        url: of a server's database, with its password; None for a file.
    """

    path: Path
    url: URL | None = None

    @property
    def name(self) -> str:
        """What messages call it: the path, or the URL without its password."""
        return str(self.path) if self.url is None else _bare(self.url)

    @property
    def location(self) -> str:
        """What opens it again from another process, in whatever folder that is; with the password."""
        if self.url is None:
            return str(self.path.absolute())
        return self.url.render_as_string(hide_password=False)

    @property
    def exists(self) -> bool:
        """Whether there is something to open; only the server knows of its databases."""
        return self.url is not None or self.path.exists()


def place_of(location: str | Path | Place | None) -> Place:
    """The place that a `--catalogue` value means; None is `NEUROEXPLAIN_CATALOGUE`, or `neuroexplain.sqlite` here.

    Raises:
        CatalogueError: a URL of some other database, or a database in memory.
    """
    if isinstance(location, Place):
        return location
    text = str(location or os.environ.get("NEUROEXPLAIN_CATALOGUE") or DEFAULT)
    path = text.removeprefix("sqlite:///")
    if "://" not in path and path not in ("", ":memory:"):
        return Place(Path(path))
    scheme = text.partition("://")[0]  # the rest of a URL may hold a password
    if scheme not in _SCHEMES:
        raise CatalogueError(
            f'catalogue "{scheme}": give the path of an SQLite file such as {DEFAULT}, '
            "or postgresql://USER@HOST/DATABASE"
        )
    return _on_server(text)


def locate(location: str | Path | None) -> Path:
    """The file that a `--catalogue` value means, for what only a file has; see `place_of`.

    Raises:
        CatalogueError: it is no file.
    """
    place = place_of(location)
    if place.url is not None:
        raise CatalogueError(
            f"catalogue {place.name} is a server's database, and this works on SQLite files; "
            "the server's own tools, such as pg_dump, do it there"
        )
    return place.path


def _on_server(text: str) -> Place:
    try:
        url = make_url(text).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):  # a port that is no number
        url = None
    if url is None or not url.database:
        raise CatalogueError(
            "the catalogue's URL is not one of a database; it has the form postgresql://USER@HOST:PORT/DATABASE, "
            "with % and other signs in names as %25 and the like"
        )
    digest = hashlib.sha256(_bare(url).encode()).hexdigest()[:16]
    folder = platformdirs.user_data_path("neuroexplain") / "servers"
    return Place(folder / f"{url.database}-{digest}".replace("/", "_"), url)


def _bare(url: URL) -> str:
    """A URL without password, and without what tells how to connect."""
    kept = {name: value for name, value in url.query.items() if name in _SHOWN}
    bare = url.set(drivername="postgresql", query=kept)._replace(password=None)
    return unquote(bare.render_as_string())
