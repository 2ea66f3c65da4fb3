"""Lines of Neuronpedia's small tables, and names that all of its tables use."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from neuroexplain.exchanged import About
from neuroexplain.records import NeuronId

AUTHOR = "clkht01d40000jv08hvalcvly"
"""User that public exports name as the creator of everything."""
NEURONS = "neurons"
"""Source set of plain neurons."""
NEGATIVE = "negative"
"""Behind a source's name where it has the lower sides of neurons."""
RELEASE = "neuroexplain"
_NO_TIME = "1970-01-01T00:00:00+00:00"
_SOURCE = re.compile(r"(?P<layer>\d{1,6})(?:-(?P<set>.+?)(?:__(?P<more>.+))?)?")
_NAME = re.compile(r"[^a-z0-9_-]+")


@dataclass(frozen=True)
class Model:
    """What all tables say of a subject."""

    subject: str
    source_set: str
    created_at: str
    widths: tuple[int, ...]
    dataset: str | None
    seq_len: int | None
    first: int
    """Leading tokens of every span that count for nothing."""

    @classmethod
    def of(cls, about: About, source_set: str = NEURONS) -> Model:
        """A subject's; what has no time of its own is of when its spans were collected, or else of 1970."""
        return cls(
            about.subject,
            source_set,
            about.created_at or _NO_TIME,
            about.widths,
            about.corpus or None,
            about.seq_len,
            about.first,
        )

    @property
    def id(self) -> str:
        """Its name as Neuronpedia allows it: small letters, digits, - and _, at most 128."""
        return _NAME.sub("-", self.subject.lower()).strip("-")[:128] or "subject"

    @property
    def release(self) -> str:
        """Name of its release."""
        return f"{RELEASE}-{self.id}"

    def source(self, neuron: NeuronId) -> Source:
        """The source that a neuron is in."""
        return Source(neuron.layer, self.source_set, neuron.polarity)

    def width(self, layer: int) -> int | None:
        """Neurons of a layer; None where that is not known."""
        return self.widths[layer] if layer < len(self.widths) else None


class Source(NamedTuple):
    """A source's name, taken apart."""

    layer: int
    source_set: str
    polarity: int
    more: str | None = None
    """What else stands behind `__`."""

    def __str__(self) -> str:
        plain = self.source_set == NEURONS and self.polarity > 0 and self.more is None
        if plain:
            return str(self.layer)
        behind = NEGATIVE if self.polarity < 0 else self.more
        return f"{self.layer}-{self.source_set}" + ("" if behind is None else f"__{behind}")

    @classmethod
    def parse(cls, text: str) -> Source | None:
        """Read a name; None where it is none that begins with a layer's number.

        >>> Source.parse("5-res-jb__negative")
        Source(layer=5, source_set='res-jb', polarity=-1, more=None)
        """
        match = _SOURCE.fullmatch(text)
        if match is None:
            return None
        negative = match["more"] == NEGATIVE
        more = None if negative else match["more"]
        return cls(int(match["layer"]), match["set"] or NEURONS, -1 if negative else 1, more)

    def subject(self, model_id: str) -> str:
        """Name of the subject that the source belongs to: an address has room for neither set nor suffix."""
        own = [] if self.source_set == NEURONS else [self.source_set]
        return "-".join([model_id, *own, *filter(None, [self.more])])


def cuid(*parts: object) -> str:
    """An id of 25 characters in the form that the tables use, which is the same for the same parts.

    >>> cuid("minilm", 5) == cuid("minilm", 5), len(cuid("minilm", 5))
    (True, 25)
    """
    known = repr(parts).encode("utf-8", "backslashreplace")
    return f"c{hashlib.sha256(known).hexdigest()[:24]}"


def release_line(model: Model) -> dict[str, Any]:
    """The line of `release.jsonl`."""
    title = f"{model.subject}, explained by neuroexplain"
    return {
        "name": model.release,
        "description": title,
        "creatorName": RELEASE,
        "creatorId": AUTHOR,
        "visibility": "PUBLIC",
        "isNewUi": False,
        "featured": False,
        "descriptionShort": title,
        "urls": [],
        "creatorEmail": None,
        "creatorNameShort": RELEASE,
        "defaultSourceSetName": model.source_set,
        "defaultSourceId": None,
        "defaultUmapSourceIds": [],
        "createdAt": model.created_at,
    }


