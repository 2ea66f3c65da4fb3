"""Options that several commands share, and how their values become configurations."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from neuroexplain.config import NEAR_DUPLICATES, CollectConfig, ExplainConfig, ScoreConfig
from neuroexplain.errors import ConfigError

Command = TypeVar("Command", bound=Callable[..., Any])

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", re.IGNORECASE)
_FRACTION = re.compile(r"(\d+)/(\d+)")


class Size(click.ParamType[int]):
    """Bytes, as a number or with KB, MB, GB or TB behind it (powers of 1024)."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a size."""
        match = _SIZE.fullmatch(str(value).strip())
        if match is None:
            self.fail(f'"{value}" is no size; write 500MB, 2GB or a number of bytes', param, ctx)
        return int(float(match[1]) * 1024 ** " KMGT".index((match[2] or " ").upper()))


class Fraction(click.ParamType[tuple[int, int]]):
    """Which of how many: 3/16."""

    name = "i/n"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Read a fraction."""
        match = _FRACTION.fullmatch(str(value).strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            self.fail(f'"{value}" is no shard; write 1/16 to 16/16', param, ctx)
        return int(match[1]), int(match[2])


def option(name: str, help: str, **attributes: Any) -> Callable[[Command], Command]:
    """A click option with its environment variable `NEUROEXPLAIN_NAME`."""
    if not attributes.get("is_flag") and attributes.get("default") is not None:
        attributes.setdefault("show_default", True)
    variable = "NEUROEXPLAIN_" + name.strip("-").upper().replace("-", "_")
    return click.option(name, help=help, envvar=variable, **attributes)


def several(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Some options as one decorator, listed in the order given."""

    def decorate(command: Command) -> Command:
        for one in reversed(options):
            command = one(command)
        return command

    return decorate


catalogue = option(
    "--catalogue",
    "SQLite file of the catalogue, or postgresql://USER@HOST/DATABASE.",
    default="neuroexplain.sqlite",
)
as_json = option("--json", "Print JSON.", is_flag=True)
seed = option("--seed", "Of every random choice.", type=int, default=0)
neurons = option(
    "--neurons",
    "Which: *, 3:*, 3:17, 3:0-99, random:200, unions by comma, + or - behind each for the polarity.",
    default="random:200",
)
subject_name = option(
    "--subject", "Subject's name, where the catalogue holds several.", default=None
)

