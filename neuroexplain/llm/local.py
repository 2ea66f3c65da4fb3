"""`local:SUBJECT-SPEC`: a causal language model in this process, with exact answer distributions."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroexplain.errors import (
    ConfigError,
    LLMPermanentError,
    LLMReplyError,
    LLMUnavailableError,
    StoppingError,
)
from neuroexplain.llm import alternatives
from neuroexplain.llm.base import Reply, Request
from neuroexplain.llm.local_batches import Batches, Chat, Marked, Written
from neuroexplain.llm.local_calls import Calls
from neuroexplain.llm.local_network import Network
from neuroexplain.records import Floats
from neuroexplain.templates import Message

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

BATCH_SIZE = 8
"""Calls side by side: twice as many make a CPU core about a tenth faster, for twice the memory."""
# Private-use characters that stand for message texts while the chat template is filled in.
_MARK = "\ue000{}\ue001"
_MARKS = re.compile("\ue000(\\d+)\ue001")


class LocalLLM:
    """A causal language model, run by one worker thread, which answers the calls that wait for it together.

    What a call is answered depends on the others by no more than float rounding, and a call that fails fails alone.

    Args:
        spec: as the user wrote it, `local:SUBJECT-SPEC`.
        model: with its language-modelling head, in evaluation mode.
        tokenizer: the model's own.
        identity: what tells two models apart for the ledger; holds the weights' hash.
        batch_size: calls at most that are answered side by side; fewer where they are long. Some models, such as those
            with a sliding window, take one at a time.
    """

    def __init__(
        self,
        spec: str,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        identity: str,
        *,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, not {batch_size}")
        self.spec = spec
        self.identity = identity
        self._model = model
        self._tokenizer = tokenizer
        self._limit: int | None = getattr(
            model.config.get_text_config(decoder=True), "max_position_embeddings", None
        )
        self._start = self._leading_ids()
        self._stops = self._stop_ids()
        self._batches = Batches(Network(model), spec, batch_size)
        self._calls = Calls(self._batches)

    @classmethod
    def load(
        cls,
        spec: str,
        *,
        device: str = "cpu",
        dtype: str = "float32",
        threads: int | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> LocalLLM:
        """Load a model by subject spec, for example `smollm2`.

        Args:
            spec: a subject spec, without `local:`.
            device: for example `cpu` or `cuda`.
            dtype: of the weights.
            threads: CPU threads; None leaves torch's own number.
            batch_size: calls at most that are answered side by side.

        Raises:
            ConfigError: the batch size is below 1.
            SubjectError: it cannot be found or loaded.
        """
        import torch

        from neuroexplain.subjects.loading import load_causal_lm

        if threads is not None:
            torch.set_num_threads(threads)
        model, tokenizer, sha256 = load_causal_lm(spec, device=device, dtype=dtype)
        identity = f"local:{sha256}:{dtype}"
        return cls(f"local:{spec}", model, tokenizer, identity, batch_size=batch_size)

    async def chat(self, request: Request) -> Reply:
        """Answer one chat: greedy at temperature 0, else sampled with the request's seed.

        Log probabilities are those of the whole vocabulary, whatever the temperature. `finish_reason` is `length` where the reply was cut at `max_tokens` or at the model's end.

        Raises:
            LLMReplyError: the prompt does not fit the model, or is empty.
            LLMPermanentError: the model computes NaN, or its chat template refuses the roles.
            LLMUnavailableError: the model was closed meanwhile.
            StoppingError: nothing new may begin.
        """
        start = time.perf_counter()
        prompt = tuple(self._chat_ids(request.messages))
        if not prompt:
            raise LLMReplyError("the prompt is empty")
        room, top = self._room(len(prompt), "prompt"), request.top_logprobs
        most = request.max_tokens if room is None else min(request.max_tokens, room)
        if top:
            most = 1  # it is not read, and needs no room of its own
        written = Written([], stopped=False)
        if most > 0:
            seed = request.seed + request.sample
            chat = Chat(prompt, most, request.temperature, seed, self._stops, top)
            written = await self._calls.answer(chat)
        return Reply(
            text=self._text(written, first=top > 0),
            prompt_tokens=len(prompt),
            completion_tokens=len(written.ids),
            latency_ms=(time.perf_counter() - start) * 1000,
            finish_reason="stop" if written.stopped else "length",
        )

    async def distributions(
        self, prefix: str, segments: Sequence[str], marker: str, answers: Sequence[str]
    ) -> Floats:
        """Exact probabilities of the answers behind every segment; see `AnswersMarked.distributions`.

        Every part is tokenised by itself, and special tokens in it are plain text. What the model has computed for
        the prefix is kept for the next calls with the same one.

        Raises:
            LLMPermanentError: an answer is not a single token, or the model computes NaN.
            LLMReplyError: the text does not fit the model.
            LLMUnavailableError: the model was closed meanwhile.
            StoppingError: nothing new may begin.
        """
        choices = [self._answer_id(answer) for answer in answers]
        if not segments:
            return np.empty((0, len(answers)), dtype=np.float32)
        ids = self._start + self._encode(prefix)
        # The prefix's last token is run again each time: an empty first segment is judged at it.
        shared = tuple(ids[:-1])
        *parts, between = self._encode_all([*segments, marker])
        ends = []
        for part in parts:
            ids += part
            ends.append(len(ids) - 1)
            ids += between
        self._room(len(ids), "text")
        if ends[0] < 0:
            raise LLMPermanentError("nothing stands before the first marker; give a prefix")
        text = tuple(ids[: ends[-1] + 1])
        return await self._calls.answer(Marked(text, shared, ends, choices))

    async def single_tokens(self, candidates: Sequence[str]) -> list[bool]:
        """Which of some answers are one token of this model."""
        return [len(self._encode(candidate)) == 1 for candidate in candidates]

    def stop(self) -> None:
        """Begin nothing new: calls that wait for their turn raise StoppingError, those under way are answered."""
        self._calls.refuse(lambda: StoppingError("the run is being stopped"))

    async def close(self) -> None:
        """Answer the calls under way and no others, and forget the kept prefixes; the weights go with the object."""
        self._calls.refuse(lambda: LLMUnavailableError(f"{self.spec} was closed"))
        await self._calls.close()
        self._batches.prefixes.clear()

    def _text(self, written: Written, *, first: bool) -> str:
        if first:
            return alternatives.written((self._tokenizer.decode([i]), p) for i, p in written.first)
        text: str = self._tokenizer.decode(written.ids, skip_special_tokens=True)
        return text

    def _room(self, length: int, what: str) -> int | None:
        """Tokens that still fit behind `length` ones; None where the model has no limit."""
        if self._limit is None:
            return None
        if length > self._limit:
            raise LLMReplyError(
                f"the {what} has {length} tokens, and {self.spec} takes {self._limit}; show it fewer or shorter texts"
            )
        return self._limit - length

    def _answer_id(self, answer: str) -> int:
        ids = self._encode(answer)
        if len(ids) != 1:
            raise LLMPermanentError(
                f'the answer "{answer}" is {len(ids)} tokens of {self.spec}, not 1'
            )
        return ids[0]

    def _encode(self, text: str) -> list[int]:
        return self._encode_all([text])[0]

    def _encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """Each text by itself, special tokens as plain text."""
        ids: list[list[int]] = self._tokenizer(
            list(texts), add_special_tokens=False, split_special_tokens=True, verbose=False
        )["input_ids"]
        return ids

    def _chat_ids(self, messages: Sequence[Message]) -> list[int]:
        """The chat as tokens; a message's text cannot end its turn, whatever special tokens it spells."""
        if self._tokenizer.chat_template is None:
            return self._start + self._encode("\n".join(m.text for m in messages))
        import jinja2

        turns = [{"role": m.role, "content": _MARK.format(i)} for i, m in enumerate(messages)]
        try:
            frame: str = self._tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=True
            )
        except jinja2.TemplateError as error:
            raise LLMPermanentError(f"the chat template of {self.spec} refuses: {error}") from None
        ids: list[int] = []
        for place, part in enumerate(_MARKS.split(frame)):
            if place % 2:
                ids += self._encode(messages[int(part)].text)
            else:
                ids += self._tokenizer(part, add_special_tokens=False)["input_ids"]
        return ids

    def _leading_ids(self) -> list[int]:
        """What the tokenizer itself puts before a text: nothing, or a beginning-of-sequence token."""
        text = "a"
        plain, whole = self._encode(text), self._tokenizer(text)["input_ids"]
        ids: list[int] = whole[: whole.index(plain[0])]
        return ids

    def _stop_ids(self) -> set[int]:
        config: Any = getattr(self._model, "generation_config", None)
        stops = getattr(config, "eos_token_id", None)
        ids = stops if isinstance(stops, list) else [stops]
        return {i for i in [*ids, self._tokenizer.eos_token_id] if i is not None}
