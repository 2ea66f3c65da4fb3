"""Pieces of tokenizers as the texts that they stand for.

Published files often hold a vocabulary's pieces: of byte-level BPE, which writes every byte as a character of its own (`Ġthe`,
`âĢĻ`), or of SentencePiece (`▁the`, `<0x0A>`). A list is read as pieces only where it cannot be plain text: nothing in it is a
blank, and something in it stands for one. Some tools put back blanks and whole characters, and leave the bytes of those that are
divided among tokens (` it`, `âĢ`, `Ļ`): where a run of such letters is valid UTF-8, as by chance it never is, all that are so are
read as that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_BLANK = re.compile(r"[ \t\r\n]")


def _alphabet() -> dict[str, int]:
    """Characters of byte-level BPE with their bytes: printable ones stand for themselves, the others follow U+0100 (GPT-2)."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in plain]
    return {chr(b): b for b in plain} | {chr(0x100 + n): b for n, b in enumerate(others)}


ALPHABET = _alphabet()
_RUN = re.compile("[" + re.escape("".join(c for c in ALPHABET if not c.isascii())) + "]+")
_ONLY_A_BYTE = re.compile(r"[\u0122-\u0143]")
"""Letters that stand for bytes within a character; the other accented ones are as common in plain texts."""


def texts(pieces: Sequence[str]) -> tuple[str, ...]:
    r"""Consecutive pieces as texts; plain texts as they are.

    A character in several pieces belongs to the first of them, and the others are empty; bytes that make no character
    are written as `<0xE2>`.

    >>> texts(["The", "Ġriver", "âĢ", "Ļ", "s"])
    ('The', ' river', '’', '', 's')
    >>> texts(["▁The", "<0x0A>"])
    (' The', '\n')
    >>> texts(["Ġ is a letter", " of Maltese"])
    ('Ġ is a letter', ' of Maltese')
    """
    joined = "".join(pieces)
    if any(map(_BLANK.search, pieces)):
        return _half_decoded(pieces)
    if "Ġ" in joined or "Ċ" in joined:
        return _decoded([_byte_level(piece) for piece in pieces])
    if "▁" in joined or any(map(_BYTE.fullmatch, pieces)):
        return _decoded([_sentence_piece(piece) for piece in pieces])
    return tuple(pieces)


def separate(pieces: Sequence[str]) -> tuple[str, ...]:
    """Pieces that do not follow on each other, as texts: whether they are pieces shows in all of them together."""
    joined = "".join(pieces)
    if any(map(_BLANK.search, pieces)):
        return tuple(_half_decoded([piece])[0] for piece in pieces)
    if not ("Ġ" in joined or "Ċ" in joined or "▁" in joined or any(map(_BYTE.fullmatch, pieces))):
        return tuple(pieces)
    byte_level = "Ġ" in joined or "Ċ" in joined
    read = _byte_level if byte_level else _sentence_piece
    return tuple(_decoded([read(piece)])[0] for piece in pieces)


def weighted(pairs: Sequence[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """Pieces with numbers, as `separate` texts with the same numbers."""
    decoded = separate([piece for piece, _ in pairs])
    return tuple((text, number) for text, (_, number) in zip(decoded, pairs, strict=True))


def _half_decoded(pieces: Sequence[str]) -> tuple[str, ...]:
    """Texts among which there may be letters that are bytes of a character."""
    joined = "".join(pieces)
    if not _ONLY_A_BYTE.search(joined):
        return tuple(pieces)
    runs = [run for run in _RUN.finditer(joined) if _is_bytes(run[0])]
    if not any(_ONLY_A_BYTE.search(run[0]) for run in runs):
        return tuple(pieces)
    raw = {place for run in runs for place in range(*run.span())}
    at = iter(range(len(joined)))
    return _decoded([b"".join(_byte(c, next(at) in raw) for c in piece) for piece in pieces])


def _is_bytes(run: str) -> bool:
    try:
        bytes(ALPHABET[character] for character in run).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _byte(character: str, raw: bool) -> bytes:
    return bytes([ALPHABET[character]]) if raw else character.encode("utf-8", "surrogatepass")


def _byte_level(piece: str) -> bytes:
    """A piece's bytes; of one that has other characters, such as a special token, those of its text."""
    if all(map(ALPHABET.__contains__, piece)):
        return bytes(map(ALPHABET.__getitem__, piece))
    return piece.encode("utf-8", "surrogatepass")


def _sentence_piece(piece: str) -> bytes:
    byte = _BYTE.fullmatch(piece)
    if byte:
        return bytes([int(byte[1], 16)])
    return piece.replace("▁", " ").encode("utf-8", "surrogatepass")


def _decoded(parts: Sequence[bytes]) -> tuple[str, ...]:
    """Texts of consecutive runs of bytes."""
    starts = list(accumulate(map(len, parts), initial=0))
    owner = [place for place, part in enumerate(parts) for _ in part]
    found = [""] * len(parts)
    data = b"".join(parts)
    at = 0
    while at < starts[-1]:
        length, text = _character(data, at)
        found[owner[at]] += text
        at += length
    return tuple(found)


def _character(data: bytes, at: int) -> tuple[int, str]:
    """Length and text of the character that begins at a byte; of a byte where none begins, its number."""
    first = data[at]
    length = 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    try:
        return length, data[at : at + length].decode("utf-8")
    except UnicodeDecodeError:
        return 1, f"<0x{first:02X}>"
