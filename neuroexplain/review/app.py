"""The application: pages and interface, put together."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from neuroexplain.errors import AbsentError, NeuroexplainError
from neuroexplain.review import api, pages
from neuroexplain.review.desk import Desk
from neuroexplain.review.rendering import STATIC, page
from neuroexplain.review.security import Guard, Sessions
from neuroexplain.review.timing import Timed


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
    status = 404 if isinstance(error, AbsentError) else 400
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
    if request.url.path.startswith("/api/"):
        return JSONResponse({"detail": message}, status_code=status)
    return page(request, "error.html.jinja", status, message=message)
