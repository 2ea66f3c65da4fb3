"""Calls of the in-process model that are answered together: exactly as alone, each failing by itself, none left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)

from neuroexplain.errors import LLMPermanentError, LLMUnavailableError, StoppingError, SubjectError
from neuroexplain.llm import local_batches
from neuroexplain.llm.local_batches import Batches, Call, Chat, Marked, Written, common, grouped
from neuroexplain.llm.local_calls import Calls
from neuroexplain.llm.local_network import Network
from neuroexplain.records import Floats

VOCABULARY = 50
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "head_dim": 8,
    "initializer_range": 0.5,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 0,
}
GPT = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4, "initializer_range": 0.5}
OTHERS: dict[str, dict[str, Any]] = {
    "gpt2": GPT,  # learned positions
    "gpt_neox": SHAPE,
    "falcon": {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2,
               "num_attention_heads": 4, "alibi": True},  # distances instead of positions
    "bloom": {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 2, "n_head": 4},
    "mistral": {**SHAPE, "sliding_window": 16},
    "gemma3_text": {**SHAPE, "sliding_window": 16},
    "mamba": {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2},
    "jamba": {**SHAPE, "num_experts": 2, "mamba_d_state": 8, "mamba_dt_rank": 4,
              "attn_layer_period": 2, "attn_layer_offset": 1},
}  # fmt: skip
TOGETHER = {"gpt2", "gpt_neox", "falcon"}
SHARED = tuple(range(2, 40))
TAILS: list[tuple[int, ...]] = [(5,), (6, 7, 8), (9,) * 30, (5, 6), (3, 4) * 10, (8, 7, 6, 5)]


class Watched:
    """A model whose forward passes are written down, and can be held up or made to fail."""

    def __init__(self, model: Any, size: int = 8) -> None:
        self.model = model.eval()
        self.seen: list[tuple[int, int]] = []
        """Rows and padded tokens of every forward pass."""
        self.begun = threading.Event()
        self.go = threading.Event()
        self.go.set()
        self.fault: Callable[[torch.Tensor], None] = lambda ids: None
        model.register_forward_pre_hook(self._watch, with_kwargs=True)
        self.batches = Batches(Network(model), "local:tiny", size)
        self.calls = Calls(self.batches)

    def _watch(self, model: Any, args: Any, kwargs: Any) -> None:
        ids = kwargs.get("input_ids")
        if ids is None:
            return  # a plain pass of a test's own
        self.seen.append((ids.shape[0], ids.shape[1]))
        self.begun.set()
        assert self.go.wait(10)
        self.fault(ids)

    def run(self, *calls: Any) -> list[Any]:
        """The answers of some calls that are made at once; errors are answers too."""

        async def gather() -> list[Any]:
            waiting = map(self.calls.answer, calls)
            return [*await asyncio.gather(*waiting, return_exceptions=True)]

        return asyncio.run(gather())

    def close(self) -> None:
        self.go.set()
        self.calls.refuse(lambda: LLMUnavailableError("closed"))
        asyncio.run(self.calls.close())


def llama() -> Any:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SHAPE))


def other(kind: str) -> Any:
    """A random model whose weights are large enough for places to differ."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **OTHERS[kind]))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.25)
    return model


@pytest.fixture
def watched() -> Iterator[Watched]:
    made = Watched(llama())
    yield made
    made.close()


def chat(tail: Sequence[int], most: int = 12, **how: Any) -> Chat:
    return Chat((*SHARED, *tail), most, how.get("temperature", 0), how.get("seed", 0), {1})


def marked(tail: Sequence[int]) -> Marked:
    ids = (*SHARED, *tail)
    return Marked(ids, SHARED[:-1], sorted({len(SHARED) - 1, len(ids) - 1}), [3, 4, 5])


def plain_reply(model: Any, call: Chat) -> Written:
    """A greedy reply, the whole text run anew for each token."""
    reply: list[int] = []
    while len(reply) < call.most:
        with torch.no_grad():
            logits = model(torch.tensor([[*call.ids, *reply]]), use_cache=False).logits[0, -1]
        if int(logits.argmax()) in call.stops:
            return Written(reply, stopped=True)
        reply.append(int(logits.argmax()))
    return Written(reply, stopped=False)


def plain_shares(model: Any, call: Marked) -> Floats:
    with torch.no_grad():
        logits = model(torch.tensor([call.ids]), use_cache=False).logits[0, call.ends]
    found: Floats = torch.softmax(logits[:, call.choices], -1).numpy()
    return found


