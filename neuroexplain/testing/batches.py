"""OpenAI's files and batches: which request does what."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any
from urllib.parse import parse_qs

from neuroexplain.testing.backend import Backend
from neuroexplain.testing.batch_files import Files
from neuroexplain.testing.batch_jobs import Batches, Job
from neuroexplain.testing.replies import Body, Response, failure
from neuroexplain.testing.wire import Request


class BatchService:
    """Answers below `/v1/files` and `/v1/batches`; every key sees its own files and batches only."""

    def __init__(self, settings: Batches, backend: Backend) -> None:
        self._settings = settings
        self._backend = backend
        self._files = Files(settings.fail_upload)
        self._jobs: dict[str, Job] = {}
        self._to_drop = settings.drop_created

    def records(self) -> list[Body]:
        """All batches, in the order of their making."""
        return [dict(job.record) for job in list(self._jobs.values())]

    def respond(self, request: Request, body: Body | None) -> Response | Awaitable[Response] | None:
        """The answer to a request; None if it is for somebody else."""
        path, _, query = request.path.partition("?")
        owner = request.headers.get("authorization", "")
        match request.method, path.split("/"):
            case "POST", ["", "v1", "files"]:
                return self._files.upload(request, owner)
            case "GET", ["", "v1", "files", name]:
                return self._files.show(name, owner)
            case "GET", ["", "v1", "files", name, "content"]:
                return self._files.content(name, owner)
            case "DELETE", ["", "v1", "files", name]:
                return self._files.delete(name, owner)
            case "POST", ["", "v1", "batches"]:
                return self._create(body, owner)
            case "GET", ["", "v1", "batches"]:
                return self._list(query, owner)
            case "GET", ["", "v1", "batches", name]:
                job = self._find(name, owner)
                return _missing(name) if job is None else job.poll()
            case "POST", ["", "v1", "batches", name, "cancel"]:
                job = self._find(name, owner)
                return _missing(name) if job is None else job.cancel()
        return None

    def _find(self, name: str, owner: str) -> Job | None:
        job = self._jobs.get(name)
        return job if job is not None and job.owner == owner else None

    def _create(self, body: Body | None, owner: str) -> Response:
        if body is None:
            return failure("the body is no JSON object")
        source = self._files.find(str(body.get("input_file_id")), owner)
        if source is None or source.purpose != "batch":
            return failure("no such input file with purpose batch", param="input_file_id")
        if body.get("endpoint") not in self._backend.endpoints:
            known = ", ".join(self._backend.endpoints)
            return failure(f"endpoint must be one of {known}", param="endpoint")
        if body.get("completion_window") != "24h":
            return failure("completion_window must be 24h", param="completion_window")
        if not _is_metadata(body.get("metadata")):
            return failure(
                "metadata must be at most 16 pairs of texts of at most 64 and 512 characters",
                param="metadata",
            )
        job = Job(body, source, self._settings, self._backend, self._files)
        self._jobs[job.record["id"]] = job
        if self._to_drop > 0:
            self._to_drop -= 1
            return Response(cut=-1)
        return Response(dict(job.record))

    def _list(self, query: str, owner: str) -> Response:
        asked = {name: values[-1] for name, values in parse_qs(query).items()}
        limit = asked.get("limit", "20")
        if not limit.isdecimal() or not 1 <= int(limit) <= 100:
            return failure("limit must be from 1 to 100", param="limit")
        newest = [job.record for job in reversed(self._jobs.values()) if job.owner == owner]
        names = [record["id"] for record in newest]
        start = 0
        if "after" in asked:
            if asked["after"] not in names:
                return failure(f"No batch found with id '{asked['after']}'.", 404, param="after")
            start = names.index(asked["after"]) + 1
        page = [dict(record) for record in newest[start : start + int(limit)]]
        return Response(
            {
                "object": "list",
                "data": page,
                "first_id": page[0]["id"] if page else None,
                "last_id": page[-1]["id"] if page else None,
                "has_more": start + len(page) < len(newest),
            }
        )


def _missing(name: str) -> Response:
    return failure(f"No batch found with id '{name}'.", 404)


def _is_metadata(metadata: Any) -> bool:
    """Whether OpenAI's server would take it."""
    if metadata is None:
        return True
    return (
        isinstance(metadata, dict)
        and len(metadata) <= 16
        and all(
            len(key) <= 64 and isinstance(value, str) and len(value) <= 512
            for key, value in metadata.items()
        )
    )
