"""A corpus spec → its documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from neuroexplain.corpora import files, hub, python_docs
from neuroexplain.errors import CorpusError

FORMS = "docs, FILE.txt, FILE.jsonl, FILE.parquet, a directory of these, hf:NAME[:CONFIG][:SPLIT]"

# UTF-8 cannot hold a lone surrogate, and databases cut a text at NUL.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def read(spec: str, *, text_field: str = "text") -> Iterator[tuple[str, str]]:
    """Every document of a corpus as (text, source), in the corpus's own order; nothing is held in memory.

    Blank documents are left out. A NUL or a lone surrogate becomes U+FFFD. Errors come while iterating.

    Args:
        spec: `docs`; a `.txt` file (a document per block between blank lines); a `.jsonl` or `.parquet` file; a
            directory of these, read recursively in sorted order; `hf:NAME[:CONFIG][:SPLIT]`. `.txt` and `.jsonl`
            may be gzipped (`.gz`).
        text_field: field that holds the text in `.jsonl`, `.parquet` and `hf:` corpora.

    Raises:
        CorpusError: no such corpus, a bad record in it, a missing package, or no text at all.
    """
    empty = True
    for text, source in _open(spec, text_field):
        if text.strip():
            empty = False
            yield _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text), source
    if empty:
        raise CorpusError(f"{spec}: the corpus holds no text; give one with at least 3 documents")


def _open(spec: str, field: str) -> Iterator[tuple[str, str]]:
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


def _directory(folder: Path, field: str) -> Iterator[tuple[str, str]]:
    # Sorted by path parts, so that the order is the same on every system.
    paths = sorted((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.parts)
    readable = [(p, reader) for p in paths if (reader := files.reader_of(p)) is not None]
    if not readable:
        raise CorpusError(f"{folder}: no file in it ends in {', '.join(files.READERS)}")
    for path, reader in readable:
        yield from reader(path, field)
