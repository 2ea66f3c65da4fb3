"""The network of a planted subject: it reads token ids back into words, and its neurons are the planted meanings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroexplain.testing.meanings import Meaning
from neuroexplain.testing.texts import Texts, key_of

if TYPE_CHECKING:
    from torch import nn

SITE = "neurons.{}:output"
"""Where the neurons of a layer are."""
CONTINUED = "##"
"""Begins the tokens that go on with a word."""


@dataclass(frozen=True)
class Reader:
    """Reads token ids back into words."""

    tokens: tuple[str, ...]
    """[token id]"""

    def read(self, rows: NDArray[np.int64]) -> tuple[Texts, NDArray[np.int64]]:
        """Texts of equal length.

        Args:
            rows: [text, token]; without special tokens.

        Returns:
            The texts, and the word of every token, [text, token]: several tokens may spell one word.
        """
        texts: list[list[str]] = []
        word_of = np.empty(rows.shape, np.int64)
        count = -1
        for number, row in enumerate(rows.tolist()):
            words: list[str] = []
            for place, token_id in enumerate(row):
                token = self.tokens[token_id]
                if words and token.startswith(CONTINUED):
                    words[-1] += token.removeprefix(CONTINUED)
                else:
                    words.append(token)
                    count += 1
                word_of[number, place] = count
            texts.append(words)
        return Texts.of(texts), word_of


@dataclass(frozen=True)
class Design:
    """All that decides what the neurons of a planted subject do."""

    layers: tuple[tuple[Meaning, ...], ...]
    seed: int
    sink: float
    """Activation of every neuron on tokens that should not count."""
    special: bool
    """Those are a special token before and one behind the text; else the text's own first token."""

    @property
    def content(self) -> slice:
        """Positions of the text's own tokens."""
        return slice(1, -1) if self.special else slice(None)

    def activations(
        self, layer: int, texts: Texts, word_of: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Neurons of one layer, [text, position, neuron].

        Args:
            layer: which.
            texts: what it reads.
            word_of: [text, token]; the word of every token.
        """
        rows, tokens = word_of.shape
        meanings = self.layers[layer]
        shape = (rows, tokens + 2 * self.special, len(meanings))
        values = np.full(shape, self.sink, np.float32)
        for index, meaning in enumerate(meanings):
            strengths = meaning.strengths(texts, key_of(self.seed, layer, index))
            values[:, self.content, index] = strengths[word_of]
        if not self.special:
            values[:, 0] = self.sink
        return values


def build(design: Design, reader: Reader, positions: int) -> nn.Module:
    """A module that is called as models of transformers are; the outputs of `neurons.0`, `neurons.1`, ... are its layers.

    Args:
        design: its neurons.
        reader: its vocabulary.
        positions: tokens that it takes.
    """
    import torch
    from torch import nn
    from transformers import PretrainedConfig
    from transformers.modeling_outputs import BaseModelOutput

    class PlantedModel(nn.Module):
        """Every layer is made from the text itself, none from the one before."""

        device = torch.device("cpu")
        dtype = torch.float32

        def __init__(self) -> None:
            super().__init__()
            self.config = PretrainedConfig(
                model_type="planted",
                vocab_size=len(reader.tokens),
                num_hidden_layers=len(design.layers),
                max_position_embeddings=positions,
            )
            self.neurons = nn.ModuleList(nn.Identity() for _ in design.layers)

        def forward(self, input_ids: torch.Tensor, **_: Any) -> Any:
            """Layer after layer; nothing is computed behind the last that is wanted."""
            shown = None
            texts, word_of = reader.read(input_ids.numpy()[:, design.content])
            for layer, neurons in enumerate(self.neurons):
                shown = neurons(torch.from_numpy(design.activations(layer, texts, word_of)))
            return BaseModelOutput(last_hidden_state=shown)

    return PlantedModel().eval()


def vocabulary(words: Sequence[str]) -> dict[str, int]:
    """Token ids of special tokens, of these words, and of the letters that spell all others."""
    letters = sorted({letter for word in words for letter in word} | set(map(chr, range(33, 127))))
    tokens = ["[CLS]", "[SEP]", "[UNK]", *letters, *(CONTINUED + letter for letter in letters)]
    return {token: number for number, token in enumerate(dict.fromkeys([*tokens, *words]))}
