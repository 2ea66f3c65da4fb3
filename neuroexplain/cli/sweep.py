"""`neuroexplain sweep`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click

from neuroexplain.cli import options
from neuroexplain.config import SweepConfig
from neuroexplain.errors import ConfigError, unknown


def _read_file(ctx: click.Context, _: click.Parameter, path: str | None) -> str | None:
    """Make a TOML file's entries the defaults of the flags of the same names."""
    if path is None:
        return None
    try:
        entries = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    valid = {p.name for p in ctx.command.params if isinstance(p, click.Option) and p.name}
    found = {key.replace("-", "_"): value for key, value in entries.items()}
    for key in found.keys() - valid:
        raise ConfigError(f"{path}: {unknown('setting', key, valid)}")
    for parameter in ctx.command.params:
        if parameter.name in found:
            found[parameter.name] = _as_flag(path, parameter, found[parameter.name])
    for key in ("set", "simulator_set", "scorer_set"):
        if isinstance(found.get(key), dict):
            found[key] = [f"{k}={v}" for k, v in found[key].items()]
    ctx.default_map = {**(ctx.default_map or {}), **found}
    return path


def _as_flag(path: str, parameter: click.Parameter, value: Any) -> Any:
    """An entry as the flag would take it: one of several may stand alone, and no number loses its fraction."""
    if parameter.multiple and isinstance(value, str):
        return [value]
    if isinstance(value, float) and isinstance(parameter.type, click.types.IntParamType):
        raise ConfigError(f"{path}: {parameter.name} must be a whole number, not {value}")
    return value


@click.command()
@click.argument("file", required=False, is_eager=True, callback=_read_file)
@options.collecting
@options.neurons
@options.explaining
@options.scoring
@options.calling
@options.option(
    "--dry-run",
    "Print what the sweep would spend, and a prompt of each kind; ask no language model.",
    is_flag=True,
)
@options.seed
@options.running
@options.as_json
def sweep(**values: Any) -> None:
    """Collect, explain and score; resumable by the same command.

    FILE is a TOML file whose entries are named as the flags (top-k = 20); flags override it.
    """
    from neuroexplain.catalogue.storage.place import place_of
    from neuroexplain.cli.running import end, run
    from neuroexplain.cli.table import print_summary
    from neuroexplain.runner import sweep as sweep_
    from neuroexplain.tracks import first_score

    config = SweepConfig(
        collect=options.collect_config(values),
        explain=options.explain_config(values),
        score=options.score_config(values),
        neurons=values["neurons"],
    )

    if values["dry_run"]:
        _estimate(config, values)
        return

    def work(current: Any) -> dict[str, Any]:
        collection, explanations = sweep_(current, config)
        simulator, scorer = first_score(config.score)
        found: dict[str, Any] = current.catalogue.summary(
            collection, explanations=explanations, simulator=simulator, scorer=scorer
        )
        return found

    summary, result = run("sweep", config, values, work)
    name = place_of(values["catalogue"]).name  # without a password
    print_summary(summary, result, name, as_json=values["json"])
    end(result)


def _estimate(config: SweepConfig, values: dict[str, Any]) -> None:
    from dataclasses import asdict

    from neuroexplain.cli.running import execution
    from neuroexplain.cli.table import print_estimate
    from neuroexplain.estimating import estimate_sweep

    found = estimate_sweep(values["catalogue"], config, execution(values))
    if values["json"]:
        options.echo_json({**asdict(found), "total": asdict(found.total)})
        return
    print_estimate(found)
