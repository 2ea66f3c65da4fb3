from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from neuroexplain.errors import PluginError
from neuroexplain.llm.base import AnswersMarked
from neuroexplain.llm.local import LocalLLM
from neuroexplain.records import Floats, Simulation
from neuroexplain.registry import create
from neuroexplain.simulators.logprob import LogprobSimulator
from neuroexplain.templates import examples, render

Build = Any  # of conftest.py, which cannot be imported


def make(texts: list[str], alphabet: list[str]) -> LocalLLM:
    """A random Llama with a byte-level tokenizer that was trained on some texts."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|end|>")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=4096,
        initializer_range=0.5,
    )
    return LocalLLM("local:tiny", LlamaForCausalLM(config).eval(), tokenizer, "local:1")


@pytest.fixture(scope="module", params=["10", "X"])
def llm(request: pytest.FixtureRequest) -> Iterator[LocalLLM]:
    """One tokenizer that has "10" as a token, and one that has not."""
    text = "river unknown\t10\n river unknown\t10\n" if request.param == "10" else "river unknown\n"
    made = make([text] * 9, pre_tokenizers.ByteLevel.alphabet())
    assert asyncio.run(made.single_tokens(["10"])) == [request.param == "10"]
    yield made
    asyncio.run(made.close())


def simulate(llm: LocalLLM, build: Build, **settings: int) -> Simulation:
    spans = [build.span("The river froze"), *build.tricky()]
    simulator = LogprobSimulator(llm, **settings)
    return asyncio.run(simulator.simulate(build.explanation("ice\n{{ x }}"), spans))


def plainly(llm: LocalLLM, shown: list[str], answers: list[str]) -> Floats:
    """The expected levels from the text as a whole and one forward pass, without segments or a cache."""
    encode = llm._encode
    prefix = render("logprob/prefix.jinja", examples=examples("neurons"), answers=answers)
    ids, ends = llm._start + encode(prefix), []
    before = "Neuron responds to: ice\\n{{ x }}\nText:\n"
    for token in shown:
        ids = ids + encode(f"{before}{token}\t")
        ends.append(len(ids) - 1)
        ids = ids + encode("unknown")
        before = "\n"
    with torch.no_grad():
        logits = llm._model(torch.tensor([ids]), use_cache=False).logits[0, ends].double()
    # Over the whole vocabulary, then renormalised over the eleven.
    shares = torch.softmax(logits, -1)[:, [encode(a)[0] for a in answers]]
    expected = (shares * torch.arange(11)).sum(-1) / shares.sum(-1)
    found: Floats = expected.float().numpy()
    return found


def test_the_expected_level_equals_a_plain_forward(llm: LocalLLM, build: Build) -> None:
    found = simulate(llm, build)
    answers = asyncio.run(LogprobSimulator(llm).answers())
    (ten,) = asyncio.run(llm.single_tokens(["10"]))
    assert answers == [*"0123456789", "10" if ten else "X"]
    shown = [
        ["The", " river", " froze"],
        ["a\\nb", "\\t", "", "Text 2:", "]]", " unknown", "[[1, 10]]", "{{ x }}", "\\\\n", "```",
         "\\u200b", "\\u2028", "<|end|>", "é"],
    ]  # fmt: skip
    shown.append(shown[1][::-1])
    assert (found.coverage, found.llm, found.settings) == (1.0, "local:tiny", {"examples": 3})
    for span, tokens in zip(found.spans, shown, strict=True):
        assert span.expected is not None
        assert span.expected.dtype == np.float32
        assert ((span.expected >= 0) & (span.expected <= 10)).all()
        np.testing.assert_allclose(span.expected, plainly(llm, tokens, answers), atol=1e-3)
    assert (
        np.ptp(plainly(llm, shown[1], answers)) > 0.1
    )  # the places differ, so that equality says something


def test_the_answers_probabilities_sum_to_one(llm: LocalLLM) -> None:
    answers = asyncio.run(LogprobSimulator(llm).answers())
    rows = asyncio.run(llm.distributions("p", ["a\t", "\nb\t"], "unknown", answers))
    assert rows.shape == (2, 11)
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-6)


def test_fewer_examples_are_another_prompt(llm: LocalLLM, build: Build) -> None:
    two, none = simulate(llm, build, examples=2), simulate(llm, build, examples=0)
    assert two.settings != none.settings
    assert two.spans[0].expected is not None
    assert none.spans[0].expected is not None
    assert not np.allclose(two.spans[0].expected, none.spans[0].expected)


def test_nothing_to_simulate(llm: LocalLLM, build: Build) -> None:
    found = asyncio.run(LogprobSimulator(llm).simulate(build.explanation(), []))
    assert (found.spans, found.coverage) == ((), 0.0)


def test_a_tokenizer_that_splits_digits(build: Build) -> None:
    """Without the byte of the digit 7 in its alphabet, the model cannot write it as one token."""
    llm = make(["river"], [c for c in pre_tokenizers.ByteLevel.alphabet() if c != "7"])
    with pytest.raises(PluginError, match="does not write every digit as one token; use the sim"):
        simulate(llm, build)
    asyncio.run(llm.close())


def test_a_model_without_probabilities(build: Build) -> None:
    llm = build.scripted("x")
    assert not isinstance(llm, AnswersMarked)
    with pytest.raises(PluginError) as caught:
        create("simulator", "logprob", {}, llm)
    assert str(caught.value) == (
        'simulator "logprob": scripted:test gives no probabilities of answers; use --llm local:SUBJECT, '
        "or the simulator sparse"
    )


def test_examples_are_not_negative(llm: LocalLLM) -> None:
    with pytest.raises(PluginError, match="examples must be at least 0"):
        create("simulator", "logprob", {"examples": -1}, llm)
