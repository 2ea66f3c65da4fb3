"""The `docs` corpus: prose that comes with Python itself, so that a first run needs no download.

Two sources: the language reference's topics (`pydoc_data.topics`) and the docstrings of the standard library's
source files, which are parsed and never imported. What comes out depends on the Python version alone, not on the
packages that are installed.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics

from neuroexplain.errors import CorpusError

_MIN_WORDS = 20
_SKIPPED = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3"}
_BODIES = ("body", "orelse", "handlers", "finalbody")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

_WORD = re.compile(r"[\"'(]*[A-Za-z]+(?:['-][A-Za-z]+)*[\"')]*[.,;:!?]*[\"')]*")
_COMMON = re.compile(
    "a|an|and|are|as|at|be|by|can|for|from|if|in|is|it|may|not|of|on|or|that|the|this|to|with",
    re.IGNORECASE,
)
# Columns inside a line, rules of tables, doctests, markup directives.
_LAYOUT = re.compile(r"\S {3,}\S|[-=~_*+.#]{4,}|^\s*(>>>|\.\. |\||\+--|@|\$ )", re.MULTILINE)


def read() -> Iterator[tuple[str, str]]:
    """Every document of the corpus as (text, source), ordered by the SHA-256 of its text.

    The order makes any prefix a fair mixture of reference and library. Sources are `topic NAME` or a qualified name
    such as `json.decoder.JSONDecoder`.

    Raises:
        CorpusError: this Python came without its library's source files.
    """
    root = Path(sysconfig.get_path("stdlib"))
    found: dict[str, str] = {}
    for text, source in (*_topics(), *_docstrings(root)):
        document = prose(text)
        if document:
            found.setdefault(document, source)
    if not found:
        raise CorpusError(
            f"docs: no Python source files under {root}; name a text file with --corpus FILE.txt"
        )
    yield from sorted(found.items(), key=lambda item: hashlib.sha256(item[0].encode()).digest())


def prose(text: str) -> str:
    r"""The paragraphs of a text that read as prose, a blank line between them, white space folded.

    >>> words = "The river is as wide as the sea, and it can be crossed only by those who know the ford well."
    >>> prose(f"{words}\n\n    >>> f(x)\n    3") == words
    True
    """
    paragraphs = re.split(r"\n[ \t]*\n", text)
    return "\n\n".join(" ".join(p.split()) for p in paragraphs if _reads_as_prose(p))


def _reads_as_prose(paragraph: str) -> bool:
    words = paragraph.split()
    if len(words) < _MIN_WORDS or _LAYOUT.search(paragraph.strip()):
        return False
    plain = sum(1 for w in words if _WORD.fullmatch(w))
    common = sum(1 for w in words if _COMMON.fullmatch(w))
    return plain >= 0.75 * len(words) and common >= 0.15 * len(words)


def _topics() -> Iterator[tuple[str, str]]:
    for name, text in topics.items():
        yield text, f"topic {name}"


def _docstrings(root: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if _SKIPPED.isdisjoint(parts[:-1]):
            try:
                source = path.read_text(encoding="utf-8")
                with warnings.catch_warnings():
                    # An odd escape in somebody else's docstring is not our user's concern.
                    warnings.simplefilter("ignore", SyntaxWarning)
                    warnings.simplefilter("ignore", DeprecationWarning)
                    tree = ast.parse(source)
            except (SyntaxError, UnicodeDecodeError):
                continue
            yield from _in_tree(tree, ".".join(p for p in parts if p != "__init__"))


def _in_tree(node: ast.AST, name: str) -> Iterator[tuple[str, str]]:
    """Docstrings of a module, class or function and of all that is defined inside it."""
    if isinstance(node, _DOCUMENTED):
        text = ast.get_docstring(node, clean=False)
        if text:
            yield inspect.cleandoc(text), name
    for body in _BODIES:
        for child in getattr(node, body, ()):
            inner = getattr(child, "name", None)
            yield from _in_tree(child, f"{name}.{inner}" if inner else name)
