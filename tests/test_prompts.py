"""Every prompt as it is sent, byte for byte; `--update-golden` rewrites the files after a wanted change."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroexplain import templates
from neuroexplain.errors import PromptError
from neuroexplain.explainers.revising import Residual, revise
from neuroexplain.explainers.token_activation import TokenActivation
from neuroexplain.levels import MAX_LEVEL
from neuroexplain.llm.base import Reply, Request
from neuroexplain.records import Evidence, Ngram, OutputTokens
from neuroexplain.registry import create
from neuroexplain.resources import PROMPTS
from neuroexplain.scorers.detection import Detection
from neuroexplain.scorers.fuzzing import Fuzzing
from neuroexplain.scorers.synthetic import Synthetic
from neuroexplain.simulators.logprob import MARKER
from neuroexplain.simulators.per_token import PerTokenSimulator
from neuroexplain.simulators.sparse import SparseSimulator
from neuroexplain.templates import Message, Prompt, examples, render, template_hash

Build = Any  # of conftest.py, which cannot be imported
Golden = Callable[[str, str], str]

TEXT = "words about ice, and nothing\nelse {{ x }}"
RUNS = [(False, "the "), (True, "river")]
VARIABLES: dict[str, dict[str, Any]] = {
    "contrastive/system.jinja": {},
    "contrastive/user.jinja": {"spans": [RUNS], "quiet": [RUNS]},
    "ensemble/system.jinja": {},
    "ensemble/user.jinja": {"spans": [RUNS], "words": {"promoted": ["a"], "suppressed": ["b"]}},
    "highlight/system.jinja": {},
    "highlight/user.jinja": {"spans": [RUNS]},
    "logprob/prefix.jinja": {"examples": [], "answers": list("0123456789X")},
    "logprob/query.jinja": {"explanation": TEXT},
    "ngram-summary/system.jinja": {},
    "ngram-summary/user.jinja": {"phrases": ["the river"]},
    "output-tokens/system.jinja": {},
    "output-tokens/user.jinja": {"promoted": ["a"], "suppressed": ["b"]},
    "per-token/system.jinja": {},
    "per-token/user.jinja": {"explanation": TEXT, "tokens": ["The", " river"], "token": " river"},
    "probe/form.jinja": {},
    "probe/json.jinja": {},
    "probe/length.jinja": {},
    "probe/text.jinja": {},
    "revise/system.jinja": {},
    "revise/user.jinja": {
        "explanation": TEXT,
        "residuals": [{"runs": RUNS, "missed": [("the", 7, 0)], "vain": []}],
    },
    "sparse/repair.jinja": {"error": "no list", "n_lines": 7},
    "sparse/span.jinja": {"numbers": [1], "lines": ["a"]},
    "sparse/system.jinja": {},
    "sparse/user.jinja": {"explanation": TEXT, "spans": []},
    "detection/system.jinja": {},
    "detection/user.jinja": {"explanation": TEXT, "items": ["the river"]},
    "detection/item.jinja": {"text": "the river"},
    "detection/repair.jinja": {"error": "no list", "n": 3},
    "fuzzing/system.jinja": {},
    "fuzzing/user.jinja": {"explanation": TEXT, "items": ["the <<river>>"]},
    "fuzzing/item.jinja": {"runs": [(False, "the "), (True, "river")]},
    "fuzzing/repair.jinja": {"error": "no list", "n": 3},
    "synthetic/repair.jinja": {"error": "no list", "n": 20},
    "synthetic/system.jinja": {},
    "synthetic/user.jinja": {"explanation": TEXT, "n": 20},
    "token-activation/system.jinja": {},
    "token-activation/user.jinja": {"spans": [], "repeated": []},
}


@dataclass
class Keeper:
    """A scripted model that keeps what it was asked."""

    inner: Any
    asked: list[Request] = field(default_factory=list)
    spec: str = "scripted:test"
    identity: str = "scripted:1"

    async def chat(self, request: Request) -> Reply:
        self.asked.append(request)
        reply: Reply = await self.inner.chat(request)
        return reply

    def stop(self) -> None:
        self.inner.stop()

    async def close(self) -> None:
        await self.inner.close()


def shown(messages: tuple[Message, ...]) -> str:
    return "".join(f"=== {m.role}\n{m.text}" for m in messages)


def test_token_activation(build: Build, golden: Golden) -> None:
    river, snow = build.span("The river froze\tover night"), build.span("Snow fell on it")
    exemplars = [
        build.exemplar(river, [0, 1, 4, 0.2, 0]),
        build.exemplar(snow, [2, 0, -3, 0], rank=1),
    ]
    explainer = TokenActivation(build.scripted())
    text = shown(explainer.prompt(build.evidence(exemplars)).messages)
    assert text == golden("token-activation", text)


def test_token_activation_of_few_and_tricky_tokens(build: Build, golden: Golden) -> None:
    spans = build.tricky()
    exemplars = [
        build.exemplar(span, [0] * 3 + [1] + [0] * (len(span) - 4), rank=i)
        for i, span in enumerate(spans)
    ]
    explainer = TokenActivation(build.scripted())
    text = explainer.prompt(build.evidence(exemplars)).messages[-1].text
    assert text == golden("token-activation-tricky", text)


def neuron(build: Build, **parts: Any) -> Evidence:
    """A neuron that fires on ice; its texts and words hold the prompts' own markers."""
    river, snow, (tricky, other) = (
        build.span("The ice froze"),
        build.span(" It snows"),
        build.tricky(),
    )
    silent = [0.1] * len(tricky)
    exemplars = [
        build.exemplar(river, [0, 10, 3]),
        build.exemplar(tricky, [*silent[1:7], 9, 9, *silent[8:]], rank=1),
        build.exemplar(snow, [1, 6], kind="quantile"),
        build.exemplar(other, silent, kind="random"),
    ]
    evidence: Evidence = build.evidence(exemplars)
    return replace(evidence, **parts)


