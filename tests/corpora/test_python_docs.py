from __future__ import annotations

import hashlib

import pytest

from neuroexplain.corpora import python_docs, splits

PROSE = (
    "The file is read in blocks, and every block that is not empty is given to the function in the order "
    "in which it was found."
)


@pytest.fixture(scope="module")
def documents() -> list[tuple[str, str]]:
    return list(python_docs.read())


def test_there_is_enough_of_it(documents: list[tuple[str, str]]) -> None:
    assert len(documents) > 1500
    assert sum(len(text.split()) for text, _ in documents) > 150_000
    assert min(len(text.split()) for text, _ in documents) >= 20


def test_order_is_by_hash_and_texts_are_distinct(documents: list[tuple[str, str]]) -> None:
    hashes = [hashlib.sha256(text.encode()).hexdigest() for text, _ in documents]
    assert hashes == sorted(set(hashes))


def test_a_prefix_holds_every_split(documents: list[tuple[str, str]]) -> None:
    found = {splits.assign(hashlib.sha256(t.encode()).hexdigest()) for t, _ in documents[:50]}
    assert found == {"explain", "select", "test"}


def test_both_sources_and_no_installed_package(documents: list[tuple[str, str]]) -> None:
    names = {source for _, source in documents}
    assert any(name.startswith("topic ") for name in names)
    assert any(name.startswith("asyncio.") for name in names)
    assert not any(
        name.startswith(("site-packages", "numpy", "test.", "idlelib")) for name in names
    )


@pytest.mark.parametrize(
    "paragraph",
    [
        ">>> " + PROSE,
        "read(path) -> list[str]",
        "x = [f(a, b) for a, b in zip(c, d)]; " * 6,
        "name        meaning\n====        =======\n" + "size        of the file in bytes\n" * 6,
        "Too short to read as prose.",
    ],
)
def test_layout_and_code_are_left_out(paragraph: str) -> None:
    assert python_docs.prose(paragraph) == ""
    assert python_docs.prose(f"{PROSE}\n\n{paragraph}\n\n{PROSE}") == f"{PROSE}\n\n{PROSE}"


def test_white_space_is_folded() -> None:
    assert python_docs.prose("\n".join(f"   {word}" for word in PROSE.split())) == PROSE
