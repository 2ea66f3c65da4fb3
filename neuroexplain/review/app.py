"""The application: pages and interface, put together."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from neuroexplain.catalogue.storage.troubles import BusyError as FileBusyError
from neuroexplain.errors import AbsentError, BusyError, NeuroexplainError
from neuroexplain.review import api, pages
from neuroexplain.review.desk import Desk, desk_of
from neuroexplain.review.rendering import STATIC, page
from neuroexplain.review.security import Guard, Sessions
from neuroexplain.review.timing import Timed

STATUSES = {AbsentError: 404, BusyError: 503, FileBusyError: 503}
"""Of what the user can mend; of what is none of these, 400. What is busy may be free when it is asked again."""


def create_app(desk: Desk, sessions: Sessions, hosts: frozenset[str]) -> Guard:
    """The review page as an ASGI application that refuses whoever was not let in.

    Args:
        desk: what it works with.
        sessions: who is let in.
        hosts: values of the Host header that are its own.
    """
    app = FastAPI(
        title="neuroexplain review",
        version=desk.version,
        docs_url=None,  # the framework's page of documentation loads scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.desk = desk
    desk.mirror.start()
    app.state.sessions = sessions
    app.include_router(api.router, prefix="/api/v1")
    app.include_router(pages.router, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_exception_handler(NeuroexplainError, _mendable)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    return Guard(Timed(app, desk.timings), sessions, hosts)


async def _mendable(request: Request, error: Exception) -> Response:
    """What the user can mend: one line."""
    status = next((code for kind, code in STATUSES.items() if isinstance(error, kind)), 400)
    return _said(request, status, " ".join(str(error).split()))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _said(request, error.status_code, str(error.detail))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return _said(request, 422, f"{where}: {first['msg']}")


def _said(request: Request, status: int, message: str) -> Response:
    message = desk_of(request).without_folders(message)
    if request.url.path.startswith("/api/"):
        return JSONResponse({"detail": message}, status_code=status)
    return page(request, "error.html.jinja", status, message=message)