@pytest.mark.parametrize("kind", ["llama", *OTHERS])
def test_every_kind_of_model_answers_as_without_cache_or_company(kind: str) -> None:
    model = llama() if kind == "llama" else other(kind)
    watched = Watched(model)
    assert watched.batches.network.together == (kind in TOGETHER | {"llama"})
    chats = [chat(tail, 5 + 3 * i) for i, tail in enumerate(TAILS)]
    texts = [marked(tail) for tail in TAILS]
    answers = watched.run(*chats, *texts)
    rows = max(rows for rows, _ in watched.seen)
    assert (rows > 1) == watched.batches.network.together
    for call, written in zip(chats, answers, strict=False):
        assert written == plain_reply(model, call)
    for text, shares in zip(texts, answers[len(chats) :], strict=True):
        np.testing.assert_allclose(shares, plain_shares(model, text), atol=1e-5)
    assert np.ptp(np.array([shares[-1] for shares in answers[len(chats) :]]), axis=0).max() > 0.05
    watched.close()


def test_a_model_with_a_state_of_its_own() -> None:
    config = AutoConfig.for_model("rwkv", vocab_size=9, hidden_size=8, num_hidden_layers=2)
    with pytest.raises(SubjectError, match="RwkvForCausalLM keeps its state in a way of its own"):
        Network(AutoModelForCausalLM.from_config(config))


def test_sampled_tokens_are_those_of_the_seed(watched: Watched) -> None:
    def asked() -> list[Chat]:
        return [chat(tail, 20, temperature=1.5, seed=i) for i, tail in enumerate([*TAILS, (5,)])]

    together = watched.run(*asked())
    assert together == [watched.run(call)[0] for call in asked()]
    assert together[0] != together[-1]


def test_what_prompts_share_is_run_once(watched: Watched) -> None:
    watched.run(*map(chat, TAILS))
    assert watched.seen[0] == (1, len(SHARED))
    rest = sum(rows * tokens for rows, tokens in watched.seen[1:] if tokens > 1)
    assert rest <= 1.1 * sum(map(len, TAILS))
    watched.seen.clear()
    watched.run(chat((5, 9)), *map(marked, TAILS))  # a single one, and texts with that beginning
    assert max(tokens for _, tokens in watched.seen) <= max(map(len, TAILS)) + 1
    assert len(watched.batches.prefixes) == 1


def test_a_prompt_like_the_one_before_shares_its_beginning(watched: Watched) -> None:
    for tail in TAILS[:3]:
        watched.run(chat(tail))
    assert [tokens for _, tokens in watched.seen if tokens > 1] == [
        len(SHARED) + 1,
        len(SHARED),
        3,
        30,
    ]


def test_few_beginnings_are_kept(watched: Watched) -> None:
    for first in range(6):
        beginning = (first, *SHARED)
        watched.run(Marked((*beginning, 5), beginning, [len(beginning)], [3]))
    assert len(watched.batches.prefixes) == local_batches.KEPT
    watched.run(Marked((9, 8, 5), (9, 8), [2], [3]))  # too short to be worth it
    assert len(watched.batches.prefixes) == local_batches.KEPT
    watched.batches.prefixes.clear()
    assert len(watched.batches.prefixes) == 0


def test_finished_replies_leave_and_others_join(watched: Watched) -> None:
    lengths = [3, 5, 9, 30]
    calls = [Chat((*SHARED, n, 7), n, 1.0, n, set()) for n in lengths]
    late = Chat((*SHARED, 8, 7), 4, 1.0, 0, set())

    async def run() -> None:
        waiting = [asyncio.create_task(watched.calls.answer(call)) for call in calls]
        assert len((await waiting[1]).ids) == 5
        assert not waiting[3].done()
        assert len((await watched.calls.answer(late)).ids) == 4
        assert not waiting[3].done()
        await asyncio.gather(*waiting)

    asyncio.run(run())
    steps = [rows for rows, tokens in watched.seen if tokens == 1]
    assert steps[:4] == [4, 4, 3, 3]
    assert steps[-1] == 1
    assert sum(steps) == sum(n - 1 for n in [*lengths, 4])
    watched.close()
    assert watched.batches.chats == []


def test_memory_is_bounded(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_batches, "TOKENS", 180)
    longer = [chat((*tail, 2) * 2, 20) for tail in TAILS]
    assert len(watched.run(*longer, *map(marked, TAILS))) == 12
    assert max(rows for rows, _ in watched.seen) == 2
    assert watched.run(chat((3,) * 200, 20))[0].ids  # alone it may be longer


def test_fewer_at_a_time_after_an_error(watched: Watched) -> None:
    def too_many(ids: torch.Tensor) -> None:
        if len(ids) > 2:
            raise torch.OutOfMemoryError("no more memory")

    watched.fault = too_many
    answers = watched.run(*map(chat, TAILS), *map(marked, TAILS))
    assert answers[0] == plain_reply(watched.model, chat(TAILS[0]))
    assert not [answer for answer in answers if isinstance(answer, BaseException)]
    assert watched.batches.size <= 2


