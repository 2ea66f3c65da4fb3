"""`python -m neuroexplain.testing`: a server in a process of its own, for benchmarks and by hand."""

from __future__ import annotations

import importlib.util
import signal
import threading

import click

from neuroexplain.testing import FAULTS, faulty, serve


@click.command()
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
def main(
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
    _allow_connections()
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    answer = faulty(lambda _: text, faults, seed, kinds)
    with serve(answer, models=models, latency=latency, host=host, port=port, log=False) as server:
        click.echo(server.base_url)
        over.wait()
    click.echo(f"{server.arrived} requests, {server.answered} answered", err=True)


def _allow_connections() -> None:
    """Let this process hold as many connections as the system lets it."""
    if importlib.util.find_spec("resource") is not None:  # Windows has no such limit
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()
