"""Sentence models: where a text means what another one says, by vectors of both.

A text as a whole is the mean of the last hidden states of all that the model reads, as such models are trained. A token where it
stands is the mean of its states behind every layer, each at unit length: the first of them say more of the word, the last more of
what the text is about. (Simulations by the simulator `embedding` correlated with 148 neurons of MiniLM at 0.116 on average, and
at 0.079 where the last states alone were taken.) The cosine of the two vectors says how near they are.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroexplain.errors import SubjectError
from neuroexplain.records import Floats
from neuroexplain.subjects.model import Subject
from neuroexplain.subjects.watching import Contents

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 8
"""Texts of equal length that are run together."""
MANY = 64
"""Those of which nothing but a vector of the whole is wanted."""
Ids = tuple[int, ...]


class _States(NamedTuple):
    """What the model makes of one row of tokens."""

    tokens: Floats
    """[token, dimension], at unit length."""
    pooled: Floats
    """[dimension]; the mean over all positions."""
    positions: int


class SentenceModel:
    """Embeds texts, and their tokens, by a model that has been loaded. What runs beside a text makes no difference to it.

    Args:
        subject: an encoder, or a decoder; of an encoder-decoder the encoder is taken.

    Raises:
        SubjectError: its tokenizer gives no character offsets.
    """

    def __init__(self, subject: Subject) -> None:
        if not getattr(subject.tokenizer, "is_fast", False):
            raise SubjectError(
                f"{subject.spec} has no fast tokenizer, and so no character offsets; choose another sentence model"
            )
        self._subject = subject
        self.name = f"{subject.spec} {subject.weights_sha256}"
        """What tells its vectors from those of other models: spec, and hash of the weights."""
        self._is_half = bool(getattr(subject.model.config, "is_encoder_decoder", False))
        self._model: Any = subject.model.get_encoder() if self._is_half else subject.model
        self._tokenizer = copy.deepcopy(subject.tokenizer.backend_tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        # Special tokens that a text spells are text.
        self._tokenizer.encode_special_tokens = True
        # Some cut leading spaces out of the offsets.
        self._tokenizer.post_processor = None
        self._room = subject.max_positions - len(subject.prefix) - len(subject.suffix)

    @classmethod
    def load(cls, spec: str, *, device: str = "cpu") -> SentenceModel:
        """Load one by subject spec.

        Raises:
            SubjectError: it cannot be found, loaded or used.
        """
        return cls(Subject.load(spec, device=device))

    def text(self, text: str) -> Floats | None:
        """[dimension], at unit length; None for a text without tokens."""
        (rows,) = self._rows([self._encode(text)[0]])
        if not rows:
            return None
        states = self._states(rows)
        whole = np.sum([s.pooled * s.positions for s in states], axis=0)
        found: Floats = whole / np.linalg.norm(whole)
        return found

    def texts(self, texts: Sequence[str]) -> list[Floats | None]:
        """`text` of every text, in a third less time: those of equal length are run together."""
        by_text = self._rows([self._encode(text)[0] for text in texts])
        rows = [row for rows in by_text for row in rows]
        pooled: list[Floats] = [np.zeros(0, np.float32)] * len(rows)
        for numbers in _batches(rows, MANY):
            for number, vector in zip(numbers, self._sums([rows[n] for n in numbers]), strict=True):
                pooled[number] = vector
        states = iter(pooled)
        found: list[Floats | None] = []
        for own in by_text:
            sums = [next(states) for _ in own]
            whole = np.sum(sums, axis=0) if sums else None
            found.append(None if whole is None else whole / np.linalg.norm(whole))
        return found

    def pieces(self, texts: Sequence[Sequence[str]]) -> list[Floats | None]:
        """Vectors along some texts, each of which is cut into consecutive pieces, in whatever way.

        Returns:
            [piece, dimension] for every text: the mean over the model's tokens that share a character with the piece, see
            `shared`. None for a text without tokens.
        """
        encoded = [self._encode("".join(pieces)) for pieces in texts]
        by_text = self._rows([ids for ids, _ in encoded])
        states = iter(self._states([row for rows in by_text for row in rows]))
        found: list[Floats | None] = []
        for pieces, (_, offsets), rows in zip(texts, encoded, by_text, strict=True):
            vectors = [next(states).tokens for _ in rows]
            found.append(shared(np.concatenate(vectors), offsets, pieces) if vectors else None)
        return found

    def _encode(self, text: str) -> tuple[Ids, NDArray[np.int64]]:
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        return tuple(encoding.ids), np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)

    def _rows(self, texts: Sequence[Ids]) -> list[list[Ids]]:
        """Every text in as many rows as the model takes it in."""
        return [
            [ids[at : at + self._room] for at in range(0, len(ids), self._room)] for ids in texts
        ]

    def _states(self, rows: Sequence[Ids]) -> list[_States]:
        """What the model makes of some rows."""
        found: dict[int, _States] = {}
        for numbers in _batches(rows, BATCH):
            found |= zip(numbers, self._run([rows[n] for n in numbers]), strict=True)
        return [found[number] for number in range(len(rows))]

    def _sums(self, rows: Sequence[Ids]) -> list[Floats]:
        """[dimension] of every row; the sum over all positions."""
        import torch

        inputs, _ = self._inputs(rows)
        with torch.inference_mode():
            sums = self._model(**inputs).last_hidden_state.float().sum(1).cpu().numpy()
        return list(sums)

    def _inputs(self, rows: Sequence[Ids]) -> tuple[dict[str, Any], Contents]:
        inputs, contents = self._subject.inputs(rows)
        if self._is_half:
            inputs = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        return inputs, contents

    def _run(self, rows: Sequence[Ids]) -> list[_States]:
        import torch

        inputs, contents = self._inputs(rows)
        with torch.inference_mode():
            output = self._model(**inputs, output_hidden_states=True)
            layers = [_unit(layer.float()) for layer in output.hidden_states[1:]]
            tokens = _unit(torch.stack(layers).mean(0))[:, contents[False]].cpu().numpy()
            pooled = output.last_hidden_state.float().mean(1).cpu().numpy()
        positions = inputs["input_ids"].shape[1]
        return [_States(t, p, positions) for t, p in zip(tokens, pooled, strict=True)]


def shared(vectors: Floats, offsets: NDArray[np.int64], pieces: Sequence[str]) -> Floats:
    """From vectors of a text's tokens to those of its pieces.

    A piece gets the mean over the tokens that share a character with it. One without a character, which is a part of the
    character before it, gets what that character gets. White space, which many tokenizers leave out, gets what stands before it.

    Args:
        vectors: [token, dimension], at least one.
        offsets: [token, 2]; first and one-past-last character, in order.
        pieces: consecutive parts of the text.

    Returns:
        [piece, dimension].
    """
    lengths = np.array([len(piece) for piece in pieces])
    stops = np.cumsum(lengths)
    starts = np.where(lengths > 0, stops - lengths, stops - 1)
    first = np.searchsorted(offsets[:, 1], starts, side="right")
    last = np.searchsorted(offsets[:, 0], stops, side="left")
    none = last <= first
    first = np.where(none, np.maximum(first - 1, 0), first)
    last = np.where(none, first + 1, last)
    sums = np.concatenate([np.zeros_like(vectors[:1]), np.cumsum(vectors, axis=0)])
    found: Floats = (sums[last] - sums[first]) / (last - first)[:, None]
    return found


def _batches(rows: Sequence[Ids], size: int) -> Iterator[list[int]]:
    """Numbers of rows of equal length, some at a time: padding would have to be hidden from the model."""
    by_length: defaultdict[int, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        by_length[len(row)].append(number)
    for numbers in by_length.values():
        for at in range(0, len(numbers), size):
            yield numbers[at : at + size]


def _unit(vectors: Tensor) -> Tensor:
    import torch

    return torch.nn.functional.normalize(vectors, dim=-1)
