"""Many texts through one causal language model at once: what they share is run once, the rest side by side.

Token ids only. Texts behind a shared beginning are padded on the right, which a causal model cannot see; replies under way
are padded on the left and masked. Either way every text has the positions and the context that it has alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from neuroexplain.errors import LLMPermanentError
from neuroexplain.llm.local_network import Network
from neuroexplain.records import Floats

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import DynamicCache

T = TypeVar("T")
Ids = tuple[int, ...]

KEPT = 3
"""Shared beginnings whose keys and values are kept: the explainer's, the simulator's and one that comes and goes."""
WORTHWHILE = 16
"""Tokens from which a shared beginning is run by itself."""
TOKENS = 16384
"""Tokens in flight at most, padding included, so that memory stays bounded; a text that is longer runs alone."""


@dataclass(eq=False)
class Call(Generic[T]):
    """A text that somebody waits for an answer about."""

    ids: Ids
    answer: Future[T] = field(default_factory=Future, init=False)
    left: bool = field(default=False, init=False)
    """Whether nobody waits any more."""


class Written(NamedTuple):
    """A reply."""

    ids: list[int]
    stopped: bool
    """Whether the model itself ended it."""
    first: tuple[tuple[int, float], ...] = ()
    """The most probable tokens where it begins, with their log probabilities."""


@dataclass(eq=False)
class Chat(Call[Written]):
    """A prompt that wants a reply."""

    most: int
    """Tokens of the reply, at least 1."""
    temperature: float
    seed: int
    stops: set[int]
    """Tokens that end the reply and are no part of it."""
    top: int = 0
    """Most probable tokens that are wanted where the reply begins."""
    first: tuple[tuple[int, float], ...] = field(default=(), init=False)
    reply: list[int] = field(default_factory=list, init=False)
    generator: torch.Generator = field(init=False)

    @property
    def size(self) -> int:
        """Tokens that it may come to."""
        return len(self.ids) + self.most


@dataclass(eq=False)
class Marked(Call[Floats]):
    """A text at some of whose places the probabilities of a few tokens are wanted."""

    prefix: Ids
    """How the text begins, as other texts do."""
    ends: list[int]
    """The places, all behind the prefix."""
    choices: list[int]
    """The few tokens."""


class Start(NamedTuple):
    """A beginning that texts share, already run."""

    length: int
    cache: DynamicCache | None


class Prefixes:
    """Keys and values of the beginnings that many texts share; of the few used last."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._kept: OrderedDict[Ids, DynamicCache] = OrderedDict()
        self._last: Ids = ()

    def __len__(self) -> int:
        return len(self._kept)

    def clear(self) -> None:
        """Forget them all."""
        self._kept.clear()

    def given(self, ids: Ids) -> Start:
        """The beginning that a caller names, or as much of it as is worth keeping."""
        return self._start(ids, len(ids))

    def found(self, texts: Sequence[Ids]) -> Start:
        """The beginning that some texts share, or that a single one shares with the one before it.

        At least a token of each text is left to be run.
        """
        room = min(len(text) for text in texts) - 1
        before = texts if len(texts) > 1 else [*texts, self._last]
        self._last = texts[-1]
        shared = min(common(texts), room)
        return self._start(texts[0][:shared], min(common(before), room))

    def _start(self, text: Ids, wanted: int) -> Start:
        """The first tokens of a text: `wanted` ones, or what is kept already if that is about as much or more."""
        if not self._network.continues:
            return Start(0, None)
        best: Ids = ()
        had = 0
        for key in self._kept:
            same = common([key, text])
            if same > had and (same == len(key) or self._network.together):
                best, had = key, same
        if best:
            self._kept.move_to_end(best)
        if wanted - had < WORTHWHILE:
            return Start(had, self._kept[best]) if best else Start(0, None)
        cache = self._network.fork(self._kept.get(best), had, 1)
        self._network.logits([text[had:wanted]], cache, [[wanted - had - 1]])
        self._kept[text[:wanted]] = cache
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return Start(wanted, cache)


