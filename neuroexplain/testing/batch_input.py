"""The input file of a batch, checked as strictly as OpenAI does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from neuroexplain.testing.replies import Body

_REQUIRED = {"custom_id": str, "method": str, "url": str, "body": dict}


@dataclass(frozen=True)
class Line:
    """One request of a batch."""

    custom_id: str
    body: Body


def problem(code: str, message: str, line: int | None = None, param: str | None = None) -> Body:
    """An entry of a batch's `errors.data`."""
    return {"code": code, "line": line, "message": message, "param": param}


def check(
    content: bytes, endpoint: str, *, max_lines: int, max_bytes: int
) -> tuple[list[Line], list[Body]]:
    """The lines of an input file, and what is wrong with it; where anything is, the batch fails."""
    if len(content) > max_bytes:
        return [], [problem("file_too_large", f"{len(content)} bytes, of {max_bytes} at most")]
    written = content.split(b"\n")
    while written and not written[-1].strip():
        written.pop()
    if not written:
        return [], [problem("empty_file", "The file holds no requests.")]
    if len(written) > max_lines:
        return [], [problem("too_many_tasks", f"{len(written)} requests, of {max_lines} at most")]
    lines: dict[str, Line] = {}
    problems = []
    model = None
    for number, text in enumerate(written, 1):
        entry = _object(text)
        if entry is None:
            problems.append(problem("invalid_json_line", "This line is no JSON object.", number))
            continue
        wrong = _problem(entry, endpoint, model)
        if wrong is None and entry["custom_id"] in lines:
            wrong = ("duplicate_custom_id", f"{entry['custom_id']} was used before.", "custom_id")
        if wrong is not None:
            code, message, param = wrong
            problems.append(problem(code, message, number, param))
            continue
        model = entry["body"]["model"]
        lines[entry["custom_id"]] = Line(entry["custom_id"], entry["body"])
    return list(lines.values()), problems


def _object(text: bytes) -> Body | None:
    try:
        entry: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _problem(entry: Body, endpoint: str, model: str | None) -> tuple[str, str, str] | None:
    """Code, message and parameter of the first thing that is wrong with a line."""
    for name, kind in _REQUIRED.items():
        if not isinstance(entry.get(name), kind) or not entry[name]:
            return "missing_required_parameter", f"{name} is missing or wrong.", name
    if entry["method"] != "POST":
        return "invalid_method", f"{entry['method']} is not POST.", "method"
    if entry["url"] != endpoint:
        return "url_mismatch", f"{entry['url']} is not the batch's {endpoint}.", "url"
    named = entry["body"].get("model")
    if not isinstance(named, str):
        return "missing_required_parameter", "body.model is missing or wrong.", "body.model"
    if model is not None and named != model:
        return "model_mismatch", f"{named} is not {model}, as in earlier lines.", "body.model"
    return None
