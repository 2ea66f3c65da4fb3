"""`neuroexplain review`."""

from __future__ import annotations

import getpass
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neuroexplain.cli import options

if TYPE_CHECKING:
    from neuroexplain.catalogue import Reviews


@click.command()
@options.catalogue
@options.option("--reviews", "File of the reviews; without it, the one beside the catalogue.")
@options.option("--reviewer", "Your name in the reviews; without it, the one you are logged in by.")
@options.option("--read-only", "Show everything, and take no decisions.", is_flag=True)
@options.option("--host", "Address to listen on.", default="127.0.0.1")
@options.option(
    "--port", "Port to listen on; without it, 8377 where it is free.", type=click.IntRange(0, 65535)
)
@options.option("--no-browser", "Only print the address.", is_flag=True)
@options.option(
    "--simulator",
    "Who scores explanations that are edited here; without it, embedding, or what fits the --llm.",
    default=None,
)
@options.option(
    "--simulator-set", "Setting of the simulator, key=value; may be repeated.", multiple=True
)
@options.asking
@options.trusting
@options.device
def review(**values: Any) -> None:
    """Review explanations by hand, in a browser on this machine.

    Prints an address that lets one browser in; Ctrl-C ends it. Decisions are kept in a file beside
    the catalogue, NAME.reviews.sqlite.
    """
    from neuroexplain.catalogue import Catalogue, reviews_path
    from neuroexplain.cli.running import execution
    from neuroexplain.readers import Reader, check_reader
    from neuroexplain.review.desk import Desk
    from neuroexplain.review.security import user_secret
    from neuroexplain.review.serving import listen, serve

    reader = Reader(
        values["simulator"],
        options.settings(values["simulator_set"], "--simulator-set"),
        values["llm"],
        options.server(values),
        options.llm_settings(values),
    )
    check_reader(reader)
    listening = listen(values["host"], values["port"])
    catalogue = Catalogue(values["catalogue"], read_only=True)
    path = Path(values["reviews"] or reviews_path(values["catalogue"]))
    with ExitStack() as held:
        desk = Desk(
            catalogue,
            _reviews(path, values["read_only"], held),
            values["reviewer"] or getpass.getuser(),
            read_only=values["read_only"],
            execution=execution(values, bars=False),
            reader=reader,
        )
        serve(
            desk,
            listening,
            host=values["host"],
            secret=user_secret(),
            say=lambda line: click.echo(line, err=True),
            browser=not values["no_browser"],
        )


def _reviews(path: Path, read_only: bool, held: ExitStack) -> Reviews:
    """The reviews; where they are only read and nobody has made any, an empty file elsewhere until `held` is left."""
    from tempfile import TemporaryDirectory

    from neuroexplain.catalogue import Reviews

    if not read_only:
        return Reviews(path)
    if not path.exists():
        path = Path(held.enter_context(TemporaryDirectory(prefix="neuroexplain-")), path.name)
        Reviews(path).close()
    return Reviews(path, read_only=True)