TOKENS = (" ice", "\n", "", "{{ x }}", " \u200b")
WORDS: dict[str, dict[str, Any]] = {
    "highlight": {},
    "contrastive": {},
    "ngram-summary": {"ngrams": [Ngram(t, 1.0, 2.0, 3) for t in ("on ice", "é", "- a\nb")]},
    "output-tokens": {
        "output_tokens": OutputTokens(
            tuple((t, 1.0) for t in TOKENS), tuple((t, -1.0) for t in TOKENS[::-1])
        )
    },
}
WORDS |= {"ensemble": WORDS["output-tokens"], "ensemble-encoder": WORDS["ngram-summary"]}


@pytest.mark.parametrize("case", WORDS)
def test_explainers(build: Build, golden: Golden, case: str) -> None:
    evidence = neuron(build, **WORDS[case])
    if case == "contrastive":
        alike = build.exemplar(build.span("No ice today"), [0, 0.2, 0], kind="contrastive")
        evidence = replace(evidence, look_alikes=[alike])
    explainer = create("explainer", case.removesuffix("-encoder"), {}, build.scripted())
    text = shown(explainer.prompt(evidence).messages)
    assert text == golden(case, text)


def test_revise(build: Build, golden: Golden) -> None:
    ice, tricky = build.span("The ice\tfroze over"), build.tricky()[0]
    truth = np.array([0, 9.6, 0, 4], np.float32)
    expected = np.array([0, 2, 7, 3.4], np.float32)
    vain = np.arange(len(tricky), dtype=np.float32)
    counters = [
        Residual(ice, truth, expected),
        Residual(tricky, np.zeros(len(tricky), np.float32), vain.clip(max=10)),
    ]
    llm = Keeper(build.scripted("ice"))
    asyncio.run(revise(llm, build.explanation(TEXT), counters, seed=0))
    text = shown(llm.asked[0].messages)
    assert text == golden("revise", text)


