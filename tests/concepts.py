"""Texts about 54 matters, written for this project, and what a sentence model makes of texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neuroexplain.collectors.text_pass import read
from neuroexplain.subjects import Subject

CONCEPTS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "concepts.json").read_text("utf-8")
)
"""Each with its `concept`, 20 texts `about` it, and 10 that are `not_about` it."""


def embeddings(subject: Subject, texts: Sequence[str]) -> NDArray[np.float32]:
    """Mean of the last hidden states over all tokens, as the model was trained to be read; of length 1."""
    ids = [i.tolist() for i in read(subject, list(texts)).token_ids]
    found = np.zeros((len(texts), 384), np.float32)
    for length in {len(i) for i in ids}:
        rows = [row for row, i in enumerate(ids) if len(i) == length]
        inputs, _ = subject.inputs([ids[row] for row in rows])
        with torch.inference_mode():
            states = subject.model(**inputs).last_hidden_state.mean(1)
        found[rows] = torch.nn.functional.normalize(states, dim=-1).numpy()
    return found
