"""Files as OpenAI's server keeps them: only whoever brought one sees it."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

from neuroexplain.testing.replies import Body, Response, failure
from neuroexplain.testing.wire import Request, parts


@dataclass(frozen=True)
class File:
    """A file of one account."""

    id: str
    owner: str
    filename: str
    purpose: str
    content: bytes
    created_at: int

    def record(self) -> Body:
        """What the server says about it."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": len(self.content),
            "created_at": self.created_at,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
        }


class Files:
    """All files of a server.

    Args:
        failing: uploads that fail before one succeeds.
    """

    def __init__(self, failing: int = 0) -> None:
        self._files: dict[str, File] = {}
        self._failing = failing

    def add(self, owner: str, filename: str, purpose: str, content: bytes) -> File:
        """Keep a new file."""
        name = f"file-{uuid.uuid4().hex}"
        self._files[name] = File(name, owner, filename, purpose, content, int(time.time()))
        return self._files[name]

    def find(self, name: str, owner: str) -> File | None:
        """A file of this account."""
        file = self._files.get(name)
        return file if file is not None and file.owner == owner else None

    def upload(self, request: Request, owner: str) -> Response:
        """`POST /v1/files`."""
        if self._failing > 0:
            self._failing -= 1
            return failure("The server had an error.", 500, kind="server_error")
        try:
            fields = parts(request.content, request.headers.get("content-type", ""))
        except ValueError as error:
            return failure(f"no multipart form: {error}")
        if "purpose" not in fields or fields["purpose"].content != b"batch":
            return failure("purpose must be batch", param="purpose")
        if "file" not in fields or fields["file"].filename is None:
            return failure("file is missing", param="file")
        file = fields["file"]
        if not (file.filename or "").endswith(".jsonl"):
            return failure("Invalid file format for Batch API. Must be .jsonl", param="file")
        return Response(self.add(owner, file.filename or "", "batch", file.content).record())

    def show(self, name: str, owner: str) -> Response:
        """`GET /v1/files/{id}`."""
        file = self.find(name, owner)
        return _missing(name) if file is None else Response(file.record())

    def content(self, name: str, owner: str) -> Response:
        """`GET /v1/files/{id}/content`."""
        file = self.find(name, owner)
        if file is None:
            return _missing(name)
        return Response(file.content, headers={"Content-Type": "application/octet-stream"})

    def delete(self, name: str, owner: str) -> Response:
        """`DELETE /v1/files/{id}`."""
        if self.find(name, owner) is None:
            return _missing(name)
        del self._files[name]
        return Response({"id": name, "object": "file", "deleted": True})


def _missing(name: str) -> Response:
    return failure(f"No such File object: {name}", 404, param="id")
