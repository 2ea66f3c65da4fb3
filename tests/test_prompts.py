"""Every prompt as it is sent, byte for byte; `--update-golden` rewrites the files after a wanted change."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from neuroexplain import templates
from neuroexplain.errors import PromptError
from neuroexplain.explainers.token_activation import TokenActivation
from neuroexplain.levels import MAX_LEVEL
from neuroexplain.llm.base import Reply, Request
from neuroexplain.resources import PROMPTS
from neuroexplain.simulators.logprob import MARKER
from neuroexplain.simulators.sparse import SparseSimulator
from neuroexplain.templates import Message, Prompt, examples, render, template_hash

Build = Any  # of conftest.py, which cannot be imported
Golden = Callable[[str, str], str]

TEXT = "words about ice, and nothing\nelse {{ x }}"
VARIABLES: dict[str, dict[str, Any]] = {
    "logprob/prefix.jinja": {"examples": [], "answers": list("0123456789X")},
    "logprob/query.jinja": {"explanation": TEXT},
    "probe/form.jinja": {},
    "probe/json.jinja": {},
    "probe/length.jinja": {},
    "probe/text.jinja": {},
    "sparse/repair.jinja": {"error": "no list", "n_tokens": 7},
    "sparse/span.jinja": {"numbers": [1], "tokens": ["a"]},
    "sparse/system.jinja": {},
    "sparse/user.jinja": {"explanation": TEXT, "spans": []},
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


def test_sparse_with_a_repair(build: Build, golden: Golden) -> None:
    llm = Keeper(build.scripted("Token 2 fires.", "[]"))
    spans = [build.span("The river froze"), *build.tricky()]
    asyncio.run(SparseSimulator(llm).simulate(build.explanation(TEXT), spans))
    assert [r.purpose for r in llm.asked] == ["simulate", "repair"]
    assert llm.asked[1].messages[:2] == llm.asked[0].messages
    text = shown(llm.asked[1].messages)
    assert text == golden("sparse", text)


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


def test_examples_are_well_formed() -> None:
    for shot in examples("neurons"):
        assert shot["explanation"].strip() == shot["explanation"] != ""
        for span in shot["spans"]:
            assert all(isinstance(t, str) and isinstance(v, int) and 0 <= v <= 10 for t, v in span)
        assert max(v for span in shot["spans"] for _, v in span) >= 7


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


def test_a_prompts_hash_is_of_its_messages() -> None:
    prompt = Prompt((Message("user", "ab"), Message("assistant", "c")), "t", "1")
    moved = replace(prompt, messages=(Message("user", "a"), Message("assistant", "bc")))
    other = replace(prompt, messages=(Message("system", "ab"), Message("assistant", "c")))
    assert len({prompt.sha256, moved.sha256, other.sha256}) == 3
    assert replace(prompt, template_sha256="2").sha256 == prompt.sha256