def test_sparse_with_a_repair(build: Build, golden: Golden) -> None:
    llm = Keeper(build.scripted("Token 2 fires.", "[]"))
    spans = [build.span("The river froze"), *build.tricky()]
    asyncio.run(SparseSimulator(llm).simulate(build.explanation(TEXT), spans))
    assert [r.purpose for r in llm.asked] == ["simulate", "repair"]
    assert llm.asked[1].messages[:2] == llm.asked[0].messages
    text = shown(llm.asked[1].messages)
    assert text == golden("sparse", text)


@pytest.mark.parametrize(("name", "scorer"), [("detection", Detection), ("fuzzing", Fuzzing)])
def test_verdicts_with_a_repair(build: Build, golden: Golden, name: str, scorer: Any) -> None:
    llm = Keeper(build.scripted("Text 2.", "[]"))
    truths = [[0, 9, 0, 0], [0] * len(build.tricky()[0])]
    spans = [build.span("The river froze over"), build.tricky()[0]]
    held_out = build.held_out(truths)
    placed = tuple(replace(h, span=s) for h, s in zip(held_out.spans, spans, strict=True))
    held_out = replace(held_out, spans=placed, scale=10.0)
    asyncio.run(scorer(llm).ask(build.explanation(TEXT), held_out))
    assert [r.purpose for r in llm.asked] == ["score", "repair"]
    text = shown(llm.asked[1].messages)
    assert text == golden(name, text)


def test_synthetic_with_a_repair(build: Build, golden: Golden) -> None:
    llm = Keeper(build.scripted("1. ice", '["ice", "frost"]'))
    written = asyncio.run(Synthetic(llm, texts=4).write(TEXT, seed=0))
    assert written.texts == ("ice", "frost")
    assert [r.purpose for r in llm.asked] == ["score", "repair"]
    text = shown(llm.asked[1].messages)
    assert text == golden("synthetic", text)


def test_per_token(build: Build, golden: Golden) -> None:
    tricky = build.tricky()[0]
    llm = Keeper(build.scripted(*['[["7",0.0]]'] * (len(tricky) + 2)))
    spans = [build.span("The river"), tricky]
    asyncio.run(PerTokenSimulator(llm).simulate(build.explanation(TEXT), spans))
    text = "\n\n".join(shown(request.messages) for request in (llm.asked[1], llm.asked[-1]))
    assert text == golden("per-token", text)


@pytest.mark.parametrize("ten", ["10", "X"])
def test_logprob(golden: Golden, ten: str) -> None:
    answers = [*map(str, range(MAX_LEVEL)), ten]
    prefix = render("logprob/prefix.jinja", examples=examples("neurons"), answers=answers)
    query = render("logprob/query.jinja", explanation=TEXT)
    text = f"{prefix}{query}The\t{MARKER}\n river\t{MARKER}"
    assert text == golden(f"logprob-{ten}", text)


@pytest.mark.parametrize("file", sorted(VARIABLES))
def test_a_missing_variable_is_an_error(file: str) -> None:
    assert render(file, **VARIABLES[file]).strip()
    for name in VARIABLES[file]:
        given = {k: v for k, v in VARIABLES[file].items() if k != name}
        with pytest.raises(PromptError, match=re.escape(f"{file}: '{name}' is undefined")):
            render(file, **given)


def test_every_template_is_tested_and_described() -> None:
    files = {str(p.relative_to(PROMPTS).as_posix()) for p in PROMPTS.glob("*/*.jinja")}
    assert files == VARIABLES.keys()
    readme = (PROMPTS / "README.md").read_text(encoding="utf-8")
    for file in files:
        folder, _, name = file.partition("/")
        row = next(line for line in readme.splitlines() if line.startswith(f"| `{folder}`"))
        assert f"`{name.removesuffix('.jinja')}`" in row


def test_what_is_not_there() -> None:
    with pytest.raises(PromptError, match=r"no prompt template sparse/nothing\.jinja in "):
        render("sparse/nothing.jinja")
    with pytest.raises(PromptError, match=r"no few-shot examples .*nobody\.json"):
        examples("nobody")
    with pytest.raises(PromptError, match=r"no prompt templates in .*nowhere"):
        template_hash("nowhere")


