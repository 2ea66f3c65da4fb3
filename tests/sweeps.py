"""Sweeps made small: a random model of 400 neurons with a tokenizer trained here, and what the command line wants for it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from neuroexplain.catalogue.storage.codec import unpacked_text
from neuroexplain.testing import Server
from tests.program import TEXT, Result, neuroexplain

WIDTH = 400
CALLS = 3
"""Of a neuron: one to explain, two to simulate ten spans."""
COLLECTING = (
    "--corpus", str(TEXT), "--tokens", "3000", "--seq-len", "16", "--layers", "0", "--sample-tokens", "0"
)  # fmt: skip
ASKING = (
    "--explainer", "token-activation", "--simulator", "sparse", "--simulator-set", "spans_per_call=5",
    "--score-quantile", "0", "--llm", "openai:test-model",
)  # fmt: skip


class Sweeps:
    """A subject in a folder, and a catalogue in which it has been collected.

    Args:
        folder: takes both.
    """

    def __init__(self, folder: Path) -> None:
        self.subject = folder / "tiny"
        self.collected = folder / "collected.sqlite"
        """Not to be written to."""
        _save_subject(self.subject)
        made = neuroexplain("collect", *self.collecting, "--catalogue", str(self.collected))
        assert made.code == 0, made.err

    @property
    def collecting(self) -> tuple[str, ...]:
        """Options of the collection that is there."""
        return ("--subject", str(self.subject), *COLLECTING)

    def copy(self, path: Path) -> Path:
        """The catalogue, to write to."""
        return Path(shutil.copy(self.collected, path))

    def arguments(self, catalogue: Path | str, url: str, *more: str) -> tuple[str, ...]:
        """A sweep with a language model; its server is known by one name, whatever its port."""
        server = ("--base-url", f"{url},name=here", "--no-probe")
        return ("sweep", *self.collecting, *ASKING, *server, "--catalogue", str(catalogue), *more)

    def run(self, catalogue: Path | str, url: str, *more: str) -> Result:
        """Such a sweep, in this process."""
        return neuroexplain(*self.arguments(catalogue, url, *more), OPENAI_API_KEY="none")


def _save_subject(folder: Path) -> None:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2Model, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=800, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train([str(TEXT)], trainer)
    config = GPT2Config(
        vocab_size=tokenizer.get_vocab_size(),
        n_positions=32,
        n_embd=16,
        n_inner=WIDTH,
        n_layer=1,
        n_head=2,
        bos_token_id=None,
        eos_token_id=None,
    )
    torch.manual_seed(0)
    model = GPT2Model(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)


def error_of(result: Result) -> str:
    """The message of a command that failed in a way that the user can mend; bars may stand before it."""
    assert result.code == 1, result.err
    assert "Traceback" not in result.err
    (line,) = [line for line in result.err.splitlines() if line.startswith("Error: ")]
    assert result.err.endswith(f"{line}\n"), "the last word"
    return line.removeprefix("Error: ")


def asked(server: Server) -> Counter[str]:
    """What the server was asked, and how often."""
    return Counter(json.dumps(body["messages"]) for body in server.chats)


def bought(catalogue: Path, status: str = "ok") -> Counter[str]:
    """Messages of the calls that the ledger holds."""
    with closing(sqlite3.connect(catalogue)) as connection:
        rows = connection.execute("SELECT messages FROM llm_call WHERE status = ?", (status,))
        return Counter(json.dumps(json.loads(unpacked_text(row[0]))) for row in rows)
