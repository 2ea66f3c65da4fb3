"""Neurons of a catalogue that tests look at, and explanations with all that led to them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from neuroexplain.calls import Call, Usage
from neuroexplain.catalogue import Catalogue
from neuroexplain.records import Explanation, NeuronId
from neuroexplain.reviewed import Target
from tests.review.conftest import Site

MESSAGES = json.dumps([{"role": "user", "content": "Tokens:\n<b>ice</b>"}])
PROMPT = hashlib.sha256(MESSAGES.encode()).hexdigest()


def scored(site: Site) -> Target:
    """An explanation with simulations."""
    for row in site.catalogue.search("explainer:token-activation score>=0 polarity:+ sort:-score", limit=50).rows:  # fmt: skip
        target = site.catalogue.target(row.explanation_id)
        if any(e["simulations"] for e in site.catalogue.show(target.neuron)["explanations"]):
            return target
    raise AssertionError("no explanation has simulations")


def address(neuron: NeuronId) -> str:
    """Of its page."""
    return f"/neurons/{quote(str(neuron))}"


def save(path: Path, explanation: Explanation, parent: int | None = None, *calls: Call) -> int:
    """Add an explanation as a run does; its row."""
    with Catalogue(path) as catalogue:
        run = catalogue.begin_run(uuid4().hex, "explain", {}, {"numpy": "2"})
        for call in calls:
            catalogue.save_call(run, call)
        key = uuid4().hex
        return catalogue.save_explanation(run, catalogue.collection(), key, explanation, parent)


def asked(neuron: NeuronId, text: str = "frozen water") -> Explanation:
    """One that a language model was asked for."""
    return Explanation(
        neuron, "token-activation", text, 1.5, None, "openai:m", {"examples": 10}, "e" * 64, PROMPT
    )


def paid() -> Call:
    """What that cost."""
    return Call(
        "a" * 64, "explain", "openai:m@http://here", PROMPT, MESSAGES, "ok", "Frozen\n<water>.",
        Usage(1100, 7, 60), 812.5, 2, 1_500_000, "stop", None, "http://here",
    )  # fmt: skip
