"""`neuroexplain sites`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from neuroexplain.cli import options

if TYPE_CHECKING:
    from neuroexplain.subjects.model import Subject
    from neuroexplain.subjects.sites import Site


@click.command()
@click.argument("subject")
@options.site
@options.sae
@options.option(
    "--allow-pickle", "Read weights that are not safetensors; they can run code.", is_flag=True
)
@options.option("--trust-remote-code", "Run model code that comes with the weights.", is_flag=True)
@options.as_json
def sites(**values: Any) -> None:
    """List where the neurons of a model are: layer, module and how many.

    SUBJECT is minilm, smollm2, a hub id, a directory or a .gguf file. Weights are read only where --site names a module.
    """
    from neuroexplain.subjects import Subject
    from neuroexplain.subjects.sites import NAMED

    subject = Subject.load(
        values["subject"],
        site=values["site"],
        sae=values["sae"],
        allow_pickle=values["allow_pickle"],
        trust_remote_code=values["trust_remote_code"],
        weights=values["site"] not in NAMED,
    )
    found = _described(subject)
    if values["json"]:
        options.echo_json(found)
    else:
        _print(found)


def _described(subject: Subject) -> dict[str, Any]:
    from neuroexplain.subjects.model import UNLIMITED

    def text(ids: tuple[int, ...]) -> list[str]:
        return [str(t) for t in subject.tokenizer.convert_ids_to_tokens(list(ids))]

    layers = [_layer(subject.sites[layer]) for layer in subject.layers]
    most = subject.max_positions
    return {
        "subject": subject.name,
        "architecture": subject.info.architecture,
        "site": subject.site,
        "layers": layers,
        "n_neurons": sum(row["neurons"] for row in layers),
        "prefix": text(subject.prefix),
        "suffix": text(subject.suffix),
        "max_positions": None if most >= UNLIMITED else most,
    }


def _layer(site: Site) -> dict[str, Any]:
    return {
        "layer": site.layer,
        "stack": "decoder" if site.decoder else None,
        "module": site.module_name,
        "side": site.side,
        "latents": site.sae is not None,
        "neurons": site.width,
        "experts": site.experts or None,
        "heads": site.heads or None,
    }


def _print(found: dict[str, Any]) -> None:
    from rich.table import Table

    from neuroexplain.cli.table import console

    out = console()
    table = Table(box=None, pad_edge=False)
    table.add_column("layer", justify="right", no_wrap=True)
    table.add_column("module", overflow="fold")
    table.add_column("what")
    table.add_column("neurons", justify="right", no_wrap=True)
    for row in found["layers"]:
        table.add_row(str(row["layer"]), row["module"], _what(row), f"{row['neurons']:,}")
    out.print(table)
    most = found["max_positions"]
    special = " ".join([*found["prefix"], "TEXT", *found["suffix"]])
    out.print(
        f"{found['subject']} ({found['architecture']}), site {found['site']}: {found['n_neurons']:,} neurons in "
        f"{len(found['layers'])} layers",
        soft_wrap=True,
    )
    out.print(
        f"reads {special}, " + ("of any length" if most is None else f"{most:,} tokens at most")
    )


def _what(row: dict[str, Any]) -> str:
    if row["latents"]:
        return f"latents of the {row['side']}"
    if row["experts"]:
        return f"{row['experts']} experts x {row['neurons'] // row['experts']:,}"
    if row["heads"]:
        return f"{row['side']}, {row['heads']} heads x {row['neurons'] // row['heads']}"
    return str(row["side"])
