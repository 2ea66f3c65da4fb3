"""The language models of a run: opened behind its ledger and budget, tried before their first call, closed at its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroexplain import llm as llms
from neuroexplain.batches import Batches
from neuroexplain.config import ExplainConfig, ScoreConfig
from neuroexplain.errors import ConfigError, LLMPermanentError
from neuroexplain.llm.base import LLM, GivesAlternatives, ScoresText
from neuroexplain.llm.budget import Budget
from neuroexplain.llm.ledger import Ledgered, Terms, ledgered
from neuroexplain.llm.prices import Price, PriceTable
from neuroexplain.registry import find
from neuroexplain.run import Book, Execution, Run

_Place = tuple[str, str | None, str]
_SPENDING = frozenset({"n", "best_of", "max_tokens", "max_completion_tokens"})
"""Parameters by which a call costs more than its own limits say."""


@dataclass(frozen=True)
class Wants:
    """What a simulator needs of a model's servers beside replies."""

    texts: bool = False
    """The probabilities of a text's own tokens."""
    alternatives: bool = False
    """Alternatives to a reply's tokens, with log probabilities."""


@contextmanager
def language_models(
    run: Run, explain: ExplainConfig | None, score: ScoreConfig | None
) -> Iterator[tuple[LLM | None, LLM | None]]:
    """The language models that explain and simulate, behind the catalogue's ledger; equal ones are opened once.

    Raises:
        ConfigError: a spec makes no sense, or the run's cost is limited and a price is not known.
        LLMPermanentError: a server needs a key and there is none.
    """
    opened: dict[_Place, Ledgered | None] = {}
    batches: list[Batches] = []
    try:
        for config in (explain, score):
            if config is not None and _place(config) not in opened:
                opened[_place(config)] = _open(run, config, score, batches)
        made = [
            opened[_place(config)] if config is not None else None for config in (explain, score)
        ]
        yield made[0], made[1]
        if run.finished:
            for batch in batches:
                batch.write_out()
    finally:
        for model in opened.values():
            if model is not None:
                run.drive(model.close())


def check_models(run: Run, explain: ExplainConfig, score: ScoreConfig) -> None:
    """Find mistakes in the settings of language models before hours of other work; those in process are not loaded.

    Raises:
        ConfigError: as `language_models`.
        LLMPermanentError: as `language_models`.
    """
    for config in (explain, score):
        kind, _, name = config.llm.partition(":")
        if kind == "batch" and name:
            _check_batch(config, run.execution)
            price_of(run.execution.prices, config.model or "", run.execution.max_cost)
        elif kind != "local":
            model = _open(run, config, score, [])
            if model is not None:
                run.drive(model.close())


def _place(config: ExplainConfig | ScoreConfig) -> _Place:
    settings = repr(sorted(config.llm_settings.items()))
    return f"{config.llm} {config.model}", config.base_url, settings


def _wants(config: ExplainConfig | ScoreConfig, score: ScoreConfig | None) -> Wants:
    if score is None or _place(score) != _place(config):
        return Wants()
    simulator = find("simulator", score.simulator)
    return Wants(
        texts=getattr(simulator, "reads_probabilities", False),
        alternatives=getattr(simulator, "reads_alternatives", False),
    )


def _open(
    run: Run,
    config: ExplainConfig | ScoreConfig,
    score: ScoreConfig | None,
    batches: list[Batches],
) -> Ledgered | None:
    execution = run.execution
    kind, _, name = config.llm.partition(":")
    settings = config.llm_settings
    if kind == "batch" and name:
        _check_batch(config, execution)
        price = price_of(execution.prices, config.model or "", execution.max_cost)
        batch = Batches(run, Path(name), config, price)
        batch.take_in()
        batches.append(batch)
        # What is written down costs nothing yet: the run's budget is asked before it goes into a file.
        return ledgered(batch.llm(), batch.book(), Terms(Budget()))
    spends = sorted(_SPENDING & settings.keys())
    if execution.max_cost is not None and spends:
        raise ConfigError(
            f"--max-cost does not go with --llm-set {spends[0]}, which lets a call cost more than is reckoned; use --max-calls"
        )
    model = llms.create(
        config.llm,
        base_url=execution.servers or config.base_url,
        device=execution.device,
        dtype=execution.llm_dtype,
        threads=execution.threads,
        tries=execution.tries,
        timeout=execution.timeout,
        concurrency=execution.concurrency,
        settings=settings,
    )
    if model is None:
        return None
    run.halt.tell(model.stop)
    terms = Terms(
        budget=run.budget,
        price=price_of(execution.prices, name, execution.max_cost) if kind == "openai" else None,
        prepare=_prepare(run, model, _wants(config, score)) if execution.probe else None,
        cheap=settings.get("service_tier") == "flex",
    )
    return ledgered(model, Book(run), terms)


def _check_batch(config: ExplainConfig | ScoreConfig, execution: Execution) -> None:
    """Refuse what makes no sense with batches.

    Raises:
        ConfigError: nobody says which model is asked, or the ledger, through which the answers come, is not to be read.
    """
    if not config.model:
        raise ConfigError(f"{config.llm} needs the model that its requests ask for: --model NAME")
    if not execution.use_ledger:
        raise ConfigError(
            f"the answers of {config.llm} come through the ledger; leave out --no-cache"
        )


def price_of(files: tuple[Path, ...], model: str, max_cost: float | None) -> Price | None:
    """What calls of a model cost; None where that is not known.

    Raises:
        ConfigError: the cost is limited and the price is not known.
    """
    price = PriceTable.load(*files).find(model)
    if price is None and max_cost is not None:
        raise ConfigError(
            f'--max-cost needs the price of {model}; write it into a TOML file (["{model}"] with date, input, output in '
            "dollars per million tokens) and give that by --prices, or use --max-calls"
        )
    return price


def _prepare(run: Run, model: LLM, wants: Wants) -> Any:
    """What finds out about a model's servers, and notes it with the run; None where there are none."""
    prepare = getattr(model, "prepare", None)
    if prepare is None:
        return None

    async def find_out() -> None:
        for url, found in (await prepare(texts=wants.texts)).items():
            await run.saver.probe(model.identity, url, found.as_dict())
            if run.execution.max_cost is not None and not found.usage:
                raise LLMPermanentError(
                    f"{url} does not say how many tokens it counted, so that nobody knows what a call has cost: "
                    "--max-cost cannot be kept; use --max-calls",
                    whole_server=True,
                )
        # Before explanations are bought that nobody could score.
        if wants.texts and isinstance(model, ScoresText):
            model.check_texts()
        if wants.alternatives and isinstance(model, GivesAlternatives):
            model.check_alternatives()

    return find_out