@pytest.mark.parametrize("name", ["neurons", "contrasts"])
def test_examples_are_well_formed(name: str) -> None:
    for shot in examples(name):
        assert shot["explanation"].strip() == shot["explanation"] != ""
        for span in shot["spans"]:
            assert all(isinstance(t, str) and isinstance(v, int) and 0 <= v <= 10 for t, v in span)
        assert max(v for span in shot["spans"] for _, v in span) >= 7
        texts = {"".join(token for token, _ in span) for span in shot["spans"]}
        assert texts.isdisjoint(shot.get("quiet", ()))


def test_subject_text_is_not_a_template() -> None:
    text = render("logprob/query.jinja", explanation="{{ 1 + 1 }} {% raw %} <b> & 'q'")
    assert text == "Neuron responds to: {{ 1 + 1 }} {% raw %} <b> & 'q'\nText:\n"


def write_prompts(folder: Path, first: str, second: str, shots: list[int]) -> None:
    files = {"p/a.jinja": first, "p/b.jinja": second, "examples/n.json": json.dumps(shots)}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def test_hashes_tell_versions_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hashes = []
    versions: list[Any] = [("one", "two", []), ("onet", "wo", []), ("onet", "wo", [1])]
    for number, version in enumerate(versions):
        monkeypatch.setattr(templates, "PROMPTS", tmp_path / str(number))
        write_prompts(tmp_path / str(number), *version)
        hashes += [template_hash("p"), template_hash("p", "n")]
    assert hashes[2] == hashes[4]  # the example file is no part of it
    assert len(set(hashes)) == 5


def test_a_file_is_read_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is hashed is what is rendered, even if the file changes in between."""
    monkeypatch.setattr(templates, "PROMPTS", tmp_path)
    write_prompts(tmp_path, "one", "two", [1])
    before = render("p/a.jinja"), examples("n"), template_hash("p", "n")
    write_prompts(tmp_path, "three", "four", [2])
    assert (render("p/a.jinja"), examples("n"), template_hash("p", "n")) == before


def test_a_pattern_is_filled_in_for_every_row(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(templates, "PROMPTS", tmp_path)
    text = """{{ "%s\\t%d" | filled(tokens | visible, levels, between="\\n") }}"""
    write_prompts(tmp_path, text, "", [])
    assert render("p/a.jinja", tokens=["a", "%d"], levels=[0, 10]) == "a\t0\n%d\t10"
    assert render("p/a.jinja", tokens=["a\n", "b"], levels=[0, 10]) == "a\\n\t0\nb\t10"
    assert render("p/a.jinja", tokens=[], levels=[]) == ""
    with pytest.raises(ValueError, match="zip"):
        render("p/a.jinja", tokens=["a"], levels=[])


def test_marks_are_unmistakable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(templates, "PROMPTS", tmp_path)
    write_prompts(
        tmp_path, """{{ runs | marked("{{", "}}") }}""", """{{ runs | marked("<", "!>") }}""", []
    )
    runs = [(False, "{{a}} \\{ "), (True, "b}"), (False, "\n<!")]
    assert render("p/a.jinja", runs=runs) == r"\{\{a\}\} \\\{ {{b\}}}\n<!"
    assert render("p/b.jinja", runs=runs) == r"{{a}} \\{ <b}!>\n\<\!"
    assert render("p/a.jinja", runs=[]) == ""


def test_a_prompts_hash_is_of_its_messages() -> None:
    prompt = Prompt((Message("user", "ab"), Message("assistant", "c")), "t", "1")
    moved = replace(prompt, messages=(Message("user", "a"), Message("assistant", "bc")))
    other = replace(prompt, messages=(Message("system", "ab"), Message("assistant", "c")))
    assert len({prompt.sha256, moved.sha256, other.sha256}) == 3
    assert replace(prompt, template_sha256="2").sha256 == prompt.sha256
