"""The routes of the HTTP API, as an application of their own.

`ApiRoutes` puts it behind the middleware that stands before the page, in front of Gradio. Its OpenAPI schema is at
`/api/v1/openapi.json`; there is no Swagger page, which would load scripts from elsewhere.
"""

from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from geochat import __version__
from geochat.exports import EXPORTERS
from geochat_serve.answering import AnswerService
from geochat_serve.api.answers import answer_events
from geochat_serve.api.calls import read_call
from geochat_serve.api.errors import add_handlers, problem_of
from geochat_serve.api.responses import (
    EVENT_STREAM,
    complete_schema,
    event_stream,
    last_event,
    request_body,
    wants_events,
    while_connected,
)
from geochat_serve.api.schema import (
    AnswerBody,
    AskFields,
    ClassifyFields,
    DescribeFields,
    ProblemBody,
    ServerBody,
    WindowFields,
)
from geochat_serve.api.searches import add_search_routes
from geochat_serve.jobs import Jobs
from geochat_serve.middleware.http import HTTP_API, route
from geochat_serve.storage import UploadStorage

_DESCRIPTION = (
    "Grounded answers about satellite and aerial images. Send the image as a file of a form or, up to 16 MB of JSON, in"
    " base64; only what is sent is opened, never a path or a URL. Errors are problem details (RFC 9457)."
)
_STATUSES = (400, 401, 403, 413, 415, 422, 429, 503)


class ApiRoutes:
    """Middleware that answers the routes of the HTTP API.

    Args:
        app: The application behind it.
        api: Result of `build_api`.
        root_path: The prefix under which a proxy serves the application.
    """

    def __init__(self, app: ASGIApp, api: FastAPI, root_path: str | None = None) -> None:
        self._app = app
        self._api = api
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request or pass it on."""
        path = route(scope, self._root_path) if scope["type"] == "http" else ""
        if path.startswith(f"{HTTP_API}/"):
            await self._api({**scope, "path": path, "root_path": ""}, receive, send)
        else:
            await self._app(scope, receive, send)


def build_api(
    answers: AnswerService, jobs: Jobs, storage: UploadStorage, *, max_upload_mb: int, root_path: str | None = None
) -> FastAPI:
    """Return the application of the HTTP API.

    Args:
        answers: Answers questions.
        jobs: Searches scenes.
        storage: Holds images.
        max_upload_mb: Largest image file, in megabytes.
        root_path: The prefix under which a proxy serves the application, for addresses in responses.
    """
    api = FastAPI(
        title="GeoChat",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url=f"{HTTP_API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        responses={status: {"model": ProblemBody} for status in _STATUSES},
    )
    add_handlers(api)

    @api.get(f"{HTTP_API}/server", operation_id="server", response_model=ServerBody, summary="The server and its model")
    async def server() -> dict[str, Any]:
        info = answers.chat.engine.info
        return {
            "software": f"geochat {__version__}",
            "model": info.name,
            "tasks": [task.value for task in info.settings.tasks],
            "scene_classes": list(info.settings.scene_classes),
            "categories": list(info.settings.categories),
            "formats": list(EXPORTERS),
            "max_upload_mb": max_upload_mb,
        }

    for name, fields in (("ask", AskFields), ("describe", DescribeFields), ("classify", ClassifyFields)):
        _add_question(api, name, fields, answers, storage)
    prefix = urlsplit(root_path).path.rstrip("/") if root_path else ""
    add_search_routes(api, jobs, storage, prefix)
    complete_schema(api)
    return api


def _add_question(
    api: FastAPI, name: str, fields: type[WindowFields], answers: AnswerService, storage: UploadStorage
) -> None:
    """Add a route that answers a question about an image."""

    @api.post(
        f"{HTTP_API}/{name}",
        operation_id=name,
        summary=fields.__doc__,
        description=f"With `Accept: {EVENT_STREAM}` the answer streams as it is written: the events queue, start, text,"
        " phrase, region, and in the end answer or error.",
        responses={200: {"model": AnswerBody, "content": {EVENT_STREAM: {}}}},
        openapi_extra={"requestBody": request_body(fields)},
    )
    async def answer(request: Request) -> Response:
        events = answer_events(answers, await read_call(request, fields, storage))
        if wants_events(request):
            return event_stream(events)
        try:
            values = await while_connected(request, last_event(events))
        except Exception as error:  # whatever the engine raises
            return problem_of(error)
        return Response(status_code=499) if values is None else JSONResponse(values)  # nobody reads the 499
