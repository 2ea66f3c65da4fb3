"""Plug-ins: explainers, simulators and scorers, found by kind and name.

A plug-in is a frozen dataclass in one file; its fields are its settings. Built-ins are listed as import strings and
imported when first asked for; other packages add theirs by the entry-point groups `neuroexplain.explainers`,
`neuroexplain.simulators` and `neuroexplain.scorers`.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import math
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, TypeVar, get_type_hints

from neuroexplain.errors import PluginError, unknown

PluginKind = Literal["explainer", "simulator", "scorer"]
PLUGIN_KINDS: tuple[PluginKind, ...] = ("explainer", "simulator", "scorer")

BUILT_IN: dict[PluginKind, dict[str, str]] = {
    "explainer": {
        "contrastive": "neuroexplain.explainers.contrastive",
        "ensemble": "neuroexplain.explainers.ensemble",
        "fixed": "neuroexplain.explainers.fixed",
        "highlight": "neuroexplain.explainers.highlight",
        "human": "neuroexplain.explainers.human",
        "keywords": "neuroexplain.explainers.keywords",
        "ngram": "neuroexplain.explainers.ngram",
        "ngram-summary": "neuroexplain.explainers.ngram_summary",
        "output-tokens": "neuroexplain.explainers.output_tokens",
        "token-activation": "neuroexplain.explainers.token_activation",
        "token-table": "neuroexplain.explainers.token_table",
    },
    "simulator": {
        "embedding": "neuroexplain.simulators.embedding",
        "keywords": "neuroexplain.simulators.keywords",
        "logprob": "neuroexplain.simulators.logprob",
        "ngram": "neuroexplain.simulators.ngram",
        "per-token": "neuroexplain.simulators.per_token",
        "sparse": "neuroexplain.simulators.sparse",
        "token-table": "neuroexplain.simulators.token_table",
    },
    "scorer": {
        "absolute_deviation": "neuroexplain.scorers.absolute_deviation",
        "correlation": "neuroexplain.scorers.correlation",
        "correlation_random": "neuroexplain.scorers.correlation_random",
        "correlation_top_random": "neuroexplain.scorers.correlation_top_random",
        "detection": "neuroexplain.scorers.detection",
        "explained_variance": "neuroexplain.scorers.explained_variance",
        "fuzzing": "neuroexplain.scorers.fuzzing",
        "synthetic": "neuroexplain.scorers.synthetic",
    },
}

_registered: dict[tuple[str, str], type[Any]] = {}
T = TypeVar("T")


def register(kind: PluginKind, name: str) -> Callable[[type[T]], type[T]]:
    """Class decorator that makes a plug-in known under a name.

    Raises:
        PluginError: another class already has the name, be it a built-in that nobody has asked for yet.
    """

    def decorate(cls: type[T]) -> type[T]:
        here = (cls.__module__, cls.__qualname__)
        known = _registered.get((kind, name))
        owner = (
            (known.__module__, known.__qualname__)
            if known is not None
            else (BUILT_IN[kind].get(name, cls.__module__), cls.__qualname__)
        )
        if owner != here:
            raise PluginError(
                f'two {kind}s are called "{name}": {".".join(owner)} and {".".join(here)}; rename one of them'
            )
        _registered[kind, name] = cls
        return cls

    return decorate


@cache
def _outside(kind: PluginKind) -> dict[str, EntryPoint]:
    """Entry points of other packages, by name.

    Raises:
        PluginError: two plug-ins have one name.
    """
    owners = dict(BUILT_IN[kind])
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=f"neuroexplain.{kind}s"):
        if owners.setdefault(point.name, point.value) != point.value:
            raise PluginError(
                f'two {kind}s are called "{point.name}", in {owners[point.name]} and in {point.value}; '
                "uninstall the package of one of them"
            )
        found[point.name] = point
    return found


def names(kind: PluginKind) -> list[str]:
    """Every known name of a kind, sorted."""
    here = {name for k, name in _registered if k == kind}
    return sorted(here | BUILT_IN[kind].keys() | _outside(kind).keys())


def find(kind: PluginKind, name: str) -> type[Any]:
    """The class of a plug-in.

    Raises:
        PluginError: no plug-in of that name; the message lists the valid ones. Or an outside package's cannot be
            imported.
    """
    if (kind, name) not in _registered:
        if name in BUILT_IN[kind]:
            importlib.import_module(BUILT_IN[kind][name])
        elif name in _outside(kind):
            _load(kind, _outside(kind)[name])
    try:
        return _registered[kind, name]
    except KeyError:
        raise PluginError(unknown(kind, name, names(kind))) from None


def _load(kind: PluginKind, point: EntryPoint) -> None:
    try:
        point.load()
    except (ImportError, AttributeError) as error:
        raise PluginError(
            f'{kind} "{point.name}" ({point.value}) cannot be imported: {error}'
        ) from error
    if (kind, point.name) not in _registered:
        raise PluginError(
            f'{point.value} registers no {kind} "{point.name}"; its class needs @register("{kind}", "{point.name}")'
        )


def settings(cls: type[Any]) -> dict[str, Any]:
    """A plug-in's settings with their defaults (`...` where there is none); the `llm` field is not a setting."""
    return {f.name: _default(f) for f in dataclasses.fields(cls) if f.name != "llm"}


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return ... if field.default is dataclasses.MISSING else field.default