def test_an_error_of_one_call_is_its_own(watched: Watched) -> None:
    def refused(ids: torch.Tensor) -> None:
        if 47 in ids:
            raise ValueError("47")

    watched.fault = refused
    answers = watched.run(chat((47,)), chat((5,)), marked((6,)), marked((6, 47)), chat((9,)))
    assert [type(a) for a in answers] == [ValueError, Written, np.ndarray, ValueError, Written]


def test_nan_fails_alone(watched: Watched) -> None:
    with torch.no_grad():
        watched.model.get_input_embeddings().weight[45] = float("nan")
        watched.model.get_output_embeddings().weight[45] = 0  # no reply holds it
    answers = watched.run(chat((45,)), chat((5,)), marked((6,)), marked((6, 45)), chat((5,)))
    assert [type(a) for a in answers] == [
        LLMPermanentError,
        Written,
        np.ndarray,
        LLMPermanentError,
        Written,
    ]
    assert answers[1] == answers[4]
    assert "local:tiny computed NaN or infinity; try --dtype float32" in str(answers[0])
    assert np.isfinite(answers[2]).all()


def test_who_is_cancelled_disturbs_nobody(watched: Watched) -> None:
    async def run() -> list[Any]:
        watched.go.clear()
        first = asyncio.create_task(watched.calls.answer(chat((5,), 200)))
        await asyncio.to_thread(watched.begun.wait, 10)
        calls: list[Call[Any]] = [chat((6,)), marked((6,)), chat((7,)), marked((7,))]
        waiting = [asyncio.create_task(watched.calls.answer(call)) for call in calls]
        early = asyncio.create_task(watched.calls.answer(chat((8,))))
        await asyncio.sleep(0)
        early.cancel()  # before it has brought its turn
        await asyncio.sleep(0.01)
        for task in (first, waiting[0], waiting[1]):
            task.cancel()
        await asyncio.sleep(0)
        watched.go.set()
        return [*await asyncio.gather(first, early, *waiting, return_exceptions=True)]

    kinds = [type(answer) for answer in asyncio.run(run())]
    assert kinds == [asyncio.CancelledError] * 4 + [Written, np.ndarray]
    # The reply that was under way for nobody has been given up, and the others were never begun.
    assert len(watched.seen) < 40
    assert watched.run(chat((6,)))[0] == plain_reply(watched.model, chat((6,)))


@pytest.mark.parametrize("error", [StoppingError, LLMUnavailableError])
def test_those_under_way_are_answered_and_those_that_wait_refused(
    watched: Watched, error: type[Exception]
) -> None:
    async def run() -> list[Any]:
        watched.go.clear()
        first = asyncio.create_task(watched.calls.answer(chat((5,))))
        await asyncio.to_thread(watched.begun.wait, 10)
        calls: list[Call[Any]] = [chat((6,)), marked((6,))]
        waiting = [asyncio.create_task(watched.calls.answer(call)) for call in calls]
        await asyncio.sleep(0.01)
        late = asyncio.create_task(watched.calls.answer(chat((7,))))
        await asyncio.sleep(0)
        watched.calls.refuse(lambda: error("no more"))
        watched.go.set()
        await asyncio.wait_for(watched.calls.close(), 10)
        return [*await asyncio.gather(first, *waiting, late, return_exceptions=True)]

    answers = asyncio.run(run())
    assert answers[0] == plain_reply(watched.model, chat((5,)))
    assert [type(answer) for answer in answers[1:]] == [error] * 3
    assert type(watched.run(chat((5,)))[0]) is error


def test_callers_in_step_stay_together(watched: Watched) -> None:
    """Each asks again when it is answered; the groups fill up although the callers do not come at the same time."""

    async def caller(number: int) -> None:
        for turn in range(6):
            await watched.calls.answer(marked((number, turn)))
            if number == turn:
                await asyncio.sleep(0)

    async def run() -> None:
        await asyncio.gather(*map(caller, range(4)))

    asyncio.run(run())
    groups = [rows for rows, _ in watched.seen[1:]]
    assert groups[0] == 4  # those made at once are taken together
    assert sum(groups) == 24


def test_common() -> None:
    assert common([(1, 2, 3)]) == 3
    assert common([(1, 2, 3), (1, 2), (1, 2, 4)]) == 2
    assert common([(1,), ()]) == 0


def test_groups_are_of_similar_length_and_bounded() -> None:
    lengths = [10, 100, 98, 9, 97, 10]
    assert grouped(lengths, 0, 8, 512, 0.9) == [[1, 2, 4], [0, 5, 3]]
    assert grouped(lengths, 0, 2, 512, 0.9) == [[1, 2], [4], [0, 5], [3]]
    assert grouped(lengths, 0, 8, 200, 0.9) == [[1, 2], [4], [0, 5, 3]]
    assert grouped(lengths, 0, 8, 4096, 0) == [[1, 2, 4, 0, 5, 3]]
    assert grouped([600, 600], 0, 8, 512, 0.9) == [[0], [1]]
    assert grouped([10, 10], 10_000, 8, 512, 0.9) == [[0], [1]]
