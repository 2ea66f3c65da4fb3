"""Explain the neurons of language models with language models, and say what the scores mean.

    import neuroexplain as nx
    subject = nx.Subject.load("minilm")
    catalogue = nx.Catalogue("neuroexplain.sqlite")
    nx.collect(subject, corpus="docs", catalogue=catalogue, tokens=100_000)
    nx.sweep(catalogue, neurons="random:50", explainer="ngram")
    catalogue.search("score>=0.3").to_frame()

Names are imported when first used: `import neuroexplain` loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neuroexplain.api import collect, report, sweep
    from neuroexplain.catalogue import Catalogue
    from neuroexplain.errors import NeuroexplainError
    from neuroexplain.records import NeuronId
    from neuroexplain.registry import register
    from neuroexplain.searching import search
    from neuroexplain.subjects import Subject

__version__ = "0.1.0"

__all__ = [
    "Catalogue",
    "NeuroexplainError",
    "NeuronId",
    "Subject",
    "collect",
    "register",
    "report",
    "search",
    "sweep",
]

_HOMES = {
    "Catalogue": "neuroexplain.catalogue",
    "NeuroexplainError": "neuroexplain.errors",
    "NeuronId": "neuroexplain.records",
    "Subject": "neuroexplain.subjects",
    "collect": "neuroexplain.api",
    "register": "neuroexplain.registry",
    "report": "neuroexplain.api",
    "search": "neuroexplain.searching",
    "sweep": "neuroexplain.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'neuroexplain' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
