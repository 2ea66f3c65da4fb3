"""The command line: one file per command; each parses, calls one function and prints.

Data goes to standard output, progress and messages to standard error. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import click

from neuroexplain import __version__
from neuroexplain.cli.batch import batch
from neuroexplain.cli.bench import bench
from neuroexplain.cli.collect import collect
from neuroexplain.cli.db import db
from neuroexplain.cli.embed import embed
from neuroexplain.cli.exchange import export, import_
from neuroexplain.cli.explain import explain
from neuroexplain.cli.merge import merge
from neuroexplain.cli.ngrams import ngrams
from neuroexplain.cli.plugins import plugins
from neuroexplain.cli.probe import probe
from neuroexplain.cli.report import report
from neuroexplain.cli.review import review
from neuroexplain.cli.reviews import reviews
from neuroexplain.cli.runs import runs
from neuroexplain.cli.score import score
from neuroexplain.cli.search import search
from neuroexplain.cli.show import show
from neuroexplain.cli.sites import sites
from neuroexplain.cli.sweep import sweep
from neuroexplain.errors import NeuroexplainError

INTERRUPTED = 130


class Group(click.Group):
    """Turns what the user can mend into one line and exit code 1, and an interruption into exit code 130.

    A pipe that its reader has closed, as `| head` does, is a clean end.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except NeuroexplainError as error:
            raise click.ClickException(" ".join(str(error).split())) from error
        except BrokenPipeError:
            # Whoever read our output has enough. What is still buffered must go somewhere when Python ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)
        except KeyboardInterrupt:
            click.echo(
                "interrupted; what was saved stays, and the same command goes on with the rest",
                err=True,
            )
            ctx.exit(INTERRUPTED)


@click.group(
    cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="neuroexplain")
def cli() -> None:
    """Explain the neurons of language models with language models, and say what the scores mean.

    Every option can be set by an environment variable: --top-k is NEUROEXPLAIN_TOP_K.
    """


for command in (
    *(collect, merge, ngrams, explain, score, sweep, search, show, review, reviews),
    *(export, import_, report, runs, batch, probe, sites, plugins, bench, db),
):
    cli.add_command(command)
db.add_command(embed)


def main() -> None:
    """Entry point of the `neuroexplain` program."""
    # Warnings of the package are for the user: what goes on without something, or waits for it.
    logging.basicConfig(format="%(message)s", level=logging.ERROR)
    logging.getLogger("neuroexplain").setLevel(logging.WARNING)
    cli()
