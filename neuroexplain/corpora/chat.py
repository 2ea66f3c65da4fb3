"""Conversations → texts, by the chat template of a tokenizer; only on request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from jinja2 import TemplateError

from neuroexplain.corpora.encoding import Encoder, Places
from neuroexplain.errors import CorpusError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# The first character of a plane that no text uses: private, and as wide as any other in a Python string.
_PRIVATE = 0xF0000


@dataclass(frozen=True)
class ChatTemplate:
    """Writes conversations as the model was trained to read them.

    Special tokens come from the template alone: where a message spells one, its characters stay ordinary. What the
    template writes without special tokens (names of roles, `[INST]` of some models) is ordinary text.
    """

    tokenizer: PreTrainedTokenizerBase
    special: Sequence[str]
    """Spellings of the special tokens, longer ones first."""
    prefix: str
    """A special token that every span is given anyway, and that a text therefore does not begin with."""

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, encoder: Encoder) -> ChatTemplate:
        """The template of a tokenizer.

        Raises:
            CorpusError: it has none.
        """
        if not tokenizer.chat_template:
            raise CorpusError(
                f"this subject's tokenizer ({type(tokenizer).__name__}) has no chat template; leave out "
                "--chat-template, or choose a subject that was trained on conversations"
            )
        first = next(iter(tokenizer("a")["input_ids"]), -1)
        return cls(
            tokenizer,
            sorted(filter(None, encoder.special.values()), key=len, reverse=True),
            encoder.special.get(first, ""),
        )

    def render(self, messages: object, where: str) -> tuple[str, Places]:
        """The text of a conversation, and the characters at which its special tokens begin.

        Args:
            messages: list of {"role", "content"}, both text; other keys are not used.
            where: the record's place, for errors.

        Raises:
            CorpusError: they are no messages, or none that the template takes.
        """
        masked = [
            {"role": self._mask(role), "content": self._mask(content)}
            for role, content in _checked(messages, where)
        ]
        try:
            text = self.tokenizer.apply_chat_template(masked, tokenize=False)
        except (TemplateError, TypeError) as error:
            raise CorpusError(
                f"{where}: the chat template refuses this conversation ({error}); correct the record or leave it out"
            ) from None
        assert isinstance(text, str)
        text = text.removeprefix(self.prefix)
        places = frozenset(m.start() for m in self._spellings.finditer(text))
        return self._unmask(text), places

    def _mask(self, text: str) -> str:
        """Put private characters, as many, for every special token's spelling."""
        return self._spellings.sub(lambda m: self._masks[m[0]], text)

    def _unmask(self, text: str) -> str:
        originals = {mask: spelling for spelling, mask in self._masks.items()}
        return _any_of(originals).sub(lambda m: originals[m[0]], text)

    @cached_property
    def _spellings(self) -> re.Pattern[str]:
        return _any_of(self.special)

    @cached_property
    def _masks(self) -> dict[str, str]:
        return {s: chr(_PRIVATE + k) * len(s) for k, s in enumerate(self.special)}


def is_conversation(value: object) -> bool:
    """Whether a record's value looks like a list of messages."""
    return isinstance(value, list) and bool(value) and all(isinstance(m, Mapping) for m in value)


def _checked(messages: object, where: str) -> list[tuple[str, str]]:
    if not isinstance(messages, list) or not messages:
        kind = "text" if isinstance(messages, str) else type(messages).__name__
        raise CorpusError(
            f"{where}: {kind}, not a list of messages, which --chat-template needs; leave it out, or choose the field "
            "with the messages with --text-field"
        )
    found = []
    for number, message in enumerate(messages, 1):
        pair = (message.get("role"), message.get("content")) if isinstance(message, Mapping) else ()
        if not pair or not all(isinstance(part, str) for part in pair):
            raise CorpusError(
                f'{where}: message {number} must be an object with "role" and "content", both text'
            )
        found.append((str(pair[0]), str(pair[1])))
    return found


def _any_of(spellings: Iterable[str]) -> re.Pattern[str]:
    # Without spellings a pattern that matches nothing.
    return re.compile("|".join(map(re.escape, spellings)) or r"(?!)")
