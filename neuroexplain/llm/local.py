"""`local:SUBJECT-SPEC`: a causal language model in this process, with exact answer distributions."""

from __future__ import annotations

import asyncio
import copy
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from neuroexplain.errors import LLMPermanentError, LLMReplyError
from neuroexplain.llm.base import Reply, Request
from neuroexplain.records import Floats
from neuroexplain.templates import Message

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerFast

T = TypeVar("T")

_PREFIXES = 2  # prompts whose key-value cache is kept: that of the simulator, and one more
# Private-use characters that stand for message texts while the chat template is filled in.
_MARK = "\ue000{}\ue001"
_MARKS = re.compile("\ue000(\\d+)\ue001")


class LocalLLM:
    """A causal language model, run by one worker thread so that calls never overlap.

    Args:
        spec: as the user wrote it, `local:SUBJECT-SPEC`.
        model: with its language-modelling head, in evaluation mode.
        tokenizer: the model's own.
        identity: what tells two models apart for the ledger; holds the weights' hash.
    """

    def __init__(
        self,
        spec: str,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        identity: str,
    ) -> None:
        self.spec = spec
        self.identity = identity
        self._model = model
        self._tokenizer = tokenizer
        self._limit: int | None = getattr(
            model.config.get_text_config(decoder=True), "max_position_embeddings", None
        )
        self._start = self._leading_ids()
        self._stops = self._stop_ids()
        self._prefixes: OrderedDict[tuple[int, ...], DynamicCache] = OrderedDict()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="local-llm")

    @classmethod
    def load(
        cls, spec: str, *, device: str = "cpu", dtype: str = "float32", threads: int | None = None
    ) -> LocalLLM:
        """Load a model by subject spec, for example `smollm2`.

        Args:
            spec: a subject spec, without `local:`.
            device: for example `cpu` or `cuda`.
            dtype: of the weights.
            threads: CPU threads; None leaves torch's own number.

        Raises:
            SubjectError: it cannot be found or loaded.
        """
        import torch

        from neuroexplain.subjects.loading import load_causal_lm

        if threads is not None:
            torch.set_num_threads(threads)
        model, tokenizer, sha256 = load_causal_lm(spec, device=device, dtype=dtype)
        return cls(f"local:{spec}", model, tokenizer, f"local:{sha256}:{dtype}")

    async def chat(self, request: Request) -> Reply:
        """Answer one chat: greedy at temperature 0, else sampled with the request's seed.

        `finish_reason` is `length` where the reply was cut at `max_tokens` or at the model's end.

        Raises:
            LLMReplyError: the prompt does not fit the model.
            LLMPermanentError: the model computes NaN, or its chat template refuses the roles.
        """
        return await self._run(lambda: self._chat(request))

    async def distributions(
        self, prefix: str, segments: Sequence[str], marker: str, answers: Sequence[str]
    ) -> Floats:
        """Exact probabilities of the answers behind every segment; see `AnswersMarked.distributions`.

        Every part is tokenised by itself, and special tokens in it are plain text. What the model has computed for
        the prefix is kept for the next call with the same one.

        Raises:
            LLMPermanentError: an answer is not a single token.
            LLMReplyError: the text does not fit the model.
        """
        return await self._run(lambda: self._distributions(prefix, segments, marker, answers))

    def single_tokens(self, candidates: Sequence[str]) -> list[bool]:
        """Which of some answers are one token of this model."""
        return [len(self._encode(candidate)) == 1 for candidate in candidates]

    async def close(self) -> None:
        """Stop the worker and forget the kept prefixes; the weights go with the object."""
        self._worker.shutdown()
        self._prefixes.clear()

    async def _run(self, work: Callable[[], T]) -> T:
        import torch

        def quietly() -> T:
            with torch.inference_mode():
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._worker, quietly)

    def _chat(self, request: Request) -> Reply:
        start = time.perf_counter()
        prompt = self._chat_ids(request.messages)
        room = self._room(len(prompt), "prompt")
        most = request.max_tokens if room is None else min(request.max_tokens, room)
        reply, stopped = self._generate(prompt, most, request)
        return Reply(
            text=self._tokenizer.decode(reply, skip_special_tokens=True),
            prompt_tokens=len(prompt),
            completion_tokens=len(reply),
            latency_ms=(time.perf_counter() - start) * 1000,
            finish_reason="stop" if stopped else "length",
        )

    def _generate(self, prompt: list[int], most: int, request: Request) -> tuple[list[int], bool]:
        """New tokens, and whether the model itself ended them.

        A loop of its own: `generate` would mix in the model's default penalties and use the global random state.
        """
        import torch
        from transformers import DynamicCache

        cache = DynamicCache(config=self._model.config)
        generator = torch.Generator().manual_seed(request.seed + request.sample)
        reply: list[int] = []
        step = prompt
        while len(reply) < most:
            logits = self._logits(step, cache, [len(step) - 1])[0]
            if request.temperature == 0:
                token = int(logits.argmax())
            else:
                shares = torch.softmax(logits / request.temperature, dim=-1).cpu()
                token = int(torch.multinomial(shares, 1, generator=generator))
            if token in self._stops:
                return reply, True
            reply.append(token)
            step = [token]
        return reply, False

    def _distributions(
        self, prefix: str, segments: Sequence[str], marker: str, answers: Sequence[str]
    ) -> Floats:
        import torch

        choices = [self._answer_id(answer) for answer in answers]
        if not segments:
            return np.empty((0, len(answers)), dtype=np.float32)
        ids, ends = self._start + self._encode(prefix), []
        # The prefix's last token is run again each time: an empty first segment is judged at it.
        kept = max(0, len(ids) - 1)
        marker_ids = self._encode(marker)
        for segment in segments:
            ids += self._encode(segment)
            ends.append(len(ids) - 1 - kept)
            ids += marker_ids
        self._room(len(ids), "text")
        if ends[0] < 0:
            raise LLMPermanentError("nothing stands before the first marker; give a prefix")
        cache = self._prefix(ids[:kept])
        logits = self._logits(ids[kept : kept + ends[-1] + 1], cache, ends)
        found: Floats = torch.softmax(logits[:, choices], dim=-1).cpu().numpy()
        return found

    def _prefix(self, ids: list[int]) -> DynamicCache:
        """A copy of the prefix's key-value cache, which the caller may extend."""
        from transformers import DynamicCache

        key = tuple(ids)
        if key not in self._prefixes:
            cache = DynamicCache(config=self._model.config)
            if ids:
                self._logits(ids, cache, [len(ids) - 1])
            self._prefixes[key] = cache
        self._prefixes.move_to_end(key)
        while len(self._prefixes) > _PREFIXES:
            self._prefixes.popitem(last=False)
        return copy.deepcopy(self._prefixes[key])

    def _logits(self, ids: list[int], cache: DynamicCache, positions: list[int]) -> Tensor:
        """[position, vocabulary] float32 at some positions of `ids`, which follow what the cache holds."""
        import torch

        device = self._model.device
        output = self._model(
            input_ids=torch.tensor([ids], device=device),
            past_key_values=cache,
            use_cache=True,
            # The head is by far the widest layer: it runs at these positions alone.
            logits_to_keep=torch.tensor(positions, device=device),
        )
        logits: Tensor = output.logits[0].float()
        if not bool(torch.isfinite(logits).all()):
            raise LLMPermanentError(f"{self.spec} computed NaN or infinity; try --dtype float32")
        return logits

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
        ids: list[int] = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, verbose=False
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
