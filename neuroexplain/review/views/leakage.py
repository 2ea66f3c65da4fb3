"""Which spans the explainer saw and which are held out, and whether one gives the other away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neuroexplain.heat import shown as visible_token

_USES = {
    "explain": "shown to the explainer",
    "select": "held out, to choose among candidates",
    "test": "held out, for the scores",
}
_KINDS = {"top": "strongest", "quantile": "of all bands", "random": "random"}
_NAMED = 10
"""Repeated spans that are shown."""


@dataclass(frozen=True)
class Use:
    """What the spans of a split are for."""

    split: str
    use: str
    n_spans: int
    n_documents: int
    kinds: str
    """How many of each kind, in words."""


@dataclass(frozen=True)
class Repeated:
    """A held-out span whose text the explainer has seen elsewhere."""

    split: str
    document: int
    start: int
    text: str


@dataclass(frozen=True)
class Leakage:
    """How well what is held out is kept apart."""

    uses: tuple[Use, ...]
    shared_documents: int
    """Documents of which the explainer saw a part, and another part is held out."""
    n_repeated: int
    """Held-out spans whose text is that of a span that the explainer saw."""
    repeated: tuple[Repeated, ...]
    """The first of them."""


def leakage(shown: Mapping[str, Any]) -> Leakage:
    """Of what `Catalogue.show` gives."""
    by_split: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for exemplar in shown["exemplars"]:
        by_split[exemplar["split"]].append(exemplar)
    seen = {"".join(e["tokens"]) for e in by_split["explain"]}
    seen_documents = {e["document"] for e in by_split["explain"]}
    kept_back = {
        (e["document"], e["start"]): (split, e)
        for split in ("select", "test")
        for e in by_split[split]
    }
    again = [(split, e) for split, e in kept_back.values() if "".join(e["tokens"]) in seen]
    return Leakage(
        uses=tuple(_use(split, by_split[split]) for split in _USES if by_split[split]),
        shared_documents=len(seen_documents & {document for document, _ in kept_back}),
        n_repeated=len(again),
        repeated=tuple(
            Repeated(split, e["document"], e["start"], "".join(map(visible_token, e["tokens"])))
            for split, e in again[:_NAMED]
        ),
    )


def _use(split: str, exemplars: list[Mapping[str, Any]]) -> Use:
    places = {(e["document"], e["start"]) for e in exemplars}
    of_kind = {k: sum(e["kind"] == k for e in exemplars) for k in _KINDS}
    return Use(
        split=split,
        use=_USES[split],
        n_spans=len(places),
        n_documents=len({document for document, _ in places}),
        kinds=", ".join(f"{n} {_KINDS[k]}" for k, n in of_kind.items() if n),
    )
