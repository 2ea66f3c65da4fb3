"""What a server answers to the requests by which a client finds out what it can do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from neuroexplain.testing.replies import Body, cap, completion, form, taken

HEADER = "x-neuroexplain"
PROSE = "Here you are."
_LONG = ", ".join(str(i) for i in range(1, 201))


def probe(body: Body, supports: frozenset[str]) -> Body:
    """The completion that a server with these features gives."""
    return completion(_text(body, supports), body, supports=supports)


def _text(body: Body, supports: frozenset[str]) -> str:
    read = taken(body, supports)
    if form(read) == "json_schema":
        schema = read["response_format"].get("json_schema", {}).get("schema", {})
        return json.dumps(instance(schema))
    if form(read) == "json_object":
        return "{}"
    # A cap shows in a reply that is longer; one that is ignored must not be kept by accident.
    return PROSE if form(body) != "text" or cap(body) is None else _LONG


def instance(schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> Any:
    """A small value of a JSON schema: `{"enum": ["a", "b"]}` → "b"; `{"type": "integer", "minimum": 3}` → 3."""
    root = schema if root is None else root
    if "$ref" in schema:
        found: Any = root
        for key in schema["$ref"].removeprefix("#/").split("/"):
            found = found[key]
        return instance(found, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][-1]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return instance(schema[several][0], root)
    return _of_type(schema, root)


def _of_type(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    kind = schema.get("type", "object")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            properties = schema.get("properties", {})
            wanted = schema.get("required", [])
            return {name: instance(properties.get(name, {}), root) for name in wanted}
        case "array":
            first = schema.get("prefixItems", [])
            items = [*first, *[schema.get("items", {})] * schema.get("minItems", 0)]
            return [instance(item, root) for item in items[: schema.get("minItems", 0)]]
        case "string":
            return "x" * max(schema.get("minLength", 1), 1)
        case "integer":
            return _number(schema, 1)
        case "number":
            return _number(schema, 0.5)
        case "boolean":
            return True
    return None


def _number(schema: Mapping[str, Any], step: float) -> float:
    """The smallest number that is allowed, else the largest, else the step; `step` off an open end."""
    number = step
    if "minimum" in schema:
        number = schema["minimum"]
    elif "exclusiveMinimum" in schema:
        number = schema["exclusiveMinimum"] + step
    elif "maximum" in schema:
        number = min(schema["maximum"], step)
    elif "exclusiveMaximum" in schema:
        number = min(schema["exclusiveMaximum"] - step, step)
    return number
