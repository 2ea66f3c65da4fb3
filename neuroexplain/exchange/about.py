"""`about.json`: what the files of an export in our own formats are of, and which they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from neuroexplain.errors import ExchangeError
from neuroexplain.exchange.fields import Fields
from neuroexplain.exchange.files import write_bytes
from neuroexplain.exchange.lines import document
from neuroexplain.exchanged import About

NAME = "about.json"
VERSION = 1
"""Of both formats; a reader refuses later ones."""


def forget(folder: Path) -> None:
    """What the folder holds is whole no longer.

    Raises:
        ExchangeError: the folder cannot be written to.
    """
    try:
        (folder / NAME).unlink(missing_ok=True)
    except OSError as error:
        raise ExchangeError(f"{folder}: cannot be written to: {error.strerror}") from error


def save(folder: Path, about: About, files: Sequence[str]) -> None:
    """Say that the files of an export are whole; the last thing that it writes."""
    content = {"version": VERSION, "files": list(files), **asdict(about)}
    text = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False)
    write_bytes(folder / NAME, f"{text}\n".encode("utf-8", "backslashreplace"))


def load(folder: Path) -> tuple[About, frozenset[str]] | None:
    """What an export is of, and its files; None where nobody has said so.

    Raises:
        ExchangeError: `about.json` is of a later version, or lacks a key.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    row = document(path, NAME)
    version = row.integer("version")
    if version > VERSION:
        raise row.wrong("version", f"{VERSION} or less; a later version of neuroexplain wrote it")
    return _about(row), frozenset(row.texts("files"))


def _about(row: Fields) -> About:
    widths = row.integers("widths")
    if any(width < 0 for width in widths):
        raise row.wrong("widths", "numbers of neurons")
    return About(
        subject=row.text("subject"),
        spec=row.text("spec"),
        weights_sha256=row.text("weights_sha256"),
        architecture=row.text("architecture"),
        site=row.text("site"),
        widths=widths,
        corpus=row.text("corpus"),
        tokenizer_sha256=row.text("tokenizer_sha256"),
        seq_len=row.maybe_integer("seq_len", least=1),
        first=row.integer("first", least=0),
        created_at=row.maybe_text("created_at"),
        config=row.mapping("config"),
    )
