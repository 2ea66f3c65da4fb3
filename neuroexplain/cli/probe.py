"""`neuroexplain probe`."""

from __future__ import annotations

from typing import Any

import click

from neuroexplain.cli import options


@click.command()
@options.option("--llm", "Language model: openai:MODEL.", required=True)
@options.option(
    "--base-url",
    "Server, URL[,key=ENV_NAME]; may be repeated; else OPENAI_BASE_URL.",
    multiple=True,
)
@options.option("--timeout", "Seconds for one request.", type=click.FloatRange(0.1), default=300.0)
@options.option("--tries", "Requests at most for one call.", type=click.IntRange(1), default=6)
@options.as_json
def probe(**values: Any) -> None:
    """Find out what a server can do for a model, as a run does before its first call.

    Servers ignore in silence what they do not know. A few short requests show whether the model can be held to a JSON schema,
    which limit of a reply is kept, and whether the probabilities of a text's own tokens come back and belong to the right tokens.
    """
    import asyncio

    from neuroexplain.errors import ConfigError
    from neuroexplain.llm import create
    from neuroexplain.llm.openai_http import OpenAIChat

    async def find_out() -> dict[str, dict[str, Any]]:
        model = create(
            values["llm"],
            base_url=values["base_url"] or None,
            timeout=values["timeout"],
            tries=values["tries"],
        )
        if not isinstance(model, OpenAIChat):
            raise ConfigError(f'"{values["llm"]}" has no server to try; write openai:MODEL')
        try:
            found = await model.prepare(texts=True)
        finally:
            await model.close()
        return {url: capabilities.as_dict() for url, capabilities in found.items()}

    servers = asyncio.run(find_out())
    if values["json"]:
        options.echo_json(servers)
        return
    for url, found in servers.items():
        click.echo(f"{values['llm']} at {url}")
        for name, value in found.items():
            click.echo(f"  {name}: {_shown(value)}")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return str(value) if value not in ("", None) else "-"
