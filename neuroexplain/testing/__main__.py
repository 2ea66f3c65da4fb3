"""`python -m neuroexplain.testing`: a server in a process of its own, for benchmarks and by hand; or a large catalogue."""

from __future__ import annotations

import importlib.util
import signal
import threading
from pathlib import Path

import click

from neuroexplain.testing import FAULTS, faulty, serve


@click.group(invoke_without_command=True)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=0, show_default=True, help="0: any that is free.")
@click.option("--latency", default=0.0, show_default=True, help="Seconds before every answer.")
@click.option("--faults", default=0.0, show_default=True, help="Share of faulty answers, 0 to 1.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(list(FAULTS)),
    help="Which faults; all unless given.",
)
@click.option("--seed", default=0, show_default=True, help="Decides which requests meet a fault.")
@click.option("--text", default="Here you are.", show_default=True, help="Every chat's reply.")
@click.option("--model", "models", multiple=True, default=["test-model"], show_default=True)
@click.pass_context
def main(
    context: click.Context,
    host: str,
    port: int,
    latency: float,
    faults: float,
    kinds: tuple[str, ...],
    seed: int,
    text: str,
    models: tuple[str, ...],
) -> None:
    """Serve OpenAI's API until SIGTERM or SIGINT; the first line of the output is the base URL."""
    if context.invoked_subcommand is not None:
        return
    _allow_connections()
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    answer = faulty(lambda _: text, faults, seed, kinds)
    with serve(answer, models=models, latency=latency, host=host, port=port, log=False) as server:
        click.echo(server.base_url)
        over.wait()
    click.echo(f"{server.arrived} requests, {server.answered} answered", err=True)


@main.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--neurons", default=300_000, show_default=True, help="A multiple of --layers.")
@click.option("--explanations", default=1_000_000, show_default=True)
@click.option("--layers", default=48, show_default=True, help="All of one width.")
@click.option("--spans", default=20_000, show_default=True, help="Of the corpus, 64 tokens each.")
@click.option("--seed", default=0, show_default=True, help="Decides all of its contents.")
def catalogue(
    out: Path, neurons: int, explanations: int, layers: int, spans: int, seed: int
) -> None:
    """Make a catalogue of real text and made-up neurons, explanations, scores and reviews."""
    from neuroexplain.testing.catalogues import make

    if neurons < layers or neurons % layers:
        raise click.BadParameter(f"{neurons} is no multiple of {layers} layers", param_hint="--neurons")  # fmt: skip
    make(out, neurons=neurons, explanations=explanations, layers=layers, spans=spans, seed=seed)
    click.echo(f"{out}: {out.stat().st_size / 1e6:,.0f} MB", err=True)


def _allow_connections() -> None:
    """Let this process hold as many connections as the system lets it."""
    if importlib.util.find_spec("resource") is not None:  # Windows has no such limit
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()
