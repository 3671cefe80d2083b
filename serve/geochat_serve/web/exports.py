"""Exports for the page: files made in threads, so that nobody's request waits for them, and sent as they are."""

import asyncio
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from geochat_serve.exports import export
from geochat_serve.session import Session
from geochat_serve.sessions import SessionStore
from geochat_serve.web.routes import file_response, page_route, read_json

_AT_ONCE = 2  # a picture takes a processor and a hundred megabytes


@dataclass(frozen=True)
class ExportHandlers:
    """Handlers of the requests for files of the results, the conversation and the corrections."""

    sessions: SessionStore
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    def routes(self) -> list[BaseRoute]:
        """Return their routes."""
        return [page_route("/exports", "POST", self.export, self.sessions)]

    async def export(self, request: Request, session: Session) -> Response:
        """Export boxes, conversation or corrections as a file."""
        values = await read_json(request)
        kind, shown = str(values.get("kind")), values.get("shown")
        keys = {str(key) for key in shown} if isinstance(shown, list) else None
        async with self.slots:
            file = await asyncio.to_thread(export, kind, session, keys)
        return file_response(file.name, file.media_type, file.content)
