"""Who can score what people write: a simulator that reads any text, and the language model that it may ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from neuroexplain.errors import PluginError, RescoringError
from neuroexplain.llm import no_model
from neuroexplain.registry import check, find, names, needs_llm, require_llm, summary
from neuroexplain.scoring import check_pair

HUMAN = "human"
"""The explainer of what people write."""


@dataclass(frozen=True)
class Reader:
    """Who reads explanations: a simulator, and the language model that it may ask."""

    simulator: str | None = None
    """None takes what fits: `embedding` without a language model, else as `sweep` does."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    llm: str = "none"
    base_url: str | None = None
    """What the ledger knows the servers of an `openai:` model by."""
    llm_settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Offer:
    """A simulator, and whether it can read what people write here."""

    name: str
    does: str
    why_not: str | None
    """Why it cannot; None where it can."""


def offers(reader: Reader) -> tuple[Offer, ...]:
    """All simulators, with why some cannot be chosen."""
    return tuple(_offer(name, reader) for name in names("simulator"))


def check_reader(reader: Reader) -> None:
    """Find a reader that cannot read what people write before any of it is written.

    Raises:
        ConfigError: there is no such language model.
        RescoringError: it answers in batches.
        PluginError: the simulator does not exist, needs a language model, or reads something else.
    """
    if reader.llm.startswith("batch:"):
        raise RescoringError(
            "the answers of an offline batch come hours later; edits are scored with --llm openai:MODEL or local:SUBJECT"
        )
    kind, _, rest = reader.llm.partition(":")
    if reader.llm != "none" and (kind not in ("openai", "local", "scripted") or not rest):
        raise no_model(reader.llm)
    name = simulator_of(reader)
    check("simulator", name, reader.settings)
    require_llm("simulator", name, reader.llm)
    check_pair(HUMAN, name)


def simulator_of(reader: Reader) -> str:
    """The simulator of a reader; of one that names none, the one that fits."""
    if reader.simulator is not None:
        return reader.simulator
    if reader.llm == "none":
        return "embedding"
    return "logprob" if reader.llm.startswith("local:") else "sparse"


def _offer(name: str, reader: Reader) -> Offer:
    try:
        kind = find("simulator", name)
    except PluginError as error:  # another package's
        return Offer(name, "", str(error))
    reads = getattr(kind, "reads", None)
    why_not = None
    if reads is not None:
        why_not = f"it reads what the explainer {reads} found, and no text"
    elif needs_llm(kind) and reader.llm == "none":
        why_not = "it asks a language model: start the page with --llm"
    return Offer(name, summary(kind), why_not)
