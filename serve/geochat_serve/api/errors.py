"""Errors of the HTTP API: status codes, and problem details (RFC 9457)."""

import logging
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from geochat import errors
from geochat.errors import EngineError, GeoChatError
from geochat_serve.jobs import JobNotFoundError, TooManyJobsError
from geochat_serve.middleware.http import problem
from geochat_serve.queue import QueueFullError
from geochat_serve.storage import StorageFullError

_STATUSES: tuple[tuple[type[GeoChatError], int], ...] = (
    (JobNotFoundError, 404),
    (QueueFullError, 429),
    (TooManyJobsError, 429),
    (StorageFullError, 507),
    (EngineError, 503),  # ShuttingDownError, too
)
_RETRY_S = "5"

log = logging.getLogger(__name__)


class CallError(GeoChatError):
    """A request is malformed.

    Attributes:
        status: HTTP status.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def problem_of(error: Exception) -> Response:
    """Return the response to an error; one that was not raised on purpose is logged and not described."""
    if isinstance(error, HTTPException):
        return problem(error.status_code, str(error.detail), headers=error.headers)
    if isinstance(error, RequestValidationError):
        return problem(422, _first(error.errors()))
    if not isinstance(error, GeoChatError):
        log.error("a call of the API failed", exc_info=error)
        return problem(500, "The server or its model failed on this request; its log has the details.")
    status = status_of(error, 422)
    headers = {"retry-after": _RETRY_S} if status in (429, 503) else None
    return problem(status, str(error), code=_code(error), headers=headers)


def invalid_fields(error: ValidationError) -> CallError:
    """Return the error for fields that do not fit their model."""
    return CallError(422, _first(error.errors()))


def add_handlers(app: FastAPI) -> None:
    """Let an application answer errors with problem details."""

    async def handle(_request: Request, error: Exception) -> Response:
        return problem_of(error)

    for kind in (GeoChatError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, handle)


def status_of(error: GeoChatError, otherwise: int) -> int:
    """Return the HTTP status of an error; `otherwise` if the request has an impossible value."""
    if isinstance(error, CallError):
        return error.status
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), otherwise)


def _code(error: GeoChatError) -> str:
    """Return the name of an error's class that clients know: its own, or that of its base."""
    return next(str(kind.__name__) for kind in type(error).__mro__ if getattr(errors, kind.__name__, None) is kind)


def _first(details: Any) -> str:  # noqa: ANN401 - pydantic's details
    """Return the first problem of fields in one sentence."""
    first = details[0]
    name = ".".join(str(part) for part in first["loc"] if isinstance(part, str | int)) or "the request"
    if first["type"] == "extra_forbidden":
        return f"there is no field {name!r}; see the schema, /api/v1/openapi.json"
    return f"{name}: {first['msg'][:1].lower()}{first['msg'][1:]}"
