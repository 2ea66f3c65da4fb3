"""A corpus spec → its documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from neuroexplain.corpora import files, hub, python_docs
from neuroexplain.corpora.chat import ChatTemplate, is_conversation
from neuroexplain.corpora.encoding import Places
from neuroexplain.errors import CorpusError

FORMS = "docs, FILE.txt, FILE.jsonl, FILE.parquet, a directory of these, hf:NAME[:CONFIG][:SPLIT]"

# UTF-8 cannot hold a lone surrogate, and databases cut a text at NUL.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Text(NamedTuple):
    """A document as its corpus has it."""

    text: str
    source: str
    """Where it came from, for example `FILE:LINE`."""
    special: Places = frozenset()
    """Characters at which special tokens begin that are to be read as such."""


def read(
    spec: str, *, text_field: str = "text", template: ChatTemplate | None = None
) -> Iterator[Text]:
    """Every document of a corpus, in the corpus's own order; one is held in memory at a time.

    Blank documents are left out. A NUL or a lone surrogate becomes U+FFFD. Errors come while iterating.

    Args:
        spec: `docs`; a `.txt` file (a document per block between blank lines); a `.jsonl` or `.parquet` file; a
            directory of these, read recursively in sorted order; `hf:NAME[:CONFIG][:SPLIT]`. `.txt` and `.jsonl`
            may be gzipped (`.gz`).
        text_field: field that holds the text in `.jsonl`, `.parquet` and `hf:` corpora.
        template: writes conversations, lists of messages in that field or in `messages`, as texts; None refuses
            them.

    Raises:
        CorpusError: no such corpus, a bad record in it, a missing package, or no text at all.
    """
    empty = True
    for value, source in _open(spec, text_field):
        if template is None:
            text, special = _as_text(value, text_field, source), Places()
        else:
            text, special = template.render(value, source)
        if text.strip():
            empty = False
            yield Text(_UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text), source, special)
    if empty:
        raise CorpusError(f"{spec}: the corpus holds no text; give one with at least 3 documents")


def _as_text(value: object, field: str, where: str) -> str:
    if isinstance(value, str):
        return value
    if is_conversation(value):
        raise CorpusError(
            f"{where}: a conversation, not text; write it by the subject's chat template with --chat-template, or "
            "choose a text field with --text-field"
        )
    kind = "empty" if value is None else f"of type {type(value).__name__}"
    raise CorpusError(
        f'{where}: field "{field}" is {kind}, not text; choose a text field with --text-field'
    )


def _open(spec: str, field: str) -> files.Records:
    if spec == "docs":
        return python_docs.read()
    if spec.startswith("hf:"):
        return hub.read(spec, field)
    path = Path(spec).expanduser()
    if path.is_dir():
        return _directory(path, field)
    reader = files.reader_of(path)
    if reader is None:
        raise CorpusError(f'unknown form of corpus "{spec}"; forms: {FORMS}')
    if not path.exists():
        raise CorpusError(f"{spec}: no such file; forms of a corpus: {FORMS}")
    return reader(path, field)


def _directory(folder: Path, field: str) -> files.Records:
    # Sorted by path parts, so that the order is the same on every system.
    paths = sorted((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.parts)
    readable = [(p, reader) for p in paths if (reader := files.reader_of(p)) is not None]
    if not readable:
        raise CorpusError(f"{folder}: no file in it ends in {', '.join(files.READERS)}")
    for path, reader in readable:
        yield from reader(path, field)