class Batches:
    """Answers calls together.

    Args:
        network: the model.
        spec: of the model, for messages.
        size: calls at most that are run side by side.
    """

    def __init__(self, network: Network, spec: str, size: int) -> None:
        self.network = network
        self.prefixes = Prefixes(network)
        self.size = size if network.together else 1
        self.chats: list[Chat] = []
        """Whose replies are under way."""
        self._spec = spec
        self._cache: DynamicCache | None = None
        self._lengths: list[int] = []

    def fits(self, more: Sequence[Chat]) -> bool:
        """Whether some more replies may be under way."""
        chats = [*self.chats, *more]
        longest = max(chat.size for chat in chats)
        return len(chats) == 1 or (len(chats) <= self.size and len(chats) * longest <= TOKENS)

    def judge(self, calls: Sequence[Marked]) -> None:
        """Answer some calls whose texts begin with the same prefix."""
        import torch

        start = self.prefixes.given(calls[0].prefix)
        texts = [call.ids for call in calls]
        for row, logits, _ in self._read(texts, start, [call.ends for call in calls]):
            call = calls[row]
            if bool(torch.isfinite(logits).all()):
                shares = torch.softmax(logits[:, call.choices], dim=-1)
                call.answer.set_result(shares.cpu().numpy())
            else:
                call.answer.set_exception(self._not_finite())

    def begin(self, chats: Sequence[Chat]) -> None:
        """Read some prompts, and add their replies to those under way."""
        import torch

        if not chats:
            return
        for chat in chats:
            chat.reply = []
            chat.generator = torch.Generator().manual_seed(chat.seed)
        texts = [chat.ids for chat in chats]
        read = list(self._read(texts, self.prefixes.found(texts), [[len(t) - 1] for t in texts]))
        caches = [self._cache] if self._cache is not None else []
        for row, logits, cache in read:
            if self._extend(chats[row : row + 1], logits):
                self.chats.append(chats[row])
                self._lengths.append(len(chats[row].ids))
                caches.append(cache)
        if caches:
            self._cache = self.network.merged(caches)

    def step(self) -> None:
        """Write one more token of every reply under way; a finished one leaves."""
        self._keep([row for row, chat in enumerate(self.chats) if not chat.left])
        if self._cache is None:
            return
        last = [(chat.reply[-1],) for chat in self.chats]
        logits = self.network.next_logits(last, self._cache, self._lengths)
        self._lengths = [length + 1 for length in self._lengths]
        self._keep(self._extend(self.chats, logits))

    def drop(self) -> None:
        """Forget the replies under way."""
        self._keep([])

    def _keep(self, rows: Sequence[int]) -> None:
        if len(rows) == len(self.chats):
            return
        self.chats = [self.chats[row] for row in rows]
        self._lengths = [self._lengths[row] for row in rows]
        if self._cache is not None:
            longest = max(self._lengths, default=0)
            self._cache = self.network.picked(self._cache, rows, longest) if rows else None

    def _extend(self, chats: Sequence[Chat], logits: Tensor) -> list[int]:
        """Choose every reply's next token; the numbers of those that go on, the others are answered."""
        import torch

        finite = torch.isfinite(logits).all(dim=-1).tolist()
        best = logits.argmax(dim=-1).tolist()
        going = []
        for row, chat in enumerate(chats):
            if not finite[row]:
                chat.answer.set_exception(self._not_finite())
                continue
            if chat.top and not chat.reply:
                chat.first = _most_probable(logits[row], chat.top)
            token: int = best[row]
            if chat.temperature != 0:
                shares = torch.softmax(logits[row] / chat.temperature, dim=-1).cpu()
                token = int(torch.multinomial(shares, 1, generator=chat.generator))
            if token not in chat.stops:
                chat.reply.append(token)
            if token in chat.stops or len(chat.reply) == chat.most:
                chat.answer.set_result(Written(chat.reply, token in chat.stops, chat.first))
            else:
                going.append(row)
        return going

    def _read(
        self, texts: Sequence[Ids], start: Start, ends: Sequence[Sequence[int]]
    ) -> Iterator[tuple[int, Tensor, DynamicCache]]:
        """Run some texts behind the beginning that they share, those of similar length together.

        Yields:
            A text's number, [place, vocabulary] logits at its `ends`, and its keys and values.
        """
        lengths = [len(text) - start.length for text in texts]
        pace = self.network.pace
        for rows in grouped(lengths, start.length, self.size, pace.tokens, pace.similar):
            cache = self.network.fork(start.cache, start.length, len(rows))
            rest = [texts[row][start.length :] for row in rows]
            places = [[end - start.length for end in ends[row]] for row in rows]
            logits = self.network.logits(rest, cache, places)
            for at, row in enumerate(rows):
                own = self.network.part(cache, at, len(texts[row]))
                yield row, logits[at, : len(ends[row])], own

    def _not_finite(self) -> LLMPermanentError:
        return LLMPermanentError(f"{self._spec} computed NaN or infinity; try --dtype float32")


def _most_probable(logits: Tensor, count: int) -> tuple[tuple[int, float], ...]:
    """Tokens with their log probabilities, from [vocabulary] logits."""
    import torch

    found = torch.log_softmax(logits, dim=-1).topk(min(count, len(logits)))
    return tuple(zip(found.indices.tolist(), found.values.tolist(), strict=True))


def common(texts: Sequence[Ids]) -> int:
    """Tokens that all texts begin with.

    >>> common([(1, 2, 3), (1, 2, 4), (1, 2)])
    2
    """
    first, last = min(texts), max(texts)
    pairs = enumerate(zip(first, last, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(first), len(last)))


def grouped(
    lengths: Sequence[int], before: int, rows: int, tokens: int, similar: float
) -> list[list[int]]:
    """The numbers of some texts in groups to be padded and run together, the longest first.

    Args:
        lengths: tokens of each text behind what they share.
        before: tokens that they share.
        rows: texts in a group at most.
        tokens: padded tokens of a group at most, unless it is a single text.
        similar: the shortest of a group has at least this share of the longest's tokens.

    >>> grouped([9, 100, 95, 10], 0, 8, 512, 0.9)
    [[1, 2], [3, 0]]
    """
    groups: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        group = groups[-1] if groups else []
        longest, count = lengths[group[0]] if group else 0, len(group) + 1
        if (
            group
            and count <= rows
            and count * longest <= tokens
            and count * (before + longest) <= TOKENS
            and lengths[i] >= similar * longest
        ):
            group.append(i)
        else:
            groups.append([i])
    return groups
