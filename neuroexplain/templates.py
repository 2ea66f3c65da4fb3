"""Prompts: Jinja templates in `prompts/`, rendered to text with the hashes that say which text it was.

A prompt is a folder with `system.jinja` and `user.jinja` (chat), or `prefix.jinja` and `query.jinja` (plain text). A
changed file is a new version: its hash is stored with everything that was made from it. A program reads a file once, so
that what it hashes is what it renders, whatever happens to the file meanwhile.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import jinja2

from neuroexplain.errors import PromptError
from neuroexplain.levels import escape, escape_all
from neuroexplain.resources import PROMPTS

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Message:
    """One turn of a chat."""

    role: Role
    text: str


@dataclass(frozen=True)
class Prompt:
    """A rendered prompt."""

    messages: tuple[Message, ...]
    template: str
    """Folder under `prompts/`."""
    template_sha256: str
    """Of the template files and examples that went in."""

    @property
    def sha256(self) -> str:
        """Of the rendered messages."""
        return prompt_sha256(messages_json(self.messages))


def messages_json(messages: Sequence[Message]) -> str:
    """Messages as servers want them: JSON in ASCII."""
    return json.dumps([{"role": m.role, "content": m.text} for m in messages])


def prompt_sha256(messages: str) -> str:
    """Hash of a rendered prompt, from its messages as `messages_json` writes them."""
    return hashlib.sha256(messages.encode()).hexdigest()


@cache
def _environment(prompts: Path) -> jinja2.Environment:
    # Autoescape stays off: a prompt is plain text, and HTML entities would change what the model reads.
    environment = jinja2.Environment(  # noqa: S701
        loader=jinja2.FunctionLoader(lambda file: _source(prompts / file)),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "visible": _visible,
        "filled": _filled,
        "marked": _marked,
        "levelled": _levelled,
    }
    return environment


@cache
def _template(prompts: Path, file: str) -> jinja2.Template:
    return _environment(prompts).get_template(file)


@cache
def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _source(path: Path) -> str | None:
    return _read(path) if path.is_file() else None


def _visible(text: str | Sequence[str]) -> str | Sequence[str]:
    """One text, or every text of a list, as by `escape`."""
    return escape(text) if isinstance(text, str) else escape_all(text)


def _filled(pattern: str, *columns: Iterable[object], between: str) -> str:
    r"""A pattern filled in with every row of some columns: a loop in a template takes many times as long.

    >>> _filled("%s=%d", ["a", "b"], [0, 7], between=", ")
    'a=0, b=7'
    """
    rows = list(zip(*columns, strict=True))
    return between.join([pattern] * len(rows)) % tuple(chain.from_iterable(rows))


def _marked(runs: Iterable[tuple[bool, str]], opening: str, closing: str) -> str:
    r"""A text in pieces, some of which are marked; characters of the marks get a backslash where the text itself has them.

    >>> print(_marked([(False, "a {"), (True, "b")], "{{", "}}"))
    a \{{{b}}
    """
    own = {ord(character): f"\\{character}" for character in {*opening, *closing}}
    texts = ((on, escape(text).translate(own)) for on, text in runs)
    return "".join(f"{opening}{text}{closing}" if on else text for on, text in texts)


def _levelled(tokens: Sequence[str], levels: Sequence[int]) -> str:
    r"""Running text with the level of every token that has one, in brackets; those of the text itself get a backslash.

    >>> print(_levelled(["a", "[0", "]", " lake", " froze"], [0, 0, 0, 4, 10]))
    a\[0\] [lake:4] [froze:10]
    """
    parts = []
    for token, level in zip(escape_all(tokens), levels, strict=True):
        text = token.replace("[", "\\[").replace("]", "\\]")
        core = text.lstrip(" ") or text  # spaces stay outside, unless there is nothing else
        before = text[: len(text) - len(core)]
        parts.append(f"{before}[{core}:{level}]" if level > 0 else text)
    return "".join(parts)


def render(file: str, **variables: Any) -> str:
    """The text of one template file, for example `token-activation/user.jinja`.

    Raises:
        PromptError: the file or one of its variables is missing.
    """
    try:
        template = _template(PROMPTS, file)
        # Shared: without a copy of Jinja's global names, none of which a prompt needs.
        context = template.new_context(variables, shared=True)
        return "".join(template.root_render_func(context))
    except jinja2.TemplateNotFound:
        raise PromptError(f"no prompt template {file} in {PROMPTS}") from None
    except jinja2.UndefinedError as error:
        raise PromptError(f"prompt template {file}: {error.message}") from None


def examples(name: str) -> list[dict[str, Any]]:
    """The few-shot neurons in `prompts/examples/NAME.json`.

    Raises:
        PromptError: there is no such file.
    """
    path = PROMPTS / "examples" / f"{name}.json"
    if not path.is_file():
        raise PromptError(f"no few-shot examples {path}")
    loaded: list[dict[str, Any]] = json.loads(_read(path))
    return loaded


def template_hash(folder: str, *example_names: str) -> str:
    """Hash of every template file in a folder and of the example files that it uses."""
    return _template_hash(PROMPTS, folder, example_names)


@cache
def _template_hash(prompts: Path, folder: str, example_names: tuple[str, ...]) -> str:
    files = [*sorted((prompts / folder).glob("*.jinja"))]
    if not files:
        raise PromptError(f"no prompt templates in {prompts / folder}")
    files += [prompts / "examples" / f"{name}.json" for name in example_names]
    return _digest(*(part for f in files for part in (f.name, _read(f))))


def _digest(*parts: str) -> str:
    # Lengths go in too, so that moving a character from one part to the next is a different hash.
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(f"{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()