def model_line(model: Model) -> dict[str, Any]:
    """The line of `model.jsonl`."""
    title = model.subject
    return {
        "id": model.id,
        "instruct": False,
        "creatorId": AUTHOR,
        "displayNameShort": title,
        "displayName": title,
        "tlensId": None,
        "dimension": None,
        "visibility": "PUBLIC",
        "defaultSourceSetName": None,
        "defaultSourceId": None,
        "inferenceEnabled": False,
        "layers": len(model.widths),
        "neuronsPerLayer": max(model.widths, default=0),
        "createdAt": model.created_at,
        "owner": "",
        "updatedAt": model.created_at,
        "website": None,
    }


def source_set_line(model: Model) -> dict[str, Any]:
    """The line of `sourceset.jsonl`."""
    return {
        "modelId": model.id,
        "name": model.source_set,
        "creatorId": AUTHOR,
        "hasDashboards": True,
        "visibility": "PUBLIC",
        "description": f"{model.subject}: {model.source_set}",
        "type": model.source_set,
        "creatorName": RELEASE,
        "urls": [],
        "creatorEmail": None,
        "releaseName": model.release,
        "defaultOfModelId": None,
        "defaultRange": 1,
        "defaultShowBreaks": True,
        "showDfa": False,
        "showCorrelated": False,
        "showHeadAttribution": False,
        "showUmap": False,
        "createdAt": model.created_at,
    }


def source_line(model: Model, source: Source) -> dict[str, Any]:
    """The line of `source.jsonl`. Its notes tell readers of this package that token texts are no pieces."""
    notes = {
        "writer": RELEASE,
        "tokens": "texts",
        "subject": model.subject,
        "width": model.width(source.layer),
    }
    return {
        "id": str(source),
        "modelId": model.id,
        "setName": model.source_set,
        "creatorId": AUTHOR,
        "hasDashboards": True,
        "inferenceEnabled": False,
        "inferenceHosts": [],
        "saelensConfig": None,
        "saelensRelease": None,
        "saelensSaeId": None,
        "hfRepoId": None,
        "hfFolderId": None,
        "visibility": "PUBLIC",
        "defaultOfModelId": None,
        "hasUmap": False,
        "hasUmapLogSparsity": False,
        "hasUmapClusters": False,
        "num_prompts": None,
        "num_tokens_in_prompt": model.seq_len,
        "dataset": model.dataset,
        "notes": json.dumps(notes),
        "createdAt": model.created_at,
    }


def explanation_types(names: Iterable[str], at: str) -> list[dict[str, Any]]:
    """Lines of `config/explanation_type.jsonl`: explainers."""
    return [
        {
            **_named(name, f"explainer {name} of neuroexplain", at),
            "isAttention": False,
            "explainerModelSettingsId": None,
            "settings": None,
            "creatorId": AUTHOR,
        }
        for name in names
    ]


def score_types(names: Iterable[str], at: str) -> list[dict[str, Any]]:
    """Lines of `config/explanation_score_type.jsonl`: scorers."""
    return [
        {
            **_named(name, f"scorer {name} of neuroexplain", at),
            "isAttention": False,
            "scoreDescription": None,
            "scorerModel": None,
            "settings": None,
            "creatorId": AUTHOR,
        }
        for name in names
    ]


def language_models(names: Iterable[str], at: str) -> list[dict[str, Any]]:
    """Lines of `config/explanation_model_type.jsonl`, or of `config/explanation_score_model.jsonl`."""
    return [{**_named(name, name, at), "openRouterModelId": None} for name in names]


def _named(name: str, description: str, at: str) -> dict[str, Any]:
    """What all tables of names have."""
    return {
        "name": name,
        "displayName": name,
        "description": description,
        "featured": True,
        "url": None,
        "creatorName": RELEASE,
        "createdAt": at,
        "updatedAt": at,
    }
