"""Prompts: Jinja templates in `prompts/`, rendered to text with the hashes that say which text it was.

A prompt is a folder with `system.jinja` and `user.jinja` (chat), or `prefix.jinja` and `query.jinja` (plain text). A
changed file is a new version: its hash is stored with everything that was made from it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import jinja2

from neuroexplain.errors import PromptError
from neuroexplain.levels import escape
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
        return _digest(*(part for m in self.messages for part in (m.role, m.text)))


@cache
def _environment() -> jinja2.Environment:
    # Autoescape stays off: a prompt is plain text, and HTML entities would change what the model reads.
    environment = jinja2.Environment(  # noqa: S701
        loader=jinja2.FileSystemLoader(PROMPTS),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = escape
    return environment


def render(file: str, **variables: Any) -> str:
    """The text of one template file, for example `token-activation/user.jinja`.

    Raises:
        PromptError: the file or one of its variables is missing.
    """
    try:
        return _environment().get_template(file).render(**variables)
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
    loaded: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def template_hash(folder: str, *example_names: str) -> str:
    """Hash of every template file in a folder and of the example files that it uses."""
    files = [*sorted((PROMPTS / folder).glob("*.jinja"))]
    if not files:
        raise PromptError(f"no prompt templates in {PROMPTS / folder}")
    files += [PROMPTS / "examples" / f"{name}.json" for name in example_names]
    return _digest(*(part for f in files for part in (f.name, f.read_text(encoding="utf-8"))))


def _digest(*parts: str) -> str:
    # Lengths go in too, so that moving a character from one part to the next is a different hash.
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(f"{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()