def chosen(plugin: Any) -> dict[str, Any]:
    """The settings that a plug-in was built with, to be stored with what it makes."""
    return {name: getattr(plugin, name) for name in settings(type(plugin))}


def needs_llm(cls: type[Any]) -> bool:
    """Whether a plug-in has an `llm` field, and so calls a language model."""
    return any(f.name == "llm" for f in dataclasses.fields(cls))


def summary(cls: type[Any]) -> str:
    """First line of a plug-in's docstring."""
    return (inspect.getdoc(cls) or "").partition("\n")[0]


def check(kind: PluginKind, name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """A plug-in's settings, converted to the types that its fields declare.

    Raises:
        PluginError: unknown name or setting, a value of the wrong type, a missing setting.
    """
    cls = find(kind, name)
    values = converted(cls, params, f'{kind} "{name}"')
    valid = settings(cls)
    missing = [key for key, default in valid.items() if default is ... and key not in values]
    if missing:
        raise PluginError(
            f'{kind} "{name}" needs the setting {missing[0]}: --set {missing[0]}=VALUE'
        )
    return values


def converted(cls: type[Any], params: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Settings, converted to the types that a class's fields declare.

    Args:
        cls: a dataclass.
        params: values, or the texts of a command line.
        where: begins the message of an error.

    Raises:
        PluginError: unknown setting, or a value of the wrong type.
    """
    valid, hints = settings(cls), get_type_hints(cls)
    for key in params:
        if key not in valid:
            raise PluginError(f"{where}: {unknown('setting', key, valid)}")
    return {
        key: _convert(value, hints[key], f"{where}: setting {key}") for key, value in params.items()
    }


def require_llm(kind: PluginKind, name: str, llm: object) -> None:
    """Refuse a plug-in that calls a language model where there is none.

    Raises:
        PluginError: it needs one; `llm` is None or the spec `none`.
    """
    if needs_llm(find(kind, name)) and llm in (None, "none"):
        raise PluginError(
            f'{kind} "{name}" needs a language model: --llm openai:MODEL, local:SUBJECT or scripted:FILE'
        )


def create(kind: PluginKind, name: str, params: Mapping[str, Any], llm: Any = None) -> Any:
    """Build a plug-in from its name and settings.

    Raises:
        PluginError: as `check`; also where a language model is needed and missing.
    """
    cls = find(kind, name)
    values = check(kind, name, params)
    require_llm(kind, name, llm)
    if needs_llm(cls):
        values["llm"] = llm
    try:
        return cls(**values)
    except ValueError as error:
        raise PluginError(f'{kind} "{name}": {error}') from None


def _convert(value: Any, wanted: Any, where: str) -> Any:
    """A setting's value as the type that its field declares; command-line values come as strings."""
    if wanted is str:
        if isinstance(value, str):
            return value
    elif wanted is bool:
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if isinstance(value, bool):
            return value
    elif wanted in (int, float):
        number = _number(value, wanted)
        if number is not None:
            return number
    elif isinstance(value, str):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    else:
        return value
    raise PluginError(f"{where} must be {getattr(wanted, '__name__', wanted)}, not {value!r}")


def _number(value: Any, wanted: type[int] | type[float]) -> int | float | None:
    """A finite number of a type; None where there is none, or only after rounding."""
    if isinstance(value, bool):
        return None
    try:
        number = wanted(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if isinstance(number, float) and not math.isfinite(number):
        return None
    return number if isinstance(value, str) or number == value else None
