"""Data frames, of pandas or polars, whichever is installed."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import fields
from types import NoneType
from typing import Any, get_args, get_type_hints

from neuroexplain.errors import CatalogueError

_PANDAS = {int: "Int64", float: "float64", str: "string", bool: "boolean"}
"""Whole numbers, texts and truths stay what they are beside missing ones; a missing float is NaN, as pandas has it."""
_POLARS = {int: "Int64", float: "Float64", str: "String", bool: "Boolean"}


def frame(kind: type[Any], rows: Sequence[Any]) -> Any:
    """Records as the rows of a data frame, of pandas where both are installed.

    A column's type is that of the field, also where all of its values are missing, or there are no rows.

    Args:
        kind: dataclass of the records, with fields of int, float, str or bool, or None.
        rows: the records.

    Raises:
        CatalogueError: neither package is installed.
    """
    types = {f.name: _type(get_type_hints(kind)[f.name]) for f in fields(kind)}
    columns = {name: [getattr(row, name) for row in rows] for name in types}
    for package in ("pandas", "polars"):
        try:
            module = importlib.import_module(package)
        except ModuleNotFoundError:
            continue
        return (_pandas if package == "pandas" else _polars)(module, columns, types)
    raise CatalogueError(
        "a data frame needs pandas or polars: pip install 'neuroexplain[frame]', or pip install polars"
    )


def _type(hint: Any) -> type[Any]:
    """Of a field's values that are not None."""
    found = [part for part in get_args(hint) or (hint,) if part is not NoneType]
    if len(found) != 1 or found[0] not in _PANDAS:
        raise AssertionError(f"no column can hold {hint}")
    kind: type[Any] = found[0]
    return kind


def _pandas(module: Any, columns: dict[str, list[Any]], types: dict[str, type[Any]]) -> Any:
    series = {}
    for name, values in columns.items():
        whole = types[name] is int and None not in values
        series[name] = module.Series(values, dtype="int64" if whole else _PANDAS[types[name]])
    return module.DataFrame(series)


def _polars(module: Any, columns: dict[str, list[Any]], types: dict[str, type[Any]]) -> Any:
    schema = {name: getattr(module, _POLARS[kind]) for name, kind in types.items()}
    return module.DataFrame(columns, schema=schema)
