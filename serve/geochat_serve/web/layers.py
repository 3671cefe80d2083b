"""Tiles of the open image and vector layers on it, for the page."""

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from geochat.errors import ImageError
from geochat_serve.open_scene import OpenScene
from geochat_serve.overlays import read_overlay
from geochat_serve.session import Session
from geochat_serve.sessions import SessionStore
from geochat_serve.storage import UploadStorage, safe_name
from geochat_serve.tiles import TileServer
from geochat_serve.web.routes import page_route, read_json

_CACHING = {"cache-control": "private, max-age=604800, immutable"}
_ABANDONED = 499


@dataclass(frozen=True)
class LayerHandlers:
    """Handlers of the viewer's and the layer panel's requests."""

    sessions: SessionStore
    tiles: TileServer
    storage: UploadStorage

    def routes(self) -> list[BaseRoute]:
        """Return their routes."""
        return [
            page_route("/tiles/{scene}/{level:int}/{column:int}/{row:int}", "GET", self.tile, self.sessions),
            page_route("/overlays", "POST", self.overlay, self.sessions),
        ]

    async def tile(self, request: Request, session: Session) -> Response:
        """Return a tile; the browser keeps it, and asks no more than whether it has changed, which it never does."""
        names = request.path_params
        scene = _scene(session, names["scene"])
        place = names["level"], names["column"], names["row"]
        headers = {**_CACHING, "etag": f'"{scene.id}-{"-".join(map(str, place))}"'}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)

        async def is_wanted() -> bool:
            return not await request.is_disconnected()

        tile = await self.tiles.tile(scene, *place, is_wanted)
        if tile is None:
            return Response(status_code=_ABANDONED)
        return Response(tile.content, media_type=tile.media_type, headers=headers)

    async def overlay(self, request: Request, session: Session) -> dict[str, Any]:
        """Lay an uploaded vector layer on the open image; the server keeps nothing of it."""
        values, scene = await read_json(request), session.require_scene()

        def read() -> dict[str, Any]:
            folder = self.storage.new_folder()
            try:
                claimed = self.storage.claim(values.get("upload")).rename(folder / "layer")
                return read_overlay(claimed, safe_name(str(values.get("name") or "layer")), scene)
            finally:
                self.storage.remove(folder)

        return {**await asyncio.to_thread(read), "image_id": scene.image_id}


def _scene(session: Session, name: str) -> OpenScene:
    """Return the scene of a session that a request names.

    Raises:
        ImageError: It is not open any more.
    """
    if session.scene is not None and session.scene.id == name:
        return session.scene
    raise ImageError("that image, or these bands of it, are no longer shown")