site = option(
    "--site",
    "What a neuron is: mlp, resid, attention, or PATH.{}.MODULE:input (or :output); see neuroexplain sites.",
    default="mlp",
)
sae = option(
    "--sae",
    "Sparse autoencoder on the site: FILE.safetensors, with {} for the layer, or @8 behind it.",
    default=None,
)
trusting = several(
    option(
        "--allow-pickle", "Read weights that are not safetensors; they can run code.", is_flag=True
    ),
    option("--trust-remote-code", "Run model code that comes with the weights.", is_flag=True),
)
passing = several(
    option(
        "--max-memory",
        "What a pass may take beside the model, such as 2GB; more passes where it is little.",
        type=Size(),
        default=None,
    ),
    option(
        "--checkpoint",
        "Seconds between checkpoints of the pass.",
        type=click.FloatRange(0),
        default=60.0,
    ),
    trusting,
)
collecting = several(
    option(
        "--subject",
        "Model: minilm, smollm2, a hub id, a directory, a .gguf file.",
        default="minilm",
    ),
    site,
    sae,
    option(
        "--corpus",
        "Texts: docs, a file or directory of .txt/.jsonl/.parquet, hf:NAME.",
        default="docs",
    ),
    option("--tokens", "Read until this many tokens.", type=int, default=100_000),
    option("--seq-len", "Tokens in a span.", type=int, default=64),
    option("--layers", "Layers: *, 0-5, 0,3,7.", default="*"),
    option(
        "--top-k", "Strongest spans to explain from, per neuron and polarity.", type=int, default=20
    ),
    option("--held-out-top-k", "Strongest spans of the held-out splits.", type=int, default=10),
    option("--random-spans", "Uniform random spans kept per split.", type=int, default=10),
    option("--quantile-bands", "Bands by peak activation.", type=int, default=5),
    option("--per-band", "Spans kept of each band.", type=int, default=1),
    option(
        "--text-field",
        "Field that holds the text in .jsonl, .parquet and hf: corpora.",
        default="text",
    ),
    option(
        "--chat-template",
        "Take texts that are lists of messages, by the model's template.",
        is_flag=True,
    ),
    option(
        "--near-duplicates",
        "Documents that nearly repeat an earlier one: keep them in its split, or drop them.",
        type=click.Choice(NEAR_DUPLICATES),
        default="keep",
    ),
    option(
        "--include-first", "Count position 0 too, an attention sink in many decoders.", is_flag=True
    ),
    option("--name", "The subject's name in the catalogue, where its own is taken.", default=None),
    option("--dtype", "Number type of the subject's weights.", default="float32"),
    option(
        "--sample-tokens",
        "Tokens drawn for quantiles, token responses and similar neurons.",
        type=int,
        default=8192,
    ),
    option("--batch-size", "Spans per forward pass.", type=click.IntRange(1), default=32),
    passing,
)
device = several(
    option("--device", "Where models run: cpu, cuda, mps.", default="cpu"),
    option(
        "--threads",
        "CPU threads of models; torch's own choice without it.",
        type=click.IntRange(1),
        default=None,
    ),
)
running = several(device, catalogue)
limits = several(
    option(
        "--base-url",
        "Server of an openai: model, URL[,weight=2][,key=ENV_NAME][,name=NAME][,rpm=500][,tpm=90000]; may be repeated "
        "for servers that answer alike; else OPENAI_BASE_URL.",
        multiple=True,
    ),
    option("--llm-dtype", "Number type of a local: model.", default="float32"),
    option(
        "--concurrency",
        "Requests in flight at each server at most; fewer where it slows down.",
        type=click.IntRange(1),
        default=64,
    ),
    option("--tries", "Requests at most for one call.", type=click.IntRange(1), default=6),
    option("--timeout", "Seconds for one request.", type=click.FloatRange(0.1), default=300.0),
    option("--no-cache", "Ask again even where the ledger has the reply.", is_flag=True),
    option("--no-probe", "Do not find out first what the server can do.", is_flag=True),
    option(
        "--max-cost",
        "Dollars that this run, and what it resumes, may spend.",
        type=click.FloatRange(0),
        default=None,
    ),
    option("--max-calls", "Calls that they may make.", type=click.IntRange(0), default=None),
    option(
        "--prices",
        "TOML file of prices that adds to the table that is shipped; may be repeated.",
        type=click.Path(path_type=Path, dir_okay=False),
        multiple=True,
    ),
)
_llm_set = option(
    "--llm-set",
    "Further parameter of every request, key=value, such as service_tier=flex; may be repeated.",
    multiple=True,
)
calling = several(
    option(
        "--llm",
        "Language model: openai:MODEL, local:SUBJECT, scripted:FILE, batch:DIR or none.",
        default="none",
    ),
    option("--model", "Model that batch: requests ask for.", default=None),
    _llm_set,
    limits,
)
asking = several(
    option(
        "--llm",
        "Language model: openai:MODEL, local:SUBJECT, scripted:FILE or none.",
        default="none",
    ),
    _llm_set,
    limits,
)
"""The same where an answer is waited for."""
explaining = several(
    option("--explainer", "Which explainer; see neuroexplain plugins.", default="ngram"),
    option("--set", "Setting of the explainer, key=value; may be repeated.", multiple=True),
    option(
        "--candidates",
        "Explanations written per neuron; the best on the split select is scored on test.",
        type=click.IntRange(1),
        default=1,
    ),
    option(
        "--revise",
        "Times at most that an explanation is written anew from where it failed on select; kept if better there.",
        type=click.IntRange(0),
        default=0,
    ),
)
scoring = several(
    option("--simulator", "Which simulator; the default fits the explainer.", default=None),
    option(
        "--simulator-set", "Setting of the simulator, key=value; may be repeated.", multiple=True
    ),
    option(
        "--scorer", "Which scorer; may be repeated.  [default: both correlations]", multiple=True
    ),
    option(
        "--scorer-set",
        "Setting of a scorer, SCORER.key=value, such as synthetic.texts=30; may be repeated.",
        multiple=True,
    ),
    option("--score-top", "Strongest test spans that are scored.", type=int, default=5),
    option("--score-random", "Random test spans that are scored.", type=int, default=5),
    option(
        "--score-quantile", "Test spans of each quantile band that are scored.", type=int, default=1
    ),
    option(
        "--null",
        "Other explanations of the layer that make the null: 0, or at least 20.",
        type=int,
        default=20,
    ),
    option("--bootstrap", "Resamples for the interval.", type=int, default=1000),
    option(
        "--processes",
        "Processes that compute scores beside this one; 0 for none.  [default: 1 for many neurons]",
        type=click.IntRange(0),
        default=None,
    ),
)


