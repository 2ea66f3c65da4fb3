"""Data frames, of pandas or polars, whichever is installed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from neuroexplain.errors import CatalogueError


def frame(columns: Mapping[str, Sequence[Any]]) -> Any:
    """Columns as a data frame.

    Raises:
        CatalogueError: neither package is installed.
    """
    for package in ("pandas", "polars"):
        try:
            module = importlib.import_module(package)
        except ModuleNotFoundError:
            continue
        return module.DataFrame(columns)
    raise CatalogueError("a data frame needs pandas: pip install 'neuroexplain[frame]'")
