"""Arrays as blobs, records as JSON, and the refusal of numbers that are not finite.

Fixed-width arrays are big-endian, so that SQL reads them through `hex()`; compressed ones are little-endian.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroexplain.errors import CatalogueError
from neuroexplain.records import Failure, Floats

_SHA256 = re.compile("[0-9a-f]{64}")
_SURROGATES = re.compile("[\ud800-\udfff]")


def fixed(values: ArrayLike, width: int) -> bytes:
    """Unsigned integers of `width` bytes each, big-endian."""
    return np.asarray(values).astype(f">u{width}").tobytes()


def unfixed(blob: bytes, width: int) -> NDArray[np.int64]:
    """The reverse of `fixed`."""
    return np.frombuffer(blob, f">u{width}").astype(np.int64)


def floats(values: ArrayLike) -> bytes:
    """Big-endian float32."""
    return np.asarray(values).astype(">f4").tobytes()


def unfloats(blob: bytes) -> Floats:
    """The reverse of `floats`."""
    return np.frombuffer(blob, ">f4").astype(np.float32)


def half(values: ArrayLike) -> bytes:
    """Big-endian float16, for SQL."""
    return np.asarray(values).astype(">f2").tobytes()


def unhalf(blob: bytes) -> Floats:
    """The reverse of `half`, as float32."""
    return np.frombuffer(blob, ">f2").astype(np.float32)


def cut(packed: bytes, counts: Iterable[int], width: int) -> Iterator[bytes]:
    """Consecutive pieces of so many values of `width` bytes each."""
    start = 0
    for count in counts:
        yield packed[start : start + count * width]
        start += count * width


def halves(values: ArrayLike) -> bytes:
    """Compressed float16."""
    return deflate(np.asarray(values).astype("<f2").tobytes())


def unhalves(blob: bytes) -> Floats:
    """The reverse of `halves`, as float32."""
    return np.frombuffer(inflate(blob), "<f2").astype(np.float32)


def words(values: ArrayLike) -> bytes:
    """Compressed uint32."""
    return deflate(np.asarray(values).astype("<u4").tobytes())


def deflate(packed: bytes) -> bytes:
    """Compressed bytes. Higher levels take several times as long and save some percent of float16."""
    return zlib.compress(packed, 1)


def inflate(blob: bytes) -> bytes:
    """The reverse of `deflate`."""
    return zlib.decompress(blob)


def packed_text(text: str) -> bytes:
    """A compressed text. Higher levels take half as long again and save a twentieth."""
    return deflate(clean(text).encode())


def unpacked_text(stored: bytes | str) -> str:
    """The reverse of `packed_text`; a text that was stored as it is comes back as it is."""
    return stored if isinstance(stored, str) else zlib.decompress(stored).decode()


def read_text(stored: bytes | None) -> str | None:
    """A text that was read as bytes; None where it is damaged or missing."""
    try:
        return None if stored is None else stored.decode()
    except UnicodeDecodeError:
        return None


def unwords(blob: bytes) -> NDArray[np.uint32]:
    """The reverse of `words`."""
    return np.frombuffer(inflate(blob), "<u4").astype(np.uint32)


def split(values: Floats, lengths: Iterable[int]) -> list[Floats]:
    """Cut concatenated values into pieces of the given lengths, which are views of them."""
    pieces, start = [], 0
    for length in lengths:
        pieces.append(values[start : start + length])
        start += length
    return pieces


def to_json(value: Any, what: str) -> str:
    """JSON text.

    Raises:
        CatalogueError: it holds NaN or infinity.
    """
    try:
        return json.dumps(dict(value) if isinstance(value, Mapping) else value, allow_nan=False)
    except ValueError as error:
        raise CatalogueError(f"{what} cannot be stored: {error}") from None


def finite(what: str, **numbers: float | None) -> None:
    """Refuse numbers that SQLite would turn into NULL or keep as infinity.

    Raises:
        CatalogueError: one of them is NaN or infinite.
    """
    for name, number in numbers.items():
        if number is not None and not math.isfinite(number):
            raise CatalogueError(
                f"{what}: {name} is {number}; undefined numbers are stored as None with a reason"
            )


def clean(value: Any) -> Any:
    """A text without lone surrogates, which UTF-8 cannot hold (replies of language models have them); others as they are."""
    if not isinstance(value, str) or value.isascii():
        return value
    return _SURROGATES.sub("\ufffd", value)


def digest(key: str) -> bytes:
    """A SHA-256 in hex as bytes; of a key that is none, its SHA-256."""
    if _SHA256.fullmatch(key):
        return bytes.fromhex(key)
    return hashlib.sha256(key.encode()).digest()


def failure(found: Failure | None) -> dict[str, str | None]:
    """The columns of a failure; all None where there is none."""
    names = ("reason", "message", "raw_reply")
    return {name: None if found is None else getattr(found, name) for name in names}


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def iso(ms: int) -> str:
    """The ISO text of a time in milliseconds since 1970, as views have it."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


def now() -> str:
    """The time as ISO text in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