def settings(pairs: Iterable[str], name: str = "--set", *, dashes: bool = False) -> dict[str, Any]:
    """Settings from `key=value` texts; a dash in a key is an underscore, unless `dashes` keeps it.

    Raises:
        ConfigError: one has no `=`.
    """
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ConfigError(f'{name} wants key=value, not "{pair}"')
        found[key if dashes else key.replace("-", "_")] = value
    return found


def scorer_settings(pairs: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Settings of scorers from `SCORER.key=value` texts, by scorer.

    Raises:
        ConfigError: one has no `=`, or names no scorer.
    """
    found: dict[str, dict[str, Any]] = {}
    for key, value in settings(pairs, "--scorer-set").items():
        scorer, dot, name = key.partition(".")
        if not dot:
            raise ConfigError(f'--scorer-set wants SCORER.key=value, not "{key}={value}"')
        found.setdefault(scorer, {})[name] = value
    return found


def llm_settings(values: dict[str, Any]) -> dict[str, Any]:
    """Further parameters of requests; values are JSON where they can be read so."""
    found = settings(values["llm_set"], "--llm-set", dashes=True)
    for key, text in found.items():
        try:
            found[key] = json.loads(text)
        except ValueError:
            continue
    return found


def server(values: dict[str, Any]) -> str | None:
    """What the ledger knows the servers that were named by."""
    from neuroexplain.llm.addresses import addresses, name_of

    return name_of(addresses(values["base_url"])) if values["base_url"] else None


def model(values: dict[str, Any]) -> str:
    """Spec of the language model.

    Raises:
        ConfigError: it is a folder of batches, and nobody says which model their requests ask for.
    """
    llm: str = values["llm"]
    if llm.startswith("batch:") and not values["model"]:
        raise ConfigError(f"{llm} needs the model that its requests ask for: --model NAME")
    return llm


def collect_config(values: dict[str, Any]) -> CollectConfig:
    """The collector's configuration from a command's options."""
    return CollectConfig(
        subject=values["subject"],
        corpus=values["corpus"],
        tokens=values["tokens"],
        seq_len=values["seq_len"],
        layers=values["layers"],
        top_k=values["top_k"],
        held_out_top_k=values["held_out_top_k"],
        random=values["random_spans"],
        quantile_bands=values["quantile_bands"],
        per_band=values["per_band"],
        text_field=values["text_field"],
        chat_template=values["chat_template"],
        near_duplicates=values["near_duplicates"],
        include_first=values["include_first"],
        sample_tokens=values["sample_tokens"],
        seed=values["seed"],
        dtype=values["dtype"],
        site=values["site"],
        sae=values["sae"],
        name=values["name"],
    )


def explain_config(values: dict[str, Any]) -> ExplainConfig:
    """The explainer's configuration from a command's options."""
    return ExplainConfig(
        explainer=values["explainer"],
        settings=settings(values["set"]),
        llm=model(values),
        model=values["model"],
        base_url=server(values),
        llm_settings=llm_settings(values),
        seed=values["seed"],
        candidates=values["candidates"],
        revise=values["revise"],
    )


def score_config(values: dict[str, Any]) -> ScoreConfig:
    """The scoring configuration from a command's options."""
    from neuroexplain.scoring import default_simulator

    llm = model(values)
    simulator = values["simulator"] or default_simulator(values.get("explainer"), llm)
    return ScoreConfig(
        simulator=simulator,
        settings=settings(values["simulator_set"], "--simulator-set"),
        llm=llm,
        model=values["model"],
        base_url=server(values),
        llm_settings=llm_settings(values),
        scorers=tuple(values["scorer"]) or ScoreConfig.scorers,
        scorer_settings=scorer_settings(values["scorer_set"]),
        top=values["score_top"],
        random=values["score_random"],
        quantile=values["score_quantile"],
        null=values["null"],
        bootstrap=values["bootstrap"],
        seed=values["seed"],
    )


def echo_json(value: Any) -> None:
    """Print JSON; a NaN would be a bug, and is refused."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))
